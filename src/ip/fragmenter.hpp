// A packet larger than its path carries becomes fragments (RFC 791 §3.2, RFC 8200 §4.5).
#pragma once

#include <array>
#include <cstdint>

#include "base/random.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/packet.hpp"

namespace ff::ip {

// Numbers for what may be fragmented: two packets of one source, destination and protocol must not have the same one as
// long as fragments of both may be under way, and nobody else should know the next (RFC 6864, RFC 7739 §5).
class FragmentIds {
 public:
  FragmentIds(const SipHashKey& key, Random random) : key_(key), random_(random) {}
  std::uint32_t next(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol) noexcept;

 private:
  SipHashKey key_;
  Random random_;
  std::array<std::uint16_t, 512> turns_{};
};

// Cuts one packet at a time.
class Fragmenter {
 public:
  // Takes `packet`, without a link header, apart. `mtu` holds the IP header and eight bytes at least. The transport
  // checksum is completed first: no device can any more.
  void begin(TxPacket& packet, std::uint16_t mtu, std::uint32_t identification) noexcept;

  // The next fragment; false when there is none.
  bool next(TxPacket& fragment) noexcept;

 private:
  [[nodiscard]] bool is_v4() const noexcept { return whole_.header_bytes[0] >> 4 == 4; }
  void write_header(TxPacket& fragment, std::uint32_t size, bool more) const noexcept;
  void take_payload(TxPacket& fragment, std::uint32_t size) noexcept;

  TxPacket whole_;
  std::uint32_t identification_ = 0;
  std::uint32_t step_ = 0;    // bytes behind the IP header in each fragment but the last
  std::uint32_t total_ = 0;   // bytes behind the IP header
  std::uint32_t offset_ = 0;  // of the next fragment in them; at the total nothing is left
  std::uint16_t piece_ = 0;   // where that is in the payload
  std::uint32_t piece_offset_ = 0;
};

}  // namespace ff::ip
