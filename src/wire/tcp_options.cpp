#include "wire/tcp_options.hpp"

#include <algorithm>
#include <cstring>

#include "wire/endian.hpp"

namespace ff::wire {
namespace {

namespace kind {
constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNop = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;
constexpr std::uint8_t kFastOpen = 34;
constexpr std::uint8_t kExperimental = 254;
}  // namespace kind

constexpr std::size_t kMssSize = 4;
constexpr std::size_t kWindowScaleSize = 3;
constexpr std::size_t kSackPermittedSize = 2;
constexpr std::size_t kTimestampsSize = 10;
constexpr std::size_t kSackBlockSize = 8;
constexpr std::uint16_t kFastOpenMagic = 0xf989;

// As Linux takes it: an odd size is as if the option were not there, an even one that no cookie has voids an earlier
// option too.
void read_fast_open(ByteSpan cookie, bool experimental, TcpOptions& options) noexcept {
  if (cookie.size() % 2 != 0) return;
  if (!cookie.empty() && !FastOpenCookie::valid_size(cookie.size())) {
    options.fast_open.reset();
    return;
  }
  FastOpenOption& option = options.fast_open.emplace();
  option.experimental = experimental;
  option.cookie.size = static_cast<std::uint8_t>(cookie.size());
  std::copy(cookie.begin(), cookie.end(), option.cookie.bytes.begin());
}

void read_sack(ByteSpan body, SackBlocks& sack) noexcept {
  if (body.empty() || body.size() % kSackBlockSize != 0) return;
  sack.count = 0;
  for (; !body.empty() && sack.count < SackBlocks::kMax; body = body.subspan(kSackBlockSize)) {
    sack.add({Seq(load_be32(body.data())), Seq(load_be32(body.data() + 4))});
  }
}

// An option that means something on a SYN alone.
void read_syn_option(std::uint8_t option_kind, ByteSpan body, TcpOptions& options) noexcept {
  switch (option_kind) {
    case kind::kMss:
      if (body.size() == kMssSize - 2 && load_be16(body.data()) != 0) options.mss = load_be16(body.data());
      break;
    case kind::kWindowScale:
      if (body.size() == kWindowScaleSize - 2) {
        options.window_scale = WindowScale{std::min(body[0], WindowScale::kMax)};  // RFC 7323 §2.3
      }
      break;
    case kind::kSackPermitted:
      if (body.size() == kSackPermittedSize - 2) options.sack_permitted = true;
      break;
    case kind::kFastOpen:
      read_fast_open(body, false, options);
      break;
    case kind::kExperimental:  // RFC 6994 §3: the first two bytes say whose experiment it is
      if (body.size() >= 2 && load_be16(body.data()) == kFastOpenMagic) read_fast_open(body.subspan(2), true, options);
      break;
    default:
      break;
  }
}

std::uint8_t* put_nops(std::uint8_t* to, std::size_t count) noexcept {
  std::memset(to, kind::kNop, count);
  return to + count;
}

std::uint8_t* put_timestamps(std::uint8_t* to, const Timestamps& timestamps) noexcept {
  to[0] = kind::kTimestamps;
  to[1] = kTimestampsSize;
  store_be32(to + 2, timestamps.value.raw());
  store_be32(to + 6, timestamps.echo_reply.raw());
  return to + kTimestampsSize;
}

// SACK-permitted takes the place of the two NOPs that align the timestamps.
std::uint8_t* put_sack_permitted_and_timestamps(std::uint8_t* to, const TcpOptions& options) noexcept {
  if (!options.sack_permitted && !options.timestamps) return to;
  const auto put_sack_permitted = [](std::uint8_t* at) {
    at[0] = kind::kSackPermitted;
    at[1] = kSackPermittedSize;
    return at + kSackPermittedSize;
  };
  if (!options.timestamps) return put_sack_permitted(put_nops(to, 2));
  to = options.sack_permitted ? put_sack_permitted(to) : put_nops(to, 2);
  return put_timestamps(to, *options.timestamps);
}

std::size_t fast_open_size(const FastOpenOption& option) noexcept {
  return (option.experimental ? 4u : 2u) + std::size_t{option.cookie.size};
}

std::uint8_t* put_fast_open(std::uint8_t* to, const FastOpenOption& option) noexcept {
  const std::size_t size = fast_open_size(option);
  *to++ = option.experimental ? kind::kExperimental : kind::kFastOpen;
  *to++ = static_cast<std::uint8_t>(size);
  if (option.experimental) {
    store_be16(to, kFastOpenMagic);
    to += 2;
  }
  std::memcpy(to, option.cookie.bytes.data(), option.cookie.size);
  return put_nops(to + option.cookie.size, -size % 4);
}

std::uint8_t* put_sack(std::uint8_t* to, const SackBlocks& sack, std::size_t count) noexcept {
  to = put_nops(to, 2);
  *to++ = kind::kSack;
  *to++ = static_cast<std::uint8_t>(2 + count * kSackBlockSize);
  for (std::size_t i = 0; i < count; ++i, to += kSackBlockSize) {
    store_be32(to, sack.blocks[i].first.raw());
    store_be32(to + 4, sack.blocks[i].end.raw());
  }
  return to;
}

}  // namespace

bool parse_tcp_options(ByteSpan bytes, bool syn, TcpOptions& options) noexcept {
  while (!bytes.empty()) {
    const std::uint8_t option_kind = bytes[0];
    if (option_kind == kind::kEnd) return true;
    if (option_kind == kind::kNop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) return false;
    const std::size_t size = bytes[1];
    if (size < 2 || size > bytes.size()) return false;
    const ByteSpan body = bytes.subspan(2, size - 2);
    if (option_kind == kind::kTimestamps) {
      if (size == kTimestampsSize) {
        options.timestamps = Timestamps{Timestamp(load_be32(body.data())), Timestamp(load_be32(body.data() + 4))};
      }
    } else if (syn) {
      read_syn_option(option_kind, body, options);
    } else if (option_kind == kind::kSack) {
      read_sack(body, options.sack);
    }
    bytes = bytes.subspan(size);
  }
  return true;
}

std::size_t emit_tcp_options(const TcpOptions& options, std::uint8_t* to) noexcept {
  std::uint8_t* p = to;
  if (options.mss) {
    p[0] = kind::kMss;
    p[1] = kMssSize;
    store_be16(p + 2, *options.mss);
    p += kMssSize;
  }
  p = put_sack_permitted_and_timestamps(p, options);
  if (options.window_scale) {
    p = put_nops(p, 1);
    p[0] = kind::kWindowScale;
    p[1] = kWindowScaleSize;
    p[2] = options.window_scale->shift;
    p += kWindowScaleSize;
  }
  // What stands so far takes 20 bytes at most, and a Fast Open option no more.
  if (options.fast_open) p = put_fast_open(p, *options.fast_open);
  const std::size_t room = kMaxTcpOptions - static_cast<std::size_t>(p - to);
  const std::size_t blocks = std::min<std::size_t>(options.sack.count, room < 4 ? 0 : (room - 4) / kSackBlockSize);
  if (blocks > 0) p = put_sack(p, options.sack, blocks);
  return static_cast<std::size_t>(p - to);
}

}  // namespace ff::wire
