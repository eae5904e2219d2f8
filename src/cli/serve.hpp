// `ff serve DIR`: a file server on the stack.
#pragma once

#include <string_view>

#include "cli/options.hpp"
#include "firstflight/address.hpp"

namespace ff::cli {

// "[ADDR]:PORT" with the address optional: "10.9.8.1:80", "[fd00::1]:80", ":80" (every address of both families).
Parsed<Endpoint> parse_listen(std::string_view text);

}  // namespace ff::cli
