#include "posix/error_queue.hpp"

#include <cerrno>

namespace ff::posix {
namespace {

constexpr std::uint32_t kCost = 768;  // of an entry without bytes: Linux's SKB_TRUESIZE(0)

std::uint32_t scm_type(std::uint8_t kind) noexcept {
  if (kind == stamp_bits::kScheduled) return SCM_TSTAMP_SCHED;
  return kind == stamp_bits::kSent ? SCM_TSTAMP_SND : SCM_TSTAMP_ACK;
}

}  // namespace

QueuedError error_of(const DatagramError& error) {
  QueuedError queued;
  const bool v4 = error.destination.address.is_v4();
  queued.said.ee_errno = static_cast<std::uint32_t>(to_errno(error.error));
  queued.said.ee_origin = !error.from ? SO_EE_ORIGIN_LOCAL : v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6;
  queued.said.ee_type = error.type;
  queued.said.ee_code = error.code;
  queued.said.ee_info = error.mtu;
  queued.offender = error.from;
  queued.ttl = error.ttl;
  queued.traffic_class = error.traffic_class;
  queued.destination = error.destination;
  queued.bytes = error.bytes;
  return queued;
}

QueuedError error_of(const TransmitStamp& stamp) {
  QueuedError queued;
  queued.said.ee_errno = ENOMSG;
  queued.said.ee_origin = SO_EE_ORIGIN_TIMESTAMPING;
  queued.said.ee_info = scm_type(stamp.kind);
  queued.said.ee_data = stamp.key;
  queued.at = stamp.at;
  queued.bytes = stamp.packet;
  return queued;
}

void ErrorQueue::add(QueuedError error, std::uint32_t limit) {
  if (bytes_ + kCost + error.bytes.size() >= limit) return;
  bytes_ += kCost + error.bytes.size();
  waiting_.push_back(std::move(error));
}

void ErrorQueue::add_completion(std::uint32_t id, bool copied) {
  if (!waiting_.empty()) {
    sock_extended_err& last = waiting_.back().said;
    if (last.ee_origin == SO_EE_ORIGIN_ZEROCOPY && last.ee_data + 1 == id && last.ee_data + 1 != last.ee_info) {
      last.ee_data = id;
      return;
    }
  }
  QueuedError queued;
  queued.said.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
  queued.said.ee_code = copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0;
  queued.said.ee_info = queued.said.ee_data = id;
  bytes_ += kCost;
  waiting_.push_back(std::move(queued));
}

// Linux's sock_dequeue_err_skb().
std::optional<QueuedError> ErrorQueue::take(int& error) {
  if (waiting_.empty()) return std::nullopt;
  QueuedError first = std::move(waiting_.front());
  waiting_.pop_front();
  bytes_ -= kCost + first.bytes.size();
  const bool next_from_network = !waiting_.empty() && waiting_.front().from_network();
  if (next_from_network) error = static_cast<int>(waiting_.front().said.ee_errno);
  if (first.from_network() && !next_from_network) error = 0;
  return first;
}

}  // namespace ff::posix
