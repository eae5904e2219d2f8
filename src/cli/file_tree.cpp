#include "cli/file_tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ff::cli {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for its other end.
int open_beneath_of(int root, const char* path) noexcept {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // A rename elsewhere while ".." is followed makes it give up with EAGAIN.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const long descriptor = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (descriptor >= 0 || errno != EAGAIN) return static_cast<int>(descriptor);
  }
  return -1;
}

FileError error_of(int code) noexcept {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return FileError::NotFound;
    case EACCES:
    case EPERM:
    case EXDEV:  // leads out of the tree
    case ELOOP:
    case ENXIO:
      return FileError::Forbidden;
    case EMFILE:
    case ENFILE:
      return FileError::TooManyOpen;
    default:
      return FileError::Failed;
  }
}

}  // namespace

std::size_t OpenFile::read_at(std::uint64_t offset, MutableByteSpan into) const noexcept {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t count =
        ::pread(descriptor.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

std::expected<FileTree, std::string> FileTree::open(const std::string& directory) {
  FileDescriptor root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root)
    return std::unexpected(
        fmt::format("cannot serve '{}': {}; give a directory that can be read", directory, std::strerror(errno)));
  const FileDescriptor probe(open_beneath_of(root.get(), "."));
  if (!probe)
    return std::unexpected(
        errno == ENOSYS
            ? std::string("this kernel has no openat2, without which files outside the directory cannot be kept apart; "
                          "Linux 5.6 or later is needed")
            : fmt::format("cannot serve '{}': {}; give a directory that can be read", directory, std::strerror(errno)));
  return FileTree(std::move(root));
}

std::expected<OpenFile, FileError> FileTree::open_beneath(const std::string& path) const {
  const std::size_t begin = path.find_first_not_of('/');
  const char* relative = begin == std::string::npos ? "." : path.c_str() + begin;
  OpenFile file;
  file.descriptor = FileDescriptor(open_beneath_of(root_.get(), relative));
  if (!file.descriptor) return std::unexpected(error_of(errno));
  struct stat status{};
  if (::fstat(file.descriptor.get(), &status) != 0) return std::unexpected(FileError::Failed);
  if (S_ISDIR(status.st_mode)) return std::unexpected(FileError::NeedsSlash);
  if (!S_ISREG(status.st_mode)) return std::unexpected(FileError::Forbidden);
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.modified = status.st_mtime;
  file.name = path;
  return file;
}

std::expected<OpenFile, FileError> FileTree::find(const std::string& path) const {
  if (!path.ends_with('/')) return open_beneath(path);
  auto index = open_beneath(path + "index.html");
  if (index || index.error() != FileError::NotFound) return index;
  // What ends in '/' is a directory; one without index has nothing to show.
  const auto directory = open_beneath(path);
  return std::unexpected(!directory && directory.error() == FileError::NeedsSlash ? FileError::Forbidden
                                                                                  : FileError::NotFound);
}

}  // namespace ff::cli
