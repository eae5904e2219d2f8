// A connection of a stack as a Stream. Its user_data is the object's address: whoever drives the stack hands the
// connection's events to StackStream::dispatch().
#pragma once

#include "firstflight/stack.hpp"
#include "relay/stream.hpp"

namespace ff::relay {

class StackStream final : public Stream {
 public:
  // Takes over `connection`.
  StackStream(Stack& stack, ConnectionId connection, State state);
  ~StackStream() override;

  static void dispatch(Instant now, const Event& event) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the stack gives back what it was given
    if (event.user_data != 0) reinterpret_cast<StackStream*>(event.user_data)->handle(now, event);
  }

  [[nodiscard]] State state() const override { return state_; }
  [[nodiscard]] Error error() const override { return error_; }
  [[nodiscard]] ConnectionId id() const noexcept { return connection_; }
  void start(Instant now) override;
  Result<Piece> read(Instant now) override;
  Result<void> write(Instant now, Piece& piece) override;
  [[nodiscard]] bool all_sent() const override;
  void shutdown_write(Instant now) override;
  void close(Instant now) override;
  void abort(Instant now) override;

 private:
  void handle(Instant now, const Event& event);

  Stack& stack_;
  ConnectionId connection_;
  State state_;
  Error error_ = Error::ConnectionReset;
  bool closed_ = false;
  bool urgent_ = false;  // an urgent byte is on its way to us, or here
};

}  // namespace ff::relay
