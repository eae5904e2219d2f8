// A client that visits a server by Fast Open, as the scenarios of Fast Open tell it.
#pragma once

#include <string>
#include <string_view>

#include "lab/lab.hpp"

namespace ff::lab {

inline constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n\r\n";
inline constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\n\r\nhello\n";

// A server that answers each request at once, as it comes.
Listener serve(Lab& lab, ListenOptions options = {.fast_open_queue = 16});

struct Visit {
  Socket socket;
  std::string answer;
  Duration first_byte{};
  FastOpenOutcome outcome = FastOpenOutcome::NotTried;
  std::uint32_t syn_data = 0;
};

ConnectOptions fast(std::string_view data = kRequest, FastOpenMode mode = FastOpenMode::Now);

// Asks, waits for the answer, leaves.
Visit visit(Lab& lab, ConnectOptions options = fast());

// A visit that gets the client its cookie, where the scenario plays the server's application itself.
void visit_before(Lab& lab, Listener listener);

void expect_outcome(Lab& lab, std::string_view what, FastOpenOutcome actual, FastOpenOutcome expected);

}  // namespace ff::lab
