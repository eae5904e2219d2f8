// Urgent data (RFC 9293 §3.8.5) as Linux has it, and with it everybody: one byte, which the receiver takes out of the
// stream, and whose place it can find (RFC 6093 §3). Exists only on connections that have used it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "firstflight/bytes.hpp"

namespace ff::tcp {

// SND.UP: behind the last urgent byte that was written.
class UrgentSender {
 public:
  void mark(Seq behind) noexcept { up_ = behind; }
  void acknowledged(Seq una) noexcept {
    if (up_ && at_or_before(*up_, una)) up_.reset();
  }
  [[nodiscard]] bool active() const noexcept { return up_.has_value(); }
  // The urgent pointer of a segment that begins at `seq`, where it carries one. It reaches 64 KiB ahead: from further
  // away it says "at least so far", but only beside what is new, as Linux.
  [[nodiscard]] std::optional<std::uint16_t> pointer(Seq seq, Seq nxt) const noexcept {
    if (!up_ || !before(seq, *up_)) return std::nullopt;
    if (const std::int32_t distance = *up_ - seq; distance <= kFarthest) return static_cast<std::uint16_t>(distance);
    if (after(seq + static_cast<std::uint32_t>(kFarthest), nxt)) return static_cast<std::uint16_t>(kFarthest);
    return std::nullopt;
  }

 private:
  static constexpr std::int32_t kFarthest = 0xffff;
  std::optional<Seq> up_;
};

// The urgent byte that the peer told of last. Places are counted in bytes of the stream.
class UrgentReceiver {
 public:
  enum class Byte : std::uint8_t {
    None,
    Announced,  // it has not come
    Here,
    Taken,
  };
  [[nodiscard]] Byte byte() const noexcept { return byte_; }
  [[nodiscard]] bool marked() const noexcept { return byte_ != Byte::None; }
  [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }

  void announce(std::uint64_t mark) noexcept {
    mark_ = mark;
    byte_ = Byte::Announced;
  }
  // Text came that begins at `place`: true when it holds the byte.
  bool look_for_byte(std::uint64_t place, ByteSpan text) noexcept {
    if (byte_ != Byte::Announced || mark_ < place || mark_ - place >= text.size()) return false;
    value_ = text[mark_ - place];
    byte_ = Byte::Here;
    return true;
  }
  std::uint8_t take() noexcept {
    byte_ = Byte::Taken;
    return value_;
  }
  // The reader is beyond it.
  void forget() noexcept { byte_ = Byte::None; }

 private:
  std::uint64_t mark_ = 0;  // the place of the byte
  Byte byte_ = Byte::None;
  std::uint8_t value_ = 0;
};

struct Urgent {
  UrgentSender sender;
  UrgentReceiver receiver;
};

}  // namespace ff::tcp
