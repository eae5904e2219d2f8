// What a queue's pieces count as: whole slabs, each once.
#include "base/held_memory.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace ff {
namespace {

constexpr std::uint64_t kSlab = 1000 + HeldSlice::kCostOfSlab;

TEST(HeldMemory, CountsASlabWholeHoweverLittleOfItWaits) {
  SlabPool pool(1000);
  HeldMemory memory;
  const SlabRef slab = pool.acquire();
  const HeldSlice byte(slab.slice(0, 1), memory);
  EXPECT_EQ(memory.bytes(), kSlab);
}

TEST(HeldMemory, CountsASlabOnceHoweverManyPiecesOfItWait) {
  SlabPool pool(1000);
  HeldMemory memory;
  const SlabRef slab = pool.acquire();
  std::optional<HeldSlice> first(HeldSlice(slab.slice(0, 1), memory));
  std::optional<HeldSlice> second(HeldSlice(slab.slice(1, 1), memory));
  EXPECT_EQ(memory.bytes(), kSlab);
  first.reset();
  EXPECT_EQ(memory.bytes(), kSlab);
  second.reset();
  EXPECT_EQ(memory.bytes(), 0u);
}

// What the application has taken is its own affair.
TEST(HeldMemory, EndsWithTaking) {
  SlabPool pool(1000);
  HeldMemory memory;
  HeldSlice held(pool.acquire().slice(0, 500), memory);
  const Slice taken = held.take();
  EXPECT_EQ(taken.size(), 500u);
  EXPECT_EQ(memory.bytes(), 0u);
}

TEST(HeldMemory, MovesWithTheSlice) {
  SlabPool pool(1000);
  HeldMemory memory;
  HeldSlice held(pool.acquire().slice(0, 500), memory);
  HeldSlice other(pool.acquire().slice(0, 500), memory);
  EXPECT_EQ(memory.bytes(), 2 * kSlab);
  other = std::move(held);
  EXPECT_EQ(memory.bytes(), kSlab);
}

// Text that lives for ever is nobody's memory.
TEST(HeldMemory, DoesNotCountWhatNobodyAllocated) {
  HeldMemory memory;
  const HeldSlice literal(Slice::unowned(as_bytes("hello")), memory);
  EXPECT_EQ(memory.bytes(), 0u);
}

// A slice that went on from one stack to another counts where it was first, until both are done with it, in whichever
// order they go.
TEST(HeldMemory, OutlivesItsStackInAnother) {
  SlabPool pool(1000);
  auto first = std::make_unique<HeldMemory>();
  HeldMemory second;
  const SlabRef slab = pool.acquire();
  std::optional<HeldSlice> here(HeldSlice(slab.slice(0, 500), *first));
  std::optional<HeldSlice> there(HeldSlice(slab.slice(0, 500), second));
  EXPECT_EQ(first->bytes(), kSlab);
  here.reset();
  first.reset();
  there.reset();
  EXPECT_EQ(second.bytes(), 0u);
}

}  // namespace
}  // namespace ff
