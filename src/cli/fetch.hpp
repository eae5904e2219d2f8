// One HTTP request on a connection of its own, and what its start cost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/http.hpp"
#include "cli/url.hpp"
#include "firstflight/stack.hpp"

namespace ff::cli {

struct FetchResult {
  FourTuple tuple;
  std::string error;    // one phrase; empty when all went well
  unsigned status = 0;  // 0: no answer
  std::uint64_t body_bytes = 0;
  std::string location;                // where the server points to instead
  std::optional<Duration> first_byte;  // from connect() to the first byte of the answer
  Duration total{};
  Duration rtt{};  // the path's, as the handshake measured it; zero: not measured
  FastOpenOutcome fast_open = FastOpenOutcome::NotTried;
  std::uint32_t syn_data_bytes = 0;  // that the SYN carried

  // `first_byte` in round trips of the path.
  [[nodiscard]] std::optional<double> round_trips() const;
};

class Fetch {
 public:
  // The stack must outlive the fetch.
  Fetch(Stack& stack, Url url, Endpoint remote, bool fast_open, http::ResponseReader::BodySink sink);

  void start(Instant now);
  void handle_event(Instant now, const Event& event);
  void give_up(Instant now, std::string why);
  // How far it has come, for give_up(): "no connection", "no answer" or "no whole answer".
  [[nodiscard]] std::string_view progress() const;

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] const FetchResult& result() const noexcept { return result_; }
  // So far, and in all if the server has said how much it will be.
  [[nodiscard]] std::uint64_t body_bytes() const noexcept { return reader_.body_bytes(); }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept { return reader_.content_length(); }

 private:
  void observe();
  void read(Instant now);
  void end(Instant now, std::string error);

  Stack& stack_;
  Url url_;
  Endpoint remote_;
  bool fast_open_;
  http::ResponseReader reader_;
  ConnectionId connection_;
  Instant started_{};
  bool done_ = false;
  FetchResult result_;
};

}  // namespace ff::cli
