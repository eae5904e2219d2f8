// A server's Fast Open cookies (RFC 7413 §4.1.2), bit for bit those of Linux: SipHash-2-4 under the key over source and
// destination address of the SYN, so that hosts of either kind behind one address accept each other's.
#pragma once

#include <cstdint>

#include "firstflight/address.hpp"
#include "firstflight/fast_open.hpp"

namespace ff::tcp {

FastOpenCookie make_cookie(const FastOpenKey& key, const IpAddress& client, const IpAddress& server) noexcept;

enum class CookieMatch : std::uint8_t { None, Primary, Backup };
CookieMatch check_cookie(const FastOpenKeys& keys, const FastOpenCookie& cookie, const IpAddress& client,
                         const IpAddress& server) noexcept;

}  // namespace ff::tcp
