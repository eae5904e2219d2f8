#include "relay/datagram_flows.hpp"

#include <algorithm>
#include <cassert>

namespace ff::relay {
namespace {

// Linux's nf_conntrack_udp_timeout and nf_conntrack_udp_timeout_stream: what the NATs on the path do as well.
constexpr Duration kIdleUnanswered = std::chrono::seconds(30);
constexpr Duration kIdle = std::chrono::seconds(120);
constexpr Duration kExpiryPeriod = std::chrono::seconds(5);
// Each costs the host a descriptor; 1024 is what an ordinary process may have.
constexpr std::size_t kMostFlows = 512;

}  // namespace

DatagramFlows::DatagramFlows(Stack& inner, Network& outer, Schedule& schedule)
    : inner_(inner), outer_(outer), schedule_(schedule) {
  const auto all = inner_.open({.local = {IpAddress::any_v6(), 0}, .every_port = true});
  assert(all);
  all_ = *all;
}

void DatagramFlows::handle_event(Instant now, const Event& event) {
  if (event.datagram == all_) {
    while (const auto datagram = inner_.receive(all_)) begin(now, *datagram);
    return;
  }
  const auto flow = flows_.find(event.user_data);
  if (flow == flows_.end()) return;
  if ((event.bits & event_bits::kReadable) != 0) from_program(now, flow->second);
}

void DatagramFlows::begin(Instant now, const Datagram& first) {
  const Endpoint asked{first.destination, first.destination_port};
  if (flows_.size() >= kMostFlows) make_room();
  const Key key = ++last_key_;
  DatagramOptions options;
  options.local = asked;
  options.reuse_addr = true;
  options.user_data = key;
  const auto inner = inner_.open(options);
  if (!inner) return;
  if (!inner_.connect(*inner, first.source)) {
    (void)inner_.close(*inner);
    return;
  }
  auto outer = outer_.open_datagrams(now, asked);
  if (!outer) {
    (void)inner_.refuse(now, *inner, outer.error());
    (void)inner_.close(*inner);
    return;
  }
  ++opened_;
  Flow& flow = flows_[key];
  flow.inner = *inner;
  flow.outer = *std::move(outer);
  flow.outer->on_change([this, key](Instant then) {
    if (const auto found = flows_.find(key); found != flows_.end()) from_network(then, found->second);
  });
  send(now, flow, first.bytes);
  from_program(now, flow);
  if (!expiring_) {
    expiring_ = true;
    schedule_(now + kExpiryPeriod, [this](Instant then) { expire(then); });
  }
}

void DatagramFlows::send(Instant now, Flow& flow, Slice bytes) {
  flow.last = now;
  if (const auto sent = flow.outer->send(now, std::move(bytes)); !sent)
    (void)inner_.refuse(now, flow.inner, sent.error());
}

void DatagramFlows::from_program(Instant now, Flow& flow) {
  for (;;) {
    auto datagram = inner_.receive(flow.inner);
    if (datagram) {
      send(now, flow, std::move(datagram->bytes));
    } else if (datagram.error() == Error::WouldBlock || datagram.error() == Error::StaleHandle) {
      return;
    }  // otherwise the program's socket is gone: what an answer has met, and nobody outside needs to know
  }
}

void DatagramFlows::from_network(Instant now, Flow& flow) {
  for (;;) {
    auto bytes = flow.outer->receive(now);
    if (bytes) {
      flow.last = now;
      flow.answered = true;
      (void)inner_.send(now, flow.inner, *std::move(bytes));
    } else if (bytes.error() == Error::WouldBlock) {
      return;
    } else {
      (void)inner_.refuse(now, flow.inner, bytes.error());
      return;
    }
  }
}

void DatagramFlows::end(Key key) {
  const auto flow = flows_.find(key);
  (void)inner_.close(flow->second.inner);
  flows_.erase(flow);
}

void DatagramFlows::make_room() {
  const auto oldest = std::ranges::min_element(flows_, {}, [](const auto& entry) { return entry.second.last; });
  end(oldest->first);
}

void DatagramFlows::expire(Instant now) {
  std::erase_if(flows_, [&](const auto& entry) {
    const Flow& flow = entry.second;
    if (now - flow.last < (flow.answered ? kIdle : kIdleUnanswered)) return false;
    (void)inner_.close(flow.inner);
    return true;
  });
  expiring_ = !flows_.empty();
  if (expiring_) schedule_(now + kExpiryPeriod, [this](Instant then) { expire(then); });
}

}  // namespace ff::relay
