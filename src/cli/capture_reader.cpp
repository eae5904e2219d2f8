#include "cli/capture_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ff::cli {
namespace {

// Block types and options of draft-ietf-opsawg-pcapng.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kEpbFlags = 2;
constexpr std::uint32_t kDirectionMask = 3;
constexpr std::size_t kBlockFrame = 12;    // type, length before; length behind
constexpr std::size_t kPacketHeader = 20;  // interface, time high and low, captured and original length

template <typename T>
T load(ByteSpan bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

PcapngWriter::Direction direction_in(ByteSpan options) {
  while (options.size() >= 4) {
    const auto code = load<std::uint16_t>(options, 0);
    const std::size_t size = load<std::uint16_t>(options, 2);
    if (code == kOptionEnd || options.size() < 4 + padded(size)) break;
    if (code == kEpbFlags && size == 4)
      return static_cast<PcapngWriter::Direction>(load<std::uint32_t>(options, 4) & kDirectionMask);
    options = options.subspan(4 + padded(size));
  }
  return PcapngWriter::Direction::Unknown;
}

std::expected<CapturedPacket, std::string> read_packet(ByteSpan body) {
  if (body.size() < kPacketHeader) return std::unexpected("a packet block is too short for its header");
  const std::uint64_t time = std::uint64_t{load<std::uint32_t>(body, 4)} << 32 | load<std::uint32_t>(body, 8);
  const std::size_t captured = load<std::uint32_t>(body, 12);
  if (body.size() - kPacketHeader < padded(captured)) return std::unexpected("a packet is longer than its block");
  CapturedPacket packet;
  packet.time = Instant(Duration(static_cast<std::int64_t>(time)));
  packet.size = load<std::uint32_t>(body, 16);
  const ByteSpan bytes = body.subspan(kPacketHeader, captured);
  packet.bytes.assign(bytes.begin(), bytes.end());
  packet.direction = direction_in(body.subspan(kPacketHeader + padded(captured)));
  return packet;
}

}  // namespace

std::expected<std::vector<CapturedPacket>, std::string> read_capture(ByteSpan file) {
  std::vector<CapturedPacket> packets;
  if (file.size() < kBlockFrame || load<std::uint32_t>(file, 0) != kSectionHeader)
    return std::unexpected("this is not a pcapng file");
  while (file.size() >= kBlockFrame) {
    const auto type = load<std::uint32_t>(file, 0);
    if (type == kSectionHeader && load<std::uint32_t>(file, 8) != kByteOrderMagic)
      return std::unexpected("the capture was written on a machine of the other byte order");
    const std::size_t size = load<std::uint32_t>(file, 4);
    if (size < kBlockFrame || size % 4 != 0)
      return std::unexpected(fmt::format("a block of the capture claims to have {} bytes", size));
    if (size > file.size()) break;
    if (type == kEnhancedPacket) {
      auto packet = read_packet(file.subspan(8, size - kBlockFrame));
      if (!packet) return std::unexpected(packet.error());
      packets.push_back(*std::move(packet));
    }
    file = file.subspan(size);
  }
  return packets;
}

}  // namespace ff::cli
