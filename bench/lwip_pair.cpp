#include "lwip_pair.hpp"

#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/ring.hpp"
#include "measure.hpp"
#include "stream.hpp"

namespace ff::bench {
namespace {

constexpr std::uint16_t kBulkPort = 5001;
constexpr std::uint16_t kShortPort = 6000;
constexpr std::uint16_t kMtu = 1500;

void must(err_t error, const char* what) {
  if (error != ERR_OK) throw std::runtime_error(std::string("lwIP: ") + what + ": " + std::to_string(error));
}

// A packet on its way from one interface to the other, in memory that is used again.
struct Frame {
  pbuf_custom head;  // first: lwIP hands back a pointer to it
  std::vector<Frame*>* spare;
  std::array<std::uint8_t, kMtu> bytes;
};

void give_back(pbuf* packet) {
  auto* frame = reinterpret_cast<Frame*>(packet);
  frame->spare->push_back(frame);
}

struct Wire {
  netif interface{};
  Wire* peer = nullptr;
  Ring<pbuf*> in;
  std::vector<std::unique_ptr<Frame>> frames;
  std::vector<Frame*> spare;

  pbuf* frame(std::uint16_t size) {
    if (spare.empty()) {
      frames.push_back(std::make_unique<Frame>());
      frames.back()->spare = &spare;
      frames.back()->head.custom_free_function = give_back;
      spare.push_back(frames.back().get());
    }
    Frame* taken = spare.back();
    spare.pop_back();
    return pbuf_alloced_custom(PBUF_RAW, size, PBUF_REF, &taken->head, taken->bytes.data(), kMtu);
  }
};

// What a wire does: the packet is copied, for its sender keeps it and its receiver changes it.
err_t send(netif* interface, pbuf* packet, const ip4_addr_t* /*next_hop*/) {
  auto* wire = static_cast<Wire*>(interface->state);
  pbuf* copy = wire->peer->frame(packet->tot_len);
  pbuf_copy_partial(packet, copy->payload, packet->tot_len, 0);
  wire->peer->in.push_back(copy);
  return ERR_OK;
}

err_t send_v6(netif*, pbuf*, const ip6_addr_t*) { return ERR_OK; }  // nobody there

err_t start_interface(netif* interface) {
  interface->name[0] = 'f';
  interface->name[1] = 'f';
  interface->mtu = kMtu;
  interface->output = send;
  interface->output_ip6 = send_v6;
  return ERR_OK;
}

}  // namespace

class LwipPair::Impl {
 public:
  Impl() {
    lwip_init();
    add(client_, 1);
    add(server_, 2);
    client_.peer = &server_;
    server_.peer = &client_;
    bulk_listener_ = listen(kBulkPort, accept_bulk);
    short_listener_ = listen(kShortPort, accept_short);
  }
  ~Impl() {
    forget_time_waits();
    tcp_close(bulk_listener_);
    tcp_close(short_listener_);
    netif_remove(&client_.interface);
    netif_remove(&server_.interface);
  }

  Duration move(std::uint64_t bytes, bool verify) {
    const Duration start = processor_time();
    bytes_ = bytes;
    written_ = arrived_ = 0;
    verify_ = verify;
    over_ = false;
    out_ = connect(kBulkPort, [](void* self, tcp_pcb*, err_t) -> err_t {
      static_cast<Impl*>(self)->write();
      return ERR_OK;
    });
    tcp_sent(out_, [](void* self, tcp_pcb*, u16_t) -> err_t {
      static_cast<Impl*>(self)->write();
      return ERR_OK;
    });
    while (!over_) turn();
    while (turn()) {
    }
    if (arrived_ != bytes) throw std::runtime_error("lwIP: bytes are missing");
    forget_time_waits();
    return processor_time() - start;
  }

  Duration connect_and_close(std::uint64_t count, bool keep_time_waits) {
    const Duration start = processor_time();
    closed_ = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      connect(kShortPort, [](void*, tcp_pcb* pcb, err_t) -> err_t { return tcp_close(pcb); });
      while (turn()) {
      }
      if (!keep_time_waits) forget_time_waits();
    }
    if (closed_ != count) throw std::runtime_error("lwIP: not every connection was closed");
    return processor_time() - start;
  }

  void forget_time_waits() {
    while (tcp_tw_pcbs != nullptr) tcp_abort(tcp_tw_pcbs);
  }

 private:
  // Interfaces in networks of their own: within one network lwIP would short-cut to the other's address.
  void add(Wire& wire, std::uint8_t network) {
    ip4_addr_t address, mask, gateway;
    IP4_ADDR(&address, 10, 0, network, 1);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 10, 0, network, 2);
    if (netif_add(&wire.interface, &address, &mask, &gateway, &wire, start_interface, ip_input) == nullptr) {
      throw std::runtime_error("lwIP: netif_add");
    }
    netif_set_up(&wire.interface);
    netif_set_link_up(&wire.interface);
  }

  tcp_pcb* listen(std::uint16_t port, tcp_accept_fn accept) {
    tcp_pcb* pcb = tcp_new();
    tcp_bind_netif(pcb, &server_.interface);
    must(tcp_bind(pcb, &server_.interface.ip_addr, port), "tcp_bind");
    pcb = tcp_listen(pcb);
    tcp_arg(pcb, this);
    tcp_accept(pcb, accept);
    return pcb;
  }

  tcp_pcb* connect(std::uint16_t port, tcp_connected_fn connected) {
    tcp_pcb* pcb = tcp_new();
    tcp_bind_netif(pcb, &client_.interface);
    tcp_arg(pcb, this);
    must(tcp_connect(pcb, &server_.interface.ip_addr, port, connected), "tcp_connect");
    return pcb;
  }

  // Delivers what is on the wires; says whether there was anything.
  bool turn() {
    sys_check_timeouts();
    bool any = deliver(server_);
    any |= deliver(client_);
    return any;
  }
  static bool deliver(Wire& wire) {
    constexpr int kBatch = 64;
    int packets = 0;
    for (; packets < kBatch && !wire.in.empty(); ++packets) {
      pbuf* packet = wire.in.front();
      wire.in.pop_front();
      if (wire.interface.input(packet, &wire.interface) != ERR_OK) pbuf_free(packet);
    }
    return packets > 0;
  }

  // In whole segments while there is room for them, so that none is short.
  void write() {
    if (out_ == nullptr) return;
    while (written_ < bytes_) {
      const std::uint32_t room = tcp_sndbuf(out_) / TCP_MSS * TCP_MSS;
      const ByteSpan piece = stream_.at(written_, std::min<std::uint64_t>(bytes_ - written_, room));
      if (room == 0 || tcp_write(out_, piece.data(), static_cast<u16_t>(piece.size()), 0) != ERR_OK) break;
      written_ += piece.size();
    }
    tcp_output(out_);
    if (written_ == bytes_) {
      tcp_sent(out_, nullptr);
      must(tcp_close(out_), "tcp_close");
      out_ = nullptr;
    }
  }

  static err_t accept_bulk(void* self, tcp_pcb* pcb, err_t error) {
    must(error, "accept");
    tcp_arg(pcb, self);
    tcp_recv(pcb, [](void* arg, tcp_pcb* from, pbuf* data, err_t) -> err_t {
      auto* impl = static_cast<Impl*>(arg);
      if (data == nullptr) {
        impl->over_ = true;
        return tcp_close(from);
      }
      impl->read(from, data);
      return ERR_OK;
    });
    return ERR_OK;
  }

  void read(tcp_pcb* from, pbuf* data) {
    if (verify_) {
      std::uint64_t position = arrived_;
      for (const pbuf* part = data; part != nullptr; part = part->next) {
        const ByteSpan bytes(static_cast<const std::uint8_t*>(part->payload), part->len);
        if (!stream_.matches(position, bytes)) throw std::runtime_error("lwIP: wrong bytes");
        position += part->len;
      }
    }
    arrived_ += data->tot_len;
    tcp_recved(from, data->tot_len);
    pbuf_free(data);
  }

  static err_t accept_short(void* self, tcp_pcb* pcb, err_t error) {
    must(error, "accept");
    tcp_arg(pcb, self);
    tcp_recv(pcb, [](void* arg, tcp_pcb* from, pbuf* data, err_t) -> err_t {
      if (data != nullptr) throw std::runtime_error("lwIP: data that nobody sent");
      ++static_cast<Impl*>(arg)->closed_;
      return tcp_close(from);
    });
    return ERR_OK;
  }

  Wire client_;
  Wire server_;
  const Stream& stream_ = Stream::instance();
  tcp_pcb* bulk_listener_ = nullptr;
  tcp_pcb* short_listener_ = nullptr;
  tcp_pcb* out_ = nullptr;
  std::uint64_t bytes_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t closed_ = 0;
  bool verify_ = false;
  bool over_ = false;
};

LwipPair::LwipPair() : impl_(std::make_unique<Impl>()) {}
LwipPair::~LwipPair() = default;
Duration LwipPair::move(std::uint64_t bytes, bool verify) { return impl_->move(bytes, verify); }
Duration LwipPair::connect_and_close(std::uint64_t count, bool keep_time_waits) {
  return impl_->connect_and_close(count, keep_time_waits);
}
void LwipPair::forget_time_waits() { impl_->forget_time_waits(); }

}  // namespace ff::bench
