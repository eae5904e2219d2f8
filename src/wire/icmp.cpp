#include "wire/icmp.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

// Type, code, checksum and four bytes whose meaning the type decides.
constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::size_t kMaxQuoteV4 = 576 - kIpv4HeaderSize - kIcmpHeaderSize;
constexpr std::size_t kMaxQuoteV6 = 1280 - kIpv6HeaderSize - kIcmpHeaderSize;
static_assert(kMaxIcmpError == kIcmpHeaderSize + kMaxQuoteV6);

namespace v4 {
constexpr std::uint8_t kEchoReply = 0, kUnreachable = 3, kEchoRequest = 8, kTimeExceeded = 11, kParameterProblem = 12;
}
namespace v6 {
constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4,
                       kEchoRequest = 128, kEchoReply = 129;
}

// Codes of RFC 792, RFC 1122 §3.2.2.1 and RFC 1812 §5.2.7.1.
IcmpKind unreachable_kind_v4(std::uint8_t code) noexcept {
  switch (code) {
    case 0:
    case 6:
    case 11:
      return IcmpKind::NetworkUnreachable;
    case 1:
    case 5:
    case 7:
    case 8:
    case 12:
      return IcmpKind::HostUnreachable;
    case 2:
      return IcmpKind::ProtocolUnreachable;
    case 3:
      return IcmpKind::PortUnreachable;
    case 4:
      return IcmpKind::PacketTooBig;
    case 9:
    case 10:
    case 13:
    case 14:
    case 15:
      return IcmpKind::AdministrativelyProhibited;
    default:
      return IcmpKind::Other;
  }
}

// Codes of RFC 4443 §3.1 and RFC 8883.
IcmpKind unreachable_kind_v6(std::uint8_t code) noexcept {
  switch (code) {
    case 0:
      return IcmpKind::NetworkUnreachable;
    case 2:
    case 3:
      return IcmpKind::HostUnreachable;
    case 4:
      return IcmpKind::PortUnreachable;
    case 1:
    case 5:
    case 6:
      return IcmpKind::AdministrativelyProhibited;
    default:
      return IcmpKind::Other;
  }
}

IcmpKind kind_v4(std::uint8_t type, std::uint8_t code) noexcept {
  switch (type) {
    case v4::kEchoReply:
      return IcmpKind::EchoReply;
    case v4::kEchoRequest:
      return IcmpKind::EchoRequest;
    case v4::kUnreachable:
      return unreachable_kind_v4(code);
    case v4::kTimeExceeded:
      return IcmpKind::TimeExceeded;
    case v4::kParameterProblem:
      return IcmpKind::ParameterProblem;
    default:
      return IcmpKind::Other;
  }
}

IcmpKind kind_v6(std::uint8_t type, std::uint8_t code) noexcept {
  switch (type) {
    case v6::kEchoReply:
      return IcmpKind::EchoReply;
    case v6::kEchoRequest:
      return IcmpKind::EchoRequest;
    case v6::kUnreachable:
      return unreachable_kind_v6(code);
    case v6::kPacketTooBig:
      return IcmpKind::PacketTooBig;
    case v6::kTimeExceeded:
      return IcmpKind::TimeExceeded;
    // Code 1, "unrecognized next header", is what ICMPv6 has for "protocol unreachable" (RFC 4443 §3.4).
    case v6::kParameterProblem:
      return code == 1 ? IcmpKind::ProtocolUnreachable : IcmpKind::ParameterProblem;
    default:
      return IcmpKind::Other;
  }
}

struct TypeAndCode {
  std::uint8_t type, code;
};

// How an error is told; nothing for a kind that is none.
std::optional<TypeAndCode> error_v4(IcmpKind kind) noexcept {
  switch (kind) {
    case IcmpKind::NetworkUnreachable:
      return TypeAndCode{v4::kUnreachable, 0};
    case IcmpKind::HostUnreachable:
      return TypeAndCode{v4::kUnreachable, 1};
    case IcmpKind::ProtocolUnreachable:
      return TypeAndCode{v4::kUnreachable, 2};
    case IcmpKind::PortUnreachable:
      return TypeAndCode{v4::kUnreachable, 3};
    case IcmpKind::PacketTooBig:
      return TypeAndCode{v4::kUnreachable, 4};
    case IcmpKind::AdministrativelyProhibited:
      return TypeAndCode{v4::kUnreachable, 13};
    case IcmpKind::TimeExceeded:
      return TypeAndCode{v4::kTimeExceeded, 0};
    case IcmpKind::ReassemblyTimeExceeded:
      return TypeAndCode{v4::kTimeExceeded, 1};
    case IcmpKind::ParameterProblem:
      return TypeAndCode{v4::kParameterProblem, 0};
    case IcmpKind::EchoRequest:
    case IcmpKind::EchoReply:
    case IcmpKind::Other:
      break;
  }
  return std::nullopt;
}

std::optional<TypeAndCode> error_v6(IcmpKind kind) noexcept {
  switch (kind) {
    case IcmpKind::NetworkUnreachable:
      return TypeAndCode{v6::kUnreachable, 0};
    case IcmpKind::AdministrativelyProhibited:
      return TypeAndCode{v6::kUnreachable, 1};
    case IcmpKind::HostUnreachable:
      return TypeAndCode{v6::kUnreachable, 3};
    case IcmpKind::PortUnreachable:
      return TypeAndCode{v6::kUnreachable, 4};
    case IcmpKind::PacketTooBig:
      return TypeAndCode{v6::kPacketTooBig, 0};
    case IcmpKind::TimeExceeded:
      return TypeAndCode{v6::kTimeExceeded, 0};
    case IcmpKind::ReassemblyTimeExceeded:
      return TypeAndCode{v6::kTimeExceeded, 1};
    case IcmpKind::ParameterProblem:
      return TypeAndCode{v6::kParameterProblem, 0};
    case IcmpKind::ProtocolUnreachable:
      return TypeAndCode{v6::kParameterProblem, 1};
    case IcmpKind::EchoRequest:
    case IcmpKind::EchoReply:
    case IcmpKind::Other:
      break;
  }
  return std::nullopt;
}

// ICMPv6 covers the pseudo-header (RFC 4443 §2.3), ICMP does not.
ChecksumAccumulator start_sum(const IpHeader& ip, std::size_t size) noexcept {
  ChecksumAccumulator sum;
  if (ip.source.is_v6()) {
    sum.add_pseudo_header(ip.source, ip.destination, protocol::kIcmp6, static_cast<std::uint32_t>(size));
  }
  return sum;
}

// Writes the header, copies the body behind it, and fills in the checksum.
std::size_t emit(const IpHeader& ip, TypeAndCode what, std::uint32_t rest, ByteSpan body, std::uint8_t* to) noexcept {
  to[0] = what.type;
  to[1] = what.code;
  store_be16(to + 2, 0);
  store_be32(to + 4, rest);
  const std::size_t size = kIcmpHeaderSize + body.size();
  ChecksumAccumulator sum = start_sum(ip, size);
  sum.add({to, kIcmpHeaderSize});
  sum.add_and_copy(body, to + kIcmpHeaderSize);
  store_be16(to + 2, sum.checksum());
  return size;
}

}  // namespace

std::expected<IcmpView, DropReason> parse_icmp(const IpHeader& ip, ByteSpan message) noexcept {
  const bool is_v4 = ip.source.is_v4();
  if (ip.protocol != (is_v4 ? protocol::kIcmp : protocol::kIcmp6)) return std::unexpected(DropReason::IpProtocol);
  if (message.size() < kIcmpHeaderSize) return std::unexpected(DropReason::IcmpTruncated);
  ChecksumAccumulator sum = start_sum(ip, message.size());
  sum.add(message);
  if (sum.folded() != 0xffff) return std::unexpected(DropReason::IcmpChecksum);

  const std::uint8_t* p = message.data();
  IcmpView view;
  view.kind = is_v4 ? kind_v4(p[0], p[1]) : kind_v6(p[0], p[1]);
  view.type = p[0];
  view.code = p[1];
  view.body_offset = kIcmpHeaderSize;
  view.body_size = static_cast<std::uint32_t>(message.size() - kIcmpHeaderSize);
  if (view.kind == IcmpKind::EchoRequest || view.kind == IcmpKind::EchoReply) {
    view.identifier = load_be16(p + 4);
    view.sequence = load_be16(p + 6);
  } else if (view.kind == IcmpKind::PacketTooBig) {
    view.mtu = is_v4 ? load_be16(p + 6) : static_cast<std::uint16_t>(std::min(load_be32(p + 4), 0xffffu));
  }
  return view;
}

std::size_t emit_echo(IcmpKind kind, const IpHeader& ip, std::uint16_t identifier, std::uint16_t sequence,
                      ByteSpan data, std::uint8_t* to) noexcept {
  const bool request = kind == IcmpKind::EchoRequest;
  const std::uint8_t type =
      ip.source.is_v4() ? (request ? v4::kEchoRequest : v4::kEchoReply) : (request ? v6::kEchoRequest : v6::kEchoReply);
  return emit(ip, {type, 0}, static_cast<std::uint32_t>(identifier) << 16 | sequence, data, to);
}

bool is_echo_request(bool v4, ByteSpan message) noexcept {
  return message.size() >= kIcmpHeaderSize && message[0] == (v4 ? v4::kEchoRequest : v6::kEchoRequest) &&
         message[1] == 0;
}

void emit_echo_header(const IpHeader& ip, std::uint16_t identifier, std::uint16_t sequence, ByteSpan data,
                      std::uint8_t* to) noexcept {
  to[0] = ip.source.is_v4() ? v4::kEchoRequest : v6::kEchoRequest;
  to[1] = 0;
  store_be16(to + 2, 0);
  store_be16(to + 4, identifier);
  store_be16(to + 6, sequence);
  ChecksumAccumulator sum = start_sum(ip, kIcmpHeaderSize + data.size());
  sum.add({to, kIcmpHeaderSize});
  sum.add(data);
  store_be16(to + 2, sum.checksum());
}

namespace {

// The four bytes behind type, code and checksum.
std::uint32_t rest_of_header(bool is_v4, IcmpKind kind, std::uint32_t detail) noexcept {
  switch (kind) {
    case IcmpKind::PacketTooBig:
      return is_v4 ? detail & 0xffff : detail;
    case IcmpKind::ParameterProblem:
      return is_v4 ? detail << 24 : detail;
    case IcmpKind::ProtocolUnreachable:
      return is_v4 ? 0 : detail;
    default:
      return 0;
  }
}

}  // namespace

std::size_t emit_icmp_error(IcmpKind kind, const IpHeader& ip, std::uint32_t detail, ByteSpan offending,
                            std::uint8_t* to) noexcept {
  const bool is_v4 = ip.source.is_v4();
  const auto what = is_v4 ? error_v4(kind) : error_v6(kind);
  if (!what) return 0;
  const ByteSpan quote = offending.first(std::min(offending.size(), is_v4 ? kMaxQuoteV4 : kMaxQuoteV6));
  return emit(ip, *what, rest_of_header(is_v4, kind, detail), quote, to);
}

}  // namespace ff::wire
