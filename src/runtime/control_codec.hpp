// What goes over the control socket, as JSON: written by the running stack, read back by the tools. Both directions
// stand side by side, so that they cannot drift apart.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "firstflight/counters.hpp"
#include "firstflight/sockets.hpp"
#include "runtime/known_paths.hpp"

namespace ff::control {

using Json = nlohmann::ordered_json;

// One line of text whatever is in it: bytes that are no UTF-8 are replaced.
std::string to_line(const Json& json);

// Instants become ages in milliseconds before `now`, Durations microseconds.
Json encode(const SocketInfo& socket, Instant now);
// Nothing when a field is missing or of the wrong type.
std::optional<SocketInfo> decode(const Json& json, Instant now);

// The same of a path.
Json encode(const KnownPath& path, Instant now);
std::optional<KnownPath> decode_path(const Json& json, Instant now);

// By group and name, in the order of the registry; then "drops" and "fast_open".
Json encode(const Counters& counters);

// The word of `ss`: "ESTAB", "TIME-WAIT"; UDP's closed sockets are "UNCONN".
std::string_view ss_name(TcpState state) noexcept;

}  // namespace ff::control
