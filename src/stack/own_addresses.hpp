// Our own addresses as small numbers, for tables of millions of entries that each have one of a few of them.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "firstflight/address.hpp"

namespace ff {

class OwnAddresses {
 public:
  std::uint32_t number_of(const IpAddress& address) {
    // Most hosts have one address that they use.
    if (last_ < size() && addresses_[last_] == address) return last_;
    const auto [found, added] = numbers_.try_emplace(address, size());
    if (added) addresses_.push_back(address);
    return last_ = found->second;
  }
  // Nothing for an address that number_of() was never asked for.
  [[nodiscard]] std::optional<std::uint32_t> find(const IpAddress& address) const noexcept {
    const auto found = numbers_.find(address);
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  const IpAddress& operator[](std::uint32_t number) const noexcept { return addresses_[number]; }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(addresses_.size()); }

 private:
  // No peer chooses what is ours: the hash needs no secret.
  struct Hash {
    std::size_t operator()(const IpAddress& address) const noexcept {
      const auto bytes = address.bytes();
      return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  };
  boost::unordered_flat_map<IpAddress, std::uint32_t, Hash> numbers_;
  std::vector<IpAddress> addresses_;
  std::uint32_t last_ = 0;  // whose number was asked for last
};

}  // namespace ff
