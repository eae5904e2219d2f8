// A set of ports, a bit for each.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace ff {

class PortSet {
 public:
  static constexpr std::uint32_t kPorts = 65536;
  static constexpr std::uint64_t kEven = 0x5555555555555555;
  static constexpr std::uint64_t kOdd = ~kEven;

  void add(std::uint16_t port) noexcept { words_[port / 64] |= std::uint64_t{1} << port % 64; }
  void remove(std::uint16_t port) noexcept { words_[port / 64] &= ~(std::uint64_t{1} << port % 64); }
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept { return (words_[port / 64] >> port % 64 & 1) != 0; }
  [[nodiscard]] std::uint64_t word(std::uint32_t index) const noexcept { return words_[index]; }

 private:
  std::array<std::uint64_t, kPorts / 64> words_{};
};

// The first port at or after `begin` and before `end` whose bit is set in `word_at(port / 64)`.
template <typename WordAt>
std::optional<std::uint16_t> first_port(std::uint32_t begin, std::uint32_t end, WordAt&& word_at) {
  for (std::uint32_t at = begin; at < end; at = at / 64 * 64 + 64) {
    const std::uint64_t word = word_at(at / 64) & ~std::uint64_t{0} << at % 64;
    if (word == 0) continue;
    const std::uint32_t port = at / 64 * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
    if (port >= end) return std::nullopt;
    return static_cast<std::uint16_t>(port);
  }
  return std::nullopt;
}

}  // namespace ff
