// An application on firstflight's sockets that does what it is told: one JSON object a line, one line of answer each.
//
// No call waits: what cannot be done now is EAGAIN, and whoever asks may ask again. kernel_agent.py says the same
// language on the kernel's sockets; what a call is good for stands in side_by_side.py.
//
//   socket_agent DESCRIPTOR ADDRESS/PREFIX…
//
// The descriptor is one end of a pair of datagram sockets: each datagram is one IP packet as it stands on a wire.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "device/segmenter.hpp"
#include "device/slab_cursor.hpp"
#include "firstflight/stack.hpp"
#include "runtime/loop.hpp"

namespace {

using nlohmann::json;

// ---- the device ----------------------------------------------------------------------------------------------------

class SocketDevice final : public ff::Device {
 public:
  static constexpr std::uint16_t kMtu = 1500;

  explicit SocketDevice(int descriptor) : descriptor_(descriptor), slabs_(kMtu) {}
  [[nodiscard]] std::uint16_t mtu() const noexcept override { return kMtu; }
  [[nodiscard]] int poll_descriptor() const noexcept override { return descriptor_; }

  bool receive(ff::RxPacket& packet) override {
    std::uint8_t* room = slabs_.reserve(kMtu);
    const ssize_t size = ::recv(descriptor_, room, kMtu, MSG_DONTWAIT);
    if (size <= 0) return false;
    packet = {.bytes = slabs_.commit(0, static_cast<std::uint32_t>(size))};
    return true;
  }

  SendResult send(ff::Instant /*now*/, ff::TxPacket& packet) override {
    ff::for_each_wire_packet(packet, buffer_, [this](ff::ByteSpan bytes) {
      if (::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        std::fprintf(stderr, "a packet was lost: %s\n", std::strerror(errno));
      }
    });
    return SendResult::Sent;
  }

 private:
  int descriptor_;
  ff::SlabCursor slabs_;
  std::array<std::uint8_t, kMtu> buffer_{};
};

// ---- the calls -----------------------------------------------------------------------------------------------------

struct Refused {
  ff::Error error;
};

template <typename T>
T value_or_refused(ff::Result<T> result) {
  if (!result) throw Refused{result.error()};
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// As /proc/net/tcp's readers call them.
std::string linux_name(ff::TcpState state) {
  switch (state) {
    case ff::TcpState::SynSent:
      return "SYN_SENT";
    case ff::TcpState::SynReceived:
      return "SYN_RECV";
    case ff::TcpState::FinWait1:
      return "FIN_WAIT1";
    case ff::TcpState::FinWait2:
      return "FIN_WAIT2";
    case ff::TcpState::TimeWait:  // the kernel's socket is closed then, and an entry stands for it
    case ff::TcpState::Closed:
      return "CLOSE";
    case ff::TcpState::CloseWait:
      return "CLOSE_WAIT";
    case ff::TcpState::LastAck:
      return "LAST_ACK";
    default:
      return std::string(ff::to_string(state));
  }
}

class Agent {
 public:
  Agent(ff::Stack& stack, ff::Loop& loop) : stack_(stack), loop_(loop) {}

  json answer(const json& call) {
    try {
      return {{"value", run(call.at("call").get<std::string>(), call)}};
    } catch (const Refused& refused) {
      return {{"errno", ::strerrorname_np(ff::to_errno(refused.error))}};
    }
  }

 private:
  json run(const std::string& name, const json& call) {
    using Method = json (Agent::*)(const json&);
    static const std::map<std::string, Method, std::less<>> kMethods{{"bind", &Agent::bind},
                                                                     {"listen_on", &Agent::listen_on},
                                                                     {"connect_from", &Agent::connect_from},
                                                                     {"listen", &Agent::listen},
                                                                     {"connect", &Agent::connect},
                                                                     {"accept", &Agent::accept},
                                                                     {"send", &Agent::send},
                                                                     {"recv", &Agent::recv},
                                                                     {"shutdown", &Agent::shutdown},
                                                                     {"recv_urgent", &Agent::recv_urgent},
                                                                     {"at_mark", &Agent::at_mark},
                                                                     {"close", &Agent::close},
                                                                     {"set", &Agent::set},
                                                                     {"state", &Agent::state},
                                                                     {"sysctl", &Agent::set_sysctl},
                                                                     {"counters", &Agent::counters},
                                                                     {"metrics", &Agent::metrics}};
    return (this->*kMethods.at(name))(call);
  }

  static ff::Endpoint local(const json& call) {
    return {*ff::IpAddress::parse(call.at("address").get<std::string>()), call.at("port")};
  }
  static bool v6_only(const json& call) { return call.at("options").value("IPV6_V6ONLY", 0) != 0; }

  json bind(const json& call) {
    const ff::SocketOptions options = with({}, call.at("options"));
    if (call.at("protocol") == "udp") {
      datagrams_[call.at("name")] = value_or_refused(stack_.open({.local = local(call),
                                                                  .ipv6_only = v6_only(call),
                                                                  .reuse_addr = options.reuse_addr,
                                                                  .reuse_port = options.reuse_port}));
    } else {
      const auto bound = stack_.bind({.local = local(call), .ipv6_only = v6_only(call), .options = options});
      bindings_[call.at("name")] = {value_or_refused(bound), options};
    }
    return nullptr;
  }

  json listen_on(const json& call) {
    const auto& [binding, socket_options] = bindings_.at(call.at("name"));
    ff::ListenOptions options;
    options.binding = binding;
    options.backlog = call.at("backlog");
    options.options = socket_options;
    listeners_[call.at("name")] = value_or_refused(stack_.listen(options));
    bindings_.erase(call.at("name").get<std::string>());
    return nullptr;
  }

  json connect_from(const json& call) {
    const auto& [binding, socket_options] = bindings_.at(call.at("name"));
    ff::ConnectOptions options;
    options.remote = local(call);
    options.binding = binding;
    options.options = socket_options;
    connections_[call.at("name")] = value_or_refused(stack_.connect(loop_.now(), options));
    bindings_.erase(call.at("name").get<std::string>());
    return nullptr;
  }

  json listen(const json& call) {
    ff::ListenOptions options;
    options.local = local(call);
    options.ipv6_only = v6_only(call);
    options.backlog = call.at("backlog");
    json others = call.at("options");
    if (others.contains("TCP_FASTOPEN")) {
      options.fast_open_queue = others["TCP_FASTOPEN"].get<std::uint32_t>();
      others.erase("TCP_FASTOPEN");
    }
    options.options = with({}, others);
    listeners_[call.at("name")] = value_or_refused(stack_.listen(options));
    return nullptr;
  }

  json connect(const json& call) {
    ff::ConnectOptions options;
    options.remote = {*ff::IpAddress::parse(call.at("address").get<std::string>()), call.at("port")};
    if (const std::uint16_t port = call.at("local_port"); port != 0) {
      options.local = {options.remote.address.is_v4() ? ff::IpAddress::any_v4() : ff::IpAddress::any_v6(), port};
    }
    options.options = with({}, call.at("options"));
    connections_[call.at("name")] = value_or_refused(stack_.connect(loop_.now(), options));
    return nullptr;
  }

  json accept(const json& call) {
    connections_[call.at("name")] = value_or_refused(stack_.accept(listeners_.at(call.at("listener"))));
    return nullptr;
  }

  json send(const json& call) {
    const std::string text = call.at("text");
    std::uint8_t flags = 0;
    for (const json& flag : call.at("flags")) {
      if (flag == "MSG_MORE") flags |= ff::write_bits::kMore;
      if (flag == "MSG_OOB") flags |= ff::write_bits::kUrgent;
    }
    return value_or_refused(stack_.write(loop_.now(), connection(call), ff::as_bytes(text), flags));
  }

  json recv_urgent(const json& call) {
    const auto byte = value_or_refused(stack_.read_urgent(loop_.now(), connection(call)));
    return byte ? std::string(1, static_cast<char>(*byte)) : std::string();
  }

  json at_mark(const json& call) { return value_or_refused(stack_.at_urgent_mark(connection(call))); }

  json recv(const json& call) {
    std::string text(call.at("size").get<std::size_t>(), '\0');
    const ff::MutableByteSpan room(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
    text.resize(value_or_refused(stack_.read(loop_.now(), connection(call), room)));
    return text;
  }

  json shutdown(const json& call) {
    const std::string how = call.at("how");
    if (how != "write") value_or_refused(stack_.shutdown_read(loop_.now(), connection(call)));
    if (how != "read") value_or_refused(stack_.shutdown_write(loop_.now(), connection(call)));
    return nullptr;
  }

  json close(const json& call) {
    const std::string name = call.at("name");
    if (const auto listener = listeners_.find(name); listener != listeners_.end()) {
      value_or_refused(stack_.close(loop_.now(), listener->second));
      listeners_.erase(listener);
    } else if (const auto bound = bindings_.find(name); bound != bindings_.end()) {
      value_or_refused(stack_.close(bound->second.first));
      bindings_.erase(bound);
    } else if (const auto datagrams = datagrams_.find(name); datagrams != datagrams_.end()) {
      value_or_refused(stack_.close(datagrams->second));
      datagrams_.erase(datagrams);
    } else {
      value_or_refused(stack_.close(loop_.now(), connection(call)));
      connections_.erase(name);
    }
    return nullptr;
  }

  // Options by the names that setsockopt() has for them; one that the stack does not have is refused.
  static ff::SocketOptions with(ff::SocketOptions options, const json& wanted) {
    static const std::map<std::string, std::uint32_t ff::SocketOptions::*, std::less<>> kNumbers{
        {"TCP_KEEPIDLE", &ff::SocketOptions::keepidle},         {"TCP_KEEPINTVL", &ff::SocketOptions::keepintvl},
        {"TCP_KEEPCNT", &ff::SocketOptions::keepcnt},           {"TCP_USER_TIMEOUT", &ff::SocketOptions::user_timeout},
        {"TCP_DEFER_ACCEPT", &ff::SocketOptions::defer_accept}, {"TCP_SYNCNT", &ff::SocketOptions::syncnt}};
    for (const auto& [name, value] : wanted.items()) {
      if (const auto number = kNumbers.find(name); number != kNumbers.end()) {
        options.*number->second = value;
      } else if (name == "IPV6_V6ONLY") {
        continue;  // a matter of bind()
      } else if (name == "SO_REUSEADDR") {
        options.reuse_addr = value != 0;
      } else if (name == "SO_REUSEPORT") {
        options.reuse_port = value != 0;
      } else if (name == "SO_KEEPALIVE") {
        options.keepalive = value != 0;
      } else if (name == "SO_OOBINLINE") {
        options.oob_inline = value != 0;
      } else if (name == "SO_LINGER") {
        options.linger = value;
      } else if (name == "TCP_LINGER2") {
        options.linger2 = value;
      } else if (name == "TCP_NODELAY") {
        options.no_delay = value != 0;
      } else {
        throw Refused{ff::Error::ProtocolError};
      }
    }
    return options;
  }

  json set(const json& call) {
    const ff::ConnectionId id = connection(call);
    const ff::SocketOptions options =
        with(value_or_refused(stack_.options(id)), {{call.at("option").get<std::string>(), call.at("value")}});
    value_or_refused(stack_.set_options(loop_.now(), id, options));
    return nullptr;
  }

  json state(const json& call) { return linux_name(value_or_refused(stack_.info(connection(call))).state); }

  json set_sysctl(const json& call) {
    const auto set = stack_.set_setting(call.at("setting").get<std::string>(), call.at("value").get<std::string>());
    if (!set) std::fprintf(stderr, "%s\n", set.error().c_str());
    return set.has_value() ? json(nullptr) : throw Refused{ff::Error::InvalidArgument};
  }

  json counters(const json& /*call*/) {
    json values;
    for (std::size_t i = 0; i < static_cast<std::size_t>(ff::Counter::kCount); ++i) {
      const auto counter = static_cast<ff::Counter>(i);
      values[std::string(group_of(counter)) + std::string(name_of(counter))] = stack_.counters()[counter];
    }
    return values;
  }

  json metrics(const json& call) {
    const auto peer = ff::IpAddress::parse(call.at("address").get<std::string>());
    const auto tenths = [](ff::Duration span) { return std::lround(std::chrono::duration<double>(span).count() * 10); };
    for (const ff::TcpMetrics& known : stack_.tcp_metrics(loop_.now()))
      if (known.destination == peer)
        return {known.cwnd, known.ssthresh, known.reordering, tenths(known.rtt), tenths(known.rttvar)};
    throw Refused{ff::Error::NotFound};
  }

  [[nodiscard]] ff::ConnectionId connection(const json& call) const { return connections_.at(call.at("name")); }

  ff::Stack& stack_;
  ff::Loop& loop_;
  std::map<std::string, ff::ListenerId> listeners_;
  std::map<std::string, ff::ConnectionId> connections_;
  std::map<std::string, std::pair<ff::BindingId, ff::SocketOptions>> bindings_;
  std::map<std::string, ff::DatagramId> datagrams_;
};

// ---- the program ---------------------------------------------------------------------------------------------------

// Reads what has come of standard input; the whole lines of it are done. False at its end.
bool do_lines(Agent& agent, std::string& pending) {
  std::array<char, 4096> room;
  const ssize_t size = ::read(STDIN_FILENO, room.data(), room.size());
  if (size <= 0) return false;
  pending.append(room.data(), static_cast<std::size_t>(size));
  for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
    std::puts(agent.answer(json::parse(pending.substr(0, end))).dump().c_str());
    std::fflush(stdout);
    pending.erase(0, end + 1);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: socket_agent DESCRIPTOR ADDRESS/PREFIX...\n", stderr);
    return 2;
  }
  SocketDevice device(std::stoi(argv[1]));
  ff::StackConfig config;
  config.seed = ff::Seed::from_number(1);
  ff::Stack stack(std::move(config));
  ff::InterfaceConfig interface;
  interface.name = "wire";
  for (int i = 2; i < argc; ++i) interface.addresses.push_back(ff::Cidr::parse(argv[i]).value());
  ff::Loop loop(stack);
  loop.add_device(stack.add_interface(std::move(interface)).value(), device);
  Agent agent(stack, loop);
  std::string pending;
  loop.add_descriptor(STDIN_FILENO, EPOLLIN, [&](ff::Instant, std::uint32_t) {
    if (!do_lines(agent, pending)) loop.stop();
  });
  loop.run();
}
