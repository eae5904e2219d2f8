#include "cli/url.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

namespace ff::cli {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::string_view kExample = "give one such as http://10.9.8.1/ or http://[fd00::1]:8080/file";

std::unexpected<std::string> bad(std::string_view text, std::string_view why) {
  return std::unexpected(fmt::format("'{}' {}; {}", text, why, kExample));
}

// 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_whole_number(text, 1, 65535);
  return number ? std::optional(static_cast<std::uint16_t>(*number)) : std::nullopt;
}

bool is_host_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
}

IpAddress address_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
  return IpAddress::v6(bytes);
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
  return port == 80 ? name : fmt::format("{}:{}", name, port);
}

Parsed<Url> parse_url(std::string_view text) {
  if (std::ranges::any_of(text, [](char c) { return c <= ' ' || c >= 0x7f; }))
    return bad(text, "has a character that must be written as %XX");
  if (text.starts_with("https://")) return bad(text, "wants TLS, which is not spoken here");
  if (!text.starts_with(kScheme)) return bad(text, "is no http:// URL");
  const std::string_view rest = text.substr(kScheme.size());
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  if (authority.find('@') != std::string_view::npos) return bad(text, "has a user name, which is not sent");

  Url url;
  std::size_t host_end = authority.find(':');
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string_view::npos) return bad(text, "has a '[' without ']'");
    url.host = authority.substr(1, host_end - 1);
    const auto address = IpAddress::parse(url.host);
    if (!address || address->is_v4()) return bad(text, "has no IPv6 address between '[' and ']'");
    ++host_end;
  } else {
    url.host = authority.substr(0, host_end);
    if (url.host.empty()) return bad(text, "names no host");
    if (!std::ranges::all_of(url.host, is_host_character)) return bad(text, "has a host name that cannot be");
  }
  if (host_end < authority.size()) {
    const auto port = parse_port(authority.substr(host_end + 1));
    if (authority[host_end] != ':' || !port) return bad(text, "has a port that is not from 1 to 65535");
    url.port = *port;
  }
  std::string_view target = rest.substr(end);
  target = target.substr(0, target.find('#'));
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

Parsed<Endpoint> resolve(const Url& url, bool want_v4, bool want_v6) {
  const auto wanted = [&](const IpAddress& address) { return address.is_v4() ? want_v4 : want_v6; };
  const auto no_address = [&](std::string_view family) {
    return std::unexpected(
        fmt::format("{} is {}, and the stack has no such address; add an {} --address", url.host, family, family));
  };
  if (const auto literal = IpAddress::parse(url.host)) {
    if (!wanted(*literal)) return no_address(literal->is_v4() ? "IPv4" : "IPv6");
    return Endpoint{*literal, url.port};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(url.host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  if (error != 0)
    return std::unexpected(
        fmt::format("cannot resolve '{}': {}; give its IP address", url.host, ::gai_strerror(error)));
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    const IpAddress address = address_of(*entry->ai_addr);
    if (wanted(address)) return Endpoint{address, url.port};
  }
  return no_address(want_v4 ? "IPv6" : "IPv4");
}

}  // namespace ff::cli
