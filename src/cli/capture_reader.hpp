// Reads captures back: pcapng files of raw IP packets as PcapngWriter makes them, one or several joined end to end.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "device/pcapng.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"

namespace ff::cli {

struct CapturedPacket {
  Instant time{};  // nanoseconds since 1970
  PcapngWriter::Direction direction = PcapngWriter::Direction::Unknown;
  std::uint32_t size = 0;  // on the wire
  std::vector<std::uint8_t> bytes;
};

// The error says what is wrong with the bytes. A last block that is cut short, as in a file that is being written, ends
// the capture.
std::expected<std::vector<CapturedPacket>, std::string> read_capture(ByteSpan file);

}  // namespace ff::cli
