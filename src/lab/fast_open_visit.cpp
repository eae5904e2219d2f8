#include "lab/fast_open_visit.hpp"

namespace ff::lab {

Listener serve(Lab& lab, ListenOptions options) {
  const Listener listener = lab.server.listen(std::move(options));
  lab.server.on_event([&lab](const Event& event) {
    Stack& stack = lab.server.stack();
    const auto answer = [&](ConnectionId id) {
      const auto request = stack.read_slice(lab.now(), id);
      if (request && !request->empty()) (void)stack.write(lab.now(), id, as_bytes(kAnswer));
      if (request && request->empty()) (void)stack.close(lab.now(), id);
    };
    if ((event.bits & event_bits::kAcceptable) != 0)
      while (const auto id = stack.accept(event.listener)) answer(*id);
    if ((event.bits & (event_bits::kReadable | event_bits::kPeerClosed)) != 0) answer(event.connection);
  });
  return listener;
}

ConnectOptions fast(std::string_view data, FastOpenMode mode) {
  return {.fast_open = mode, .data = Slice::copy_of(as_bytes(data))};
}

Visit visit(Lab& lab, ConnectOptions options) {
  Visit visit;
  const Instant start = lab.now();
  visit.socket = lab.client.connect(std::move(options));
  lab.run_until([&] { return visit.socket.info().unread > 0 || visit.socket.closed(); }, 10min);
  visit.first_byte = lab.now() - start;
  visit.answer = visit.socket.read();
  lab.run(kRoundTrip);
  visit.outcome = visit.socket.info().fast_open;
  visit.syn_data = visit.socket.info().syn_data_bytes;
  visit.socket.close();
  lab.run(4 * kDelay);
  return visit;
}

void visit_before(Lab& lab, Listener listener) {
  Socket client = lab.client.connect({.fast_open = FastOpenMode::Now});
  lab.run(1s);
  client.close();
  lab.server.accept(listener).close();
  lab.run(1s);
}

void expect_outcome(Lab& lab, std::string_view what, FastOpenOutcome actual, FastOpenOutcome expected) {
  lab.expect_equal(what, name_of(actual), name_of(expected));
}

}  // namespace ff::lab
