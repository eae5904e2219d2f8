// What a client remembers of each path for Fast Open (RFC 7413 §4.1.3), and what follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/lru_table.hpp"
#include "firstflight/fast_open_cache.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "wire/tcp_options.hpp"

namespace ff::tcp {

// Whose cookie it is.
struct FastOpenPath {
  IpAddress source, destination;
  std::uint64_t partition = 0;
  friend bool operator==(const FastOpenPath&, const FastOpenPath&) noexcept = default;
};

class ClientCache {
 public:
  // It reads its bounds where they stand, so that a change holds at once.
  explicit ClientCache(const Settings& settings) noexcept : settings_(settings) {}
  ClientCache(const ClientCache&) = delete;

  // A SYN-ACK granted a cookie.
  void granted(const FastOpenPath& path, const FastOpenCookie& cookie, std::uint16_t mss, bool experimental,
               Instant now);
  // A SYN-ACK answered a request for a cookie without granting one: the next request takes the other form of the option
  // (A1).
  void not_granted(const FastOpenPath& path, std::uint16_t mss, bool asked_experimental, Instant now);
  // A SYN-ACK to a SYN with data says what the server's segments may hold.
  void answered(const FastOpenPath& path, std::uint16_t mss, Instant now);

  // ---- paths that swallow Fast Open (RFC 7413 §4.1.3.1 "Client Caching Negative Responses") ----
  // `probe`: the connection was the one that tries again (see ClientPlan). What others find that began before the path
  // was known to be one is no news. True: from now on the path is left alone for a while, twice as long each time.

  // A SYN of Fast Open was lost and the plain one after it was not. One such loss happens on any path; the second in a
  // row does not.
  bool syn_lost(const FastOpenPath& path, bool probe, Instant now);
  // Something that does not happen by chance.
  bool path_failed(const FastOpenPath& path, bool probe, Instant now);
  // Data went both ways on a connection that had sent data in its SYN.
  void path_works(const FastOpenPath& path) noexcept;
  // The probe ended without having shown either: somebody else may try.
  void probe_over(const FastOpenPath& path, Instant now) noexcept;

  // What is known, and made the last to be forgotten; null: nothing. `now`: a cookie that is too old is none.
  FastOpenCacheEntry* use(const FastOpenPath& path, Instant now);
  // False: there is no room for even one.
  bool set(const FastOpenCacheEntry& entry);
  void clear(std::optional<std::uint64_t> partition);
  // Down to the bound, if it has been lowered.
  void trim();
  [[nodiscard]] std::vector<FastOpenCacheEntry> entries(Instant now) const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  // How long a path is left alone that has been found to be a blackhole so many times in a row: as Linux, twice as long
  // each time, 64 times the base at most.
  [[nodiscard]] Duration pause(std::uint32_t blackholes) const noexcept;

 private:
  static constexpr std::uint32_t kLossesOfBlackhole = 2;
  struct PathHash {
    std::size_t operator()(const FastOpenPath& path) const noexcept;
  };
  struct PathOf {
    FastOpenPath operator()(const FastOpenCacheEntry& entry) const noexcept {
      return {entry.source, entry.destination, entry.partition};
    }
  };
  [[nodiscard]] bool expired(const FastOpenCacheEntry& entry, Instant now) const noexcept;
  // Finds or adds, and makes it the last to be forgotten; null: the cache is switched off.
  FastOpenCacheEntry* entry_of(const FastOpenPath& path);

  const Settings& settings_;
  LruTable<FastOpenCacheEntry, PathOf, PathHash> entries_;
};

// What a connection's SYN carries for Fast Open.
struct ClientPlan {
  std::optional<wire::FastOpenOption> option;  // a cookie or the request for one
  bool may_send_data = false;
  bool probe = false;     // the one connection that tries a path again that was found to be a blackhole
  std::uint16_t mss = 0;  // the server's, as far as known
  FastOpenOutcome outcome = FastOpenOutcome::NotTried;
};

// RFC 7413 §4.2.1. `no_cookie`: the application vouches for the path (TCP_FASTOPEN_NO_COOKIE).
ClientPlan plan_client(ClientCache& cache, const Settings& settings, const FastOpenPath& path, bool no_cookie,
                       Instant now);

}  // namespace ff::tcp
