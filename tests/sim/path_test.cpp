// One connection with much to send, over paths of every kind: how much of what the path carries it uses (C7, D3, D4).
#include <gtest/gtest.h>

#include <string>

#include "sim/world.hpp"

namespace ff::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 80;

// A server that sends all it can to a client that reads all it gets.
class Download {
 public:
  Download(const LinkOptions& each_way, std::uint64_t size, const Settings& settings = {},
           const WorldOptions& world = {}, std::uint16_t mtu = 1500)
      : world_(world), left_(size) {
    client_ = world_.add_host({.name = "client", .settings = settings});
    server_ = world_.add_host({.name = "server", .settings = settings});
    link_ = world_.connect(
        world_.add_interface(server_, {.name = "eth0", .mtu = mtu, .addresses = {*Cidr::parse("192.0.2.2/24")}}),
        world_.add_interface(client_, {.name = "eth0", .mtu = mtu, .addresses = {*Cidr::parse("192.0.2.1/24")}}),
        each_way);
    ListenOptions options;
    options.local = {IpAddress::any_v4(), kPort};
    listener_ = *world_.stack(server_).listen(options);
    world_.on_event(server_, [this](const Event& event) {
      if ((event.bits & event_bits::kAcceptable) != 0) accepted_ = *world_.stack(server_).accept(listener_);
      write_on();
    });
    world_.on_event(client_, [this](const Event&) { read_on(); });
    ConnectOptions how;
    how.remote = {*IpAddress::parse("192.0.2.2"), kPort};
    connected_ = *world_.stack(client_).connect(world_.now(), how);
  }

  World& world() { return world_; }
  [[nodiscard]] LinkId link() const { return link_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] ConnectionInfo sender() const { return *world_.inspect(server_).info(accepted_); }
  [[nodiscard]] ConnectionInfo receiver() const { return *world_.inspect(client_).info(connected_); }
  [[nodiscard]] std::uint64_t count(Counter counter) const { return world_.inspect(server_).counters()[counter]; }

  // How much arrives in `span`, in bits a second.
  double rate_over(Duration span) {
    const std::uint64_t before = received_;
    world_.run_until(world_.now() + span);
    EXPECT_EQ(world_.failure(), "");
    return 8.0 * static_cast<double>(received_ - before) / std::chrono::duration<double>(span).count();
  }
  // How long it takes until so much has arrived.
  Duration time_until(std::uint64_t bytes) {
    const Instant start = world_.now();
    world_.run_while([&] { return received_ < bytes; }, 10min);
    EXPECT_EQ(world_.failure(), "");
    EXPECT_GE(received_, bytes);
    return world_.now() - start;
  }

 private:
  void write_on() {
    static const std::string kText(100'000, 'x');
    while (left_ > 0) {
      const auto piece = std::min<std::uint64_t>(left_, kText.size());
      const auto written = world_.stack(server_).write(world_.now(), accepted_, as_bytes(kText).first(piece));
      if (written.value_or(0) == 0) return;
      left_ -= *written;
    }
  }
  void read_on() {
    while (const auto piece = world_.stack(client_).read_slice(world_.now(), connected_)) {
      if (piece->empty()) return;
      received_ += piece->size();
    }
  }

  World world_;
  HostId client_ = 0, server_ = 0;
  LinkId link_ = 0;
  ListenerId listener_;
  ConnectionId connected_, accepted_;
  std::uint64_t left_;
  std::uint64_t received_ = 0;
};

// So many full packets that a round trip fills.
std::uint32_t packets_in(std::uint64_t rate, Duration round_trip) {
  return static_cast<std::uint32_t>(static_cast<double>(rate) / 8 / 1500 *
                                    std::chrono::duration<double>(round_trip).count());
}

// Both buffers follow the path: 25 MB in flight where each began with less than 200 kB.
TEST(Path, AGigabitOver200MillisecondsIsFilledWithoutASetting) {
  constexpr std::uint64_t kRate = 1'000'000'000;
  Download download({.delay = 100ms, .rate = kRate, .queue = {.packets = packets_in(kRate, 200ms)}}, UINT64_MAX, {},
                    {.check = false});  // which would look at all that is in flight after every packet
  download.rate_over(6s);
  EXPECT_GT(download.rate_over(2s), 0.9 * static_cast<double>(kRate) * 1448 / 1500);
}

// 125 MB in flight, and more while the queue fills. As on Linux, so much memory must be allowed; the frames are the
// large ones that such links have. The sanitizers, which would take a minute, get a tenth of it.
TEST(Path, TenGigabitsOver100MillisecondsAreFilled) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr std::uint64_t kRate = 1'000'000'000;
#else
  constexpr std::uint64_t kRate = 10'000'000'000;
#endif
  constexpr std::uint16_t kMtu = 9000;
  Settings settings;
  settings.tcp_rmem.max = settings.tcp_wmem.max = 1u << 30;
  for (const char* control : {"cubic", "bbr"}) {
    SCOPED_TRACE(control);
    settings.tcp_congestion_control = control;
    Download download({.delay = 50ms, .rate = kRate, .queue = {.packets = kRate / 80 / kMtu}}, UINT64_MAX, settings,
                      {.check = false}, kMtu);
    download.rate_over(2s);
    EXPECT_GT(download.rate_over(2s), 0.95 * static_cast<double>(kRate));
  }
}

// And do not grow on one that has no use for it: the queue would only become longer.
TEST(Path, ASlowOneNeedsLittleMemory) {
  Download download({.delay = 10ms, .rate = 1'000'000, .queue = {.packets = 20}}, UINT64_MAX);
  EXPECT_GT(download.rate_over(30s), 900'000);
  EXPECT_LT(download.sender().unacked + download.sender().notsent, 300'000u);
  EXPECT_LT(download.receiver().rcv_wnd, 300'000u);
}

Settings with(std::string_view congestion_control) {
  Settings settings;
  settings.tcp_congestion_control = congestion_control;
  return settings;
}

// One packet in twenty comes late by a quarter of the round trip, none is lost; nor is any when slow start is over.
TEST(Path, ReorderingCostsLittle) {
  constexpr std::uint64_t kRate = 100'000'000, kSize = 20'000'000;
  for (const char* congestion_control : {"cubic", "bbr"}) {
    for (const Duration round_trip : {20ms, 100ms}) {
      SCOPED_TRACE(congestion_control + std::to_string(round_trip.count()));
      const LinkOptions in_order{
          .delay = round_trip / 2, .rate = kRate, .queue = {.packets = 5 * packets_in(kRate, round_trip)}};
      LinkOptions reordering = in_order;
      reordering.reorder = 0.05;
      reordering.reorder_delay = round_trip / 4;
      Download well(in_order, kSize, with(congestion_control)), ill(reordering, kSize, with(congestion_control));
      const Duration without = well.time_until(kSize), with = ill.time_until(kSize);
      EXPECT_LT(with * 100, without * 105);
      EXPECT_GT(ill.count(Counter::TcpExt_TCPSACKReorder), 0u);
      EXPECT_EQ(ill.count(Counter::TcpExt_TCPTimeouts), 0u);
      EXPECT_LT(ill.count(Counter::Tcp_RetransSegs), kSize / 1448 / 100);
    }
  }
}

// A queue that overflows while packets are late: what is late is not taken for lost on top of what is.
TEST(Path, ReorderingAndOverflowAreToldApart) {
  constexpr std::uint64_t kRate = 100'000'000, kSize = 20'000'000;
  const LinkOptions reordering{.delay = 10ms,
                               .rate = kRate,
                               .queue = {.packets = packets_in(kRate, 20ms)},
                               .reorder = 0.05,
                               .reorder_delay = 5ms};
  Download download(reordering, kSize);
  download.time_until(kSize);
  const std::uint64_t dropped = download.world().link(download.link(), Direction::AToB).counts().queue_dropped;
  EXPECT_GT(dropped, 0u);
  EXPECT_LT(download.count(Counter::Tcp_RetransSegs), dropped + 20);
}

// BBR on a path that loses one packet in thirty: the losses are none of its doing.
TEST(Path, BbrHoldsItsOwnWhereThePathLoses) {
  constexpr std::uint64_t kRate = 100'000'000;
  Download download(
      {.delay = 50ms, .rate = kRate, .queue = {.packets = packets_in(kRate, 100ms)}, .loss = 0.03, .seed = 1},
      UINT64_MAX, with("bbr"), {.check = false});
  download.rate_over(3s);
  EXPECT_GT(download.rate_over(5s), 0.9 * static_cast<double>(kRate) * 1448 / 1500 * 0.97);
}

// The last segment of a short answer is lost: nothing behind it could tell.
TEST(Path, TheLossOfATailIsRepairedWithinTwoRoundTrips) {
  constexpr std::uint64_t kSize = 20 * 1448;
  for (const Duration delay : {5ms, 20ms, 50ms, 100ms}) {
    SCOPED_TRACE(delay.count());
    const LinkOptions path{.delay = delay, .rate = 100'000'000};
    Download whole(path, kSize), cut(path, kSize);
    int seen = 0;
    cut.world().set_middlebox(cut.link(), Direction::AToB, [&](const Slice& packet) -> std::optional<Slice> {
      if (packet.size() < 1000 || ++seen != 20) return packet;
      return std::nullopt;
    });
    const Duration ideal = whole.time_until(kSize), actual = cut.time_until(kSize);
    EXPECT_GT(actual, ideal);
    // A peer may delay its acknowledgement for long, of which a short round trip must allow.
    EXPECT_LE(actual - ideal, std::max<Duration>(4 * delay, 2 * delay + 200ms) * 21 / 20);
    EXPECT_EQ(cut.count(Counter::TcpExt_TCPTimeouts), 0u);
    EXPECT_EQ(cut.count(Counter::TcpExt_TCPLossProbes), 1u);
  }
}

}  // namespace
}  // namespace ff::sim
