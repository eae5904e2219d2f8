// What large numbers of small things cost, all told: entries, tables, queues and what the allocator adds.
#include <gtest/gtest.h>

#include "flood/resident.hpp"
#include "flood/site.hpp"
#include "wire/tcp.hpp"

namespace ff::flood {
namespace {

using wire::TcpFlags;

// Every number another host and port.
FourTuple stranger(std::uint32_t number, std::uint16_t port) {
  const auto host = number >> 12;
  return {Site::server_at(port),
          {IpAddress::v4(10, static_cast<std::uint8_t>(host >> 16), static_cast<std::uint8_t>(host >> 8),
                         static_cast<std::uint8_t>(host)),
           static_cast<std::uint16_t>(1024 + (number & 0xfff))}};
}

// E6: at most 64 bytes each.
TEST(Memory, AMillionTimeWaits) {
  const std::uint32_t count = scaled(1'000'000);
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Settings settings;
    settings.tcp_max_tw_buckets = count;
    Site site(settings);
    site.close_mute_ones();
    const auto open_and_close = [&](std::uint32_t number) {
      const FourTuple tuple = stranger(number, Site::kMute);
      const auto next = site.attack_connect(tuple, number);
      if (!next) return false;
      // The server has closed at once: its FIN is out, and this is the answer.
      constexpr std::uint8_t kFinAck = TcpFlags::kFin | TcpFlags::kAck;
      site.attack({.tuple = tuple, .flags = kFinAck, .seq = number + 1, .ack = *next + 1});
      return true;
    };
    if (!open_and_close(0)) return "the first connection was not answered";
    mark();
    for (std::uint32_t i = 1; i < count; ++i)
      if (!open_and_close(i)) return "connection " + std::to_string(i) + " was not answered";
    mark();
    const auto population = site.server().population();
    if (population.time_waits != count) return std::to_string(population.time_waits) + " entries";
    site.advance(61s);
    return site.server().population().time_waits == 0 ? "" : "entries stay for longer than a minute";
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, std::int64_t{64} * count) << static_cast<double>(grown.bytes) / count << " bytes each";
  RecordProperty("bytes_each", std::to_string(grown.bytes / count));
}

// B2: at most 128 bytes each.
TEST(Memory, AHundredThousandRequests) {
  constexpr std::uint32_t kCount = 100'000;
  const Grown grown = in_fresh_process([](const auto& mark) -> std::string {
    Settings settings;
    settings.somaxconn = 2 * kCount;
    settings.tcp_max_syn_backlog = 2 * kCount;
    Site site(settings, 0, 2 * kCount);
    const auto ask = [&](std::uint32_t number) {
      site.attack({.tuple = stranger(number, Site::kEcho), .flags = TcpFlags::kSyn, .seq = number});
    };
    ask(0);
    mark();
    for (std::uint32_t i = 1; i < kCount; ++i) ask(i);
    mark();
    const auto requests = site.server().population().requests;
    return requests == kCount ? "" : std::to_string(requests) + " requests";
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, std::int64_t{128} * kCount) << static_cast<double>(grown.bytes) / kCount << " bytes each";
  RecordProperty("bytes_each", std::to_string(grown.bytes / kCount));
}

}  // namespace
}  // namespace ff::flood
