#include "tcp/fastopen/key_ring.hpp"

#include <cstring>

#include "base/siphash.hpp"

namespace ff::tcp {

FastOpenCookie make_cookie(const FastOpenKey& key, const IpAddress& client, const IpAddress& server) noexcept {
  std::array<std::uint8_t, 32> addresses;
  std::size_t size = 0;
  auto add = [&](const auto& bytes) {
    std::memcpy(addresses.data() + size, bytes.data(), bytes.size());
    size += bytes.size();
  };
  if (client.is_v4()) {
    add(client.v4_bytes());
    add(server.v4_bytes());
  } else {
    add(client.bytes());
    add(server.bytes());
  }
  SipHashKey hash_key;
  hash_key.bytes = key.bytes;
  const std::uint64_t hash = siphash(hash_key, ByteSpan(addresses.data(), size));

  FastOpenCookie cookie;
  cookie.size = 8;
  std::memcpy(cookie.bytes.data(), &hash, sizeof hash);  // little-endian, as Linux stores it
  return cookie;
}

CookieMatch check_cookie(const FastOpenKeys& keys, const FastOpenCookie& cookie, const IpAddress& client,
                         const IpAddress& server) noexcept {
  if (cookie == make_cookie(keys.primary, client, server)) return CookieMatch::Primary;
  if (keys.backup && cookie == make_cookie(*keys.backup, client, server)) return CookieMatch::Backup;
  return CookieMatch::None;
}

}  // namespace ff::tcp
