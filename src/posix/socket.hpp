// What TCP and UDP sockets have in common: the calls that there are, errors, half-closes, and the options of the levels
// SOL_SOCKET, IPPROTO_IP and IPPROTO_IPV6. Every call returns what Linux's returns, or -errno.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "firstflight/socket_options.hpp"
#include "posix/error_queue.hpp"
#include "posix/file.hpp"
#include "posix/option_value.hpp"
#include "posix/system.hpp"

namespace ff::posix {

class ControlWriter;
struct Control;

// Options that the stack need not know.
struct CallOptions {
  std::optional<Duration> receive_timeout, send_timeout;  // SO_RCVTIMEO, SO_SNDTIMEO; nothing: no limit
  int receive_lowat = 1;                                  // SO_RCVLOWAT
  int receive_buffer = 0, send_buffer = 0;                // SO_RCVBUF, SO_SNDBUF as getsockopt() tells them; 0: unset
  std::uint64_t max_pacing_rate = UINT64_MAX;             // SO_MAX_PACING_RATE
  int tos = 0;                                            // IP_TOS
  int ttl = -1;                                           // IP_TTL; -1: the default
  int traffic_class = -1;                                 // IPV6_TCLASS, likewise
  int hop_limit = -1;                                     // IPV6_UNICAST_HOPS, likewise
  int mtu_discover = 1;                                   // IP_MTU_DISCOVER: IP_PMTUDISC_WANT
  bool ipv6_only = false;
  bool bind_no_port = false;  // IP_BIND_ADDRESS_NO_PORT
  bool receive_errors = false, receive_errors6 = false;
  // Control messages with each datagram.
  bool packet_info = false, packet_info6 = false, receive_ttl = false, receive_hop_limit = false, receive_tos = false,
       receive_traffic_class = false;

  [[nodiscard]] PathMtuDiscovery path_mtu_discovery() const noexcept;
};

class Socket : public File, public std::enable_shared_from_this<Socket> {
 public:
  // Linux's RCV_SHUTDOWN and SEND_SHUTDOWN.
  static constexpr unsigned kReceiveShut = 1, kSendShut = 2, kBothShut = 3;

  Socket(System& system, int family, int type);
  ~Socket() override;

  virtual long bind(const sockaddr* address, socklen_t length) = 0;
  virtual long listen(int backlog) = 0;
  // `peer`: whom it came from, though it may have gone again.
  virtual long accept(std::shared_ptr<Socket>& accepted, Endpoint& peer) = 0;
  virtual long connect(const sockaddr* address, socklen_t length) = 0;
  virtual long shutdown(int how) = 0;
  // Of getsockname(), getpeername().
  virtual long name(Endpoint& endpoint) = 0;
  virtual long peer(Endpoint& endpoint) = 0;
  virtual long send(const msghdr& message, int flags) = 0;
  virtual long receive(msghdr& message, int flags) = 0;
  virtual long ioctl(unsigned long request, int& value) = 0;
  long set_option(int level, int name, const OptionValue& value);
  long get_option(int level, int name, const OptionRoom& room);

  // The stack says so.
  virtual void happened(const Event& event) = 0;

  [[nodiscard]] int family() const noexcept { return family_; }
  [[nodiscard]] int type() const noexcept { return type_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

 protected:
  // Beyond the levels that all have.
  virtual long set_own_option(int level, int name, const OptionValue& value) = 0;
  virtual long get_own_option(int level, int name, const OptionRoom& room) = 0;
  // options_ or call_options_ have changed; what is not acceptable changes nothing.
  virtual long apply_options() = 0;
  // SO_ERROR: told once. 0: all is well.
  virtual int take_error() = 0;
  [[nodiscard]] virtual bool listening() { return false; }
  [[nodiscard]] virtual int protocol() const noexcept = 0;
  [[nodiscard]] virtual SocketMemory memory() = 0;
  // IP_MTU.
  [[nodiscard]] virtual long path_mtu() = 0;
  [[nodiscard]] virtual bool is_bound() = 0;

  [[nodiscard]] Stack& stack() const noexcept { return system_.stack; }
  [[nodiscard]] Instant receive_deadline(int flags);
  [[nodiscard]] Instant send_deadline(int flags);
  [[nodiscard]] bool may_wait(int flags) const noexcept { return !nonblocking && (flags & MSG_DONTWAIT) == 0; }
  // recvmsg(MSG_ERRQUEUE), which never waits.
  long receive_error(msghdr& message);
  // A call with MSG_ZEROCOPY for so many bytes; nothing: it is not wanted. `begun` says which call it is.
  [[nodiscard]] std::optional<Loan> lend(std::size_t size, int flags, std::uint32_t& call);
  // That call has sent nothing.
  void take_back(Loan& loan, std::uint32_t call) noexcept;

  void queue(QueuedError error);
  // IP_RECVTTL and the like, of a packet that came.
  void tell_header(bool v4, int hops, std::uint8_t traffic_class, ControlWriter& control) const noexcept;

  // timestamping.cpp
  // Where the keys of SOF_TIMESTAMPING_OPT_ID begin: with what is not acknowledged, or not written.
  virtual long begin_stamp_keys(bool by_write) = 0;
  [[nodiscard]] static long read_timestamping(const Control& control, std::uint32_t& flags) noexcept;
  // What these flags want of a message.
  [[nodiscard]] StampRequest stamps_wanted(std::uint32_t flags) const noexcept;
  void add_stamp(const TransmitStamp& stamp);
  void tell_time(std::optional<Instant> at, bool of_error, ControlWriter& control);
  // At level SOL_SOCKET, beside one message: 0 or -errno.
  long read_socket_control(const Control& control, std::uint32_t& timestamping) const noexcept;

  // EPIPE, and SIGPIPE unless it is not wanted.
  long broken_pipe(int flags);

  // A setting that may fail: put back if it does.
  template <typename T>
  long change(T& setting, T value) {
    const T old = setting;
    setting = value;
    const long wrong = apply_options();
    if (wrong != 0) setting = old;
    return wrong;
  }

  System& system_;
  SocketOptions options_;  // the stack's
  CallOptions call_options_;
  int error_ = 0;  // sk_err
  ErrorQueue errors_;
  struct {
    bool receive = false, nanoseconds = false;  // SO_TIMESTAMP, SO_TIMESTAMPNS
    std::uint32_t flags = 0;                    // SO_TIMESTAMPING
    std::uint32_t first_key = 0;                // sk_tskey
  } stamping_;
  bool zero_copy_ = false;             // SO_ZEROCOPY
  std::uint32_t zero_copy_calls_ = 0;  // sk_zckey

 private:
  // socket_level_options.cpp
  long set_socket_option(int name, const OptionValue& value);
  long get_socket_option(int name, const OptionRoom& room);
  [[nodiscard]] int greatest_lowat() const noexcept;
  long set_buffer(int name, int value, bool force);
  long set_timeout(std::optional<Duration>& timeout, const OptionValue& value);
  static long get_timeout(const std::optional<Duration>& timeout, const OptionRoom& room);
  long set_linger(const OptionValue& value);
  long get_memory(const OptionRoom& room);
  // timestamping.cpp
  long set_timestamp(int name, bool on);
  long set_timestamping(const OptionValue& value);
  [[nodiscard]] long get_timestamping(const OptionRoom& room) const;
  long note_stamping();
  // ip_level_options.cpp
  long set_receive_errors(bool& setting, bool on);
  long set_ip_option(int name, const OptionValue& value);
  long get_ip_option(int name, const OptionRoom& room);
  long set_ipv6_option(int name, const OptionValue& value);
  long get_ipv6_option(int name, const OptionRoom& room);

  const int family_;
  const int type_;
  const std::uint64_t id_;
};

}  // namespace ff::posix
