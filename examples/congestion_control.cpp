// A congestion control of one's own: the window is four segments, whatever happens. Two stacks in one process, joined
// by a wire of 10 ms each way on a clock that the program moves itself; the client chooses the control by its name.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "firstflight/stack.hpp"

class FourSegments final : public ff::CongestionControl {
 public:
  std::string_view name() const noexcept override { return "four"; }
  void acknowledged(ff::CongestionWindow& window, const ff::AckSample&) override { window.cwnd = 4 * window.mss; }
  std::uint32_t ssthresh(const ff::CongestionWindow& window, const ff::CongestionEvent&) override {
    return 4 * window.mss;
  }
};

static void carry(ff::Stack& from, ff::Stack& to, ff::Instant sent, ff::Instant arrives) {
  ff::TxPacket packet;
  while (from.poll_transmit(sent, packet)) {
    std::string bytes(ff::as_text(packet.header()));
    for (const ff::Slice& piece : packet.payload()) bytes += piece.text();
    ff::RxPacket received;
    received.bytes = ff::Slice::adopt(std::move(bytes));
    received.checksum = ff::RxChecksum::Verified;  // it never left this process
    to.handle_packet(arrives, 0, std::move(received));
  }
}

int main() {
  using namespace std::chrono_literals;
  ff::Stack server(ff::StackConfig{.seed = ff::Seed::from_number(1)});
  ff::Stack client(ff::StackConfig{.seed = ff::Seed::from_number(2)});
  (void)server.add_interface({.name = "wire", .addresses = {*ff::Cidr::parse("192.0.2.1/24")}});
  (void)client.add_interface({.name = "wire", .addresses = {*ff::Cidr::parse("192.0.2.2/24")}});
  if (!client.add_congestion_control([] { return std::make_unique<FourSegments>(); })) return 1;

  ff::Instant now{1s};
  const ff::Endpoint local = *ff::Endpoint::parse("192.0.2.1:80");
  const auto listener = server.listen({.local = local});
  const auto connection = client.connect(now, {.remote = local, .options = {.congestion = "four"}});
  if (!listener || !connection) return 1;
  (void)client.write(now, *connection, ff::Slice::adopt(std::string(100'000, 'x')));
  std::uint32_t most = 0;  // in flight, once the first acknowledgement has come
  for (int round = 0; round < 100; ++round, now += 20ms) {
    carry(client, server, now, now + 10ms);
    if (const auto info = client.info(*connection); info->bytes_acked > 0) most = std::max(most, info->unacked);
    carry(server, client, now + 10ms, now + 20ms);
  }
  const auto info = client.info(*connection);
  std::printf("%s: %u bytes in flight at most\n", info->congestion_control.c_str(), most);
  return info->congestion_control == "four" && info->bytes_acked == 100'000 && most == 4 * info->snd_mss ? 0 : 1;
}
