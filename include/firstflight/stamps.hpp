// When bytes went out and arrived: Linux's SO_TIMESTAMPING, without the hardware.
#pragma once

#include <cstdint>

#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"

namespace ff {

namespace stamp_bits {
inline constexpr std::uint8_t kScheduled = 1;     // SCM_TSTAMP_SCHED: given to the device's queue
inline constexpr std::uint8_t kSent = 2;          // SCM_TSTAMP_SND: given to the device
inline constexpr std::uint8_t kAcknowledged = 4;  // SCM_TSTAMP_ACK: the peer has it
}  // namespace stamp_bits

// What is wanted of the last byte of a write, or of a datagram.
struct StampRequest {
  std::uint8_t kinds = 0;    // stamp_bits
  bool with_packet = false;  // without SOF_TIMESTAMPING_OPT_TSONLY: the packet, too
  std::uint32_t key = 0;     // of a datagram: comes back in the stamp
};

struct TransmitStamp {
  std::uint8_t kind = 0;  // one of stamp_bits
  // Of a stream: how many bytes were written before that byte, modulo 2^32. Of a datagram: the key.
  std::uint32_t key = 0;
  Instant at{};
  Slice packet;  // from its IP header on; with kAcknowledged its payload alone
};

}  // namespace ff
