// The byte stream that the bulk benchmarks move. It does not repeat with the period of anything in a stack, so that a
// byte at the wrong place shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/random.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/seed.hpp"

namespace ff::bench {

class Stream {
 public:
  static const Stream& instance() {
    static const Stream stream;
    return stream;
  }

  // The bytes from `position` on, at most `max` of them; at least one.
  [[nodiscard]] ByteSpan at(std::uint64_t position, std::uint64_t max) const noexcept {
    const std::size_t offset = position % bytes_.size();
    return ByteSpan(bytes_).subspan(offset, static_cast<std::size_t>(std::min(max, bytes_.size() - offset)));
  }

  // Whether `bytes` are those from `position` on.
  [[nodiscard]] bool matches(std::uint64_t position, ByteSpan bytes) const noexcept {
    while (!bytes.empty()) {
      const ByteSpan expected = at(position, bytes.size());
      if (std::memcmp(expected.data(), bytes.data(), expected.size()) != 0) return false;
      position += expected.size();
      bytes = bytes.subspan(expected.size());
    }
    return true;
  }

 private:
  Stream() {
    Random random(Seed::from_number(1).bytes);
    for (std::uint8_t& byte : bytes_) byte = static_cast<std::uint8_t>(random.next());
  }

  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(1'000'003);
};

}  // namespace ff::bench
