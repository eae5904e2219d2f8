// The stream of events of each connection (H3).
#include "firstflight/trace.hpp"

#include "wire/language.hpp"

namespace {

// Keeps what it hears until it is asked.
class Listener final : public TraceSink {
 public:
  explicit Listener(Wire& w) : wire_(w) { w.stack().set_trace(this); }
  ~Listener() { wire_.stack().set_trace(nullptr); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void on_event(Instant now, const FourTuple& tuple, const TraceEvent& event) override {
    in_order_ = in_order_ && now == wire_.now() && tuple.remote.address == wire_.peer_address(0);
    events_.push_back(event);
  }

  // The events of one type since the last forget().
  template <typename Event>
  std::vector<Event> all() const {
    std::vector<Event> found;
    for (const TraceEvent& event : events_)
      if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
    return found;
  }
  template <typename Event>
  Event only() const {
    const auto found = all<Event>();
    wire_.require(found.size() == 1, "there is one event of the kind");
    return found.at(0);
  }
  template <typename Event>
  void none() const {
    wire_.require(all<Event>().empty(), "there is no event of the kind");
  }
  void forget() { events_.clear(); }
  [[nodiscard]] bool in_order() const { return in_order_; }

 private:
  Wire& wire_;
  std::vector<TraceEvent> events_;
  bool in_order_ = true;
};

}  // namespace

WIRE_TEST(Trace, TellsTheStatesOfALife) {
  w.listen();
  Listener heard(w);
  w.establish();
  auto states = heard.all<trace::StateChanged>();
  w.require(!states.empty() && states.front().from == TcpState::Closed && states.back().to == TcpState::Established,
            "it was established");
  w.require(heard.only<trace::RttMeasured>().sample == 10ms, "the handshake measured the path");
  heard.forget();
  w.close();
  w.out(segment(1).ack(1).fin());
  w.require(heard.only<trace::StateChanged>().to == TcpState::FinWait1, "FIN_WAIT_1");
  heard.forget();
  w.in(segment(1).ack(2).fin());
  w.out(segment(2).ack(2));
  states = heard.all<trace::StateChanged>();
  w.require(states.size() == 1 && states[0].from == TcpState::FinWait1 && states[0].to == TcpState::TimeWait,
            "one packet took it to TIME_WAIT");
  w.require(heard.in_order(), "each event came at its time, with its four-tuple");
}

WIRE_TEST(Trace, TellsOfATimeOut) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  Listener heard(w);
  w.write("lost");
  w.out(data(1, "lost").ack(1).psh());
  const auto armed = heard.only<trace::TimerArmed>();
  w.require(armed.timer == "retransmit" && armed.due == w.now() + 210ms, "the retransmission timer was set");
  heard.none<trace::Retransmitted>();
  heard.forget();
  w.advance(210ms);
  w.out(data(1, "lost").ack(1).psh());
  w.require(heard.only<trace::TimerFired>().timer == "retransmit", "it ran out");
  w.require(heard.only<trace::MarkedLost>().bytes == 4, "four bytes are believed lost");
  const auto recovery = heard.only<trace::RecoveryChanged>();
  w.require(recovery.from == CaState::Open && recovery.to == CaState::Loss, "loss recovery began");
  const auto window = heard.only<trace::CongestionChanged>();
  w.require(window.cwnd == w.info().snd_cwnd && window.ssthresh == w.info().snd_ssthresh, "the window is one segment");
  const auto again = heard.only<trace::Retransmitted>();
  w.require(again.segments == 1 && again.bytes == 4, "they went again");
  heard.forget();
  w.in(segment(1).ack(5));
  w.require(heard.only<trace::RecoveryChanged>().to == CaState::Open, "all is well again");
  w.require(heard.only<trace::TimerStopped>().timer == "retransmit", "nothing is in flight");
}

WIRE_TEST(Trace, TellsHowFastOpenEnded) {
  const FastOpenCookie cookie{.bytes = {1, 2, 3, 4, 5, 6, 7, 8}, .size = 8};
  w.have_cookie(cookie, 1000);
  Listener heard(w);
  w.connect_fast_open("hello");
  heard.none<trace::FastOpenEnded>();
  w.out(w.our_syn().tfo(cookie).data("hello"));
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.require(heard.only<trace::FastOpenEnded>().outcome == FastOpenOutcome::Accepted, "the data was taken");
}

WIRE_TEST(Trace, IsSilentWhenNobodyListens) {
  w.establish();
  {
    Listener heard(w);
    w.write("x");
    w.out(data(1, "x").ack(1).psh());
    heard.forget();
    w.stack().set_trace(nullptr);
    w.in(segment(1).ack(2));
    heard.none<trace::TimerStopped>();
  }
  w.state(TcpState::Established);
}
