// Remembers which SYNs with data were taken, so that a copy of one is not taken again (RFC 7413 §2.1, §6.1). A copy
// that comes while its connection lives meets that connection; this is for those that come later.
//
// A Bloom filter: what it remembers it knows for certain, and now and then it takes a new SYN for an old one, which
// costs that client the round trip that Fast Open would have saved, and nothing else. So its memory is fixed, and a
// flood can only make it more suspicious. It forgets by generations: what was noted is known for one to two times
// kGeneration.
#pragma once

#include <cstdint>
#include <vector>

#include "base/seq.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"

namespace ff::tcp {

class ReplayFilter {
 public:
  // No packet lives longer in the network (RFC 9293 §3.4.1: the MSL of two minutes).
  static constexpr Duration kGeneration = std::chrono::seconds(120);

  explicit ReplayFilter(const SipHashKey& key) noexcept : key_(key) {}

  // Whether this SYN has been noted before, as far as one can tell; it is from now on. `kilobytes` bounds the memory; a
  // change of it forgets everything, and with 0 nothing is noted.
  bool note(const FourTuple& tuple, Seq isn, ByteSpan data, std::uint32_t kilobytes, Instant now);

  [[nodiscard]] std::size_t memory() const noexcept { return words_.capacity() * sizeof(std::uint64_t); }

 private:
  void resize(std::uint32_t kilobytes, Instant now);
  void forget_old(Instant now) noexcept;
  void clear(std::size_t generation) noexcept;
  [[nodiscard]] std::uint64_t fingerprint(const FourTuple& tuple, Seq isn, ByteSpan data) const noexcept;
  [[nodiscard]] std::size_t words_each() const noexcept { return words_.size() / 2; }

  SipHashKey key_;
  std::vector<std::uint64_t> words_;  // the bits of both generations, one behind the other
  std::size_t current_ = 0;           // 0 or 1
  Instant began_{};                   // the current one
};

}  // namespace ff::tcp
