// Every four-tuple in TIME_WAIT. There may be a million of them, each for a minute, so an entry costs at most 64 bytes
// with all that belongs to it: its place in the hash table and in the queue of those that end.
//
// That is why this is a table of its own beside the demultiplexer: entries are chained, in the hash table and in the
// queue, by 32-bit indices; our own address is kept once for all; an end is 32 bits of milliseconds. The hash table
// grows by one bucket at a time (linear hashing), so that no segment has to wait for a million entries to move.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/time.hpp"
#include "stack/own_addresses.hpp"
#include "stack/ports.hpp"
#include "tcp/time_wait.hpp"

namespace ff {

class TimeWaits {
 public:
  // Peers choose addresses and ports, and must not choose collisions.
  explicit TimeWaits(const SipHashKey& key) : key_(key) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Entries are named by an index that is theirs until they are removed.
  [[nodiscard]] std::optional<std::uint32_t> find(const FourTuple& tuple) const noexcept;
  tcp::TimeWait& operator[](std::uint32_t index) noexcept { return slot(index).state; }
  const tcp::TimeWait& operator[](std::uint32_t index) const noexcept { return slot(index).state; }
  [[nodiscard]] FourTuple tuple(std::uint32_t index) const noexcept;
  [[nodiscard]] Instant ends_at(std::uint32_t index) const noexcept;
  // How it has the local port.
  [[nodiscard]] PortUse use(std::uint32_t index) const noexcept;

  // `tuple` has no entry yet; `ends_at` is not before the end of any other, here and below.
  void add(const FourTuple& tuple, const tcp::TimeWait& state, Instant ends_at, PortUse use = {});
  void restart(std::uint32_t index, Instant ends_at) noexcept;
  void remove(std::uint32_t index) noexcept;

  // The entry that ends first, if there is one; and when that is.
  [[nodiscard]] std::optional<std::uint32_t> first() const noexcept;
  [[nodiscard]] Instant next_end() const noexcept { return oldest_ == kNone ? kNever : ends_at(oldest_); }

  // For a walk that stops and goes on later: what is at 0 to slots() - 1, nothing where there is no entry.
  struct View {
    FourTuple tuple;
    Instant ends_at;
  };
  [[nodiscard]] std::uint32_t slots() const noexcept { return used_; }
  [[nodiscard]] std::optional<View> at(std::uint32_t index) const noexcept;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kOwnBits = 29;
  static constexpr std::uint32_t kFree = (1u << kOwnBits) - 1;

  struct Slot {
    tcp::TimeWait state;
    IpAddress remote;
    std::uint16_t remote_port, local_port;
    std::uint32_t local : kOwnBits;  // number of our address; kFree: the slot is free
    bool reuse_addr : 1, reuse_port : 1, chosen : 1;
    std::uint32_t end_ms;          // modulo 2^32
    std::uint32_t chain;           // the next in the bucket, or the next free slot
    std::uint32_t earlier, later;  // the neighbours in the queue of ends
  };
  static_assert(sizeof(Slot) <= 56, "a TIME_WAIT entry, with up to 8 bytes for its bucket, costs at most 64 bytes");

  static constexpr std::uint32_t kChunkShift = 8;
  static constexpr std::uint32_t kChunkMask = (1u << kChunkShift) - 1;
  using Chunk = std::array<Slot, 1u << kChunkShift>;

  Slot& slot(std::uint32_t index) noexcept { return (*chunks_[index >> kChunkShift])[index & kChunkMask]; }
  [[nodiscard]] const Slot& slot(std::uint32_t index) const noexcept {
    return (*chunks_[index >> kChunkShift])[index & kChunkMask];
  }
  [[nodiscard]] bool is(const Slot& slot, const FourTuple& tuple) const noexcept;
  [[nodiscard]] std::uint32_t hash(const FourTuple& tuple) const noexcept;
  [[nodiscard]] std::uint32_t bucket_of(std::uint32_t hash) const noexcept;
  std::uint32_t take_slot();
  void add_bucket();
  void enqueue(std::uint32_t index, Instant ends_at) noexcept;
  void dequeue(std::uint32_t index) noexcept;

  SipHashKey key_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::uint32_t used_ = 0;
  std::uint32_t free_ = kNone;
  std::size_t size_ = 0;
  // Linear hashing: base_ to 2 * base_ - 1 buckets; those from heads_.size() - base_ on are not split yet.
  std::vector<std::uint32_t> heads_{kNone};
  std::uint32_t base_ = 1;
  std::uint32_t oldest_ = kNone, newest_ = kNone;
  Instant newest_end_{};  // the ends of all others are told by their distance from it
  OwnAddresses own_;
};

}  // namespace ff
