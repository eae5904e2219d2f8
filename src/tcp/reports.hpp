// What an application wants to hear of a connection besides its bytes: when they went out, arrived at the peer and came
// in (SO_TIMESTAMPING), and what the network said (IP_RECVERR). Exists for those connections alone that were asked.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ring.hpp"
#include "base/seq.hpp"
#include "firstflight/datagram.hpp"
#include "firstflight/packet.hpp"
#include "firstflight/stamps.hpp"

namespace ff::tcp {

class Reports {
 public:
  // ---- bytes that go out ----
  // The byte before `end` is to be stamped, which lies `written` bytes into the stream. As in Linux, where it will
  // leave together with one that waits for its stamp, it takes that one's place: `together` bytes from `nxt` on do.
  void want(Seq end, std::uint32_t written, const StampRequest& what, Seq nxt, std::uint32_t together);
  // [.., nxt) has gone out, the last of it in `packet`, and [.., una) is acknowledged. True: there is news.
  bool sent(Seq nxt, Instant now, const TxPacket& packet);
  bool acknowledged(Seq una, Instant now);
  std::optional<TransmitStamp> next_stamp();

  // ---- bytes that come in ----
  // The stream is now `place` bytes long.
  void arrived(std::uint64_t place, Instant now);
  // When the byte before `place` came.
  [[nodiscard]] std::optional<Instant> arrival_of(std::uint64_t place) const noexcept;
  // Nobody will ask any more for what lies before `place`.
  void forget_before(std::uint64_t place) noexcept;

  // ---- the network ----
  void failed(DatagramError error);
  std::optional<DatagramError> next_error();

 private:
  // More that nobody reads are lost, as in Linux, whose bound is the receive buffer.
  static constexpr std::size_t kMaxWaiting = 256;
  // Arrivals beyond these are told as one, at the time of the last.
  static constexpr std::size_t kMaxArrivals = 1024;

  struct Wanted {
    Seq end;
    std::uint32_t key;
    StampRequest what;
    Slice packet;
    std::uint16_t header = 0;  // of the packet
  };
  struct Arrival {
    std::uint64_t end;
    Instant at;
  };
  bool tell(const Wanted& wanted, std::uint8_t kind, Instant now, Slice packet);

  Ring<Wanted> unsent_, unacknowledged_;
  Ring<TransmitStamp> stamps_;
  Ring<Arrival> arrivals_;
  Ring<DatagramError> errors_;
};

}  // namespace ff::tcp
