// Records what passes through a device, as a wire would carry it: super-segments cut, checksums complete.
#pragma once

#include <functional>
#include <string_view>

#include "device/pcapng.hpp"
#include "firstflight/device.hpp"

namespace ff {

class CaptureDevice final : public Device {
 public:
  // Tells the time of received packets; the same clock as that of the `now` that send() is called with.
  using Clock = std::function<Instant()>;

  // `inner` and `writer` must outlive this. `wall_clock_offset`: what to add to an Instant to get nanoseconds since
  // 1970. Several devices may share one writer: each becomes an interface of the capture.
  CaptureDevice(Device& inner, PcapngWriter& writer, std::string_view name, Clock clock,
                Duration wall_clock_offset = Duration::zero());

  [[nodiscard]] std::uint16_t mtu() const noexcept override { return inner_.mtu(); }
  [[nodiscard]] bool ethernet() const noexcept override { return inner_.ethernet(); }
  bool receive(RxPacket& packet) override;
  SendResult send(Instant now, TxPacket& packet) override;
  void flush(Instant now) override;
  [[nodiscard]] int poll_descriptor() const noexcept override { return inner_.poll_descriptor(); }

 private:
  [[nodiscard]] std::uint64_t wall_time(Instant) const noexcept;
  void record(std::uint64_t time, PcapngWriter::Direction direction, ByteSpan link_header, const TxPacket& packet);

  Device& inner_;
  PcapngWriter& writer_;
  Clock clock_;
  Duration wall_clock_offset_;
  std::uint32_t interface_;
  TxPacket received_;  // a received packet as if it were to be sent, for the segmenter
};

}  // namespace ff
