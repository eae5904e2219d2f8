// A stack with all it needs to run in this process: its device, a capture if wanted, and the loop that drives it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/common_options.hpp"
#include "cli/ladder.hpp"
#include "device/capture.hpp"
#include "device/pcapng.hpp"
#include "device/tun.hpp"
#include "firstflight/stack.hpp"
#include "runtime/control_service.hpp"
#include "runtime/control_socket.hpp"
#include "runtime/loop.hpp"

namespace ff::cli {

class StackHost {
 public:
  // Throws UsageError when a device, privilege or file is missing. `ladder`: who is shown every packet, or null; it
  // must outlive this.
  explicit StackHost(const StackOptions& options, LadderRecorder* ladder = nullptr);

  [[nodiscard]] Stack& stack() noexcept { return stack_; }
  [[nodiscard]] Loop& loop() noexcept { return loop_; }
  // What the control socket answers; a subcommand may add to it.
  [[nodiscard]] control::Service& control() noexcept { return service_; }
  [[nodiscard]] const std::vector<Cidr>& addresses() const noexcept { return addresses_; }
  // "tun:ff0"
  [[nodiscard]] const std::string& device_name() const noexcept { return device_name_; }
  [[nodiscard]] bool has_family(bool v4) const noexcept;
  // The device's.
  [[nodiscard]] std::uint16_t mtu() const noexcept { return tun_->mtu(); }

  // What went wrong beneath the stack: the device went away, which ends the loop, or the capture is not complete. Empty
  // while all is well.
  [[nodiscard]] std::string trouble() const;

 private:
  void open_device(const StackOptions& options);
  void open_capture(const std::string& path);
  void attach(const StackOptions& options);
  void flush_capture_every(Duration period);
  void open_control(const StackOptions& options);

  std::vector<Cidr> addresses_;
  std::string device_name_;
  // In the order in which packets leave.
  std::unique_ptr<TunDevice> tun_;
  std::unique_ptr<FileSink> pcap_file_;
  std::unique_ptr<PcapngWriter> pcap_writer_;
  std::unique_ptr<CaptureDevice> capture_;
  std::unique_ptr<LadderTap> tap_;
  Device* outermost_ = nullptr;
  bool device_lost_ = false;
  Stack stack_;
  Loop loop_;
  control::Service service_;
  std::optional<ControlSocket> control_;
};

}  // namespace ff::cli
