// Scenarios of congestion: D7.
#include <string>

#include "lab/lab.hpp"
#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- D7 ------------------------------------------------------------------------------------------------------------

void congestion_marks(Lab& lab) {
  lab.client.set("tcp_ecn", 1);
  const bool ecn = lab.client.number("tcp_ecn") == 1 && lab.server.on("tcp_ecn");
  const Connected both = connected(lab);
  lab.expect_equal("the two agree on ECN", both.client.info().ecn, ecn);
  lab.path({.delay = kDelay, .rate = 10'000'000, .queue = {.packets = 100}, .mark = sim::QueueLimit{.packets = 20}});
  lab.say("the path carries 10 Mbit/s from now on; a router marks what finds 20 packets waiting, and drops at 100");
  const std::string text = text_of(6'000'000);
  lab.expect(transfer(lab, both, text) == text, "6 MB arrive");
  const std::uint64_t marked =
      lab.server.count(lab.server.address().is_v4() ? Counter::IpExt_InCEPkts : Counter::Ip6_InCEPkts);
  const std::uint64_t echoed = lab.client.count(Counter::TcpExt_TCPDeliveredCE);
  const std::uint64_t repeated = lab.client.count(Counter::Tcp_RetransSegs);
  if (ecn) {
    lab.expect(marked > 0 && echoed > 0, fmt::format("packets marked: {}; segments whose acknowledgement echoed a "
                                                     "mark: {}",
                                                     marked, echoed));
    lab.expect_equal("segments sent again", repeated, 0u);
  } else {
    lab.expect_equal("packets marked", marked, 0u);
    lab.expect(repeated > 0, fmt::format("segments sent again, because the router dropped them: {}", repeated));
  }
}

}  // namespace

std::vector<Scenario> congestion_scenarios() {
  return {
      {.name = "congestion-marks",
       .ids = {"D7"},
       .summary = "a router marks packets before its queue overflows, and the sender slows down in time",
       .lesson =
           "A sender finds out how fast a path is by going faster until packets are lost. With ECN a router marks "
           "packets while its queue grows; the receiver echoes the mark, the sender halves its window as if it had "
           "lost something, and nothing has to be sent twice.",
       .knobs = {{"client.tcp_ecn", {"1", "2"}, ""}, {"server.tcp_ecn", {"2", "0"}, ""}},
       .play = congestion_marks},
  };
}

}  // namespace ff::lab
