#include "sim/link.hpp"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::sim {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
// So that serialization times fit 64 bits; an IP packet is at most 65575 bytes long.
[[maybe_unused]] constexpr std::uint32_t kMaxPacket = 1u << 17;

// The first byte behind the IPv4 or fixed IPv6 header.
std::uint32_t payload_offset(ByteSpan packet) noexcept {
  if (packet.empty()) return 0;
  switch (packet[0] >> 4) {
    case 4:
      return (packet[0] & 0xfu) * 4;
    case 6:
      return 40;
    default:
      return 0;
  }
}

// For a heap with the earliest arrival on top.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return std::pair(a.arrival, a.number) > std::pair(b.arrival, b.number);
};

}  // namespace

Duration LinkOptions::held_back_for() const noexcept {
  return reorder_delay.value_or(std::max<Duration>(delay / 4, std::chrono::milliseconds(1)));
}

bool LinkOptions::only_delays() const noexcept {
  return rate == 0 && loss <= 0 && reorder <= 0 && duplicate <= 0 && corrupt <= 0 && mtu == 0;
}

bool LinkOptions::transparent() const noexcept {
  return only_delays() && delay == Duration::zero() && jitter == Duration::zero();
}

Link::Link(const LinkOptions& options) : options_(options), random_(random_from(options.seed)) {}

// ---- in ------------------------------------------------------------------------------------------------------------

void Link::enqueue(Instant now, Slice packet) {
  assert(packet.size() <= kMaxPacket);
  if (!plugged_) {
    ++counts_.unplugged;
    return;
  }
  if (options_.mtu != 0 && packet.size() > options_.mtu) {
    ++counts_.too_big;
    return;
  }
  transmit_until(now);
  const bool idle = queue_.empty() && line_free_.whole <= now;
  const QueueLimit& limit = options_.queue;
  if (!idle && (queue_.size() >= limit.packets || queued_bytes_ + packet.size() > limit.bytes)) {
    ++counts_.queue_dropped;
    return;
  }
  packet = marked_if_queue_is_long(std::move(packet));
  queued_bytes_ += packet.size();
  queue_.push_back({now, std::move(packet)});
  transmit_until(now);
}

// ---- the transmitter -----------------------------------------------------------------------------------------------

// When the last bit of the first waiting packet will have left.
Link::LineTime Link::sent_by(const Waiting& waiting) const noexcept {
  const LineTime start = line_free_.whole >= waiting.since ? line_free_ : LineTime{waiting.since};
  if (options_.rate == 0) return start;
  const std::uint64_t units = waiting.packet.size() * 8 * kNanosecondsPerSecond + start.fraction;
  return {start.whole + Duration(units / options_.rate), units % options_.rate};
}

// Everything that has begun to leave by `now` goes on the wire. When it arrives does not depend on when this is called.
void Link::transmit_until(Instant now) {
  while (!queue_.empty() && line_free_.whole <= now) {
    Waiting& first = queue_.front();
    line_free_ = sent_by(first);
    queued_bytes_ -= first.packet.size();
    put_on_wire(line_free_.whole + Duration(line_free_.fraction > 0 ? 1 : 0), std::move(first.packet));
    queue_.pop_front();
  }
}

// ---- the wire ------------------------------------------------------------------------------------------------------

void Link::put_on_wire(Instant sent, Slice packet) {
  if (random_.chance(options_.loss)) {
    ++counts_.lost;
    return;
  }
  Instant arrival = sent + options_.delay;
  if (options_.jitter > Duration::zero()) {
    arrival += between(random_, Duration::zero(), options_.jitter);
  }
  const bool held_back = random_.chance(options_.reorder);
  const bool twice = random_.chance(options_.duplicate);
  if (held_back) {
    arrival += options_.held_back_for();
    ++counts_.reordered;
  }
  if (twice) {
    ++counts_.duplicated;
    fly(arrival, packet, held_back);
  }
  fly(arrival, std::move(packet), held_back);
}

void Link::fly(Instant arrival, Slice packet, bool held_back) {
  if (flying_bytes_ + packet.size() > options_.flight_limit) {
    ++counts_.overflowed;
    return;
  }
  if (random_.chance(options_.corrupt)) packet = with_a_bit_inverted(packet);
  flying_bytes_ += packet.size();
  if (held_back) {
    held_back_.push_back({arrival, next_number_++, std::move(packet)});
    std::ranges::push_heap(held_back_, kLater);
  } else {
    latest_arrival_ = std::max(latest_arrival_, arrival);
    wire_.push_back({latest_arrival_, next_number_++, std::move(packet)});
  }
}

Slice Link::with_a_bit_inverted(const Slice& packet) {
  const std::uint32_t first = options_.corrupt_ip_header ? 0 : payload_offset(packet.span());
  if (packet.size() <= first) return packet;
  const std::uint64_t bit = random_.below((packet.size() - first) * std::uint64_t{8});
  std::string bytes(packet.text());  // a copy of its own: others may share the original
  char& byte = bytes[first + bit / 8];
  byte = static_cast<char>(byte ^ (1 << bit % 8));
  ++counts_.corrupted;
  return Slice::adopt(std::move(bytes));
}

// RFC 3168 §5: a router that would drop this packet before long marks it instead, if its sender understands that.
Slice Link::marked_if_queue_is_long(Slice packet) {
  if (!options_.mark || packet.size() < 20) return packet;
  if (queue_.size() < options_.mark->packets && queued_bytes_ < options_.mark->bytes) return packet;
  const bool v4 = packet.data()[0] >> 4 == 4;
  const int shift = v4 ? 0 : 4;  // where in the second byte the two bits lie
  const int codepoint = packet.data()[1] >> shift & 3;
  if (codepoint == 0 || codepoint == 3) return packet;
  std::string bytes(packet.text());  // a copy of its own: others may share the original
  bytes[1] = static_cast<char>(bytes[1] | 3 << shift);
  if (v4) {
    auto* const ip = reinterpret_cast<std::uint8_t*>(bytes.data());
    wire::store_be16(ip + 10, 0);
    wire::ChecksumAccumulator header;
    header.add({ip, payload_offset(packet.span())});
    wire::store_be16(ip + 10, header.checksum());
  }
  ++counts_.marked;
  return Slice::adopt(std::move(bytes));
}

// ---- out -----------------------------------------------------------------------------------------------------------

Instant Link::next_deadline() const noexcept {
  Instant next = kNever;
  if (!wire_.empty()) next = wire_.front().arrival;
  if (!held_back_.empty()) next = std::min(next, held_back_.front().arrival);
  // What still waits cannot arrive sooner than this, whatever the dice say.
  if (!queue_.empty()) next = std::min(next, sent_by(queue_.front()).whole + options_.delay);
  return next;
}

std::optional<Slice> Link::dequeue(Instant now) {
  transmit_until(now);
  const bool late_one = !held_back_.empty() && (wire_.empty() || kLater(wire_.front(), held_back_.front()));
  if (!late_one && wire_.empty()) return std::nullopt;
  Flying& first = late_one ? held_back_.front() : wire_.front();
  if (first.arrival > now) return std::nullopt;
  Slice packet = std::move(first.packet);
  if (late_one) {
    std::ranges::pop_heap(held_back_, kLater);
    held_back_.pop_back();
  } else {
    wire_.pop_front();
  }
  flying_bytes_ -= packet.size();
  ++counts_.delivered;
  counts_.delivered_bytes += packet.size();
  return packet;
}

// ---- changes -------------------------------------------------------------------------------------------------------

void Link::set_options(Instant now, const LinkOptions& options) {
  transmit_until(now);
  // The packet on the transmitter is let go: at a rate that was tiny it might keep the line busy for hours.
  if (options.rate != options_.rate) line_free_ = {std::min(line_free_.whole, now)};
  options_ = options;
  transmit_until(now);
}

void Link::set_plugged(Instant now, bool plugged) {
  if (plugged_ == plugged) return;
  transmit_until(now);
  plugged_ = plugged;
  counts_.unplugged += under_way();
  queue_.clear();
  wire_.clear();
  held_back_.clear();
  queued_bytes_ = 0;
  flying_bytes_ = 0;
  line_free_ = {now};
  latest_arrival_ = now;
}

}  // namespace ff::sim
