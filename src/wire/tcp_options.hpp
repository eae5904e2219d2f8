// TCP options: MSS (RFC 9293 §3.7.1), window scale and timestamps (RFC 7323), SACK (RFC 2018), Fast Open (RFC 7413
// §4.1.1 and the experimental form of RFC 6994 with magic 0xF989).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "base/units.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/fast_open.hpp"

namespace ff::wire {

inline constexpr std::size_t kMaxTcpOptions = 40;

struct Timestamps {
  Timestamp value;
  Timestamp echo_reply;
  friend bool operator==(const Timestamps&, const Timestamps&) noexcept = default;
};

// first <= bytes < end
struct SackBlock {
  Seq first;
  Seq end;
  friend bool operator==(const SackBlock&, const SackBlock&) noexcept = default;
};

struct SackBlocks {
  static constexpr std::size_t kMax = 4;
  std::array<SackBlock, kMax> blocks;
  std::uint8_t count = 0;
  void add(SackBlock block) noexcept { blocks[count++] = block; }
  friend bool operator==(const SackBlocks& a, const SackBlocks& b) noexcept {
    if (a.count != b.count) return false;
    for (std::size_t i = 0; i < a.count; ++i)
      if (a.blocks[i] != b.blocks[i]) return false;
    return true;
  }
};

// An empty cookie is a request for one.
struct FastOpenOption {
  FastOpenCookie cookie;
  bool experimental = false;
  friend bool operator==(const FastOpenOption&, const FastOpenOption&) noexcept = default;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss;
  std::optional<WindowScale> window_scale;
  std::optional<Timestamps> timestamps;
  std::optional<FastOpenOption> fast_open;
  bool sack_permitted = false;
  SackBlocks sack;
  friend bool operator==(const TcpOptions&, const TcpOptions&) noexcept = default;
};

// Reads the options as Linux does: unknown kinds are skipped; a known kind of the wrong length is ignored, so is a Fast
// Open cookie of a size that RFC 7413 does not allow (then the option counts as absent), an MSS of 0, and a window
// scale over 14 counts as 14. MSS, window scale, SACK-permitted and Fast Open count on a SYN only, SACK blocks on
// others only. Of an option that comes twice the last counts. False when a length byte is 0, 1 or leads past the end:
// what was read up to there is in `options`.
bool parse_tcp_options(ByteSpan bytes, bool syn, TcpOptions& options) noexcept;

// Writes the options in Linux's order and padding, so that a kernel's fast path knows them: MSS, SACK-permitted +
// timestamps, window scale, Fast Open, SACK. Returns the size, a multiple of 4, at most 40. SACK blocks that do not fit
// are left out; all else always fits.
std::size_t emit_tcp_options(const TcpOptions& options, std::uint8_t* to) noexcept;

}  // namespace ff::wire
