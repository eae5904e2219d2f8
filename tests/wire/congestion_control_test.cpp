// D5: congestion controls, chosen by name; CUBIC's part in what is sent (RFC 9438). Its arithmetic is in
// tests/unit/cubic_test.cpp.
#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

SocketOptions choosing(std::string name) {
  SocketOptions options;
  options.congestion = std::move(name);
  return options;
}

// Three segments, and not one more.
class Fixed final : public CongestionControl {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "fixed"; }
  void acknowledged(CongestionWindow& window, const AckSample&) override { window.cwnd = 3 * window.mss; }
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent&) override {
    return 3 * window.mss;
  }
};

class Nameless final : public CongestionControl {
 public:
  explicit Nameless(std::string_view name) : name_(name) {}
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  void acknowledged(CongestionWindow&, const AckSample&) override {}
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent&) override {
    return window.cwnd;
  }

 private:
  std::string_view name_;
};

WIRE_TEST(CongestionControl, IsTheSettingsWhenTheConnectionBegins) {
  w.set("tcp_congestion_control", "cubic");
  w.establish_active();
  w.require(w.info().congestion_control == "cubic", "as the setting says");
  w.set("tcp_congestion_control", "reno");
  w.require(w.info().congestion_control == "cubic", "what has begun keeps its own");
}

WIRE_TEST(CongestionControl, IsInheritedFromTheListener) {
  w.listen({.options = choosing("cubic")});
  w.establish();
  w.require(w.info().congestion_control == "cubic", "the listener's");
}

WIRE_TEST(CongestionControl, IsChosenWhenConnecting) {
  w.connect_fails({.options = choosing("vegas")}, Error::NoSuchName);
  w.connect({.options = choosing("cubic")});
  w.out(w.our_syn().window(w.first_window()));
  w.require(w.info().congestion_control == "cubic", "before the handshake is over");
}

// The window stays; what is lost from then on is the new one's business.
WIRE_TEST(CongestionControl, MayBeChangedLater) {
  w.establish();
  w.write(stream(1, 10000));
  for (std::uint32_t at = 1; at < 9000; at += 1000) w.out(data(at, 1000).ack(1));
  w.out(data(9001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(10001));
  const std::uint32_t cwnd = w.info().snd_cwnd;
  w.options(choosing("cubic"));
  w.require(w.info().congestion_control == "cubic" && w.info().snd_cwnd == cwnd, "cubic, with the window as it was");
  w.options({});
  w.require(w.info().congestion_control == "cubic", "options that name none leave it alone");
}

WIRE_TEST(CongestionControl, UnknownNameIsTold) {
  w.establish();
  const auto said = w.stack().set_setting("tcp_congestion_control", "vegas");
  w.require(!said && said.error() ==
                         "net.ipv4.tcp_congestion_control cannot be \"vegas\"; allowed is a name in "
                         "tcp_available_congestion_control: " +
                             *get_setting(w.stack().settings(), "tcp_available_congestion_control"),
            "in one line, with what there is");
  w.require(!w.stack().set_setting("tcp_available_congestion_control", "reno"), "these are what they are");
  w.require(w.stack().listen({.options = choosing("vegas")}).error() == Error::NoSuchName, "nor by a listener");
  w.require(w.info().congestion_control == "reno", "and nothing has changed");
}

WIRE_TEST(CongestionControl, OnesOwn) {
  w.listen();
  w.require(w.stack().add_congestion_control([] { return std::make_unique<Fixed>(); }).has_value(), "it is new");
  w.require(w.stack().add_congestion_control([] { return std::make_unique<Fixed>(); }).error() == Error::AlreadyExists,
            "but not twice");
  w.require(get_setting(w.stack().settings(), "tcp_available_congestion_control")->ends_with(" fixed"), "and listed");
  w.set("tcp_congestion_control", "fixed");
  w.establish();
  w.write(stream(1, 16000));
  for (std::uint32_t at = 1; at < 10000; at += 1000) w.out(data(at, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10001));
  for (std::uint32_t at = 10001; at < 13000; at += 1000) w.out(data(at, 1000).ack(1));
  w.silent();
  w.in(segment(1).ack(13001));
  w.out(data(13001, 1000).ack(1));
  w.out(data(14001, 1000).ack(1));
  w.out(data(15001, 1000).ack(1).psh());
}

WIRE_TEST(CongestionControl, OnesOwnNeedsANameThatIsAWord) {
  w.listen();
  for (const char* name : {"", "two words", "sixteen_letters_", "caf\xc3\xa9"}) {
    const auto added = w.stack().add_congestion_control([name] { return std::make_unique<Nameless>(name); });
    w.require(!added && added.error() == Error::InvalidArgument, name);
  }
  w.require(w.stack().add_congestion_control([] { return std::unique_ptr<Fixed>(); }).error() == Error::InvalidArgument,
            "one that makes none");
  w.require(w.stack().add_congestion_control({}).error() == Error::InvalidArgument, "and none");
}

// RFC 9438 §4.6: seven tenths, where Reno takes half.
WIRE_TEST(CongestionControl, CubicTakesLess) {
  w.set("tcp_early_retrans", "0");
  w.set("tcp_congestion_control", "cubic");
  w.establish();
  w.write(stream(1, 10000));
  for (std::uint32_t at = 1; at < 9000; at += 1000) w.out(data(at, 1000).ack(1));
  w.out(data(9001, 1000).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 1000).ack(1));
  w.require(w.info().snd_ssthresh == 7000, "after a time-out, too");
}

// SO_MAX_PACING_RATE: nothing goes out sooner than it allows, and nothing is lost sight of meanwhile.
WIRE_TEST(Pacing, SpreadsAWindowOverTime) {
  SocketOptions options;
  options.max_pacing_rate = 100'000;
  w.listen({.options = options});
  w.establish();
  w.write(stream(1, 4000));
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.out(data(1001, 1000).ack(1));
  w.require(w.info().pacing_rate == 100'000, "as the option says");
  // Acknowledgements do not wait for it.
  w.in(data(1, 3).ack(1));
  w.out(segment(2001).ack(4));
  w.advance(10ms);
  w.out(data(2001, 1000).ack(4));
  w.options({});
  w.out(data(3001, 1000).ack(4).psh());
}

// As Linux's fq: whatever the congestion control, but not the first ten segments.
WIRE_TEST(Pacing, FqSpreadsWhatFollowsTheFirstWindow) {
  w.set("net.core.default_qdisc", "fq");
  w.establish();
  w.write(stream(1, 12'000));
  for (std::uint32_t at = 1; at < 10'000; at += 1000) w.out(data(at, 1000).ack(1));
  w.silent();
  w.advance(10ms);
  w.in(segment(1).ack(1001));
  // Eleven segments in 10 ms, twice over.
  w.require(w.info().pacing_rate == 2'200'000, "what cwnd and the round trip give");
  w.out(data(10'001, 1000).ack(1));
  w.silent();
  w.advance(227273ns);  // half of what it takes: nothing had gone for 10 ms
  w.out(data(11'001, 1000).ack(1).psh());
}

// SO_MAX_PACING_RATE bounds it.
WIRE_TEST(Pacing, FqGoesNoFasterThanTheApplicationAllows) {
  w.set("net.core.default_qdisc", "fq");
  SocketOptions options;
  options.max_pacing_rate = 100'000;
  w.listen({.options = options});
  w.establish();
  w.write(stream(1, 2000));
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.out(data(1001, 1000).ack(1).psh());
}

// BBR paces from the first segment on: ten segments over a round trip, 2.77 times over.
WIRE_TEST(Pacing, BbrSpreadsTheFirstWindow) {
  w.set("tcp_congestion_control", "bbr");
  w.establish();
  w.write(stream(1, 3000));
  w.out(data(1, 1000).ack(1));
  w.silent();
  w.require(w.info().pacing_rate == 2'770'000, "ten segments in 10 ms, times 2.77");
  w.advance(361010ns);
  w.out(data(1001, 1000).ack(1));
  w.advance(361010ns);
  w.out(data(2001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(3001));
  w.require(w.info().delivery_rate > 0 && w.info().delivery_rate_app_limited, "three segments do not fill the path");
}

}  // namespace
}  // namespace ff::wiretest
