// Carries the echo requests of programs, which a stack that stands for every host cannot answer: whether a host is
// alive only a request over the Network says. Stands between the stack and its device, and takes them out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "firstflight/device.hpp"
#include "relay/stream.hpp"
#include "wire/icmp.hpp"

namespace ff::relay {

class EchoCarrier final : public Device {
 public:
  using Clock = std::function<Instant()>;

  // `device` and `outer` must outlive it. `own`: the stack's addresses, for which it answers itself.
  EchoCarrier(Device& device, Network& outer, std::vector<IpAddress> own, Clock clock);

  [[nodiscard]] std::uint16_t mtu() const noexcept override { return device_.mtu(); }
  [[nodiscard]] bool ethernet() const noexcept override { return device_.ethernet(); }
  bool receive(RxPacket& packet) override;
  SendResult send(Instant now, TxPacket& packet) override { return device_.send(now, packet); }
  void flush(Instant now) override { device_.flush(now); }
  [[nodiscard]] int poll_descriptor() const noexcept override { return device_.poll_descriptor(); }

 private:
  struct Key {
    IpAddress program, remote;
    std::uint16_t identifier;
    friend auto operator<=>(const Key&, const Key&) noexcept = default;
  };
  struct Flow {
    std::unique_ptr<DatagramChannel> channel;
    Slice request;  // the last packet, for errors to quote
    Instant last{};
  };

  bool take(const RxPacket& packet);
  void carry(Instant now, const Key& key, const RxPacket& packet, const wire::IpView& ip);
  void from_network(Instant now, const Key& key);
  void answer(Instant now, const Key& key, ByteSpan message);
  void refuse(Instant now, const Key& key, const Slice& request, Error why);
  void emit(Instant now, const wire::IpHeader& ip, std::string message);
  void make_room(Instant now);

  Device& device_;
  Network& outer_;
  std::vector<IpAddress> own_;
  Clock clock_;
  std::map<Key, Flow> flows_;
};

}  // namespace ff::relay
