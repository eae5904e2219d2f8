// A segment that arrived, in the terms of RFC 9293 §3.10.7.
#pragma once

#include "base/seq.hpp"
#include "firstflight/bytes.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff::tcp {

struct Segment {
  Seq seq;
  Seq ack;
  wire::TcpFlags flags;
  WireWindow window;
  std::uint16_t urgent_pointer = 0;
  wire::Ecn ecn = wire::Ecn::NotEct;  // of the packet that brought it
  wire::TcpOptions options;
  Slice payload;
  ByteSpan headers;                    // IP and TCP header as they came
  std::uint16_t link_header_size = 0;  // and before them, that of the link

  // TCP_SAVE_SYN: the headers, from the IP header on or from the very beginning.
  [[nodiscard]] ByteSpan headers_to_save(bool with_link) const noexcept {
    const std::size_t before = with_link ? link_header_size : 0;
    return {headers.data() - before, headers.size() + before};
  }
  // How many segments the sender made of it: a device may have merged some.
  std::uint32_t count = 1;

  // SEG.LEN: payload, and one each for SYN and FIN.
  [[nodiscard]] std::uint32_t length() const noexcept {
    return payload.size() + static_cast<std::uint32_t>(flags.syn()) + static_cast<std::uint32_t>(flags.fin());
  }
  // The sequence number behind the segment.
  [[nodiscard]] Seq end() const noexcept { return seq + length(); }

  // Cuts `bytes` off the front, SYN first.
  void trim_front(std::uint32_t bytes) noexcept {
    if (bytes > 0 && flags.syn()) {
      flags.bits &= static_cast<std::uint8_t>(~wire::TcpFlags::kSyn);
      seq += 1;
      --bytes;
    }
    seq += bytes;
    payload.drop_front(bytes);
  }
  // Cuts everything from `limit` on, FIN included.
  void trim_back(Seq limit) noexcept {
    const std::int32_t excess = end() - limit;
    if (excess <= 0) return;
    auto bytes = static_cast<std::uint32_t>(excess);
    if (flags.fin()) {
      flags.bits &= static_cast<std::uint8_t>(~wire::TcpFlags::kFin);
      --bytes;
    }
    payload.drop_back(bytes);
  }
};

}  // namespace ff::tcp
