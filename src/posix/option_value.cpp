#include "posix/option_value.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace ff::posix {

long OptionValue::read(int& value) const noexcept { return read_bytes(std::as_writable_bytes(std::span(&value, 1))); }

long OptionValue::read_short(int& value) const noexcept {
  value = 0;
  if (length >= sizeof value) return read(value);
  if (length == 0) return 0;
  if (data == nullptr) return -EFAULT;
  value = *static_cast<const unsigned char*>(data);
  return 0;
}

long OptionValue::read_bytes(std::span<std::byte> to) const noexcept {
  if (length < to.size()) return -EINVAL;
  if (data == nullptr) return -EFAULT;
  std::memcpy(to.data(), data, to.size());
  return 0;
}

long OptionRoom::check() const noexcept {
  if (length == nullptr) return -EFAULT;
  if (*length > INT_MAX) return -EINVAL;
  return 0;
}

long OptionRoom::put_bytes(std::span<const std::byte> bytes) const noexcept {
  if (const long wrong = check(); wrong != 0) return wrong;
  const auto count = static_cast<socklen_t>(std::min<std::size_t>(*length, bytes.size()));
  if (count > 0 && data == nullptr) return -EFAULT;
  if (count > 0) std::memcpy(data, bytes.data(), count);
  *length = count;
  return 0;
}

long OptionRoom::put(int value) const noexcept { return put_struct(value); }

long OptionRoom::put_short(int value) const noexcept {
  if (const long wrong = check(); wrong != 0) return wrong;
  if (*length == 0 || *length >= sizeof value || value < 0 || value > 255) return put(value);
  if (data == nullptr) return -EFAULT;
  *static_cast<unsigned char*>(data) = static_cast<unsigned char>(value);
  *length = 1;
  return 0;
}

}  // namespace ff::posix
