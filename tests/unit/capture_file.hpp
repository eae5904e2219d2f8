// Reads captures back: a small pcapng reader, and what tshark thinks of one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "packet_samples.hpp"

namespace ff::test {

struct CapturedPacket {
  std::uint32_t interface;
  std::uint64_t time;  // nanoseconds
  std::uint32_t flags;
  Bytes bytes;
};
struct CapturedInterface {
  std::uint16_t link_type;
  std::string name;
  int resolution;  // negative power of ten
};
struct CaptureContents {
  std::vector<CapturedInterface> interfaces;
  std::vector<CapturedPacket> packets;
};

class PcapngReader {
 public:
  explicit PcapngReader(ByteSpan file) : file_(file) {}

  CaptureContents read() {
    CaptureContents contents;
    for (std::size_t at = 0; at < file_.size() && !testing::Test::HasFatalFailure();) {
      const std::uint32_t type = le32(at), size = le32(at + 4);
      EXPECT_EQ(size % 4, 0u);
      EXPECT_LE(at + size, file_.size());
      if (size < 12 || at + size > file_.size()) break;
      EXPECT_EQ(le32(at + size - 4), size) << "the length is repeated at the end";
      EXPECT_EQ(type == 0x0a0d0d0a, at == 0) << "one section header, and first";
      switch (type) {
        case 0x0a0d0d0a:
          EXPECT_EQ(le32(at + 8), 0x1a2b3c4du);
          EXPECT_EQ(le16(at + 12), 1);
          EXPECT_EQ(le16(at + 14), 0);
          break;
        case 1:
          contents.interfaces.push_back(interface(at, size));
          break;
        case 6:
          contents.packets.push_back(packet(at, size));
          break;
        default:
          ADD_FAILURE() << "block of type " << type;
      }
      at += size;
    }
    return contents;
  }

 private:
  std::uint16_t le16(std::size_t at) const { return static_cast<std::uint16_t>(file_[at] + file_[at + 1] * 256); }
  std::uint32_t le32(std::size_t at) const { return le16(at) + le16(at + 2) * 65536u; }

  // The value of an option, in the options from `at` to `end`.
  Bytes option(std::size_t at, std::size_t end, std::uint16_t wanted) const {
    while (at + 4 <= end && le16(at) != 0) {
      const std::uint16_t length = le16(at + 2);
      if (le16(at) == wanted) {
        const ByteSpan value = file_.subspan(at + 4, length);
        return {value.begin(), value.end()};
      }
      at += 4 + (length + 3u) / 4u * 4u;
    }
    ADD_FAILURE() << "no option " << wanted;
    return {0, 0, 0, 0};
  }

  CapturedInterface interface(std::size_t at, std::size_t size) const {
    const Bytes name = option(at + 16, at + size - 4, 2);
    EXPECT_EQ(le32(at + 12), 0u) << "no snap length";
    return {le16(at + 8), std::string(name.begin(), name.end()), option(at + 16, at + size - 4, 9)[0]};
  }

  CapturedPacket packet(std::size_t at, std::size_t size) const {
    const std::uint32_t captured = le32(at + 20);
    EXPECT_EQ(le32(at + 24), captured);
    const std::size_t data = at + 28, options = data + (captured + 3) / 4 * 4;
    EXPECT_LE(options, at + size - 4);
    const Bytes flags = option(options, at + size - 4, 2);
    EXPECT_EQ(flags.size(), 4u);
    const ByteSpan bytes = file_.subspan(data, captured);
    return {.interface = le32(at + 8),
            .time = std::uint64_t{le32(at + 12)} << 32 | le32(at + 16),
            .flags = flags[0] + flags[1] * 256u,
            .bytes = {bytes.begin(), bytes.end()}};
  }

  ByteSpan file_;
};

inline bool in_ci() {
  const char* ci = std::getenv("CI");
  return ci != nullptr && std::string(ci) == "true";
}

// What cannot be tested here is skipped with a reason; in CI that is a failure.
#define FF_CANNOT_TEST_HERE(reason)                               \
  do {                                                            \
    if (::ff::test::in_ci()) GTEST_FAIL() << "in CI: " << reason; \
    GTEST_SKIP() << "NOT TESTED: " << reason;                     \
  } while (false)

inline bool have_tshark() { return std::system("tshark --version >/dev/null 2>&1") == 0; }

class TemporaryFile {
 public:
  TemporaryFile() {
    std::string path = std::filesystem::temp_directory_path() / "firstflight-XXXXXX";
    const int file = ::mkstemp(path.data());
    if (file >= 0) ::close(file);
    path_ = path;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Bytes contents() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

// The lines that tshark prints for the file, one per packet, with all its checksum checks on.
inline std::vector<std::string> tshark(const std::string& path, const std::string& arguments) {
  const std::string command = "tshark -r '" + path +
                              "' -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE " +
                              arguments + " 2>/dev/null";
  std::vector<std::string> lines;
  FILE* output = ::popen(command.c_str(), "r");
  if (output == nullptr) return lines;
  for (char line[1024]; std::fgets(line, sizeof line, output) != nullptr;) {
    lines.emplace_back(line);
    if (lines.back().ends_with('\n')) lines.back().pop_back();
  }
  EXPECT_EQ(::pclose(output), 0) << command;
  return lines;
}

}  // namespace ff::test
