// A TCP socket, as the application has it: Linux's two state machines (that of the socket layer and that of TCP) over
// what the stack has in its place: nothing, a bound port, a listener, or a connection.
//
// tcp_opening.cpp: bind() to connect(). tcp_transfer.cpp: data, shutdown(), close(). tcp_options.cpp: level
// IPPROTO_TCP.
#pragma once

#include <optional>
#include <variant>

#include "posix/socket.hpp"
#include "posix/tcp_info.hpp"

namespace ff::posix {

class TcpSocket final : public Socket {
 public:
  TcpSocket(System& system, int family) : Socket(system, family, SOCK_STREAM) {}
  ~TcpSocket() override {
    options_.linger.reset();  // there is nobody to hold
    close();
  }

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
  // Linux's sock->state.
  enum class Stage : std::uint8_t { Unconnected, Connecting, Connected, Disconnecting };
  // What Linux's sk holds, as far as a call goes by it.
  struct Now : ConnectionStatus {
    [[nodiscard]] bool in(TcpState a) const noexcept { return state == a; }
    [[nodiscard]] bool opening() const noexcept {
      return state == TcpState::SynSent || (state == TcpState::SynReceived && !half_open_early);
    }
    [[nodiscard]] bool fin_in_flight() const noexcept {
      return state == TcpState::FinWait1 || state == TcpState::Closing || state == TcpState::LastAck;
    }
    [[nodiscard]] bool closed() const noexcept { return state == TcpState::Closed; }
  };

  // One call's way of sending.
  struct Sending {
    std::size_t size = 0;
    std::size_t sent = 0;
    int flags = 0;
    Instant deadline = kAtOnce;
    StampRequest stamp{};
    const Loan* loan = nullptr;  // MSG_ZEROCOPY
    bool refused = false;        // for want of room
  };

  // The state now; what happened in the meantime is taken note of.
  Now look();
  // What happened besides: stamps, and what the network said.
  void hear();
  [[nodiscard]] ConnectionId connection() const noexcept { return std::get<ConnectionId>(end_); }
  [[nodiscard]] bool has_connection() const noexcept { return std::holds_alternative<ConnectionId>(end_); }

  // tcp_opening.cpp
  [[nodiscard]] long may_bind(const Endpoint& endpoint) const noexcept;
  long take_port(const Endpoint& endpoint);
  long connect_until(const sockaddr* address, socklen_t length, Instant deadline, FastOpenMode mode, bool by_send);
  long open(const sockaddr* address, socklen_t length, FastOpenMode mode);
  [[nodiscard]] long read_destination(const sockaddr* address, socklen_t length, Endpoint& remote) const noexcept;
  long await_handshake(Instant deadline, long otherwise);
  long disconnect();
  void leave_connection(bool reset);
  void keep_port();
  [[nodiscard]] bool has_port() const noexcept { return !std::holds_alternative<std::monostate>(end_); }

  // tcp_transfer.cpp
  long send_with_syn(const msghdr& message, Sending& sending);
  long await_connected(Instant deadline, int flags);
  long send_lent(const msghdr& message, Sending& sending);
  long write_some(const msghdr& message, Sending& sending);
  Result<std::size_t> write_piece(const msghdr& message, const Sending& sending);
  long send_error(long error, int flags);
  long receive_urgent(msghdr& message, std::size_t size, int flags);
  long receive_some(const msghdr& message, std::size_t size, std::size_t& done, int flags);
  long what_no_data_means(const Now& now);
  long close() override;
  long close_connection();

  // tcp_options.cpp
  long set_own_option(int level, int name, const OptionValue& value) override;
  long get_own_option(int level, int name, const OptionRoom& room) override;
  long set_number(int name, int value);
  long set_no_delay(bool on);
  long get_number(int name, const OptionRoom& room);
  long set_fast_open(int value);
  long set_fast_open_keys(const OptionValue& value);
  long get_fast_open_keys(const OptionRoom& room);
  long set_congestion(const OptionValue& value);
  long get_congestion(const OptionRoom& room);
  long get_info(const OptionRoom& room);
  long get_congestion_info(const OptionRoom& room);
  long get_saved_syn(const OptionRoom& room);
  long apply_options() override;
  [[nodiscard]] SocketOptions options_for_stack() const noexcept;
  int take_error() override;
  bool listening() override { return std::holds_alternative<ListenerId>(end_); }
  [[nodiscard]] int protocol() const noexcept override;
  SocketMemory memory() override;
  long begin_stamp_keys(bool by_write) override;
  long path_mtu() override;
  bool is_bound() override { return has_port(); }

  std::variant<std::monostate, BindingId, ListenerId, ConnectionId> end_;
  Stage stage_ = Stage::Unconnected;
  std::optional<Endpoint> bound_to_;  // what bind() was asked for
  Endpoint local_{};                  // getsockname()
  std::optional<Endpoint> remote_;
  bool error_noted_ = false;  // that of the connection is in error_, or was told
  bool done_ = false;         // SOCK_DONE: the peer's FIN has come
  unsigned shutdown_ = 0;     // sk_shutdown
  std::uint64_t disconnects_ = 0;

  struct {
    std::optional<std::uint32_t> queue{};  // TCP_FASTOPEN
    std::optional<FastOpenKeys> keys{};    // TCP_FASTOPEN_KEY
    bool connect = false;                  // TCP_FASTOPEN_CONNECT
    bool no_cookie = false;                // TCP_FASTOPEN_NO_COOKIE
  } fast_open_;
  std::string saved_syn_;  // TCP_SAVED_SYN, taken from the stack and not told yet
  bool active_ = false;    // connect() began it
  bool inq_ = false;       // TCP_INQ
  bool quick_ack_ = true;  // TCP_QUICKACK as it was asked for last
};

}  // namespace ff::posix
