// A UDP socket, or one for ICMP echo, as the application has it.
#pragma once

#include <optional>
#include <string>

#include "posix/socket.hpp"

namespace ff::posix {

class DatagramSocket final : public Socket {
 public:
  DatagramSocket(System& system, int family, DatagramProtocol protocol)
      : Socket(system, family, SOCK_DGRAM), protocol_(protocol) {}
  ~DatagramSocket() override { close(); }

  long bind(const sockaddr* address, socklen_t length) override;
  long listen(int backlog) override;
  long accept(std::shared_ptr<Socket>& accepted, Endpoint& peer) override;
  long connect(const sockaddr* address, socklen_t length) override;
  long shutdown(int how) override;
  long name(Endpoint& endpoint) override;
  long peer(Endpoint& endpoint) override;
  long send(const msghdr& message, int flags) override;
  long receive(msghdr& message, int flags) override;
  long ioctl(unsigned long request, int& value) override;
  [[nodiscard]] std::uint32_t poll() override;
  void happened(const Event& event) override;

 private:
  // What is special about one message.
  struct Extras : DatagramExtras {
    std::uint32_t timestamping = 0;
  };
  // Takes note of what happened in the meantime.
  void look();
  [[nodiscard]] bool is_open() const noexcept { return socket_.generation != 0; }
  long open(const Endpoint& local);
  long disconnect();
  [[nodiscard]] DatagramOptions datagram_options() const noexcept;
  long read_destination(const sockaddr* address, socklen_t length, Endpoint& remote) const noexcept;
  long destination_of(const msghdr& message, std::optional<Endpoint>& to) const noexcept;
  long send_whole(const Slice& bytes, const std::optional<Endpoint>& to, Extras extras, int flags);
  void describe(const Datagram& datagram, msghdr& message);
  long read_controls(const msghdr& message, bool over_v4, Extras& extras) const;
  long read_ip_control(const Control& control, Extras& extras) const;
  long read_ipv6_control(const Control& control, Extras& extras) const;
  long close() override;

  long set_own_option(int level, int name, const OptionValue& value) override;
  long get_own_option(int level, int name, const OptionRoom& room) override;
  long apply_options() override;
  int take_error() override;
  [[nodiscard]] int protocol() const noexcept override;
  SocketMemory memory() override;
  long begin_stamp_keys(bool by_write) override;
  long path_mtu() override;
  bool is_bound() override { return is_open(); }

  const DatagramProtocol protocol_;
  DatagramId socket_;
  bool bound_ = false;  // by bind()
  Endpoint local_{};
  std::optional<Endpoint> remote_;
  unsigned shutdown_ = 0;
  // Taken from the stack to be looked at, and not read yet.
  std::optional<Datagram> first_;
  // MSG_MORE, UDP_CORK: what has been given of the datagram so far.
  std::optional<std::string> corked_;
  std::optional<Endpoint> corked_to_;
  Extras corked_extras_;
  std::uint32_t next_stamp_key_ = 0;  // sk_tskey
  bool cork_ = false;
};

}  // namespace ff::posix
