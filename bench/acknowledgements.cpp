// What an acknowledgement costs a sender that has so many segments in flight, of which one in fifty gets lost: two
// stacks, a link of 100 ms there and back, and a window that losses do not change. run.py has callgrind count the
// instructions; time would say more about the processor's caches.
#include <valgrind/callgrind.h>

#include <CLI/CLI.hpp>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "device/segmenter.hpp"
#include "firstflight/stack.hpp"
#include "measure.hpp"

namespace ff::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRoundTrip = 100ms;
constexpr std::uint16_t kMtu = 552;  // small, so that a receiver can hold what waits behind a gap
constexpr std::uint32_t kPayload = 500;
constexpr std::uint32_t kOneLostIn = 50;
// Windows until all is as it will stay.
constexpr std::uint64_t kWarmUp = 6;

struct Arguments {
  std::uint32_t window = 1000;
  std::uint64_t acknowledgements = 20'000;
  bool sending = false;
};

class FixedWindow final : public CongestionControl {
 public:
  explicit FixedWindow(std::uint32_t segments) : segments_(segments) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "fixed"; }
  [[nodiscard]] bool steers_alone() const noexcept override { return true; }
  void started(CongestionWindow& window, const CongestionStart& /*start*/) override { hold(window); }
  void acknowledged(CongestionWindow& window, const AckSample& /*sample*/) override { hold(window); }
  void recovered(CongestionWindow& window) override { hold(window); }
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& /*event*/) override {
    return window.ssthresh;
  }

 private:
  void hold(CongestionWindow& window) const { window.cwnd = segments_ * window.mss; }
  std::uint32_t segments_;
};

// One of the two hosts.
class Host {
 public:
  Host(std::uint64_t seed, const Settings& settings, const IpAddress& address, std::uint32_t window)
      : stack(StackConfig{.seed = Seed::from_number(seed), .settings = settings}) {
    if (!stack.add_interface(
            {.name = "link", .mtu = kMtu, .addresses = {Cidr{address, 24}}, .max_super_segment = kMtu}) ||
        !stack.add_congestion_control([window] { return std::make_unique<FixedWindow>(window); }) ||
        !stack.set_setting("net.ipv4.tcp_congestion_control", "fixed"))
      throw std::runtime_error("a host cannot be set up");
  }

  // The next packet, as it would stand on the wire; empty when there is none.
  Slice next_packet(Instant now) {
    if (!stack.poll_transmit(now, tx_)) return {};
    Segmenter segmenter(tx_);
    bytes_.resize(segmenter.next_size());
    segmenter.next(bytes_.data());
    return Slice::copy_of(bytes_);
  }
  void take(Instant now, Slice packet) {
    RxPacket received;
    received.bytes = std::move(packet);
    stack.handle_packet(now, 0, std::move(received));
  }

  Stack stack;

 private:
  TxPacket tx_;
  std::vector<std::uint8_t> bytes_;
};

Settings settings_for(std::uint32_t window) {
  Settings settings;
  // Where a segment gets lost three times the receiver waits for it behind a gap of as many windows.
  const std::uint32_t room = std::max(16 * window * kPayload, 1u << 20);
  settings.tcp_rmem = settings.tcp_wmem = {4096, room, room};
  settings.tcp_moderate_rcvbuf = false;
  return settings;
}

class Transfer {
 public:
  explicit Transfer(const Arguments& arguments)
      : arguments_(arguments),
        step_(kRoundTrip / arguments.window),
        sender_(1, settings_for(arguments.window), IpAddress::v4(192, 0, 2, 1), arguments.window),
        receiver_(2, settings_for(arguments.window), IpAddress::v4(192, 0, 2, 2), arguments.window) {
    const Endpoint server{IpAddress::v4(192, 0, 2, 2), 5001};
    const auto listener = receiver_.stack.listen({.local = server});
    const auto connection = sender_.stack.connect(now_, {.remote = server});
    if (!listener || !connection) throw std::runtime_error("the hosts cannot connect");
    listener_ = *listener;
    sending_ = *connection;
  }

  void run() {
    while (taken_ < kWarmUp * arguments_.window) step();
    CALLGRIND_START_INSTRUMENTATION;
    warm_ = true;
    const std::uint64_t end = taken_ + arguments_.acknowledgements;
    while (taken_ < end) step();
    CALLGRIND_STOP_INSTRUMENTATION;
    const ConnectionInfo info = *sender_.stack.info(sending_);
    fmt::print("{} acknowledgements taken, {} segments in the network, {} SACKed, {} lost, {} sent again of {}\n",
               arguments_.acknowledgements, (info.unacked - info.sacked - info.lost) / kPayload, info.sacked / kPayload,
               info.lost / kPayload, info.total_retrans, info.data_segs_out);
  }

 private:
  // A segment's time on the link goes by.
  void step() {
    now_ += step_;
    for (Host* host : {&sender_, &receiver_})
      if (host->stack.next_deadline() <= now_) host->stack.handle_deadline(now_);
    while (!on_the_way_.empty() && on_the_way_.front().first <= now_) {
      counted(true, [&] { sender_.take(now_, std::move(on_the_way_.front().second)); });
      on_the_way_.pop_front();
      ++taken_;
    }
    write();
    // A little more than one, so that what losses have cost can be made up for.
    for (int i = 0; i < 2 && send_one(); ++i) {
    }
  }

  bool send_one() {
    Slice packet;
    counted(arguments_.sending, [&] { packet = sender_.next_packet(now_); });
    if (packet.empty()) return false;
    const bool data = packet.size() > kPayload;
    if (data && random_.next() % kOneLostIn == 0) return true;
    receiver_.take(now_, std::move(packet));
    read();
    for (Slice answer = receiver_.next_packet(now_); !answer.empty(); answer = receiver_.next_packet(now_))
      on_the_way_.emplace_back(now_ + kRoundTrip, std::move(answer));
    return true;
  }

  void write() {
    static const std::vector<std::uint8_t> kBytes(64 * kPayload);
    while (sender_.stack.poll_event()) may_write_ = true;
    while (may_write_) may_write_ = sender_.stack.write(now_, sending_, Slice::unowned(kBytes)).has_value();
  }

  void read() {
    while (const auto event = receiver_.stack.poll_event())
      if ((event->bits & event_bits::kAcceptable) != 0) receiving_ = receiver_.stack.accept(listener_).value();
    while (receiving_) {
      const auto piece = receiver_.stack.read_slice(now_, *receiving_);
      if (!piece || piece->empty()) return;
    }
  }

  template <typename Work>
  void counted(bool counts, Work&& work) const {
    if (counts && warm_) CALLGRIND_TOGGLE_COLLECT;
    work();
    if (counts && warm_) CALLGRIND_TOGGLE_COLLECT;
  }

  const Arguments& arguments_;
  const Duration step_;
  Instant now_{1000s};
  Host sender_, receiver_;
  ListenerId listener_;
  ConnectionId sending_;
  std::optional<ConnectionId> receiving_;
  std::deque<std::pair<Instant, Slice>> on_the_way_;  // to the sender
  Random random_{Seed::from_number(3).bytes};
  std::uint64_t taken_ = 0;
  bool may_write_ = false;
  bool warm_ = false;
};

}  // namespace
}  // namespace ff::bench

int main(int argc, char** argv) {
  ff::bench::Arguments arguments;
  CLI::App app("What an acknowledgement costs a sender.");
  app.add_option("--window", arguments.window, "segments in flight")->check(CLI::Range(10, 100'000));
  app.add_option("--acknowledgements", arguments.acknowledgements, "how many are counted");
  app.add_flag("--sending", arguments.sending, "count what is sent in answer, too");
  CLI11_PARSE(app, argc, argv);
  ff::bench::Transfer(arguments).run();
}
