#include "tcp/reports.hpp"

#include <string>

namespace ff::tcp {
namespace {

Slice copy_of(const TxPacket& packet) {
  std::string bytes(as_text(packet.header()));
  for (const Slice& piece : packet.payload()) bytes.append(piece.text());
  return Slice::adopt(std::move(bytes));
}

}  // namespace

// ---- bytes that go out

void Reports::want(Seq end, std::uint32_t written, const StampRequest& what, Seq nxt, std::uint32_t together) {
  const auto place = [&](Seq byte) { return static_cast<std::uint32_t>(byte - nxt - 1) / together; };
  if (!unsent_.empty() && place(unsent_.back().end) == place(end)) unsent_.pop_back();
  unsent_.push_back({end, written - 1, what, Slice(), 0});
}

bool Reports::sent(Seq nxt, Instant now, const TxPacket& packet) {
  bool news = false;
  for (; !unsent_.empty() && at_or_before(unsent_.front().end, nxt); unsent_.pop_front()) {
    Wanted& wanted = unsent_.front();
    if (wanted.what.with_packet) {
      wanted.packet = copy_of(packet);
      wanted.header = packet.header_size;
    }
    news |= tell(wanted, stamp_bits::kScheduled, now, wanted.packet);
    news |= tell(wanted, stamp_bits::kSent, now, wanted.packet);
    if ((wanted.what.kinds & stamp_bits::kAcknowledged) != 0) unacknowledged_.push_back(std::move(wanted));
  }
  return news;
}

bool Reports::acknowledged(Seq una, Instant now) {
  bool news = false;
  for (; !unacknowledged_.empty() && at_or_before(unacknowledged_.front().end, una); unacknowledged_.pop_front()) {
    const Wanted& wanted = unacknowledged_.front();
    news |= tell(wanted, stamp_bits::kAcknowledged, now, wanted.packet.sub(wanted.header));
  }
  return news;
}

bool Reports::tell(const Wanted& wanted, std::uint8_t kind, Instant now, Slice packet) {
  if ((wanted.what.kinds & kind) == 0 || stamps_.size() >= kMaxWaiting) return false;
  stamps_.push_back({kind, wanted.key, now, std::move(packet)});
  return true;
}

std::optional<TransmitStamp> Reports::next_stamp() {
  if (stamps_.empty()) return std::nullopt;
  TransmitStamp first = std::move(stamps_.front());
  stamps_.pop_front();
  return first;
}

// ---- bytes that come in

void Reports::arrived(std::uint64_t place, Instant now) {
  const std::uint64_t before = arrivals_.empty() ? 0 : arrivals_.back().end;
  if (place <= before) return;
  if (arrivals_.size() >= kMaxArrivals) arrivals_.pop_back();
  arrivals_.push_back({place, now});
}

std::optional<Instant> Reports::arrival_of(std::uint64_t place) const noexcept {
  std::size_t low = 0, high = arrivals_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (arrivals_[middle].end < place) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == arrivals_.size()) return std::nullopt;
  return arrivals_[low].at;
}

// The last one stays, so that what comes next is known to be new.
void Reports::forget_before(std::uint64_t place) noexcept {
  while (arrivals_.size() > 1 && arrivals_.front().end < place) arrivals_.pop_front();
}

// ---- the network

void Reports::failed(DatagramError error) {
  if (errors_.size() < kMaxWaiting) errors_.push_back(std::move(error));
}

std::optional<DatagramError> Reports::next_error() {
  if (errors_.empty()) return std::nullopt;
  DatagramError first = std::move(errors_.front());
  errors_.pop_front();
  return first;
}

}  // namespace ff::tcp
