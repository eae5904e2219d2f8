#include "sim/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/random.hpp"
#include "sim/quantities.hpp"

namespace ff::sim {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'F', 'F', 'S', 'W'};

constexpr std::array kEndings{"orderly",           "the client aborts", "the client leaves",
                              "the server aborts", "the server leaves", "the client stops reading"};
constexpr std::array kResponds{"at once", "when the request is complete", "after FIN"};
constexpr std::array kFastOpens{"off", "now", "on first write"};

}  // namespace

std::uint8_t byte_of(std::uint32_t conversation, bool request, std::uint64_t offset) noexcept {
  if (request && offset < 4) return kMagic[offset];
  if (request && offset < 8) return static_cast<std::uint8_t>(conversation >> (8 * (7 - offset)));
  const std::uint64_t stream = (std::uint64_t{conversation} * 2 + (request ? 1 : 0)) << 40;
  return static_cast<std::uint8_t>(detail::mix64(stream + offset / 8 + 1) >> (8 * (offset % 8)));
}

std::string ConversationPlan::to_string() const {
  return fmt::format(
      "conversation {}: client {} to {} after {}: request {} (of it {} with connect()), response {} {}; Fast Open "
      "{}{}; {}; "
      "half-close {}/{}, the server closes first: {}; pieces {}/{}, pauses {}/{}, stalls {}/{}",
      number, client, server.to_string(), format_duration(start), request_size, data_in_connect, response_size,
      kResponds[static_cast<std::size_t>(respond)], kFastOpens[static_cast<std::size_t>(fast_open)],
      no_cookie ? ", without cookie" : "",
      orderly() ? std::string("orderly")
                : fmt::format("{} after {}", kEndings[static_cast<std::size_t>(ending)], format_duration(ends_after)),
      half_close, server_half_closes, server_closes_first, write_piece, read_piece, format_duration(client_read_pause),
      format_duration(server_read_pause), format_duration(client_stall), format_duration(server_stall));
}

Talker::Talker(Conversations& all, HostId host, Role role, ConnectionId id, const ConversationPlan* plan)
    : all_(all), host_(host), role_(role), id_(id), plan_(plan) {
  if (is_client()) sent_ = plan->data_in_connect;
}

// ---- what the plan says --------------------------------------------------------------------------------------------

std::uint64_t Talker::to_send() const noexcept {
  if (plan_ == nullptr) return 0;
  return is_client() ? plan_->request_size : plan_->response_size;
}

std::uint64_t Talker::to_receive() const noexcept { return is_client() ? plan_->response_size : plan_->request_size; }

bool Talker::may_send() const noexcept {
  if (plan_ == nullptr) return false;
  if (is_client()) return true;
  switch (plan_->respond) {
    case ConversationPlan::Respond::AtOnce:
      return true;
    case ConversationPlan::Respond::WhenComplete:
      return received_ == plan_->request_size;
    case ConversationPlan::Respond::AfterFin:
      return read_end_;
  }
  return false;
}

bool Talker::half_closes() const noexcept {
  if (plan_ == nullptr || sent_ != to_send() || !may_send()) return false;
  return is_client() ? plan_->half_close : plan_->server_half_closes;
}

bool Talker::may_close() const noexcept {
  if (plan_ == nullptr) return read_end_;  // the peer left without a word
  if (sent_ != to_send()) return false;
  if (is_client() && !established_) return false;  // RFC 9293 §3.10.4: in SYN-SENT, close() forgets what was written
  if (received_ != to_receive()) return read_end_ || stopped_reading_;
  if (read_end_) return true;
  const bool first = is_client() != plan_->server_closes_first;
  // One that has said that it is done waits for the other's FIN.
  return first && !(!is_client() && plan_->server_half_closes);
}

bool Talker::complete() const noexcept {
  return plan_ != nullptr && gone_ && !error_ && sent_ == to_send() && received_ == to_receive();
}

// ---- events --------------------------------------------------------------------------------------------------------

void Talker::handle(const Event& event) {
  if (gone_) return complain("was told of an event after it had given up its handle");
  if ((event.bits & event_bits::kEstablished) != 0) established_ = true;
  if ((event.bits & event_bits::kClosed) != 0) over_ = true;
  work();
}

void Talker::work() {
  if (gone_) return;
  if (over_) {
    const auto info = stack().info(id_);
    if (!info) return complain("holds a handle that is stale");
    if (info->error) return end_with(*info->error);
  }
  read_on();
  if (!gone_) write_on();
  if (gone_) return;
  if (may_close() || (over_ && !pausing_)) give_up(false);
}

void Talker::end_as_planned() {
  if (gone_) return;
  using Ending = ConversationPlan::Ending;
  const bool mine = is_client() ? plan_->ending != Ending::ServerAborts && plan_->ending != Ending::ServerLeaves
                                : plan_->ending == Ending::ServerAborts || plan_->ending == Ending::ServerLeaves;
  if (!mine) return;
  if (plan_->ending == Ending::ClientStopsReading) {
    stopped_reading_ = true;
    (void)stack().shutdown_read(now(), id_);
    return work();
  }
  give_up(plan_->ending == Ending::ClientAborts || plan_->ending == Ending::ServerAborts);
}

void Talker::wind_up() {
  if (gone_) return;
  give_up(plan_ == nullptr || plan_->number % 2 == 0);
}

void Talker::give_up(bool abort) {
  if (gone_) return;
  gone_ = true;
  const auto done = abort ? stack().abort(now(), id_) : stack().close(now(), id_);
  if (!done) complain(fmt::format("cannot give up its handle: {}", to_string(done.error())));
}

void Talker::end_with(Error error) {
  error_ = error;
  found_no_room_ = is_client() && plan_->may_find_no_room &&
                   // Given up, or answered by a SYN cookie whose return was lost: what follows it means nothing to a
                   // server that remembers nothing, and is reset (RFC 4987 §3.6).
                   (established_ ? received_ == 0 && error == Error::ConnectionReset : error == Error::TimedOut);
  if (found_no_room_) all_.found_no_room.insert(plan_->number);
  // What came of a client's data after it was reset may have brought the cookie after all: to a client that is gone.
  const bool client_gone = plan_ != nullptr && !is_client() && all_.found_no_room.contains(plan_->number);
  if (found_no_room_ || (client_gone && error == Error::ConnectionReset)) return give_up(false);
  if (plan_ != nullptr && plan_->orderly() && !by_fast_open_) {
    complain(fmt::format("ended with an error: {}", to_string(error)));
  }
  give_up(false);
}

void Talker::complain(const std::string& what) { all_.world.fail(fmt::format("{} {}", describe(), what)); }

std::string Talker::describe() {
  std::string sender;
  if (const auto info = stack().info(id_); info && !gone_)
    sender = fmt::format("; {}, {}: unacked {}, sacked {}, lost {}, cwnd {}, snd_wnd {}, retransmits {}, probes {}",
                         to_string(info->state), to_string(info->ca_state), info->unacked, info->sacked, info->lost,
                         info->snd_cwnd, info->snd_wnd, info->retransmits, info->probes);
  return fmt::format("{} of conversation {} (sent {} of {}, received {} of {}{}{}{}{}{})",
                     is_client() ? "client" : "server", plan_ != nullptr ? std::to_string(plan_->number) : "?", sent_,
                     to_send(), received_, plan_ != nullptr ? to_receive() : 0, read_end_ ? ", read FIN" : "",
                     write_ended_ ? ", sent FIN" : "", gone_ ? ", gone" : "",
                     error_ ? fmt::format(", {}", to_string(*error_)) : "", sender);
}

// ---- reading -------------------------------------------------------------------------------------------------------

Duration Talker::next_pause() noexcept {
  if (plan_ == nullptr) return Duration::zero();
  if (!std::exchange(has_stalled_, true)) return is_client() ? plan_->client_stall : plan_->server_stall;
  return is_client() ? plan_->client_read_pause : plan_->server_read_pause;
}

void Talker::read_on() {
  while (!pausing_ && !read_end_ && !stopped_reading_ && !gone_) {
    const auto piece = stack().read_slice(now(), id_, plan_ != nullptr ? plan_->read_piece : 1000);
    if (!piece) {
      if (piece.error() != Error::WouldBlock) end_with(piece.error());
      return;
    }
    if (piece->empty()) return take_end();
    take(piece->span());
    const Duration pause = plan_ == nullptr ? Duration::zero()
                           : is_client()    ? plan_->client_read_pause
                                            : plan_->server_read_pause;
    if (pause > Duration::zero()) {
      pausing_ = true;
      all_.world.after(pause, [this] {
        pausing_ = false;
        work();
      });
    }
  }
}

void Talker::take(ByteSpan bytes) {
  for (const std::uint8_t byte : bytes) {
    if (plan_ == nullptr) {
      take_header(byte);
      if (gone_) return;
    } else if (received_ >= to_receive()) {
      return complain("received more than was sent");
    } else if (byte != byte_of(plan_->number, !is_client(), received_)) {
      return complain("received a wrong byte");
    }
    ++received_;
  }
}

void Talker::take_header(std::uint8_t byte) {
  if (received_ < kMagic.size()) {
    if (byte != kMagic[received_]) complain("received a wrong byte at the very start");
    return;
  }
  header_number_ = header_number_ << 8 | byte;
  if (received_ + 1 < ConversationPlan::kHeaderSize) return;
  if (header_number_ >= all_.plans.size()) {
    complain("received the number of a conversation that does not exist");
    return give_up(true);
  }
  plan_ = &all_.plans[header_number_];
  const auto info = stack().info(id_);
  by_fast_open_ = info && info->fast_open == FastOpenOutcome::Accepted;
}

void Talker::take_end() {
  read_end_ = true;
  if (plan_ != nullptr && plan_->orderly() && received_ != to_receive()) {
    complain("read the end of the stream before all of it");
  }
}

// ---- writing -------------------------------------------------------------------------------------------------------

std::string Talker::outgoing(std::uint64_t count) const {
  std::string bytes(count, '\0');
  for (std::uint64_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<char>(byte_of(plan_->number, is_client(), sent_ + i));
  }
  if (all_.sabotage == Sabotage::ChangeAByte && !is_client())
    bytes[count / 2] = static_cast<char>(bytes[count / 2] ^ 1);
  if (all_.sabotage == Sabotage::LoseAByte && is_client() && count > 1) bytes.pop_back();
  return bytes;
}

void Talker::write_on() {
  while (may_send() && sent_ < to_send()) {
    const std::uint64_t count = std::min<std::uint64_t>(plan_->write_piece, to_send() - sent_);
    const std::string bytes = outgoing(count);
    Result<std::size_t> written = std::unexpected(Error::WouldBlock);
    if (plan_->write_slices) {
      const auto whole = stack().write(now(), id_, Slice::copy_of(as_bytes(bytes)));
      written = whole ? Result<std::size_t>(count) : std::unexpected(whole.error());
    } else {
      written = stack().write(now(), id_, as_bytes(bytes));
      if (written && *written == bytes.size()) written = count;
    }
    if (!written) {
      if (written.error() != Error::WouldBlock) end_with(written.error());
      return;
    }
    sent_ += *written;
  }
  if (half_closes() && !write_ended_) {
    write_ended_ = true;
    if (const auto done = stack().shutdown_write(now(), id_); !done) end_with(done.error());
  }
}

}  // namespace ff::sim
