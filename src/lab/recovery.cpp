// Scenarios of recovery from loss: D1.
#include <string>

#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- D1 ------------------------------------------------------------------------------------------------------------

void timeout_estimator(Lab& lab) {
  const bool rfc793 = lab.client.on("tcp_rfc793_rto");
  const Connected both = connected(lab);
  lab.path({.delay = 60ms});
  Socket reader = both.server;
  Socket client = both.client;
  const auto ask = [&](int times) {
    for (int i = 0; i < times; ++i) {
      client.write("a line");
      lab.run(2s);
      (void)reader.read();
    }
  };
  lab.say("a line every two seconds; the round trip takes 120 ms");
  ask(10);
  const Duration steady = client.info().rto;
  lab.say("the time-out is {} ms by now", std::chrono::duration_cast<std::chrono::milliseconds>(steady).count());
  lab.say("the way becomes longer: 260 ms there and back; nothing is lost");
  lab.path({.delay = 130ms});
  const std::uint64_t before = lab.client.count(Counter::Tcp_RetransSegs);
  ask(10);
  const std::uint64_t needless = lab.client.count(Counter::Tcp_RetransSegs) - before;
  if (rfc793) {
    lab.expect(steady < 260ms, "twice the smoothed round-trip time is less than the new way takes");
    lab.expect(needless > 0, fmt::format("lines sent twice for nothing: {}", needless));
  } else {
    lab.expect(steady > 260ms, "the round-trip time, and a margin that is never below 200 ms");
    lab.expect_equal("lines sent twice for nothing", needless, 0);
  }
}

}  // namespace

std::vector<Scenario> recovery_scenarios() {
  return {
      {.name = "retransmission-timeout",
       .ids = {"D1"},
       .summary = "the time-out follows the round-trip time, with a margin for how much that varies",
       .lesson =
           "A time-out that is too short repeats what is only late, and adds to the very queue that made it late; in "
           "1986 that brought the Internet down. RFC 793 waited twice the average. Since Jacobson the margin is four "
           "times what the times vary by.",
       .knobs = {{"client.tcp_rfc793_rto", {"0", "1"}, ""}},
       .play = timeout_estimator},
  };
}

}  // namespace ff::lab
