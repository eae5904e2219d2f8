// A TUN or TAP device of Linux: what the kernel routes into it we receive, what we send it receives.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "device/file_descriptor.hpp"
#include "device/slab_cursor.hpp"
#include "firstflight/device.hpp"

namespace ff {

struct TunOptions {
  std::string name;    // empty: the kernel chooses one
  bool create = true;  // when there is none of that name; otherwise that is an error
  // Super-segments of up to 64 KiB and checksums left undone, in both directions. Without it each packet crosses as a
  // wire would carry it.
  bool offload = true;
  // TAP: with Ethernet headers, the kernel being a neighbour on the link that the device is.
  bool ethernet = false;
};

class TunDevice final : public Device {
 public:
  // The error is one sentence that says what was wrong and what would work. The device's link and addresses are left as
  // they are: see link.hpp.
  static std::expected<std::unique_ptr<TunDevice>, std::string> open(const TunOptions& options);

  // A device that another process has opened, in another network namespace perhaps, and whose descriptor it has handed
  // over. `options` and `mtu`: as it is there.
  static std::unique_ptr<TunDevice> adopt(FileDescriptor control, const TunOptions& options, std::uint16_t mtu);
  // The descriptor, to be handed over; the object is of no use any more.
  [[nodiscard]] FileDescriptor release() && noexcept { return std::move(control_); }

  // What the link had when the device was opened, or refresh_mtu() was called last.
  [[nodiscard]] std::uint16_t mtu() const noexcept override { return mtu_; }
  std::expected<void, std::string> refresh_mtu();
  [[nodiscard]] bool ethernet() const noexcept override { return link_header_size_ != 0; }
  bool receive(RxPacket& packet) override;
  SendResult send(Instant now, TxPacket& packet) override;
  [[nodiscard]] int poll_descriptor() const noexcept override { return control_.get(); }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // True when open() made the device: it is down then, without addresses, and goes away with this object.
  [[nodiscard]] bool created() const noexcept { return created_; }
  [[nodiscard]] bool offload() const noexcept { return offload_; }

  struct Counters {
    std::uint64_t receives = 0;        // packets and super-segments
    std::uint64_t sends = 0;           // likewise
    std::uint64_t receive_errors = 0;  // reads that failed, for example while the link is down
    std::uint64_t send_drops = 0;      // packets that the kernel refused, for example while the link is down
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  TunDevice(FileDescriptor control, const TunOptions& options, std::string name, bool created);
  SendResult send_offloaded(const TxPacket& packet);
  SendResult send_plain(const TxPacket& packet);
  template <typename Write>
  SendResult transfer(Write&& write);

  FileDescriptor control_;
  bool offload_;
  std::uint16_t link_header_size_;  // 0 for TUN
  bool created_;
  std::uint16_t mtu_ = 1500;
  std::string name_;
  SlabCursor slabs_;
  std::vector<std::uint8_t> cut_;  // one packet that the segmenter has finished
  Counters counters_;
};

}  // namespace ff
