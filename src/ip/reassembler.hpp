// Fragments become packets again (RFC 791 §3.2, RFC 8200 §4.5), in bounded memory. Overlapping ones never do (RFC
// 5722), for both IP versions. One object for each version.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/pool.hpp"
#include "base/ring.hpp"
#include "base/siphash.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/network.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "wire/ip.hpp"

namespace ff::ip {

class Reassembler {
 public:
  Reassembler(bool v4, const Settings& settings, Counters& counters, const SipHashKey& key);

  // `packet` holds the fragment whole, with its IP header; `fragment` says what it is. When it was the last that was
  // missing, the packet that it completes.
  std::optional<Slice> add(Instant now, InterfaceId interface, const wire::FragmentView& fragment, ByteSpan packet);

  // When expire() must be called at the latest.
  [[nodiscard]] Instant next_deadline() const noexcept { return queue_.empty() ? kNever : queue_.front().deadline; }
  // A packet that did not become whole in time. `first`: its first fragment, for the sender to be told; empty when that
  // one never came.
  struct Expired {
    InterfaceId interface;
    Slice first;
  };
  // One that is due; call until there is none.
  std::optional<Expired> expire(Instant now);

  // Bytes of memory, overhead included.
  [[nodiscard]] std::size_t memory() const noexcept { return memory_; }
  [[nodiscard]] std::size_t size() const noexcept { return packets_.size(); }

 private:
  using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  struct Key {
    IpAddress source, destination;
    std::uint32_t identification = 0;
    std::uint8_t protocol = 0;  // IPv4 alone has it in the key (RFC 791 §3.2)
    friend bool operator==(const Key&, const Key&) noexcept = default;
  };
  struct Piece {
    std::uint32_t offset = 0;
    Slice bytes;
    [[nodiscard]] std::uint32_t end() const noexcept { return offset + bytes.size(); }
  };
  // A packet in the making.
  struct Packet {
    explicit Packet(std::uint32_t its_index) noexcept : index(its_index) {}
    const std::uint32_t index;
    Key key;
    std::uint32_t source = 0;  // index
    InterfaceId interface = 0;
    Instant deadline{};
    Ring<Piece> pieces;  // by offset
    std::uint32_t received = 0;
    std::optional<std::uint32_t> total;  // the last piece says
    std::size_t memory = 0;
    Slice first;                    // the fragment with offset 0, whole
    std::uint32_t header_size = 0;  // of it, up to what was cut
    std::uint32_t next_header_field = 0;
    std::uint8_t protocol = 0;
    std::uint8_t ecn_seen = 0;  // a bit for each of the four codepoints
    bool spoilt = false;        // never becomes a packet: what still comes of it is dropped (RFC 5722 §4)
    Hook queue_hook, source_hook;
  };
  template <Hook Packet::* hook>
  using List = boost::intrusive::list<Packet, boost::intrusive::member_hook<Packet, Hook, hook>,
                                      boost::intrusive::constant_time_size<false>>;
  // Who sends: an IPv4 host, or an IPv6 network of 64 bits, in which one host can have any address.
  struct Source {
    explicit Source(std::uint32_t its_index) noexcept : index(its_index) {}
    const std::uint32_t index;
    IpAddress address;
    std::size_t memory = 0;
    List<&Packet::source_hook> packets;  // the oldest first
  };
  struct Hash {
    using is_avalanching = void;
    SipHashKey key;
    std::size_t operator()(const Key& packet) const noexcept;
    std::size_t operator()(const IpAddress& address) const noexcept;
  };

  [[nodiscard]] std::size_t limit() const noexcept {
    return v4_ ? settings_.ipfrag_high_thresh : settings_.ip6frag_high_thresh;
  }
  [[nodiscard]] bool is_heavy(const Source& source) const noexcept;
  Packet& packet_of(Instant now, InterfaceId interface, const Key& key);
  Source& source_of(const IpAddress& address);
  // Whether `fragment` goes with what is there; spoils the packet, or drops the fragment, when it does not.
  bool accept(Packet& packet, const wire::FragmentView& fragment);
  void insert(Packet& packet, const wire::FragmentView& fragment, ByteSpan bytes);
  void remember_first(Packet& packet, const wire::FragmentView& fragment, const Slice& whole);
  std::optional<Slice> finish(Packet& packet);
  bool make_room(std::size_t bytes, std::uint32_t for_packet);
  [[nodiscard]] Packet* victim(const Source& arriving) noexcept;
  void charge(Packet& packet, std::size_t bytes);
  void refund(Packet& packet, std::size_t bytes) noexcept;
  void spoil(Packet& packet, DropReason reason) noexcept;
  void fail(DropReason reason) noexcept;
  void remove(Packet& packet) noexcept;

  const bool v4_;
  const Settings& settings_;
  Counters& counters_;
  std::size_t memory_ = 0;
  Pool<Packet> packets_;
  Pool<Source> sources_;
  boost::unordered_flat_map<Key, std::uint32_t, Hash> by_key_;
  boost::unordered_flat_map<IpAddress, std::uint32_t, Hash> by_source_;
  std::vector<std::uint32_t> heavy_;  // sources that were found heavy; some may not be any more
  List<&Packet::queue_hook> queue_;   // the first to expire is the first to come
};

}  // namespace ff::ip
