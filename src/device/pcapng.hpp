// Writes packet captures in the pcapng format (draft-ietf-opsawg-pcapng), little-endian, of raw IP packets or
// Ethernet frames. The same calls give the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/file_descriptor.hpp"
#include "firstflight/bytes.hpp"

namespace ff {

// Takes bytes, in order.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // An error is one sentence.
  virtual std::expected<void, std::string> write(ByteSpan bytes) = 0;
};

class FileSink final : public ByteSink {
 public:
  // Makes or empties the file. The error is one sentence.
  static std::expected<std::unique_ptr<FileSink>, std::string> create(const std::string& path);
  std::expected<void, std::string> write(ByteSpan bytes) override;

 private:
  FileSink(FileDescriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  FileDescriptor file_;
  std::string path_;
};

class MemorySink final : public ByteSink {
 public:
  std::expected<void, std::string> write(ByteSpan bytes) override;
  [[nodiscard]] ByteSpan bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

class PcapngWriter {
 public:
  enum class Direction : std::uint8_t { Unknown = 0, Inbound = 1, Outbound = 2 };  // as in epb_flags

  // The sink must outlive the writer.
  explicit PcapngWriter(ByteSink& sink);
  ~PcapngWriter();
  PcapngWriter(const PcapngWriter&) = delete;
  PcapngWriter& operator=(const PcapngWriter&) = delete;

  // Says the number that packets of this interface are written with.
  std::uint32_t add_interface(std::string_view name, bool ethernet = false);

  // `time`: nanoseconds since 1970.
  void write_packet(std::uint32_t interface, std::uint64_t time, Direction direction, ByteSpan packet);

  // The same for a packet that the caller writes in place: room for `size` bytes, valid until the next call.
  std::uint8_t* begin_packet(std::uint32_t interface, std::uint64_t time, Direction direction, std::uint32_t size);

  // Takes back what was written after mark(). Neither flush() nor anything else may have come between.
  [[nodiscard]] std::size_t mark() const noexcept { return buffer_.size(); }
  void rewind(std::size_t mark) noexcept { buffer_.resize(mark); }

  // Passes on to the sink what has gathered. Nobody else does, but for the destructor.
  void flush();
  // Passes on what has gathered if it is much.
  void flush_if_large() {
    if (buffer_.size() >= kLarge) flush();
  }

  // Why the sink took no more; empty while all is well. After an error everything that comes is dropped.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  static constexpr std::size_t kLarge = 1u << 18;
  void put16(std::uint16_t value);
  void put32(std::uint32_t value);
  void put_option(std::uint16_t code, ByteSpan value);
  std::size_t begin_block(std::uint32_t type);
  void end_block(std::size_t start);

  ByteSink& sink_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t interfaces_ = 0;
  std::string error_;
};

}  // namespace ff
