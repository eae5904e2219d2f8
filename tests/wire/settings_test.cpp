// Settings of a running stack (H1): what a change does to connections that are, and to those that come.
#include <array>

#include "wire/language.hpp"

WIRE_TEST(LiveSettings, HoldForWhatBeginsAfterwards) {
  w.establish({.ts = 100});
  w.require(w.stack().set_setting("net.ipv4.tcp_timestamps", "0").has_value(), "it is taken");
  w.use(1);
  w.in(syn(0).mss(1000).ts(100, 0));
  w.out(syn_ack(0).ack(1).mss(w.mss()));  // the new connection has none
  w.in(segment(1).ack(1));
  w.accept();
  w.use(0);
  w.advance(10ms);
  w.in(data(1, "still here").ack(1).ts(120, 0).psh());
  w.out(segment(1).ack(11).ts(20, 120));  // the old one keeps them
}

WIRE_TEST(LiveSettings, ABadOneChangesNothing) {
  w.establish_active();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.require(w.stack().set_setting("net.ipv4.tcp_fin_timeout", "nonsense").has_value() == false, "refused");
  w.require(w.stack().settings().tcp_fin_timeout == 60, "and nothing has changed");
  w.advance(59s);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 0});
  w.advance(2s);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 0});
}

// One that cannot be: none is done, those before it included.
WIRE_TEST(LiveSettings, AListIsDoneWholeOrNotAtAll) {
  w.establish();
  const std::array<SettingAssignment, 2> list{
      {{.name = "net.ipv4.tcp_sack", .value = "0"}, {.name = "net.ipv4.tcp_fin_timeout", .value = "-1"}}};
  const auto done = w.stack().set_settings(list);
  w.require(!done && done.error().find("net.ipv4.tcp_fin_timeout") != std::string::npos, "the error names the second");
  w.use(1);
  w.in(syn(0).mss(1000).sack_ok());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok());
  w.in(segment(1).ack(1));
  w.accept();
}
