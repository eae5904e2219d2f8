// What the two SYNs agree on (B9, C2, C5, D3): RFC 9293 §3.7.1, RFC 7323, RFC 2018.
#include "wire/language.hpp"

WIRE_TEST(Options, AllAreAnsweredByAll) {
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(900, 0).wscale(5));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 900).wscale(7));
  w.advance(10ms);
  w.in(segment(1).ack(1).ts(910, 0).window(100));
  w.accept();
  const ConnectionInfo info = w.info();
  w.require(info.timestamps && info.sack && info.snd_wscale == 5 && info.rcv_wscale == 7, "all options are agreed on");
  w.require(info.snd_wnd == 3200, "the window of the ACK is scaled");
}

// RFC 7323 §1.3, RFC 2018 §2: an option that the SYN does not offer is not in the answer.
WIRE_TEST(Options, NoneAreAnsweredByNone) {
  w.listen();
  w.in(syn(0));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  const ConnectionInfo info = w.info();
  w.require(!info.timestamps && !info.sack && info.snd_wscale == 0 && info.rcv_wscale == 0, "nothing is agreed on");
  // RFC 9293 §3.7.1: without the option 536, or 1220 over IPv6.
  w.require(info.snd_mss == (w.v6() ? 1220u : 536u), "the default MSS");
}

WIRE_TEST(Options, EachCanBeOfferedAlone) {
  w.listen();
  w.in(syn(0).mss(1460).sack_ok());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok());
  w.use(1);
  w.in(syn(0).mss(1460).ts(5, 0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).ts(0, 5));
  w.use(2);
  w.in(syn(0).mss(1460).wscale(0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).wscale(7));
}

WIRE_TEST(Options, SackCanBeSwitchedOff) {
  w.set("net.ipv4.tcp_sack", "0");
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(900, 0).wscale(5));
  w.out(syn_ack(0).ack(1).mss(w.mss()).ts(0, 900).wscale(7));
  w.use(1);
  w.connect();
  w.out(syn(0).mss(w.mss()).ts(0, 0).wscale(7));
}

WIRE_TEST(Options, TimestampsCanBeSwitchedOff) {
  w.set("net.ipv4.tcp_timestamps", "0");
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(900, 0).wscale(5));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().wscale(7));
  w.use(1);
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().wscale(7));
}

WIRE_TEST(Options, WindowScalingCanBeSwitchedOff) {
  w.set("net.ipv4.tcp_window_scaling", "0");
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(900, 0).wscale(5));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 900));
  w.use(1);
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().ts(0, 0));
}

// RFC 7323 §2.2: the scale that we offer fits the largest buffer that tcp_rmem allows.
WIRE_TEST(Options, WindowScaleFollowsTheBuffer) {
  w.set("net.ipv4.tcp_rmem", "4096 131072 131072");
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().ts(0, 0).wscale(2));
  w.set("net.ipv4.tcp_rmem", "4096 131072 1073741824");
  w.use(1);
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().ts(0, 0).wscale(14));
}

// RFC 7323 §2.3: a shift over 14 counts as 14.
WIRE_TEST(Options, WindowScaleOverFourteenCountsAsFourteen) {
  w.listen();
  w.in(syn(0).mss(1460).wscale(200));
  w.out(syn_ack(0).ack(1).mss(w.mss()).wscale(7));
  w.in(segment(1).ack(1).window(2));
  w.accept();
  w.require(w.info().snd_wscale == 14 && w.info().snd_wnd == 2u << 14, "the shift is 14");
}

// RFC 7323 §3.2: timestamps in every segment once agreed on; §4.3: the echo is that of the segment which the ACK
// answers.
WIRE_TEST(Options, TimestampsAreInEverySegment) {
  w.establish({.ts = 1000});
  w.advance(5ms);
  w.in(data(1, 1000).ack(1).ts(1015, 0));
  w.out(segment(1).ack(1001).ts(15, 1015));
  w.advance(5ms);
  w.write(stream(1, 10));
  w.out(data(1, 10).ack(1001).psh().ts(20, 1015));
  w.close();
  w.out(rst(11).ack(1001).ts(20, 1015).any_window());  // there was unread data
}

// RFC 7323 §3.2: a SYN-ACK with timestamps that we did not ask for counts for nothing.
WIRE_TEST(Options, UnaskedOptionsOfASynAckAreIgnored) {
  w.set("net.ipv4.tcp_timestamps", "0");
  w.set("net.ipv4.tcp_sack", "0");
  w.set("net.ipv4.tcp_window_scaling", "0");
  w.connect();
  w.out(syn(0).mss(w.mss()));
  w.in(syn_ack(0).ack(1).mss(1000).sack_ok().ts(700, 0).wscale(7).window(1000));
  w.out(segment(1).ack(1));
  w.in(segment(1).ack(1).window(900));
  const ConnectionInfo info = w.info();
  w.require(!info.timestamps && !info.sack && info.snd_wscale == 0, "nothing is agreed on");
  w.require(info.snd_wnd == 900, "the window is not scaled");
}

// RFC 9293 §3.7.1: we never send more than the peer's MSS, less our own options (RFC 6691).
WIRE_TEST(Options, SegmentsKeepToThePeersMss) {
  w.establish({.mss = 700, .ts = 1});
  w.write(stream(1, 1000));
  w.out(data(1, 688).ack(1).ts(10, 11));
  w.out(data(689, 312).ack(1).psh().ts(10, 11));
}

// Nor more than our own path carries.
WIRE_TEST(Options, SegmentsKeepToTheMtu) {
  w.mtu(1300);
  w.establish({.mss = 9000});
  const std::uint32_t mss = w.mss();
  w.write(stream(1, 2 * mss + 10));
  w.out(data(1, mss).ack(1));
  w.out(data(mss + 1, mss).ack(1));
  w.out(data(2 * mss + 1, 10).ack(1).psh());
}

// Linux's tcp_min_snd_mss: an absurd MSS would make a flood of headers (CVE-2019-11479).
WIRE_TEST(Options, TinyMssIsRaised) {
  w.establish({.mss = 1, .sack = false});
  w.write(stream(1, 60));
  w.out(data(1, 48).ack(1));
  w.out(data(49, 12).ack(1).psh());
}

// RFC 9293 §3.1 (MUST-6): unknown options are skipped; MUST-7: so is padding.
WIRE_TEST(Options, UnknownOptionsAreSkipped) {
  w.listen();
  w.in(
      syn(0).raw_options({"\xfd\x06"
                          "abcd"
                          "\x01\x02\x04\x02\xbc"
                          "\x00\x00\x00",
                          14}));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(
      segment(1).ack(1).raw_options({"\xfe\x04"
                                     "xy"
                                     "\x00",
                                     5}));
  w.accept();
  w.require(w.info().snd_mss == 700, "the MSS behind the unknown option was found");
}

// RFC 9293 §3.1 (MUST-7): an illegal option length is survived; here the segment counts as malformed.
WIRE_TEST(Options, BrokenOptionsAreDropped) {
  w.listen();
  w.in(syn(0).raw_options({"\x02\x04\x02\xbc\x03\x00\x00\x00", 8}));  // length 0
  w.in(syn(0).raw_options({"\x02\x04\x02\xbc\x03\x01\x00\x00", 8}));  // length 1
  w.in(syn(0).raw_options({"\x02\x04\x02\xbc\x08\x28\x00\x00", 8}));  // past the end
  w.in(syn(0).raw_options({"\x02\x04\x02\xbc\x01\x01\x01\x08", 8}));  // no length
  w.dropped(DropReason::TcpOptions, 4);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// Options that belong on a SYN mean nothing later.
WIRE_TEST(Options, MssAfterTheSynIsIgnored) {
  w.establish();
  w.in(data(1, 10).ack(1).mss(100).wscale(10));
  w.out(segment(1).ack(11));
  w.require(w.info().snd_mss == 1000 && w.info().snd_wscale == 0, "nothing has changed");
}
