// What is left of a scenario once it was played: what was said and checked, every packet, and what had a part in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"

namespace ff::lab {

// A packet as the client's interface sees it pass, or as its sender sees it when it never gets there.
struct SeenPacket {
  Instant time{};
  bool from_client = true;
  Slice bytes;
  std::string fate;    // "lost", "forged"; empty: nothing to remark
  std::string what{};  // what it is when it is no IP packet, such as an ARP message
};

struct Remark {
  enum class Kind : std::uint8_t { Said, Held, Failed };
  Instant time{};
  Kind kind = Kind::Said;
  std::string text;
};

// A setting, or a parameter of the scenario (then without a host).
struct SettingUsed {
  std::string host, name, value;
  bool by_user = false;
};

struct CounterUsed {
  std::string host, name;
  std::uint64_t value = 0;
};

struct Outcome {
  std::vector<SeenPacket> packets;
  std::vector<Remark> story;
  std::vector<SettingUsed> settings;
  std::vector<CounterUsed> counters;
  Duration lasted{};  // virtual time

  // At least one thing was checked, and all that was checked held.
  [[nodiscard]] bool as_it_should_be() const noexcept {
    bool any = false;
    for (const Remark& remark : story) {
      if (remark.kind == Remark::Kind::Failed) return false;
      any |= remark.kind == Remark::Kind::Held;
    }
    return any;
  }
};

}  // namespace ff::lab
