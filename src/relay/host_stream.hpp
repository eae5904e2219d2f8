// A socket of the host's as a Stream.
#pragma once

#include <memory>

#include "device/file_descriptor.hpp"
#include "device/slab_cursor.hpp"
#include "relay/stream.hpp"
#include "runtime/loop.hpp"

namespace ff::relay {

class HostStream final : public Stream {
 public:
  // `socket` is non-blocking, and connected as `state` says. What is received lies in `slabs`.
  HostStream(Loop& loop, FileDescriptor socket, State state, std::shared_ptr<SlabCursor> slabs);
  ~HostStream() override;

  // Bytes that one call receives at most.
  static constexpr std::uint32_t kReceiveRoom = 128 * 1024;

  [[nodiscard]] State state() const override { return state_; }
  [[nodiscard]] Error error() const override { return error_; }
  void start(Instant now) override;
  Result<Piece> read(Instant now) override;
  Result<void> write(Instant now, Piece& piece) override;
  [[nodiscard]] bool all_sent() const override { return true; }  // the kernel has it
  void shutdown_write(Instant now) override;
  void close(Instant now) override;
  void abort(Instant now) override;

 private:
  void ready(Instant now, std::uint32_t events);
  void watch();
  void await_room();
  [[nodiscard]] bool at_urgent_mark() const noexcept;
  void fail(int error_number) noexcept;

  Loop& loop_;
  FileDescriptor socket_;
  State state_;
  Error error_ = Error::ConnectionReset;
  std::shared_ptr<SlabCursor> slabs_;
  // The last call did not say that there is nothing, or no room; edges of epoll set them again.
  bool readable_, writable_ = true;
  bool watched_ = false;
  bool awaits_room_;  // and hears of it
  bool peer_closed_ = false;
  bool urgent_ = false;  // an urgent byte is here
  bool shut_ = false;    // FIN once the connection stands
};

}  // namespace ff::relay
