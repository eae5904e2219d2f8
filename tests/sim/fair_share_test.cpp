// Connections of one host share its link and its memory (C9): each gets its turn, and one whose reader sleeps holds up
// nobody else.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "sim/world.hpp"

namespace ff::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 80;
constexpr double kRate = 10e6;  // bit/s
constexpr Duration kTime = 20s;

// Any number of connections that always have something to send, from one host to another; some are read as they arrive,
// of the others the reader sleeps.
class Bulk {
 public:
  Bulk(std::size_t readers, std::size_t sleepers, const Settings& server_settings = {})
      : sleepers_(sleepers), received_(readers) {
    Settings client_settings;
    client_settings.tcp_wmem = {4096, 65536, 65536};  // nothing is lost: the link's queue holds what all may send
    client_ = world_.add_host({.name = "client", .settings = client_settings});
    server_ = world_.add_host({.name = "server", .settings = server_settings});
    world_.connect(world_.add_interface(client_, {.name = "eth0", .addresses = {*Cidr::parse("192.0.2.1/24")}}),
                   world_.add_interface(server_, {.name = "eth0", .addresses = {*Cidr::parse("192.0.2.2/24")}}),
                   {.delay = 10ms, .rate = static_cast<std::uint64_t>(kRate), .queue = {.packets = 2000}});
    ListenOptions options;
    options.local = {IpAddress::any_v4(), kPort};
    listener_ = *world_.stack(server_).listen(options);
    world_.on_event(client_, [this](const Event& event) { write_on(event.connection); });
    world_.on_event(server_, [this](const Event& event) { read_on(event); });
    // One after the other, so that the server accepts the sleepers first, and what they hold is held.
    for (std::size_t i = 0; i < sleepers + readers; ++i) {
      ConnectOptions how;
      how.remote = {*IpAddress::parse("192.0.2.2"), kPort};
      (void)world_.stack(client_).connect(world_.now(), how);
      world_.run_until(world_.now() + 500ms);
    }
    std::ranges::fill(received_, 0);
    world_.run_until(world_.now() + kTime);
  }

  // What each reader has got, as a share of what the link carries.
  [[nodiscard]] std::vector<double> shares() const {
    const double link = kRate * std::chrono::duration<double>(kTime).count();
    std::vector<double> shares;
    for (const std::uint64_t bytes : received_) shares.push_back(8.0 * static_cast<double>(bytes) / link);
    return shares;
  }
  [[nodiscard]] const Stack& server() const { return world_.inspect(server_); }
  [[nodiscard]] const std::string& failure() const { return world_.failure(); }

 private:
  void write_on(ConnectionId connection) {
    static const std::string kText(100'000, 'x');
    while (world_.stack(client_).write(world_.now(), connection, as_bytes(kText)).value_or(0) > 0) {
    }
  }

  void read_on(const Event& event) {
    Stack& stack = world_.stack(server_);
    if ((event.bits & event_bits::kAcceptable) != 0)
      while (const auto accepted = stack.accept(listener_)) accepted_.push_back(*accepted);
    for (std::size_t i = sleepers_; i < accepted_.size(); ++i) {
      while (const auto piece = stack.read_slice(world_.now(), accepted_[i])) {
        if (piece->empty()) break;
        received_[i - sleepers_] += piece->size();
      }
    }
  }

  World world_;
  HostId client_ = 0, server_ = 0;
  ListenerId listener_;
  std::size_t sleepers_;
  std::vector<ConnectionId> accepted_;
  std::vector<std::uint64_t> received_;
};

void expect_equal_shares(const Bulk& bulk) {
  EXPECT_EQ(bulk.failure(), "");
  const std::vector<double> shares = bulk.shares();
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  EXPECT_GT(total, 0.85);
  for (const double share : shares) EXPECT_NEAR(share, total / static_cast<double>(shares.size()), 0.15 * total);
}

TEST(FairShare, ConnectionsTakeTurns) { expect_equal_shares(Bulk(8, 0)); }

TEST(FairShare, SleepingReadersHoldUpNobody) {
  const Bulk bulk(4, 4);
  expect_equal_shares(bulk);
  EXPECT_FALSE(bulk.server().memory().pressure);
}

// The sleepers' buffers are all the memory that there is.
TEST(FairShare, NorWhereTheyHoldAllTheMemory) {
  Settings settings;
  settings.tcp_mem = {100, 150, 200};
  const Bulk bulk(4, 20, settings);
  expect_equal_shares(bulk);
  EXPECT_GT(bulk.server().counters()[Counter::TcpExt_TCPMemoryPressures], 0u);
  EXPECT_GT(bulk.server().counters()[DropReason::TcpMemory], 0u) << "the sleepers wanted more than there is";
  // Each reader may be given one segment more.
  EXPECT_LE(bulk.server().memory().bytes, 200u * 4096 + 24 * 70'000);
}

}  // namespace
}  // namespace ff::sim
