#include "tcp/syn_cookie.hpp"

#include <array>
#include <cstring>
#include <span>

namespace ff::tcp {

namespace {

// What peers commonly offer, rounded down; Linux's choice, so that a connection by cookie looks the same here.
constexpr std::array<std::uint16_t, 4> kMssV4{536, 1300, 1440, 1460};
constexpr std::array<std::uint16_t, 4> kMssV6{1220, 1420, 1440, 8940};

std::span<const std::uint16_t, 4> mss_table(const FourTuple& tuple) noexcept {
  return tuple.local.address.is_v4() ? kMssV4 : kMssV6;
}

std::int64_t period_of(Instant now) noexcept { return now.time_since_epoch() / SynCookies::kPeriod; }

// The lowest bits of a timestamp.
constexpr std::uint32_t kScaleMask = 0xf;
constexpr std::uint32_t kNoScale = 0xf;  // a shift is at most 14
constexpr std::uint32_t kSack = 0x10;
constexpr std::uint32_t kEcn = 0x20;
constexpr std::uint32_t kMask = 0x3f;

}  // namespace

Seq SynCookies::hash(const FourTuple& tuple, Seq irs, std::int64_t period) const noexcept {
  SipHasher<2, 4> hasher(key_);
  std::array<std::uint64_t, 6> words;
  std::memcpy(words.data(), tuple.local.address.bytes().data(), 16);
  std::memcpy(words.data() + 2, tuple.remote.address.bytes().data(), 16);
  words[4] = std::uint64_t{irs.raw()} << 32 | std::uint64_t{tuple.local.port} << 16 | tuple.remote.port;
  words[5] = static_cast<std::uint64_t>(period);
  for (const std::uint64_t word : words) hasher.add(word);
  return Seq(static_cast<std::uint32_t>(hasher.finish(0, sizeof words)));
}

Seq SynCookies::make(const FourTuple& tuple, Seq irs, std::uint16_t peer_mss, Instant now) const noexcept {
  const auto table = mss_table(tuple);
  std::uint32_t index = 0;
  while (index + 1 < table.size() && table[index + 1] <= peer_mss) ++index;
  return hash(tuple, irs, period_of(now)) + index;
}

// Somebody who guesses hits one of the eight numbers with a chance of 1 to 2^29.
std::optional<std::uint16_t> SynCookies::check(const FourTuple& tuple, Seq irs, Seq cookie,
                                               Instant now) const noexcept {
  const auto table = mss_table(tuple);
  for (std::int64_t age = 0; age < kValid / kPeriod; ++age) {
    const auto index = static_cast<std::uint32_t>(cookie - hash(tuple, irs, period_of(now) - age));
    if (index < table.size()) return table[index];
  }
  return std::nullopt;
}

std::uint32_t cookie_timestamp_shift(Instant now, const Agreed& agreed) noexcept {
  const std::uint32_t clock = timestamp_at(now, 0).raw();
  std::uint32_t value = agreed.window_scaling ? agreed.snd_scale.shift : kNoScale;
  if (agreed.sack) value |= kSack;
  if (agreed.ecn) value |= kEcn;
  value |= clock & ~kMask;
  if (value > clock) value -= kMask + 1;  // the peer may not see a time that is still to come
  return value - clock;
}

Agreed agreed_in_timestamp(Timestamp echo) noexcept {
  Agreed agreed;
  agreed.timestamps = true;
  agreed.sack = (echo.raw() & kSack) != 0;
  agreed.ecn = (echo.raw() & kEcn) != 0;
  const std::uint32_t scale = echo.raw() & kScaleMask;
  agreed.window_scaling = scale != kNoScale;
  if (agreed.window_scaling) agreed.snd_scale = WindowScale{static_cast<std::uint8_t>(scale)};
  return agreed;
}

}  // namespace ff::tcp
