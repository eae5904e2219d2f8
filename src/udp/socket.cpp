#include "udp/socket.hpp"

#include <algorithm>

#include "firstflight/stack.hpp"

namespace ff::udp {
namespace {

// What Linux lets SO_RCVBUF and SO_SNDBUF be at least.
constexpr std::uint32_t kMinReceiveBuffer = 2304;
constexpr std::uint32_t kMinSendBuffer = 4608;

std::uint32_t buffer_size(std::optional<std::uint32_t> asked, std::uint32_t initial, std::uint32_t max,
                          std::uint32_t min) noexcept {
  if (!asked) return initial;
  const std::uint64_t doubled = std::uint64_t{std::min(*asked, max)} * 2;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(doubled, min, INT32_MAX));
}

struct Meaning {
  Error error;
  bool fatal;  // Linux tells connected sockets of these alone; the others may be passing (RFC 1122 §4.1.3.3)
};

std::optional<Meaning> meaning_of(wire::IcmpKind kind, bool v4) noexcept {
  switch (kind) {
    case wire::IcmpKind::NetworkUnreachable:
      return Meaning{Error::NetworkUnreachable, false};
    case wire::IcmpKind::HostUnreachable:
    case wire::IcmpKind::TimeExceeded:
      return Meaning{Error::HostUnreachable, false};
    case wire::IcmpKind::ProtocolUnreachable:
    case wire::IcmpKind::ParameterProblem:
      return Meaning{Error::ProtocolError, true};
    case wire::IcmpKind::PortUnreachable:
      return Meaning{Error::ConnectionRefused, true};
    case wire::IcmpKind::AdministrativelyProhibited:
      return Meaning{v4 ? Error::HostUnreachable : Error::PermissionDenied, true};  // as Linux
    case wire::IcmpKind::PacketTooBig:
      return Meaning{Error::MessageTooLong, false};
    default:
      return std::nullopt;
  }
}

}  // namespace

void Socket::open(const DatagramOptions& options, const Settings& settings) {
  protocol = options.protocol;
  header = options.header;
  user_data = options.user_data;
  set_options(options, settings);
}

void Socket::set_options(const DatagramOptions& options, const Settings& settings) {
  receive_errors_ = options.receive_errors;
  receive_limit_ = buffer_size(options.receive_buffer, settings.rmem_default, settings.rmem_max, kMinReceiveBuffer);
  send_limit_ = buffer_size(options.send_buffer, settings.wmem_default, settings.wmem_max, kMinSendBuffer);
}

bool Socket::deliver(Datagram datagram) {
  if (receive_bytes_ > receive_limit_) {
    ++drops_;
    return false;
  }
  receive_bytes_ += cost(datagram.bytes);
  received_.push_back(std::move(datagram));
  events |= event_bits::kReadable;
  return true;
}

Result<Datagram> Socket::receive() {
  if (const auto error = take_pending_error()) return std::unexpected(*error);
  if (received_.empty()) return std::unexpected(Error::WouldBlock);
  Datagram first = std::move(received_.front());
  received_.pop_front();
  receive_bytes_ -= cost(first.bytes);
  return first;
}

void Socket::queue(Outgoing datagram) {
  send_bytes_ += cost(datagram.bytes);
  outgoing_.push_back(std::move(datagram));
}

Outgoing Socket::take_outgoing() {
  Outgoing first = std::move(outgoing_.front());
  outgoing_.pop_front();
  send_bytes_ -= cost(first.bytes);
  if (wants_room_ && may_send()) {
    wants_room_ = false;
    events |= event_bits::kWritable;
  }
  return first;
}

bool Socket::report(const Report& report, const Endpoint& destination, ByteSpan quoted) {
  const auto meaning = meaning_of(report.kind, destination.address.is_v4());
  if (!meaning) return false;
  if (receive_errors_) {
    if (errors_.size() >= kMaxErrors) errors_.pop_front();
    errors_.push_back(DatagramError{.error = meaning->error,
                                    .type = report.type,
                                    .code = report.code,
                                    .mtu = report.mtu,
                                    .from = report.from,
                                    .ttl = report.ttl,
                                    .traffic_class = report.traffic_class,
                                    .destination = destination,
                                    .bytes = Slice::copy_of(quoted)});
  } else if (!remote || !meaning->fatal) {
    return false;
  }
  if (remote) pending_error_ = meaning->error;
  events |= event_bits::kError;
  return true;
}

Result<DatagramError> Socket::next_error() {
  if (errors_.empty()) return std::unexpected(Error::WouldBlock);
  DatagramError first = std::move(errors_.front());
  errors_.pop_front();
  pending_error_.reset();
  return first;
}

void Socket::stamp(TransmitStamp stamp) {
  if (stamps_.size() >= kMaxStamps) return;
  stamps_.push_back(std::move(stamp));
  events |= event_bits::kError;
}

Result<TransmitStamp> Socket::next_stamp() {
  if (stamps_.empty()) return std::unexpected(Error::WouldBlock);
  TransmitStamp first = std::move(stamps_.front());
  stamps_.pop_front();
  return first;
}

DatagramInfo Socket::info() const {
  return {.protocol = protocol,
          .local = {source, binding.local.port},
          .remote = remote,
          .receive_queue = receive_bytes_,
          .receive_buffer = receive_limit_,
          .send_queue = send_bytes_,
          .send_buffer = send_limit_,
          .drops = drops_,
          .user_data = user_data};
}

}  // namespace ff::udp
