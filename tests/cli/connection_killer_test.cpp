#include "cli/connection_killer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::TcpFlags;
using Mode = ConnectionKiller::Mode;
using State = ConnectionKiller::State;

const Endpoint kClient{IpAddress::v4(192, 0, 2, 1), 40000};
const Endpoint kServer{IpAddress::v4(198, 51, 100, 1), 80};
constexpr std::uint32_t kSecret = 0x12345678;

class ConnectionKillerTest : public testing::Test {
 protected:
  explicit ConnectionKillerTest(Mode mode = Mode::Idle) : killer_({kClient, kServer}, mode, kSecret, now_) {}

  void restart(Mode mode) { killer_ = ConnectionKiller({kClient, kServer}, mode, kSecret, now_); }
  void client_says(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t payload = 0) {
    says(kClient, kServer, flags, seq, ack, payload);
  }
  void server_says(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t payload = 0) {
    says(kServer, kClient, flags, seq, ack, payload);
  }
  void pass(Duration span) {
    now_ += span;
    killer_.tick(now_);
  }
  // What it sends now, such as "RST to server 700".
  std::vector<std::string> shots() {
    std::vector<std::string> all;
    for (const auto& shot : killer_.take_shots()) {
      EXPECT_NE(shot.from, shot.to);
      const std::uint8_t flags = shot.segment.flags.bits;
      std::string text = flags == TcpFlags::kRst ? "RST" : flags == TcpFlags::kSyn ? "SYN" : "ACK";
      text += shot.to == kServer ? " to server" : " to client";
      if (flags != TcpFlags::kSyn) text += " " + std::to_string(shot.segment.seq.raw());
      if (flags == TcpFlags::kAck) text += "/" + std::to_string(shot.segment.ack.raw());
      all.push_back(text);
    }
    return all;
  }

  Instant now_{1000s};
  ConnectionKiller killer_;

 private:
  void says(const Endpoint& from, const Endpoint& to, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
            std::uint32_t payload) {
    wire::TcpHeader header;
    header.seq = Seq(seq);
    header.ack = Seq(ack);
    header.flags.bits = flags;
    header.window = WireWindow{501};
    killer_.saw(now_, from, to, header, payload);
  }
};

TEST_F(ConnectionKillerTest, AnIdleOneIsAskedAndBothEndsReset) {
  pass(0s);
  EXPECT_THAT(shots(), ElementsAre("SYN to server"));
  server_says(TcpFlags::kAck, 500, 700);
  EXPECT_THAT(shots(),
              ElementsAre("RST to client 500", "ACK to client 500/700", "RST to server 700", "ACK to server 700/500"));
  server_says(TcpFlags::kRst, 500, 0);
  EXPECT_EQ(killer_.state(), State::Working);
  client_says(TcpFlags::kRst, 700, 0);
  EXPECT_EQ(killer_.state(), State::Ended);
  EXPECT_TRUE(killer_.gone(kClient) && killer_.gone(kServer));
}

TEST_F(ConnectionKillerTest, AsksAgainAndThenTheOtherEndToo) {
  pass(0s);
  EXPECT_THAT(shots(), ElementsAre("SYN to server"));
  pass(599ms);
  EXPECT_THAT(shots(), IsEmpty());
  pass(1ms);
  EXPECT_THAT(shots(), ElementsAre("SYN to server"));
  pass(600ms);
  EXPECT_THAT(shots(), ElementsAre("SYN to server", "SYN to client"));
}

// Whoever has restarted knows nothing of the connection; the other end may still hold it.
TEST_F(ConnectionKillerTest, AnEndThatTheOtherHasForgottenIsReset) {
  pass(0s);
  shots();
  server_says(TcpFlags::kRst | TcpFlags::kAck, 0, kSecret + 1);
  pass(0s);
  EXPECT_THAT(shots(), ElementsAre("SYN to client"));
  client_says(TcpFlags::kAck, 700, 500);
  EXPECT_THAT(shots(), ElementsAre("RST to client 500", "ACK to client 500/700"));
  client_says(TcpFlags::kRst, 700, 0);
  EXPECT_EQ(killer_.state(), State::Ended);
}

// A listener takes the question for a new connection: that one must not stay.
TEST_F(ConnectionKillerTest, WhatTheQuestionOpensIsClosed) {
  pass(0s);
  shots();
  server_says(TcpFlags::kSyn | TcpFlags::kAck, 9000, kSecret + 1);
  EXPECT_THAT(shots(), ElementsAre("RST to server " + std::to_string(kSecret + 1)));
  pass(0s);
  EXPECT_THAT(shots(), ElementsAre("SYN to client"));
  client_says(TcpFlags::kRst | TcpFlags::kAck, 0, kSecret + 1);
  EXPECT_EQ(killer_.state(), State::NoSuchConnection);
}

TEST_F(ConnectionKillerTest, ABusyOneTellsItsNumbers) {
  restart(Mode::Busy);
  pass(1s);
  EXPECT_THAT(shots(), IsEmpty());
  client_says(TcpFlags::kAck | TcpFlags::kPsh, 700, 500, 100);
  EXPECT_THAT(shots(),
              ElementsAre("RST to client 500", "ACK to client 500/800", "RST to server 800", "ACK to server 800/500"));
  // What the server has sent meanwhile the client may have, or not.
  server_says(TcpFlags::kAck, 500, 800, 30);
  EXPECT_THAT(shots(), ElementsAre("RST to client 500", "RST to client 530", "RST to server 800"));
}

TEST_F(ConnectionKillerTest, ListensBeforeItAsks) {
  restart(Mode::Either);
  pass(299ms);
  EXPECT_THAT(shots(), IsEmpty());
  pass(1ms);
  EXPECT_THAT(shots(), ElementsAre("SYN to server"));
}

TEST_F(ConnectionKillerTest, GoesOnUntilTheEndsAreGone) {
  pass(0s);
  shots();
  server_says(TcpFlags::kAck, 500, 700);
  shots();
  pass(100ms);
  EXPECT_THAT(shots(),
              ElementsAre("RST to client 500", "ACK to client 500/700", "RST to server 700", "ACK to server 700/500"));
  server_says(TcpFlags::kRst, 500, 0);
  pass(100ms);
  EXPECT_THAT(shots(), ElementsAre("RST to client 500", "ACK to client 500/700"));
  // The client's host may be the one that has vanished.
  pass(900ms);
  EXPECT_EQ(killer_.state(), State::Ended);
  EXPECT_FALSE(killer_.gone(kClient));
}

TEST_F(ConnectionKillerTest, OthersAndOurOwnSegmentsTellNothing) {
  pass(0s);
  const auto own = killer_.take_shots();
  ASSERT_EQ(own.size(), 1u);
  wire::TcpHeader header;
  header.seq = own[0].segment.seq;
  header.flags = own[0].segment.flags;
  header.window = own[0].segment.window;
  killer_.saw(now_, kClient, kServer, header, 0);
  EXPECT_FALSE(killer_.heard(kClient));
  header.window = WireWindow{};
  header.flags.bits = TcpFlags::kAck;
  killer_.saw(now_, kServer, {kClient.address, 40001}, header, 0);
  killer_.saw(now_, {kServer.address, 81}, kClient, header, 0);
  EXPECT_FALSE(killer_.knows_numbers());
  EXPECT_THAT(shots(), IsEmpty());
}

}  // namespace
}  // namespace ff::cli
