#include "firstflight/bytes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace ff {
namespace {

TEST(Slice, CopyHasMemoryOfItsOwn) {
  std::string text = "hello";
  const Slice slice = Slice::copy_of(as_bytes(text));
  text = "XXXXX";
  EXPECT_EQ(slice.text(), "hello");
}

TEST(Slice, AdoptKeepsTheStringsMemory) {
  std::string text(1000, 'a');
  const void* memory = text.data();
  const Slice slice = Slice::adopt(std::move(text));
  EXPECT_EQ(slice.data(), memory);
  EXPECT_EQ(slice.size(), 1000u);
  EXPECT_EQ(Slice::adopt("short, and so kept inside the string").text(), "short, and so kept inside the string");
  EXPECT_EQ(Slice::adopt("tiny").text(), "tiny");
}

TEST(Slice, OfNothingIsEmpty) {
  EXPECT_TRUE(Slice().empty());
  EXPECT_TRUE(Slice::copy_of({}).empty());
  EXPECT_TRUE(Slice::adopt("").empty());
  EXPECT_TRUE(Slice::unowned({}).empty());
  EXPECT_EQ(Slice().sub(3, 5).size(), 0u);
}

TEST(Slice, UnownedPointsAtWhatItWasGiven) {
  static constexpr std::string_view kText = "for ever";
  EXPECT_EQ(Slice::unowned(as_bytes(kText)).data(), reinterpret_cast<const std::uint8_t*>(kText.data()));
}

TEST(Slice, CopiesShareMemory) {
  Slice first = Slice::copy_of(as_bytes("shared"));
  Slice second = first;
  EXPECT_EQ(first.data(), second.data());
  first = Slice();
  EXPECT_EQ(second.text(), "shared");
  const Slice third = std::move(second);
  EXPECT_EQ(third.text(), "shared");
  EXPECT_TRUE(second.empty());  // NOLINT(bugprone-use-after-move): that is the question
}

TEST(Slice, SurvivesAssignmentToItself) {
  Slice slice = Slice::copy_of(as_bytes("self"));
  const Slice& alias = slice;
  slice = alias;
  EXPECT_EQ(slice.text(), "self");
}

TEST(Slice, CutsAreCutToWhatIsThere) {
  Slice slice = Slice::copy_of(as_bytes("0123456789"));
  EXPECT_EQ(slice.sub(2, 3).text(), "234");
  EXPECT_EQ(slice.sub(8).text(), "89");
  EXPECT_EQ(slice.sub(8, 100).text(), "89");
  EXPECT_EQ(slice.sub(10).text(), "");
  EXPECT_EQ(slice.sub(UINT32_MAX, UINT32_MAX).text(), "");
  slice.drop_front(3);
  slice.drop_back(2);
  EXPECT_EQ(slice.text(), "34567");
  slice.drop_front(100);
  EXPECT_TRUE(slice.empty());
  slice = Slice::copy_of(as_bytes("abc"));
  slice.drop_back(100);
  EXPECT_TRUE(slice.empty());
}

TEST(Slice, PartKeepsTheWholeAlive) {
  Slice part;
  {
    const Slice whole = Slice::copy_of(as_bytes("0123456789"));
    part = whole.sub(4, 2);
  }
  EXPECT_EQ(part.text(), "45");
}

TEST(SlabPool, CountsWhatIsOut) {
  SlabPool pool(2048);
  EXPECT_EQ(pool.slab_bytes(), 2048u);
  SlabRef first = pool.acquire();
  const SlabRef second = pool.acquire();
  EXPECT_EQ(first.memory().size(), 2048u);
  EXPECT_NE(first.memory().data(), second.memory().data());
  EXPECT_EQ(pool.outstanding(), 2u);
  first = SlabRef();
  EXPECT_EQ(pool.outstanding(), 1u);
}

TEST(SlabPool, RecyclesMemory) {
  SlabPool pool(512);
  const std::uint8_t* memory = nullptr;
  {
    const SlabRef slab = pool.acquire();
    memory = slab.memory().data();
  }
  EXPECT_EQ(pool.acquire().memory().data(), memory);
}

TEST(SlabPool, AlignsMemoryToCacheLines) {
  SlabPool pool(100);
  const SlabRef first = pool.acquire();
  const SlabRef second = pool.acquire();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.memory().data()) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.memory().data()) % 64, 0u);
}

TEST(SlabPool, SlabIsSharedAsLongAsASliceOfItLives) {
  SlabPool pool(64);
  SlabRef slab = pool.acquire();
  EXPECT_TRUE(slab.unshared());
  std::ranges::copy(as_bytes("payload"), slab.memory().begin());
  Slice slice = slab.slice(3, 4);
  EXPECT_FALSE(slab.unshared());
  EXPECT_EQ(slice.text(), "load");
  slab = SlabRef();
  EXPECT_EQ(pool.outstanding(), 1u);
  EXPECT_EQ(slice.text(), "load");
  slice = Slice();
  EXPECT_EQ(pool.outstanding(), 0u);
}

// AddressSanitizer reports it if the memory goes too early, or never.
TEST(SlabPool, SlicesOutliveThePool) {
  auto pool = std::make_unique<SlabPool>(64, 2);
  Slice last;
  Slice other;
  {
    const SlabRef first = pool->acquire();
    const SlabRef second = pool->acquire();
    const SlabRef unused = pool->acquire();
    std::ranges::copy(as_bytes("first"), first.memory().begin());
    std::ranges::copy(as_bytes("second"), second.memory().begin());
    last = first.slice(0, 5);
    other = second.slice(0, 6);
  }
  pool.reset();
  EXPECT_EQ(last.text(), "first");
  EXPECT_EQ(other.text(), "second");
  other = Slice();
  EXPECT_EQ(last.text(), "first");
}

TEST(SlabPool, MayKeepNothing) {
  SlabPool pool(64, 0);
  {
    const SlabRef first = pool.acquire();
    const SlabRef second = pool.acquire();
  }
  EXPECT_EQ(pool.outstanding(), 0u);
  EXPECT_TRUE(pool.acquire().unshared());
}

TEST(Loan, IsOverWithItsLastSlice) {
  const std::string memory = "of the application";
  int times = 0;
  bool was_copied = true;
  Slice held;
  {
    Loan loan(18, [&](bool copied) {
      ++times;
      was_copied = copied;
    });
    held = loan.slice(as_bytes(memory).subspan(3, 3));
    const Slice other = loan.slice(as_bytes(memory).first(2));
    EXPECT_TRUE(held.is_lent());
    EXPECT_TRUE(held.shares_memory_with(other)) << "they are accounted for as one";
    EXPECT_EQ(held.pins(), 18u);
  }
  EXPECT_EQ(held.text(), "the");
  EXPECT_EQ(static_cast<const void*>(held.data()), memory.data() + 3) << "not copied";
  EXPECT_EQ(times, 0);
  held = Slice();
  EXPECT_EQ(times, 1);
  EXPECT_FALSE(was_copied);
}

TEST(Loan, TellsWhoCopied) {
  bool was_copied = false;
  {
    const Loan loan(1, [&](bool copied) { was_copied = copied; });
    loan.slice(as_bytes("x")).note_copy();
  }
  EXPECT_TRUE(was_copied);
}

TEST(Loan, TellsNobodyWhenCancelled) {
  int times = 0;
  {
    Loan loan(1, [&](bool) { ++times; });
    loan.cancel();
  }
  EXPECT_EQ(times, 0);
}

}  // namespace
}  // namespace ff
