#include "device/pcapng.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace ff {
namespace {

// Block types and options of draft-ietf-opsawg-pcapng.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kLinktypeEthernet = 1;
constexpr std::uint16_t kLinktypeRaw = 101;  // starts with an IPv4 or IPv6 header
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kShbUserApplication = 4;
constexpr std::uint16_t kIfName = 2;
constexpr std::uint16_t kIfTimestampResolution = 9;
constexpr std::uint16_t kEpbFlags = 2;

constexpr std::uint32_t padded(std::uint32_t size) { return (size + 3) & ~3u; }

void store_le32(std::uint8_t* to, std::uint32_t value) { std::memcpy(to, &value, sizeof value); }

}  // namespace

// ---- sinks ---------------------------------------------------------------------------------------------------------

std::expected<std::unique_ptr<FileSink>, std::string> FileSink::create(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) {
    return std::unexpected(fmt::format("the capture file {} cannot be written: {}", path, std::strerror(errno)));
  }
  return std::unique_ptr<FileSink>(new FileSink(std::move(file), path));
}

std::expected<void, std::string> FileSink::write(ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return std::unexpected(
          fmt::format("the capture file {} ends here, it cannot be written: {}", path_, std::strerror(errno)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

std::expected<void, std::string> MemorySink::write(ByteSpan bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return {};
}

// ---- blocks --------------------------------------------------------------------------------------------------------

PcapngWriter::PcapngWriter(ByteSink& sink) : sink_(sink) {
  const std::size_t start = begin_block(kSectionHeader);
  put32(kByteOrderMagic);
  put16(1);           // major version
  put16(0);           // minor version
  put32(0xffffffff);  // the section's length is not given
  put32(0xffffffff);
  put_option(kShbUserApplication, as_bytes("firstflight"));
  put_option(kOptionEnd, {});
  end_block(start);
}

PcapngWriter::~PcapngWriter() { flush(); }

std::uint32_t PcapngWriter::add_interface(std::string_view name, bool ethernet) {
  const std::size_t start = begin_block(kInterfaceDescription);
  put16(ethernet ? kLinktypeEthernet : kLinktypeRaw);
  put16(0);  // reserved
  put32(0);  // no limit on captured length
  put_option(kIfName, as_bytes(name));
  constexpr std::uint8_t kNanoseconds = 9;  // as a negative power of ten
  put_option(kIfTimestampResolution, {&kNanoseconds, 1});
  put_option(kOptionEnd, {});
  end_block(start);
  return interfaces_++;
}

void PcapngWriter::write_packet(std::uint32_t interface, std::uint64_t time, Direction direction, ByteSpan packet) {
  std::uint8_t* to = begin_packet(interface, time, direction, static_cast<std::uint32_t>(packet.size()));
  if (!packet.empty()) std::memcpy(to, packet.data(), packet.size());
}

std::uint8_t* PcapngWriter::begin_packet(std::uint32_t interface, std::uint64_t time, Direction direction,
                                         std::uint32_t size) {
  assert(interface < interfaces_);
  const std::size_t start = begin_block(kEnhancedPacket);
  put32(interface);
  put32(static_cast<std::uint32_t>(time >> 32));
  put32(static_cast<std::uint32_t>(time));
  put32(size);  // captured
  put32(size);  // on the wire
  const std::size_t packet = buffer_.size();
  buffer_.resize(packet + padded(size));
  std::array<std::uint8_t, 4> flags;
  store_le32(flags.data(), static_cast<std::uint32_t>(direction));
  put_option(kEpbFlags, flags);
  put_option(kOptionEnd, {});
  end_block(start);
  return buffer_.data() + packet;
}

void PcapngWriter::flush() {
  if (error_.empty() && !buffer_.empty()) {
    if (const auto written = sink_.write(buffer_); !written) error_ = written.error();
  }
  buffer_.clear();
}

// ---- parts of blocks -----------------------------------------------------------------------------------------------

void PcapngWriter::put16(std::uint16_t value) {
  buffer_.push_back(static_cast<std::uint8_t>(value));
  buffer_.push_back(static_cast<std::uint8_t>(value >> 8));
}

void PcapngWriter::put32(std::uint32_t value) {
  put16(static_cast<std::uint16_t>(value));
  put16(static_cast<std::uint16_t>(value >> 16));
}

void PcapngWriter::put_option(std::uint16_t code, ByteSpan value) {
  put16(code);
  put16(static_cast<std::uint16_t>(value.size()));
  buffer_.insert(buffer_.end(), value.begin(), value.end());
  buffer_.resize(buffer_.size() + padded(static_cast<std::uint32_t>(value.size())) - value.size());
}

// A block carries its length at both ends, so that a reader can walk either way.
std::size_t PcapngWriter::begin_block(std::uint32_t type) {
  const std::size_t start = buffer_.size();
  put32(type);
  put32(0);
  return start;
}

void PcapngWriter::end_block(std::size_t start) {
  const auto size = static_cast<std::uint32_t>(buffer_.size() - start + 4);
  put32(size);
  store_le32(buffer_.data() + start + 4, size);
}

}  // namespace ff
