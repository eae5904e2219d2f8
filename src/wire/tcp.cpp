#include "wire/tcp.hpp"

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

// NOP, NOP, timestamps of 10 bytes: what nearly every segment of a connection carries (RFC 7323 appendix A).
constexpr std::uint32_t kAlignedTimestamps = 0x0101080a;
constexpr std::size_t kAlignedTimestampsSize = 12;

// Fills `view`, or says why the segment must be dropped.
std::optional<DropReason> read(ByteSpan segment, TcpView& view) noexcept {
  if (segment.size() < kTcpHeaderSize) return DropReason::TcpTruncated;
  const std::uint8_t* p = segment.data();
  const std::size_t header_size = static_cast<std::size_t>(p[12] >> 4) * 4;
  if (header_size < kTcpHeaderSize) return DropReason::TcpHeader;
  if (header_size > segment.size()) return DropReason::TcpTruncated;

  TcpHeader& header = view.header;
  header.source_port = load_be16(p);
  header.destination_port = load_be16(p + 2);
  header.seq = Seq(load_be32(p + 4));
  header.ack = Seq(load_be32(p + 8));
  header.flags.bits = p[13];
  header.window.raw = load_be16(p + 14);
  header.urgent_pointer = load_be16(p + 18);
  view.payload_offset = static_cast<std::uint32_t>(header_size);
  view.payload_size = static_cast<std::uint32_t>(segment.size() - header_size);

  const std::size_t options_size = header_size - kTcpHeaderSize;
  if (options_size == 0) return std::nullopt;
  const std::uint8_t* options = p + kTcpHeaderSize;
  if (options_size == kAlignedTimestampsSize && load_be32(options) == kAlignedTimestamps) [[likely]] {
    header.options.timestamps.emplace(Timestamp(load_be32(options + 4)), Timestamp(load_be32(options + 8)));
    return std::nullopt;
  }
  if (!parse_tcp_options({options, options_size}, header.flags.syn(), header.options)) return DropReason::TcpOptions;
  return std::nullopt;
}

}  // namespace

// One variable for every way out, so that the view is built where the caller wants it and never copied.
std::expected<TcpView, DropReason> parse_tcp(ByteSpan segment) noexcept {
  std::expected<TcpView, DropReason> result;
  if (const auto reason = read(segment, *result)) result = std::unexpected(*reason);
  return result;
}

std::optional<QuotedTcp> parse_quoted_tcp(ByteSpan segment) noexcept {
  if (segment.size() < 8) return std::nullopt;
  const std::uint8_t* p = segment.data();
  return QuotedTcp{load_be16(p), load_be16(p + 2), Seq(load_be32(p + 4))};
}

bool verify_transport_checksum(const IpHeader& ip, ByteSpan segment) noexcept {
  ChecksumAccumulator sum;
  sum.add_pseudo_header(ip.source, ip.destination, ip.protocol, static_cast<std::uint32_t>(segment.size()));
  sum.add(segment);
  return sum.folded() == 0xffff;
}

std::size_t emit_tcp(const TcpHeader& header, std::uint8_t* to) noexcept {
  const std::size_t size = kTcpHeaderSize + emit_tcp_options(header.options, to + kTcpHeaderSize);
  store_be16(to, header.source_port);
  store_be16(to + 2, header.destination_port);
  store_be32(to + 4, header.seq.raw());
  store_be32(to + 8, header.ack.raw());
  to[12] = static_cast<std::uint8_t>(size / 4 << 4);
  to[13] = header.flags.bits;
  store_be16(to + 14, header.window.raw);
  store_be16(to + 16, 0);
  store_be16(to + 18, header.urgent_pointer);
  return size;
}

}  // namespace ff::wire
