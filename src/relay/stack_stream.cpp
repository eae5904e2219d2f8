#include "relay/stack_stream.hpp"

namespace ff::relay {

StackStream::StackStream(Stack& stack, ConnectionId connection, State state)
    : stack_(stack), connection_(connection), state_(state) {
  (void)stack_.set_user_data(connection_, reinterpret_cast<std::uint64_t>(this));
  // Nobody was told of what came before.
  if (const auto status = stack_.status(connection_)) urgent_ = status->urgent_announced;
}

StackStream::~StackStream() {
  if (!closed_) (void)stack_.set_user_data(connection_, 0);  // nobody hears of it any more
}

void StackStream::handle(Instant now, const Event& event) {
  if ((event.bits & event_bits::kEstablished) != 0) state_ = State::Open;
  if ((event.bits & event_bits::kUrgent) != 0) urgent_ = true;
  if ((event.bits & event_bits::kClosed) != 0) {
    if (const auto info = stack_.info(connection_); info && info->error) {
      error_ = *info->error;
      state_ = State::Failed;
    }
  }
  changed(now);
}

void StackStream::start(Instant now) {
  if (state_ != State::WaitsForWrite) return;
  state_ = State::Connecting;
  (void)stack_.write(now, connection_, ByteSpan());
}

Result<Piece> StackStream::read(Instant now) {
  const bool here = urgent_ && stack_.at_urgent_mark(connection_).value_or(false);
  auto bytes = stack_.read_slice(now, connection_, here ? 1 : UINT32_MAX);
  if (!bytes) return std::unexpected(bytes.error());
  if (here) urgent_ = false;
  return Piece{*std::move(bytes), here};
}

Result<void> StackStream::write(Instant now, Piece& piece) {
  const auto written = stack_.write(now, connection_, piece.bytes, piece.urgent ? write_bits::kUrgent : 0);
  if (!written) return written;
  if (state_ == State::WaitsForWrite) state_ = State::Connecting;
  piece.bytes = Slice();
  return {};
}

bool StackStream::all_sent() const {
  const auto status = stack_.status(connection_);
  return state_ == State::Failed || !status || status->unsent == 0;
}

void StackStream::shutdown_write(Instant now) {
  if (state_ == State::WaitsForWrite) state_ = State::Connecting;
  (void)stack_.shutdown_write(now, connection_);
}

void StackStream::close(Instant now) {
  if (closed_) return;
  closed_ = true;
  (void)stack_.close(now, connection_);
}

void StackStream::abort(Instant now) {
  if (closed_) return;
  closed_ = true;
  (void)stack_.abort(now, connection_);
}

}  // namespace ff::relay
