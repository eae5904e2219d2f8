// One end of a connection that is carried on: a connection of a stack, or a socket of the host's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/error.hpp"
#include "firstflight/time.hpp"

namespace ff::relay {

// Some bytes of a stream.
struct Piece {
  Slice bytes{};
  bool urgent = false;  // the last of them is (RFC 9293 §3.8.5)
};

class Stream {
 public:
  enum class State : std::uint8_t {
    WaitsForWrite,  // the SYN waits for the first bytes, to take them along
    Connecting,
    Open,
    Failed,  // error() says why
  };
  // Called when something may have changed since a call said WouldBlock, or when the state has; never from within a
  // call of this object's. It may destroy the stream.
  using Observer = std::function<void(Instant)>;

  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  void on_change(Observer observer) { observer_ = std::move(observer); }

  [[nodiscard]] virtual State state() const = 0;
  [[nodiscard]] virtual Error error() const = 0;
  // The SYN waits no longer.
  virtual void start(Instant now) = 0;

  // The next piece of what has come; empty: the peer has closed its side. WouldBlock.
  virtual Result<Piece> read(Instant now) = 0;
  // Takes from the front of `piece` what there is room for. WouldBlock: some is left.
  virtual Result<void> write(Instant now, Piece& piece) = 0;
  // All that was written is on its way, which abort() would discard otherwise.
  [[nodiscard]] virtual bool all_sent() const = 0;
  // FIN behind what was written.
  virtual void shutdown_write(Instant now) = 0;
  // Gives it up in order: what was written is still delivered.
  virtual void close(Instant now) = 0;
  // Gives it up by RST.
  virtual void abort(Instant now) = 0;

 protected:
  // Nothing may follow it in the caller: the object may be gone.
  void changed(Instant now) {
    if (observer_) observer_(now);
  }

 private:
  Observer observer_;
};

// A way for datagrams between here and one remote endpoint.
class DatagramChannel {
 public:
  // As Stream's.
  using Observer = std::function<void(Instant)>;

  DatagramChannel() = default;
  DatagramChannel(const DatagramChannel&) = delete;
  DatagramChannel& operator=(const DatagramChannel&) = delete;
  virtual ~DatagramChannel() = default;

  void on_change(Observer observer) { observer_ = std::move(observer); }

  // What cannot be sent now is lost, as in a full queue. Otherwise an error that the network reported.
  virtual Result<void> send(Instant now, Slice bytes) = 0;
  // WouldBlock, or an error that the network reported.
  virtual Result<Slice> receive(Instant now) = 0;

 protected:
  void changed(Instant now) {
    if (observer_) observer_(now);
  }

 private:
  Observer observer_;
};

// A port that takes datagrams from anybody.
class DatagramPort {
 public:
  // As Stream's.
  using Observer = std::function<void(Instant)>;

  // Who has sent, and to which of our addresses.
  struct Path {
    Endpoint from;
    IpAddress to;
    friend auto operator<=>(const Path&, const Path&) noexcept = default;
  };
  struct Arrival {
    Path path;
    Slice bytes;
  };

  DatagramPort() = default;
  DatagramPort(const DatagramPort&) = delete;
  DatagramPort& operator=(const DatagramPort&) = delete;
  virtual ~DatagramPort() = default;

  void on_change(Observer observer) { observer_ = std::move(observer); }

  // WouldBlock, or an error that the network reported of what was sent to somebody.
  virtual Result<Arrival> receive(Instant now) = 0;
  // Back on the path on which something came. What cannot be sent now is lost.
  virtual void send(Instant now, const Path& path, Slice bytes) = 0;

 protected:
  void changed(Instant now) {
    if (observer_) observer_(now);
  }

 private:
  Observer observer_;
};

// What connections are carried on over.
class Network {
 public:
  Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  virtual ~Network() = default;

  // `fast_open`: the SYN may wait for the first write, if it then can take bytes along.
  virtual Result<std::unique_ptr<Stream>> connect(Instant now, const Endpoint& remote, bool fast_open) = 0;
  virtual Result<std::unique_ptr<DatagramChannel>> open_datagrams(Instant now, const Endpoint& remote) = 0;
  // For ICMP messages from their type on: echo requests out, with whatever identifier, and their replies in.
  virtual Result<std::unique_ptr<DatagramChannel>> open_echoes(Instant now, const IpAddress& remote) = 0;

  struct Arrival {
    std::unique_ptr<Stream> stream;
    Endpoint from;
  };
  using ArrivalHandler = std::function<void(Instant, Arrival)>;
  // Calls `handler` for each connection to `local`, with Fast Open; "any" is every address of both families. The error
  // is AddressInUse, PermissionDenied and the like.
  virtual Result<void> listen(const Endpoint& local, ArrivalHandler handler) = 0;
  // The same for datagrams.
  virtual Result<std::unique_ptr<DatagramPort>> open_port(const Endpoint& local) = 0;
};

}  // namespace ff::relay
