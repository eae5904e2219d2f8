#include "firstflight/bytes.hpp"

#include <cassert>
#include <cstring>
#include <new>

namespace ff {
namespace detail {
namespace {

// Payload begins on a cache line of its own, so that copies and checksums run on aligned memory.
constexpr std::size_t kAlignment = 64;
constexpr std::size_t round_up(std::size_t size) noexcept { return (size + kAlignment - 1) / kAlignment * kAlignment; }

// Head and payload in one allocation: `Head` derives from Slab and is followed by `bytes` bytes of payload.
template <typename Head>
Head* allocate_with_payload(std::uint32_t bytes) {
  constexpr std::size_t head_bytes = round_up(sizeof(Head));
  void* memory = ::operator new(head_bytes + bytes, std::align_val_t{kAlignment});
  auto* head = ::new (memory) Head{};
  head->data = static_cast<std::uint8_t*>(memory) + head_bytes;
  head->capacity = bytes;
  return head;
}
template <typename Head>
void free_with_payload(Head* head) noexcept {
  head->~Head();
  ::operator delete(head, std::align_val_t{kAlignment});
}

struct SlabOfString : Slab {
  std::string text;
};

void release_copied(Slab* slab) noexcept { free_with_payload(slab); }
void release_string(Slab* slab) noexcept { delete static_cast<SlabOfString*>(slab); }

struct SlabOfLoan : Slab {
  std::function<void(bool)> over;
};

void release_loan(Slab* slab) noexcept {
  const auto* loan = static_cast<SlabOfLoan*>(slab);
  if (loan->over) loan->over(loan->copied);
  delete loan;
}

struct SlabOfPool : Slab {
  SlabOfPool* next_unused;
};

}  // namespace

// Lives as long as the pool or any of its slabs, whichever is longer.
struct SlabPoolCore {
  std::uint32_t slab_bytes;
  std::size_t keep;
  SlabOfPool* unused = nullptr;
  std::size_t unused_count = 0;
  std::size_t outstanding = 0;
  bool pool_gone = false;

  SlabOfPool* take() {
    SlabOfPool* slab = unused;
    if (slab != nullptr) {
      unused = slab->next_unused;
      --unused_count;
    } else {
      slab = allocate_with_payload<SlabOfPool>(slab_bytes);
      slab->owner = this;
      slab->release = [](Slab* released) noexcept {
        static_cast<SlabPoolCore*>(released->owner)->give_back(static_cast<SlabOfPool*>(released));
      };
    }
    slab->references = 1;
    ++outstanding;
    return slab;
  }

  void give_back(SlabOfPool* slab) noexcept {
    --outstanding;
    if (!pool_gone && unused_count < keep) {
      slab->next_unused = unused;
      unused = slab;
      ++unused_count;
      return;
    }
    free_with_payload(slab);
    if (pool_gone && outstanding == 0) delete this;
  }

  void close() noexcept {
    while (unused != nullptr) free_with_payload(std::exchange(unused, unused->next_unused));
    pool_gone = true;
    if (outstanding == 0) delete this;
  }
};

}  // namespace detail

Slice Slice::copy_of(ByteSpan bytes) {
  if (bytes.empty()) return {};
  assert(bytes.size() <= UINT32_MAX);
  auto* slab = detail::allocate_with_payload<detail::Slab>(static_cast<std::uint32_t>(bytes.size()));
  slab->release = detail::release_copied;
  std::memcpy(slab->data, bytes.data(), bytes.size());
  return Slice(slab, slab->data, slab->capacity);
}

Slice Slice::adopt(std::string text) {
  if (text.empty()) return {};
  assert(text.size() <= UINT32_MAX);
  auto* slab = new detail::SlabOfString{};
  slab->text = std::move(text);
  slab->data = reinterpret_cast<std::uint8_t*>(slab->text.data());
  slab->capacity = static_cast<std::uint32_t>(slab->text.size());
  slab->release = detail::release_string;
  return Slice(slab, slab->data, slab->capacity);
}

Loan::Loan(std::uint32_t size, std::function<void(bool copied)> over) {
  auto* slab = new detail::SlabOfLoan{};
  slab->over = std::move(over);
  slab->capacity = size;
  slab->references = 1;
  slab->release = detail::release_loan;
  slab->lent = true;
  slab_ = slab;
}

void Loan::cancel() noexcept { static_cast<detail::SlabOfLoan*>(slab_)->over = nullptr; }

SlabPool::SlabPool(std::uint32_t slab_bytes, std::size_t keep)
    : core_(new detail::SlabPoolCore{.slab_bytes = slab_bytes, .keep = keep}) {}

SlabPool::~SlabPool() { core_->close(); }

SlabRef SlabPool::acquire() { return SlabRef(core_->take()); }

std::uint32_t SlabPool::slab_bytes() const noexcept { return core_->slab_bytes; }

std::size_t SlabPool::outstanding() const noexcept { return core_->outstanding; }

}  // namespace ff
