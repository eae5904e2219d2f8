// What a client remembers of each destination for Fast Open (RFC 7413 §4.1.3.1), and what follows from it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "base/ring.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "wire/tcp_options.hpp"

namespace ff::tcp {

class ClientCache {
 public:
  static constexpr std::size_t kMaxEntries = 16384;

  [[nodiscard]] const FastOpenCacheEntry* find(const IpAddress& destination) const noexcept;

  // A SYN-ACK granted a cookie.
  void granted(const IpAddress& destination, const FastOpenCookie& cookie, std::uint16_t mss, bool experimental);
  // A SYN-ACK answered a request for a cookie without granting one: the next request takes the other form of the option
  // (A1).
  void not_granted(const IpAddress& destination, std::uint16_t mss, bool asked_experimental);
  // A SYN-ACK acknowledged data in the SYN: the path carries such SYNs.
  void path_works(const IpAddress& destination) noexcept;
  // A SYN with data was lost and the plain one after it was not. One such loss happens on any path; from the second in
  // a row on the destination is left alone for a while, twice as long each time (RFC 7413 §4.1.3.1 "Negative cache").
  static constexpr std::uint32_t kLossesOfBlackhole = 2;
  void path_failed(const IpAddress& destination, Instant now, std::uint32_t base_seconds);

  void set(const FastOpenCacheEntry& entry) { entry_of(entry.destination) = entry; }
  void clear();
  [[nodiscard]] std::vector<FastOpenCacheEntry> entries() const;

 private:
  struct AddressHash {
    std::size_t operator()(const IpAddress& address) const noexcept;
  };
  // Finds or adds; the oldest destination makes room when the bound is reached.
  FastOpenCacheEntry& entry_of(const IpAddress& destination);

  boost::unordered_flat_map<IpAddress, FastOpenCacheEntry, AddressHash> entries_;
  Ring<IpAddress> age_;
};

// What a connection's SYN carries for Fast Open.
struct ClientPlan {
  std::optional<wire::FastOpenOption> option;  // a cookie or the request for one
  bool may_send_data = false;
  std::uint16_t mss = 0;  // the server's, as far as known
  FastOpenOutcome outcome = FastOpenOutcome::NotTried;
};

// RFC 7413 §4.2.1. `no_cookie`: the application vouches for the path (TCP_FASTOPEN_NO_COOKIE).
ClientPlan plan_client(const ClientCache& cache, const Settings& settings, const IpAddress& destination, bool no_cookie,
                       Instant now) noexcept;

}  // namespace ff::tcp
