#include "cli/fast_open_cache_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "cli/commands.hpp"
#include "device/file_descriptor.hpp"

namespace ff::cli {
namespace {

constexpr std::size_t kMaxSize = 256u << 20;  // a million entries, each of them with everything

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw UsageError(fmt::format(
      "cannot keep the Fast Open cache in '{}': {}; --fast-open-cache takes a file, in a directory that exists", path,
      why));
}

// Nothing when there is no such file.
std::optional<std::string> read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) refuse(path, std::strerror(errno));
  std::string text;
  std::array<char, 65536> piece;
  while (true) {
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(path, std::strerror(errno));
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxSize) refuse(path, "it is far too large to be one");
  }
}

// A new file beside another, which takes its place by commit() and is gone otherwise.
class Replacement {
 public:
  explicit Replacement(std::string path) : path_(std::move(path)), name_(path_ + ".XXXXXX") {
    file_ = FileDescriptor(::mkostemp(name_.data(), O_CLOEXEC));  // with permission 0600
    if (!file_) fail();
  }
  Replacement(const Replacement&) = delete;
  ~Replacement() {
    if (file_) ::unlink(name_.c_str());
  }
  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::write(file_.get(), text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail();
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void commit() {
    if (::fsync(file_.get()) != 0 || std::rename(name_.c_str(), path_.c_str()) != 0) fail();
    file_ = FileDescriptor();
  }

 private:
  [[noreturn]] void fail() const {
    const int error = errno;
    if (file_) ::unlink(name_.c_str());
    throw Failure(fmt::format("cannot keep the Fast Open cache in '{}': {}", path_, std::strerror(error)));
  }
  std::string path_;
  std::string name_;
  FileDescriptor file_;
};

}  // namespace

FastOpenCacheFile::FastOpenCacheFile(std::string path) : path_(std::move(path)) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
  if (path_.empty()) refuse(path_, "it has no name");
  if (!std::filesystem::is_directory(parent.empty() ? "." : parent, error)) refuse(path_, "there is no such directory");
  if (std::filesystem::exists(path_, error) && !std::filesystem::is_regular_file(path_, error))
    refuse(path_, "it is no regular file");
  const std::optional<std::string> text = read_file(path_);
  if (!text) return;
  text_ = *text;
  (void)parse(Instant{});
}

std::vector<FastOpenCacheEntry> FastOpenCacheFile::parse(Instant now) const {
  auto entries = parse_fast_open_cache(text_, path_, now, unix_time());
  if (!entries) throw UsageError(entries.error() + "; delete the file to begin anew");
  return std::move(*entries);
}

void FastOpenCacheFile::load(Stack& stack, Instant now) const {
  if (stack.settings().tcp_fastopen_cache_max == 0)
    throw UsageError(
        "--fast-open-cache keeps nothing with net.ipv4.tcp_fastopen_cache_max=0; leave one of the two out");
  if (text_.empty()) return;
  for (const FastOpenCacheEntry& entry : parse(now)) (void)stack.set_fast_open_cache(entry);  // useless ones stay out
}

void FastOpenCacheFile::save(const Stack& stack, Instant now) const {
  Replacement file(path_);
  file.write(format_fast_open_cache(stack.fast_open_cache(now), now, unix_time()));
  file.commit();
}

}  // namespace ff::cli
