// Segments that arrived ahead of a gap (RFC 9293 §3.10.7.4, "seventh"), and the SACK blocks that tell of them (RFC
// 2018, RFC 2883).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "base/held_memory.hpp"
#include "firstflight/bytes.hpp"
#include "wire/tcp_options.hpp"

namespace ff::tcp {

// Places are counted in bytes of the stream, so that nothing wraps here.
class Reassembly {
 public:
  // A stretch of the stream.
  struct Run {
    std::uint64_t begin, end;
  };
  struct Added {
    std::uint32_t new_bytes = 0;   // that were not here yet
    std::optional<Run> duplicate;  // the first of those that were
    // Pieces that turned out to be one: those that this one covers whole, or this one when it brought nothing.
    std::uint32_t merged = 0;
  };
  // Keeps those bytes of `payload`, which starts at `position`, that are not here yet: what came first stays (a second,
  // different copy changes nothing).
  Added add(std::uint64_t position, const Slice& payload, HeldMemory& memory);

  // The first byte behind a gap that closed: takes out what now follows `position`, an empty slice when there is a gap.
  Slice take(std::uint64_t position);

  // What waits here although everything before `position` has arrived in order.
  [[nodiscard]] std::optional<Run> overtaken(std::uint64_t position) const;

  // Forgets, from the far end on, pieces that begin behind `position`, until `enough` bytes are free. Where a sender
  // has been told of them it must be ready to send them again (RFC 2018 §8). Says how many bytes those were.
  std::uint32_t prune(std::uint64_t position, std::uint32_t enough) noexcept;

  [[nodiscard]] bool empty() const noexcept { return pieces_.empty(); }
  [[nodiscard]] std::uint32_t bytes() const noexcept { return bytes_; }
  // Memory that the pieces hold, with what each costs beside its bytes.
  [[nodiscard]] std::uint32_t memory() const noexcept {
    return bytes_ + static_cast<std::uint32_t>(pieces_.size()) * kCostOfPiece;
  }
  static constexpr std::uint32_t kCostOfPiece = 128;

  // The stretches that are here, the latest change first (RFC 2018 §4), at most `max`; `base` is the sequence number of
  // `position`.
  void report(Seq base, std::uint64_t position, std::size_t max, wire::SackBlocks& blocks) const;

  void clear() noexcept;

 private:
  // The stretch without gaps that holds `position`.
  [[nodiscard]] std::optional<Run> run_at(std::uint64_t position) const;
  void note_change(std::uint64_t position) noexcept;

  std::map<std::uint64_t, HeldSlice> pieces_;    // disjoint
  std::map<std::uint64_t, std::uint64_t> runs_;  // begin to end of the stretches that the pieces make up
  std::array<std::uint64_t, wire::SackBlocks::kMax>
      recent_{};  // a place in each of the stretches changed last, latest first
  std::uint8_t recent_count_ = 0;
  std::uint32_t bytes_ = 0;
};

}  // namespace ff::tcp
