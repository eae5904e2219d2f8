// What a stack needs on Ethernet-like devices: headers of frames, ARP (RFC 826, RFC 5227) and neighbour discovery (RFC
// 4861). A stack without such a device has no object of this class and pays nothing for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "firstflight/seed.hpp"
#include "ip/interfaces.hpp"
#include "ip/neighbours.hpp"
#include "wire/arp.hpp"
#include "wire/ip.hpp"
#include "wire/neighbour_discovery.hpp"

namespace ff::ip {

class Ethernet {
 public:
  Ethernet(const Interfaces& interfaces, const Settings& settings, Counters& counters, const Seed& seed);

  // Tells everybody on the link who has the interface's addresses now (RFC 5227 §2.3, RFC 4861 §7.2.6).
  void announce(InterfaceId interface);

  // Takes the header off a frame. True: an IP packet for us follows; false: it was ARP, which is dealt with, or nothing
  // for us.
  bool frame_arrives(Instant now, InterfaceId interface, RxPacket& frame);
  // A neighbour solicitation or advertisement, its checksum verified. `frame_source`: who sent the frame.
  void discovery_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, ByteSpan message,
                         const MacAddress& frame_source);
  // Whether `group` is one that hosts with the interface's addresses are in.
  [[nodiscard]] bool is_own_group(InterfaceId interface, const IpAddress& group) const noexcept;

  // Writes the header of the frame for `packet`. False: its neighbour must be found first; the packet waits here.
  bool address(Instant now, TxPacket& packet);
  // The next frame to send of those that were not sent on at once; false when there is none.
  bool poll(TxPacket& packet);
  // A packet whose neighbour did not answer; null when there is none.
  std::unique_ptr<TxPacket> take_failed();

  void handle_deadline(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept {
    return std::min(neighbours_v4_.next_deadline(), neighbours_v6_.next_deadline());
  }
  [[nodiscard]] std::vector<Neighbour> neighbours() const;

 private:
  // Answers that wait for the device. More than this is a flood of questions.
  static constexpr std::size_t kMaxAnswers = 512;

  void arp_arrives(Instant now, InterfaceId interface, const MacAddress& to, ByteSpan message);
  void solicitation_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip,
                            const wire::NeighbourMessage& message, const MacAddress& frame_source);
  void advertisement_arrives(Instant now, InterfaceId interface, const wire::NeighbourMessage& message);
  void ask(const Neighbours::Question& question);
  void send_arp(InterfaceId interface, const MacAddress& to, const wire::ArpMessage& message);
  void send_discovery(InterfaceId interface, const IpAddress& from, const IpAddress& to, const MacAddress& link_to,
                      const wire::NeighbourMessage& message);
  void write_header(TxPacket& packet, const MacAddress& to, std::uint16_t type) const noexcept;
  void sort_out(Neighbours& neighbours);
  TxPacket* new_frame(InterfaceId interface);

  const Interfaces& interfaces_;
  Counters& counters_;
  Neighbours neighbours_v4_, neighbours_v6_;
  Ring<std::unique_ptr<TxPacket>> ready_;
  Ring<std::unique_ptr<TxPacket>> failed_;
};

}  // namespace ff::ip
