// The files below one directory, and nothing outside it: neither "..", nor an absolute path, nor a symbolic link leads
// out (openat2 with RESOLVE_BENEATH).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <string>

#include "device/file_descriptor.hpp"
#include "firstflight/bytes.hpp"

namespace ff::cli {

struct OpenFile {
  FileDescriptor descriptor;
  std::uint64_t size = 0;
  std::time_t modified = 0;
  std::string name;  // the path as asked for, "index.html" added where it was a directory

  // Fills `into` from `offset`. Less than its size: the file ends there (it may have been cut meanwhile), or cannot be
  // read on.
  [[nodiscard]] std::size_t read_at(std::uint64_t offset, MutableByteSpan into) const noexcept;
};

enum class FileError : std::uint8_t {
  NotFound,
  Forbidden,   // no permission, leads out of the tree, or is no plain file
  NeedsSlash,  // a directory, asked for without '/' at the end
  TooManyOpen,
  Failed,
};

class FileTree {
 public:
  // The error is one sentence.
  static std::expected<FileTree, std::string> open(const std::string& directory);

  // `path` begins with '/'. A directory stands for the index.html in it.
  [[nodiscard]] std::expected<OpenFile, FileError> find(const std::string& path) const;

 private:
  explicit FileTree(FileDescriptor root) : root_(std::move(root)) {}
  [[nodiscard]] std::expected<OpenFile, FileError> open_beneath(const std::string& path) const;

  FileDescriptor root_;
};

}  // namespace ff::cli
