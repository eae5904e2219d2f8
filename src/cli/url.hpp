// URLs as `ff get` takes them: http://HOST[:PORT][/PATH][?QUERY] (RFC 3986).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/options.hpp"
#include "firstflight/address.hpp"

namespace ff::cli {

struct Url {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string target = "/";  // path and query, as they stand in a request

  // HOST or HOST:PORT, as the Host field has it.
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string to_string() const { return "http://" + authority() + target; }
};

Parsed<Url> parse_url(std::string_view text);

// The address of `url.host`: itself when it is one, otherwise what this machine's resolver says, of a family that is
// wanted. The error is one sentence.
Parsed<Endpoint> resolve(const Url& url, bool want_v4, bool want_v6);

}  // namespace ff::cli
