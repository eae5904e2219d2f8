#include "posix/message.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

namespace ff::posix {
namespace {
constexpr std::size_t kMaxPieces = 1024;           // IOV_MAX
constexpr std::size_t kMaxTransfer = 0x7ffff000u;  // Linux's MAX_RW_COUNT
}  // namespace

long total_size(const msghdr& message) noexcept {
  if (message.msg_iovlen > kMaxPieces) return -EMSGSIZE;
  if (message.msg_iovlen > 0 && message.msg_iov == nullptr) return -EFAULT;
  std::size_t size = 0;
  for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& piece = message.msg_iov[i];
    if (piece.iov_len > static_cast<std::size_t>(SSIZE_MAX)) return -EINVAL;
    if (piece.iov_len > 0 && piece.iov_base == nullptr) return -EFAULT;
    size = std::min(size + std::min(piece.iov_len, kMaxTransfer), kMaxTransfer);
  }
  return static_cast<long>(size);
}

MutableByteSpan piece_at(const msghdr& message, std::size_t offset) noexcept {
  for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& piece = message.msg_iov[i];
    if (offset < piece.iov_len)
      return MutableByteSpan(static_cast<std::uint8_t*>(piece.iov_base), piece.iov_len).subspan(offset);
    offset -= piece.iov_len;
  }
  return {};
}

std::size_t scatter(const msghdr& message, ByteSpan bytes) noexcept {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const MutableByteSpan piece = piece_at(message, done);
    if (piece.empty()) break;
    const std::size_t count = std::min(piece.size(), bytes.size() - done);
    std::memcpy(piece.data(), bytes.data() + done, count);
    done += count;
  }
  return done;
}

Slice gather(const msghdr& message, std::size_t size) {
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const MutableByteSpan piece = piece_at(message, bytes.size());
    bytes.append(as_text(piece.first(std::min(piece.size(), size - bytes.size()))));
  }
  return Slice::adopt(std::move(bytes));
}

void ControlWriter::add(int level, int type, const void* data, std::size_t size) noexcept {
  const std::size_t left = room_ - message_.msg_controllen;
  if (message_.msg_control == nullptr || left < sizeof(cmsghdr)) {
    message_.msg_flags |= MSG_CTRUNC;
    return;
  }
  std::size_t length = CMSG_LEN(size);
  if (length > left) {
    message_.msg_flags |= MSG_CTRUNC;
    length = left;
  }
  const cmsghdr header{.cmsg_len = length, .cmsg_level = level, .cmsg_type = type};
  auto* const to = static_cast<std::byte*>(message_.msg_control) + message_.msg_controllen;
  std::memcpy(to, &header, sizeof header);
  std::memcpy(to + CMSG_LEN(0), data, length - CMSG_LEN(0));
  message_.msg_controllen += std::min(CMSG_SPACE(size), left);
}

}  // namespace ff::posix
