// Where the servers of the TUN benchmarks listen: all of them offer the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ff::bench {

inline constexpr std::uint16_t kSinkPort = 5001;        // takes bytes
inline constexpr std::uint16_t kSourcePort = 5002;      // gives bytes
inline constexpr std::uint16_t kFirstShortPort = 6000;  // a request, an answer
inline constexpr std::uint16_t kShortPorts = 16;        // so many, for the client to have ports enough
inline constexpr std::size_t kMessage = 64;             // bytes of a request, and of an answer

}  // namespace ff::bench
