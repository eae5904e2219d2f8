// What a client knows of the servers that it has visited by Fast Open, and the text in which a program keeps it from
// one run to the next.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/time.hpp"

namespace ff {

// What is known of one path (RFC 7413 §4.1.3). A cookie is good for one pair of addresses, so a host with two addresses
// has two.
struct FastOpenCacheEntry {
  IpAddress destination;
  IpAddress source;
  std::uint64_t partition = 0;        // ConnectOptions::fast_open_partition
  FastOpenCookie cookie;              // size 0: none
  std::uint16_t mss = 0;              // the server's MSS option, which bounds the data in a SYN
  bool experimental = false;          // the cookie came, or is to be asked for, in option 254 (RFC 6994, magic 0xF989)
  bool experimental_refused = false;  // asked for in that form, too, and not granted: it is not tried again
  Instant learned{};                  // when the server said so
  std::uint32_t syn_losses = 0;       // Fast Open SYNs in a row that were lost where the plain one after them was not
  std::uint32_t blackholes = 0;       // how often in a row this path was found to swallow Fast Open
  Instant retry_after{};              // no Fast Open on this path before
};

// A file's text: one line an entry, in this order, under a line with the version and one with the time. `unix_time`:
// what the wall clock says at `now`, in seconds since 1970.
std::string format_fast_open_cache(std::span<const FastOpenCacheEntry> entries, Instant now, std::int64_t unix_time);

// Reads it again, by another clock. The error is one sentence that names file and line; there is nothing in between.
std::expected<std::vector<FastOpenCacheEntry>, std::string> parse_fast_open_cache(std::string_view text,
                                                                                  std::string_view file, Instant now,
                                                                                  std::int64_t unix_time);

}  // namespace ff
