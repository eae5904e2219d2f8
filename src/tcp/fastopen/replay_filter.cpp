#include "tcp/fastopen/replay_filter.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace ff::tcp {

namespace {
// Bits for each SYN. A generation that has 16 times as many bits as it notes SYNs takes one new SYN in about 400 for an
// old one.
constexpr std::uint32_t kBitsPerSyn = 4;
constexpr std::uint64_t kWordBits = 64;
}  // namespace

bool ReplayFilter::note(const FourTuple& tuple, Seq isn, ByteSpan data, std::uint32_t kilobytes, Instant now) {
  resize(kilobytes, now);
  if (words_.empty()) return false;
  forget_old(now);
  const std::uint64_t hash = fingerprint(tuple, isn, data);
  const auto start = static_cast<std::uint32_t>(hash);
  const auto step = static_cast<std::uint32_t>(hash >> 32) | 1;
  const std::uint64_t bits = words_each() * kWordBits;
  std::array<bool, 2> known{true, true};
  for (std::uint32_t i = 0; i < kBitsPerSyn; ++i) {
    const std::uint64_t position = (std::uint64_t{start + i * step} * bits) >> 32;
    const std::uint64_t bit = std::uint64_t{1} << position % kWordBits;
    for (const std::size_t generation : {0u, 1u}) {
      std::uint64_t& word = words_[generation * words_each() + position / kWordBits];
      known[generation] = known[generation] && (word & bit) != 0;
      if (generation == current_) word |= bit;
    }
  }
  return known[0] || known[1];
}

// Addresses, ports and the initial sequence number, too: a client may well say the same thing twice.
std::uint64_t ReplayFilter::fingerprint(const FourTuple& tuple, Seq isn, ByteSpan data) const noexcept {
  std::array<std::uint8_t, 48> message;
  std::size_t size = 0;
  const auto add = [&](const void* bytes, std::size_t count) {
    std::memcpy(message.data() + size, bytes, count);
    size += count;
  };
  add(tuple.local.address.bytes().data(), 16);
  add(tuple.remote.address.bytes().data(), 16);
  add(&tuple.local.port, sizeof tuple.local.port);
  add(&tuple.remote.port, sizeof tuple.remote.port);
  const std::uint32_t number = isn.raw();
  add(&number, sizeof number);
  const std::uint64_t of_data = siphash(key_, data);
  add(&of_data, sizeof of_data);
  return siphash(key_, message);
}

void ReplayFilter::resize(std::uint32_t kilobytes, Instant now) {
  const std::size_t words = std::size_t{kilobytes} * 1024 / sizeof(std::uint64_t);
  if (words == words_.size()) return;
  words_ = std::vector<std::uint64_t>(words);
  began_ = now;
}

void ReplayFilter::forget_old(Instant now) noexcept {
  const Duration age = now - began_;
  if (age < kGeneration) return;
  if (age >= 2 * kGeneration) {
    clear(current_);
    began_ = now;
  } else {
    began_ += kGeneration;
  }
  current_ = 1 - current_;
  clear(current_);
}

void ReplayFilter::clear(std::size_t generation) noexcept {
  std::fill_n(words_.begin() + static_cast<std::ptrdiff_t>(generation * words_each()), words_each(), 0);
}

}  // namespace ff::tcp
