// What a connection may use of the stack that it belongs to.
#pragma once

#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/packet.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "firstflight/trace.hpp"
#include "tcp/cc/registry.hpp"
#include "tcp/fastopen/client_cache.hpp"
#include "tcp/memory.hpp"
#include "tcp/metrics_cache.hpp"

namespace ff::tcp {

// Packets that belong to no connection any more, or not yet: resets, and the answers of requests and TIME_WAIT entries.
class Outbox {
 public:
  // A cleared packet to fill in, for IPv4 or IPv6; null when the bound is reached (which is counted).
  virtual TxPacket* add(bool v4) = 0;

 protected:
  ~Outbox() = default;
};

// At most `limit` challenge ACKs each second for the stack as a whole (RFC 5961 §7).
class ChallengeAckLimit {
 public:
  bool allow(Instant now, std::uint32_t limit) noexcept {
    if (now - second_began_ >= std::chrono::seconds(1)) {
      second_began_ = now;
      sent_ = 0;
    }
    return sent_++ < limit;
  }

 private:
  Instant second_began_{};
  std::uint32_t sent_ = 0;
};

struct Environment {
  explicit Environment(const SipHashKey& metrics_key) : metrics(metrics_key) {}

  Settings settings;
  Counters counters;
  Memory memory;
  SipHashKey timestamp_key;
  ClientCache fast_open_cache{settings};
  MetricsCache metrics;
  CongestionControls congestion_controls;
  ChallengeAckLimit challenge_acks;
  Outbox* outbox = nullptr;
  TraceSink* trace = nullptr;  // null: nobody listens
};

}  // namespace ff::tcp
