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

// Back to who has written to a published port; what else they write comes by the port.
class Answers final : public DatagramChannel {
 public:
  Answers(DatagramPort& port, const DatagramPort::Path& path) : port_(port), path_(path) {}

  Result<void> send(Instant now, Slice bytes) override {
    port_.send(now, path_, std::move(bytes));
    return {};
  }
  Result<Slice> receive(Instant /*now*/) override { return std::unexpected(Error::WouldBlock); }

 private:
  DatagramPort& port_;
  DatagramPort::Path path_;
};

}  // namespace

bool can_be_shown(const Endpoint& client, const Endpoint& program) noexcept {
  return client.address.is_v4() == program.address.is_v4() && !client.address.is_loopback() &&
         client.address != program.address;
}

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
  const auto inner = open_inner(asked, first.source, key);
  if (!inner) return;
  auto outer = outer_.open_datagrams(now, asked);
  if (!outer) {
    (void)inner_.refuse(now, *inner, outer.error());
    (void)inner_.close(*inner);
    return;
  }
  Flow& flow = add(now, key, *inner, *std::move(outer));
  flow.outer->on_change([this, key](Instant then) {
    if (const auto found = flows_.find(key); found != flows_.end()) from_network(then, found->second);
  });
  send(now, flow, first.bytes);
  from_program(now, flow);
}

Result<DatagramId> DatagramFlows::open_inner(const Endpoint& local, const Endpoint& program, Key key) {
  DatagramOptions options;
  options.local = local;
  options.reuse_addr = true;
  options.user_data = key;
  const auto inner = inner_.open(options);
  if (!inner) return inner;
  if (const auto connected = inner_.connect(*inner, program); !connected) {
    (void)inner_.close(*inner);
    return std::unexpected(connected.error());
  }
  return inner;
}

DatagramFlows::Flow& DatagramFlows::add(Instant now, Key key, DatagramId inner,
                                        std::unique_ptr<DatagramChannel> outer) {
  ++opened_;
  Flow& flow = flows_[key];
  flow.inner = inner;
  flow.outer = std::move(outer);
  flow.last = now;
  if (!expiring_) {
    expiring_ = true;
    schedule_(now + kExpiryPeriod, [this](Instant then) { expire(then); });
  }
  return flow;
}

// ---- published ports -----------------------------------------------------------------------------------------------

Result<void> DatagramFlows::forward(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in) {
  auto port = outer_.open_port(outside);
  if (!port) return std::unexpected(port.error());
  const std::size_t number = published_.size();
  published_.push_back({*std::move(port), inside, stand_in});
  published_.back().port->on_change([this, number](Instant now) { arrive(now, number); });
  return {};
}

void DatagramFlows::arrive(Instant now, std::size_t published) {
  for (;;) {
    auto arrival = published_[published].port->receive(now);
    if (!arrival && arrival.error() == Error::WouldBlock) return;
    if (!arrival) continue;  // about an answer that did not reach its client, of which a program hears nothing
    Flow* flow = flow_of(now, {published, arrival->path});
    if (flow == nullptr) continue;
    flow->last = now;
    (void)inner_.send(now, flow->inner, std::move(arrival->bytes));
  }
}

DatagramFlows::Flow* DatagramFlows::flow_of(Instant now, const Client& client) {
  if (const auto known = clients_.find(client); known != clients_.end()) return &flows_.find(known->second)->second;
  if (flows_.size() >= kMostFlows) make_room();
  const Published& published = published_[client.published];
  const Endpoint& from = client.path.from;
  const Key key = ++last_key_;
  auto inner = Result<DatagramId>(std::unexpected(Error::AddressNotAvailable));
  if (can_be_shown(from, published.inside)) inner = open_inner(from, published.inside, key);
  if (!inner) inner = open_inner({published.stand_in, 0}, published.inside, key);
  if (!inner) return nullptr;
  Flow& flow = add(now, key, *inner, std::make_unique<Answers>(*published.port, client.path));
  flow.client = client;
  clients_[client] = key;
  return &flow;
}

// ---- both ways -----------------------------------------------------------------------------------------------------

void DatagramFlows::send(Instant now, Flow& flow, Slice bytes) {
  flow.last = now;
  if (const auto sent = flow.outer->send(now, std::move(bytes)); !sent)
    (void)inner_.refuse(now, flow.inner, sent.error());
}

void DatagramFlows::from_program(Instant now, Flow& flow) {
  for (;;) {
    auto datagram = inner_.receive(flow.inner);
    if (datagram) {
      if (flow.client) flow.answered = true;
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
    } else if (bytes.error() == Error::WouldBlock || bytes.error() == Error::StaleHandle) {
      return;
    } else {  // behind which there may be datagrams
      (void)inner_.refuse(now, flow.inner, bytes.error());
    }
  }
}

void DatagramFlows::close(const Flow& flow) {
  (void)inner_.close(flow.inner);
  if (flow.client) clients_.erase(*flow.client);
}

void DatagramFlows::end(Key key) {
  const auto flow = flows_.find(key);
  close(flow->second);
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
    close(flow);
    return true;
  });
  expiring_ = !flows_.empty();
  if (expiring_) schedule_(now + kExpiryPeriod, [this](Instant then) { expire(then); });
}

}  // namespace ff::relay
