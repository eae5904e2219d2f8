// A test that cannot fail is a defect: the language has to notice whatever is otherwise than a test says.
#include "wire/language.hpp"

#include <gmock/gmock.h>

namespace {

using ::testing::HasSubstr;

// What the language says of this conversation; empty when it finds nothing wrong.
std::string complaint(void (*conversation)(Wire&), const Variant& variant = {}) {
  Wire w(variant);
  try {
    conversation(w);
    w.finish(Where::current());
  } catch (const Mismatch& mismatch) {
    return mismatch.text;
  }
  return "";
}

// A SYN with every option came in; the SYN-ACK to it is what `expected` says, or is not.
void answered_by(Wire& w, const Segment& expected) {
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(9, 0).wscale(3));
  w.out(expected);
}

TEST(WireLanguage, AcceptsWhatIsRight) {
  for (const bool v6 : {false, true})
    EXPECT_EQ(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 9).wscale(7)); },
                        {.v6 = v6, .own_isn = 5, .peer_isn = 7, .split = true}),
              "");
}

TEST(WireLanguage, NoticesWrongNumbers) {
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(1).ack(1).mss(1460).sack_ok().ts(0, 9).wscale(7)); }),
              HasSubstr("sequence number: expected 1, got 0"));
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(2).mss(1460).sack_ok().ts(0, 9).wscale(7)); }),
              HasSubstr("acknowledgement number: expected 2, got 1"));
}

TEST(WireLanguage, NoticesWrongFlags) {
  EXPECT_THAT(
      complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).psh().mss(1460).sack_ok().ts(0, 9).wscale(7)); }),
      HasSubstr("flags: expected SP., got S."));
}

TEST(WireLanguage, NoticesWrongOptions) {
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(1461).sack_ok().ts(0, 9).wscale(7)); }),
              HasSubstr("options: expected <mss 1461"));
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(1460).ts(0, 9).wscale(7)); }),
              HasSubstr("options:"));
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(1460).sack_ok().ts(1, 9).wscale(7)); }),
              HasSubstr("options:"));
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(1460).sack_ok().ts(0, 8).wscale(7)); }),
              HasSubstr("ecr 8"));
  EXPECT_THAT(complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).mss(1460).sack_ok().ts(0, 9).wscale(6)); }),
              HasSubstr("wscale 6"));
}

TEST(WireLanguage, NoticesAnotherOrderOfOptions) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.listen();
                w.in(syn(0).mss(1460).wscale(0));
                w.out(syn_ack(0).ack(1).raw_options({"\x01\x03\x03\x07\x02\x04\x05\xb4", 8}));
              }),
              HasSubstr("options: expected <nop, wscale 7, mss 1460>, got <mss 1460, nop, wscale 7>"));
}

TEST(WireLanguage, NoticesAWrongWindow) {
  EXPECT_THAT(
      complaint([](Wire& w) { answered_by(w, syn_ack(0).ack(1).window(7).mss(1460).sack_ok().ts(0, 9).wscale(7)); }),
      HasSubstr("window: expected 7, got 64240"));
}

TEST(WireLanguage, NoticesWrongPayload) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.establish();
                w.write("abcd");
                w.out(data(1, "abXd").ack(1).psh());
              }),
              HasSubstr("payload differs from its byte 2 on"));
  EXPECT_THAT(complaint([](Wire& w) {
                w.establish();
                w.write("abcd");
                w.out(data(1, "abc").ack(1).psh());
              }),
              HasSubstr("payload length: expected 3, got 4"));
}

TEST(WireLanguage, NoticesWhatIsMissing) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.listen();
                w.out(syn_ack(0).ack(1));
              }),
              HasSubstr("got nothing"));
}

TEST(WireLanguage, NoticesWhatIsTooMuch) {
  const auto unanswered = [](Wire& w) {
    w.listen();
    w.in(syn(0).mss(1460));
  };
  EXPECT_THAT(complaint(unanswered), HasSubstr("unexpected S. 0:0(0) ack 1"));
  EXPECT_THAT(complaint([](Wire& w) {
                w.listen();
                w.in(syn(0).mss(1460));
                w.in(segment(1).ack(1));
              }),
              HasSubstr("unexpected S. 0:0(0) ack 1"));
}

TEST(WireLanguage, NoticesWhatComesTooEarlyOrTooLate) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.connect();
                w.out(w.our_syn());
                w.advance(1001ms);
              }),
              HasSubstr("too early by 1 ms"));
  EXPECT_THAT(complaint([](Wire& w) {
                w.connect();
                w.out(w.our_syn());
                w.advance(999ms);
                w.out(w.our_syn());
              }),
              HasSubstr("got nothing"));
}

TEST(WireLanguage, NoticesAConnectionThatEnds) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.establish();
                w.in(rst(1));
              }),
              HasSubstr("has ended, and the test does not say so"));
}

TEST(WireLanguage, NoticesWrongReads) {
  EXPECT_THAT(complaint([](Wire& w) {
                w.establish();
                w.in(data(1, "abc").ack(1));
                w.out(segment(1).ack(4));
                w.read("abd");
              }),
              HasSubstr("wrong bytes from byte 2 on"));
}

// The checks that no test asks for: header fields and checksums.
TEST(WireLanguage, NoticesFaultyPackets) {
  Numbering numbering;
  numbering.own = *Endpoint::parse("192.0.2.1:80");
  numbering.peer = *Endpoint::parse("192.0.2.2:4000");
  const std::vector<std::uint8_t> good = Codec::encode(data(1, "abc").ack(1), numbering);
  EXPECT_THAT(Codec::decode(good, 64).faults, testing::IsEmpty());
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (at == 4 || at == 5) continue;  // the identification is free, but the checksum covers it
    std::vector<std::uint8_t> spoiled = good;
    spoiled[at] ^= 0x10;
    EXPECT_THAT(Codec::decode(spoiled, 64).faults, testing::Not(testing::IsEmpty())) << "byte " << at;
  }
  EXPECT_THAT(Codec::decode(good, 63).faults, testing::ElementsAre("TTL 64"));
}

}  // namespace
