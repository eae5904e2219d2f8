// What recvmsg(MSG_ERRQUEUE) gives out: errors that the network reported, stamps of what was sent, and the ends of
// copies that were spared; after Linux's sk_error_queue.
#pragma once

#include <arpa/inet.h>  // and struct timespec, which the next one lacks
#include <linux/errqueue.h>

#include <deque>
#include <optional>

#include "firstflight/datagram.hpp"
#include "firstflight/time.hpp"

namespace ff::posix {

struct QueuedError {
  sock_extended_err said{};
  std::optional<IpAddress> offender{};      // who says so
  std::uint8_t ttl = 0, traffic_class = 0;  // of the packet that says so
  std::optional<Endpoint> destination{};    // of what it is about
  std::optional<Instant> at{};              // its stamp
  Slice bytes;

  [[nodiscard]] bool from_network() const noexcept {
    return said.ee_origin == SO_EE_ORIGIN_ICMP || said.ee_origin == SO_EE_ORIGIN_ICMP6;
  }
};

QueuedError error_of(const DatagramError& error);
QueuedError error_of(const TransmitStamp& stamp);

class ErrorQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  // Lost where `limit` bytes of memory wait already.
  void add(QueuedError error, std::uint32_t limit);
  // MSG_ZEROCOPY: call `id` is over. As Linux's skb_zerocopy_notify_extend(), told together with the ones before it.
  void add_completion(std::uint32_t id, bool copied);
  // `error`: sk_err, which becomes that of the next that the network reported, or 0 when there is none.
  std::optional<QueuedError> take(int& error);

 private:
  std::deque<QueuedError> waiting_;
  std::uint64_t bytes_ = 0;
};

}  // namespace ff::posix
