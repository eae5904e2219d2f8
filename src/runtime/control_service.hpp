// What other programs may ask a running stack, over its control socket.
//
// A request is one line, a JSON object with "command" and what that needs; each line of the answer is an object with
// "ok": true and "result", or false and "error", one sentence. "more": true says that another line follows.
//
//   {"command": "hello"}                                     who this is
//   {"command": "settings"}                                  every setting: name, value, allowed, meaning
//   {"command": "set", "settings": [["NAME", "VALUE"], ...]} all of them, or none and why
//   {"command": "counters"}                                  every counter, drop reason and Fast Open outcome
//   {"command": "counters", "format": "snmp"}                as text: snmp, snmp6, netstat, prometheus
//   {"command": "sockets", "states": ["LISTEN", ...], "protocols": ["tcp", "udp"]}
//                                                            in batches; both lists may be left out
//   {"command": "metrics"}                                   what is remembered of paths, in batches
//   {"command": "flush_metrics"}                             and forgets it, Fast Open's cookies too
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "firstflight/stack.hpp"
#include "runtime/control_codec.hpp"
#include "runtime/control_socket.hpp"

namespace ff::control {

struct Identity {
  std::string program;   // "serve"
  std::string instance;  // differs each time that a program starts
  long pid = 0;
};

class Service {
 public:
  // The stack must outlive the service.
  Service(Stack& stack, Identity identity);

  // For ControlSocket.
  ControlSocket::Answer respond(Instant now, std::string_view line);

  // Answers that consist of one line.
  static ControlSocket::Answer result(Json value);
  static ControlSocket::Answer error(std::string_view sentence);

  // One more command. The handler is given the whole request.
  using Handler = std::function<ControlSocket::Answer(Instant now, const Json& request)>;
  void add_command(std::string name, Handler handler) { commands_[std::move(name)] = std::move(handler); }

 private:
  [[nodiscard]] Json hello() const;
  [[nodiscard]] Json settings() const;
  ControlSocket::Answer set(const Json& request);
  [[nodiscard]] ControlSocket::Answer counters(const Json& request) const;
  [[nodiscard]] ControlSocket::Answer sockets(const Json& request) const;
  [[nodiscard]] ControlSocket::Answer metrics(Instant now) const;
  ControlSocket::Answer flush_metrics();

  Stack& stack_;
  Identity identity_;
  std::map<std::string, Handler, std::less<>> commands_;
};

}  // namespace ff::control
