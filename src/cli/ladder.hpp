// Packets as a ladder diagram: time runs down, packets cross between this side (left) and the peer (right), with
// sequence numbers counted from each side's SYN. Recording makes rows; rendering makes text of rows, wherever they came
// from.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/device.hpp"
#include "firstflight/time.hpp"
#include "wire/tcp.hpp"

namespace ff::cli {

enum class LadderDirection : std::uint8_t { Sent, Received };

// One packet or super-segment.
struct LadderRow {
  Instant time{};
  LadderDirection direction = LadderDirection::Sent;
  FourTuple tuple;  // seen from this side; ports 0 when it is not TCP
  wire::TcpFlags flags;
  std::uint32_t seq = 0;       // relative to the sender's SYN
  std::uint32_t ack = 0;       // relative to the other side's SYN; says nothing without the ACK flag
  std::uint32_t window = 0;    // bytes, scaled where both sides agreed to
  std::uint32_t payload = 0;   // bytes
  std::uint32_t segments = 1;  // packets on the wire that this stands for
  wire::TcpOptions options;    // SACK blocks relative like `ack`
  std::string note;            // what it is when it is not TCP, or malformed; otherwise empty
  std::string label;           // stands before it, to tell connections apart; may be empty
  std::string remark;          // stands behind it, such as "lost"; may be empty
};

// Makes rows of packets, in the order in which they pass.
class LadderRecorder {
 public:
  // Packets over `limit` are counted and not kept.
  explicit LadderRecorder(std::size_t limit = 10'000) : limit_(limit) {}

  // `bytes`: the packet from its IP header, at least up to the end of the TCP header. `size`: of the whole packet.
  void record(Instant time, LadderDirection direction, ByteSpan bytes, std::uint32_t size,
              std::uint16_t segment_size = 0);

  [[nodiscard]] const std::vector<LadderRow>& rows() const noexcept { return rows_; }
  [[nodiscard]] std::vector<LadderRow> rows_of(const FourTuple& tuple) const;
  [[nodiscard]] std::uint64_t omitted() const noexcept { return omitted_; }

 private:
  // What is known of one side of a connection.
  struct Side {
    bool seen = false;
    Seq initial;
    bool scales = false;
    WindowScale scale;
  };
  struct Flow {
    Side local, remote;
  };
  void describe_tcp(LadderRow& row, const wire::TcpHeader& header);

  std::size_t limit_;
  std::uint64_t omitted_ = 0;
  std::vector<LadderRow> rows_;
  std::map<std::pair<Endpoint, Endpoint>, Flow> flows_;
};

// A device that shows a recorder all that passes.
class LadderTap final : public Device {
 public:
  using Clock = std::function<Instant()>;  // for received packets
  LadderTap(Device& inner, LadderRecorder& recorder, Clock clock)
      : inner_(inner), recorder_(recorder), clock_(std::move(clock)) {}

  [[nodiscard]] std::uint16_t mtu() const noexcept override { return inner_.mtu(); }
  [[nodiscard]] bool ethernet() const noexcept override { return inner_.ethernet(); }
  bool receive(RxPacket& packet) override;
  SendResult send(Instant now, TxPacket& packet) override;
  void flush(Instant now) override { inner_.flush(now); }
  [[nodiscard]] int poll_descriptor() const noexcept override { return inner_.poll_descriptor(); }

 private:
  Device& inner_;
  LadderRecorder& recorder_;
  Clock clock_;
};

struct LadderStyle {
  std::size_t width = 100;  // characters of a line
  bool unicode = true;
};

struct Ladder {
  std::string title;
  std::vector<LadderRow> rows;
  std::optional<Instant> start{};  // what times are counted from; otherwise the first row
};

// Times are milliseconds since the start, or seconds where it lasts very long. Each line ends with a newline and is at
// most `style.width` long, unless that is too narrow for any ladder.
std::string render_ladder(const Ladder& ladder, const LadderStyle& style);

// Two ladders in two columns; what happened at the same time after each one's first row stands on the same line.
std::string render_ladders(const Ladder& left, const Ladder& right, const LadderStyle& style);

// What this terminal can show: its width, and Unicode if the locale says so.
LadderStyle terminal_ladder_style(int descriptor);

}  // namespace ff::cli
