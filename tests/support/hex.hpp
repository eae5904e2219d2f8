// Bytes as a test writes them down.
#pragma once

#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ff::test {

using Bytes = std::vector<std::uint8_t>;

// "45 00 0073": two digits a byte, blanks anywhere between bytes.
inline Bytes hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == '\n') {
      ++i;
      continue;
    }
    std::uint8_t byte = 0;
    const std::string_view digits = text.substr(i, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || end != digits.data() + 2)
      throw std::invalid_argument("not hex: " + std::string(digits));
    bytes.push_back(byte);
    i += 2;
  }
  return bytes;
}

}  // namespace ff::test
