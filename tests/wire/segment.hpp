// What a wire test says about one TCP segment, the bytes it stands for, and what came back as bytes. Nothing here uses
// the library's own codec: the two must agree because both follow the RFCs, not because they are the same code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/fast_open.hpp"

namespace ff::wiretest {

namespace flag {
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32, kEce = 64, kCwr = 128;
}

// The bytes that a stream carries from sequence number `first` on (relative: the first byte has 1). They depend on the
// place alone, so that a byte delivered at the wrong place shows.
std::string stream(std::uint32_t first, std::uint32_t count);

struct SackRange {
  std::uint32_t first = 0, end = 0;
};

// One segment, as a test writes it. Sequence numbers count from the sender's SYN, acknowledgement numbers from the
// receiver's, SACK blocks as the acknowledgement; a timestamp of ours counts milliseconds from our first one.
class Segment {
 public:
  explicit Segment(std::uint8_t flags, std::uint32_t seq) : flags_(flags), seq_(seq) {}

  Segment ack(std::uint32_t number) && {
    return set([&] { flags_ |= flag::kAck, ack_ = number; });
  }
  Segment psh() && {
    return set([&] { flags_ |= flag::kPsh; });
  }
  Segment fin() && {
    return set([&] { flags_ |= flag::kFin; });
  }
  Segment ece() && {
    return set([&] { flags_ |= flag::kEce; });
  }
  Segment cwr() && {
    return set([&] { flags_ |= flag::kCwr; });
  }
  // The packet's ECN codepoint (RFC 3168 §5); without these it is not ECT.
  Segment ect() && {
    return set([&] { traffic_class_ = 2; });
  }
  Segment ce() && {
    return set([&] { traffic_class_ = 3; });
  }
  // DSCP and ECN together.
  Segment traffic_class(std::uint8_t value) && {
    return set([&] { traffic_class_ = value; });
  }
  // Flags that make no sense together, for hostile input.
  Segment flags(std::uint8_t bits) && {
    return set([&] { flags_ = bits; });
  }
  Segment urgent(std::uint16_t pointer) && {
    return set([&] { flags_ |= flag::kUrg, urgent_ = pointer; });
  }
  // The field as it stands on the wire, not scaled.
  Segment window(std::uint16_t raw) && {
    return set([&] { window_ = raw; });
  }
  // Expected only: the window is not what this test is about, and nothing can be said of it.
  Segment any_window() && {
    return set([&] { any_window_ = true; });
  }
  Segment data(std::string_view bytes) && {
    return set([&] { payload_ = bytes; });
  }
  // The sequence (acknowledgement) number as it stands on the wire: in answers to segments of no connection.
  Segment raw_seq() && {
    return set([&] { raw_seq_ = true; });
  }
  Segment raw_ack() && {
    return set([&] { raw_ack_ = true; });
  }

  Segment mss(std::uint16_t value) && {
    return set([&] { mss_ = value; });
  }
  Segment wscale(std::uint8_t shift) && {
    return set([&] { wscale_ = shift; });
  }
  Segment sack_ok() && {
    return set([&] { sack_ok_ = true; });
  }
  Segment ts(std::uint32_t value, std::uint32_t echo) && {
    return set([&] { ts_ = std::pair(value, echo); });
  }
  Segment sack(std::vector<SackRange> blocks) && {
    return set([&] { sack_ = std::move(blocks); });
  }
  // Fast Open, kind 34 (RFC 7413 §4.1.1) or kind 254 with magic 0xF989 (RFC 6994).
  Segment tfo(const FastOpenCookie& cookie) && {
    return set([&] { tfo_ = as_text(cookie.span()), tfo_exp_ = false; });
  }
  Segment tfo_request() && {
    return set([&] { tfo_ = "", tfo_exp_ = false; });
  }
  Segment tfo_exp(const FastOpenCookie& cookie) && {
    return set([&] { tfo_ = as_text(cookie.span()), tfo_exp_ = true; });
  }
  Segment tfo_exp_request() && {
    return set([&] { tfo_ = "", tfo_exp_ = true; });
  }
  // Any bytes as the whole option area; padded with zeros to a multiple of four.
  Segment raw_options(std::string bytes) && {
    return set([&] { raw_options_ = std::move(bytes); });
  }

  // Sent only: a TCP checksum that is off by one.
  Segment bad_checksum() && {
    return set([&] { bad_checksum_ = true; });
  }
  // A super-segment of pieces this long.
  Segment segments_of(std::uint16_t size) && {
    return set([&] { segment_size_ = size; });
  }

 private:
  friend class Codec;
  template <typename Change>
  Segment set(Change&& change) {
    change();
    return std::move(*this);
  }

  std::uint8_t flags_;
  std::uint32_t seq_;
  std::uint32_t ack_ = 0;
  bool raw_seq_ = false, raw_ack_ = false;
  std::uint8_t traffic_class_ = 0;
  std::optional<std::uint16_t> window_;
  bool any_window_ = false;
  std::uint16_t urgent_ = 0;
  std::optional<std::uint16_t> mss_;
  std::optional<std::uint8_t> wscale_;
  bool sack_ok_ = false;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> ts_;
  std::vector<SackRange> sack_;
  std::optional<std::string> tfo_;
  bool tfo_exp_ = false;
  std::optional<std::string> raw_options_;
  std::string payload_;
  bool bad_checksum_ = false;
  std::uint16_t segment_size_ = 0;
};

inline Segment syn(std::uint32_t seq) { return Segment(flag::kSyn, seq); }
inline Segment syn_ack(std::uint32_t seq) { return Segment(flag::kSyn | flag::kAck, seq); }
// A bare segment; give it an ack() to make it an acknowledgement.
inline Segment segment(std::uint32_t seq) { return Segment(0, seq); }
inline Segment data(std::uint32_t seq, std::string_view bytes) { return Segment(0, seq).data(bytes); }
// The stream's own bytes at that place.
inline Segment data(std::uint32_t seq, std::uint32_t count) { return Segment(0, seq).data(stream(seq, count)); }
inline Segment fin(std::uint32_t seq) { return Segment(flag::kFin, seq); }
inline Segment rst(std::uint32_t seq) { return Segment(flag::kRst, seq); }

// What the numbers of one connection count from, and its addresses.
struct Numbering {
  Endpoint own, peer;
  std::uint32_t own_isn = 0, peer_isn = 0;
  std::optional<std::uint32_t> own_timestamp;  // the first that we sent
};

// A packet of ours, taken apart.
struct Observed {
  std::vector<std::uint8_t> packet;  // checksums complete
  IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0, traffic_class = 0;
  std::uint16_t window = 0, urgent = 0;
  std::string options, payload;
  std::uint16_t segment_size = 0;
  std::uint16_t identification = 0;  // IPv4
  // What is wrong with the packet whatever was expected: checksums, lengths, header fields.
  std::vector<std::string> faults;
};

class Codec {
 public:
  // The packet from the peer that `segment` describes.
  static std::vector<std::uint8_t> encode(const Segment& segment, const Numbering& numbering);
  // Takes a packet of ours apart and notes everything that no packet of ours may have.
  static Observed decode(ByteSpan packet, std::uint8_t ttl, bool dont_fragment = true);
  // In what `observed` is not `expected`; nothing: they are the same. `default_window` is expected where the test names
  // none; nothing when the test has to.
  static std::vector<std::string> differences(const Segment& expected, const Observed& observed,
                                              const Numbering& numbering, std::optional<std::uint16_t> default_window);

  // "S. 0:5(5) ack 1 win 65535 <mss 1460, nop, wscale 7>"
  static std::string describe(const Segment& segment, const Numbering& numbering, bool from_peer);
  static std::string describe(const Observed& observed, const Numbering& numbering);

  static const std::string& payload(const Segment& segment) { return segment.payload_; }
  static std::uint16_t segment_size(const Segment& segment) { return segment.segment_size_; }
  // The scale that a SYN offers; where a FIN stands in the stream.
  static std::optional<std::uint8_t> offered_scale(const Segment& segment);
  static std::optional<std::uint32_t> fin_seq(const Segment& segment);
  static std::optional<std::uint32_t> timestamp(const Observed& observed);
  static std::optional<std::uint16_t> mss(const Observed& observed);
  static std::optional<std::uint8_t> window_scale(const Observed& observed);

 private:
  static std::string options(const Segment& segment, const Numbering& numbering, bool from_peer);
};

// RFC 1071, computed the slow and obvious way: one byte pair after the other.
std::uint16_t internet_checksum(ByteSpan bytes, std::uint32_t initial = 0);
// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), to start internet_checksum() with.
std::uint32_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                std::uint32_t length);
// An IP header in front of `payload`.
std::vector<std::uint8_t> ip_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                    ByteSpan payload, std::uint8_t traffic_class = 0);

}  // namespace ff::wiretest
