#include "tcp/urgent.hpp"

#include <algorithm>

#include "tcp/connection.hpp"

namespace ff::tcp {

// ---- sending -------------------------------------------------------------------------------------------------------

void Connection::mark_urgent() {
  if (urgent_ == nullptr) urgent_ = std::make_unique<Urgent>();
  urgent_->sender.mark(snd_.fin_seq());
}

// ---- "sixth, check the URG bit" ------------------------------------------------------------------------------------

// A pointer costs nothing but the place that it names: one that lies wrongly, or never comes true, leads to reads that
// end early and to nothing else.
void Connection::check_urgent(Context& c, const Segment& segment) {
  if (segment.flags.syn() || peer_fin_ || read_shut_ || orphaned_) return;
  if (segment.flags.urg()) announce_urgent(c, segment);
  if (urgent_ == nullptr) return;
  const std::int32_t ahead = segment.seq - rcv_.nxt();
  const std::uint64_t place = rcv_.bytes_received() + static_cast<std::uint64_t>(std::int64_t{ahead});
  if (urgent_->receiver.look_for_byte(place, segment.payload.span())) raise(event_bits::kUrgent);
}

// The pointer names the byte behind the urgent one (RFC 6093 §3.1 has why everybody stayed with that), by tcp_stdurg
// the byte itself. As Linux: only one that leads beyond what has come and beyond the last one says something new.
void Connection::announce_urgent(Context& c, const Segment& segment) {
  const bool behind = segment.urgent_pointer > 0 && !c.env.settings.tcp_stdurg;
  const Seq byte = segment.seq + (segment.urgent_pointer - static_cast<std::uint32_t>(behind));
  const std::int32_t ahead = byte - rcv_.nxt();
  if (ahead < 0) return;
  const std::uint64_t mark = rcv_.bytes_received() + static_cast<std::uint32_t>(ahead);
  if (urgent_ == nullptr) urgent_ = std::make_unique<Urgent>();
  UrgentReceiver& receiver = urgent_->receiver;
  if (receiver.marked() && mark <= receiver.mark()) return;
  // A reader that stands at the old mark passes it now, or it would find an urgent byte in the stream.
  if (receiver.marked() && receiver.mark() == read_place() && !options().oob_inline && rcv_.unread() > 0)
    rcv_.skip_one(c.receive_cache);
  receiver.announce(mark);
  raise(event_bits::kUrgent);
}

// ---- reading -------------------------------------------------------------------------------------------------------

// How much of `most` bytes may be read in one go: not beyond the mark. A reader that stands there passes it, and the
// byte with it unless that is in line.
std::uint32_t Connection::readable_to_mark(Context& c, std::uint32_t most) {
  UrgentReceiver& receiver = urgent_->receiver;
  if (!receiver.marked()) return most;
  if (receiver.mark() > read_place())
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(most, receiver.mark() - read_place()));
  if (receiver.mark() == read_place() && !options().oob_inline && rcv_.unread() > 0) {
    rcv_.skip_one(c.receive_cache);
    after_read(c, 1);
  }
  if (receiver.mark() < read_place() || rcv_.unread() > 0) receiver.forget();
  return most;
}

bool Connection::at_urgent_mark() const noexcept {
  return urgent_ != nullptr && urgent_->receiver.marked() && urgent_->receiver.mark() == read_place();
}

Result<std::optional<std::uint8_t>> Connection::read_urgent() {
  using Byte = UrgentReceiver::Byte;
  const Byte byte = urgent_ == nullptr ? Byte::None : urgent_->receiver.byte();
  if (byte == Byte::None || byte == Byte::Taken || options().oob_inline) return std::unexpected(Error::InvalidArgument);
  if (byte == Byte::Here) return urgent_->receiver.take();
  if (state_ == TcpState::Closed || peer_fin_ || read_shut_) return std::nullopt;
  return std::unexpected(Error::WouldBlock);
}

}  // namespace ff::tcp
