#include "firstflight/framing.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace ff {
namespace {

constexpr std::uint8_t kVarintMore = 0x80;
constexpr std::size_t kLongestVarint = 10;  // 64 bits, seven a byte

std::size_t prefix_size(LengthPrefix prefix) noexcept {
  switch (prefix) {
    case LengthPrefix::Bytes1:
      return 1;
    case LengthPrefix::Bytes2:
      return 2;
    case LengthPrefix::Bytes4:
      return 4;
    default:
      return 8;
  }
}

bool makes_sense(const FixedLength& framing) noexcept { return framing.size > 0; }
bool makes_sense(const LengthPrefixed&) noexcept { return true; }
bool makes_sense(const Delimited& framing) noexcept {
  if (!framing.escaping) return true;
  std::array bytes{framing.delimiter, framing.escaping->escape, framing.escaping->for_delimiter,
                   framing.escaping->for_escape};
  std::ranges::sort(bytes);
  return std::ranges::adjacent_find(bytes) == bytes.end();
}
bool makes_sense(const Framing& framing) noexcept {
  return std::visit([](const auto& one) { return makes_sense(one); }, framing);
}

// Bytes in front of the first that is special.
std::uint32_t plain_run(const Delimited& framing, ByteSpan bytes) noexcept {
  const auto special = std::ranges::find_if(bytes, [&](std::uint8_t byte) {
    return byte == framing.delimiter || (framing.escaping && byte == framing.escaping->escape);
  });
  return static_cast<std::uint32_t>(special - bytes.begin());
}

Slice one_byte(std::uint8_t byte) { return Slice::copy_of(ByteSpan(&byte, 1)); }

Slice encode_length(const LengthPrefixed& framing, std::uint32_t size) {
  std::array<std::uint8_t, kLongestVarint> bytes{};
  std::size_t count = 0;
  std::uint64_t rest = size;
  if (framing.prefix == LengthPrefix::Varint) {
    do {
      bytes[count++] = static_cast<std::uint8_t>(rest & 0x7f);
      rest >>= 7;
    } while (rest != 0);
  } else {
    for (; count < prefix_size(framing.prefix); ++count, rest >>= 8)
      bytes[count] = static_cast<std::uint8_t>(rest & 0xff);
  }
  // So far the least significant comes first.
  if (framing.order == ByteOrder::Big) std::reverse(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  if (framing.prefix == LengthPrefix::Varint)
    for (std::size_t i = 0; i + 1 < count; ++i) bytes[i] |= kVarintMore;
  return Slice::copy_of(ByteSpan(bytes).first(count));
}

std::expected<EncodedMessage, FramingError> encode(const FixedLength& framing, Slice message) {
  if (message.size() != framing.size) return std::unexpected(FramingError::WrongLength);
  return EncodedMessage{{}, std::move(message), {}};
}

std::expected<EncodedMessage, FramingError> encode(const LengthPrefixed& framing, Slice message) {
  const bool fits = framing.prefix == LengthPrefix::Varint || prefix_size(framing.prefix) >= 4 ||
                    message.size() >> (8 * prefix_size(framing.prefix)) == 0;
  if (!fits || message.size() > framing.max_size) return std::unexpected(FramingError::TooLong);
  Slice head = encode_length(framing, message.size());
  return EncodedMessage{std::move(head), std::move(message), {}};
}

std::expected<EncodedMessage, FramingError> encode(const Delimited& framing, Slice message) {
  if (message.size() > framing.max_size) return std::unexpected(FramingError::TooLong);
  Slice tail = one_byte(framing.delimiter);
  if (plain_run(framing, message.span()) == message.size())
    return EncodedMessage{{}, std::move(message), std::move(tail)};
  if (!framing.escaping) return std::unexpected(FramingError::ContainsDelimiter);
  std::string escaped;
  escaped.reserve(message.size() + message.size() / 8 + 1);
  for (ByteSpan rest = message.span(); !rest.empty();) {
    const std::uint32_t plain = plain_run(framing, rest);
    escaped += as_text(rest.first(plain));
    rest = rest.subspan(plain);
    if (rest.empty()) break;
    escaped += static_cast<char>(framing.escaping->escape);
    escaped += static_cast<char>(rest[0] == framing.delimiter ? framing.escaping->for_delimiter
                                                              : framing.escaping->for_escape);
    rest = rest.subspan(1);
  }
  return EncodedMessage{{}, Slice::adopt(std::move(escaped)), std::move(tail)};
}

}  // namespace

std::string_view to_string(FramingError error) noexcept {
  switch (error) {
    case FramingError::BadFraming:
      return "the framing makes no sense: a length of 0, or special bytes that are not distinct";
    case FramingError::TooLong:
      return "the message is longer than allowed";
    case FramingError::BadEscape:
      return "the escape byte stands before a byte that it does not go with";
    case FramingError::BadVarint:
      return "the length is not a varint in its shortest form, or needs more than 64 bits";
    case FramingError::Truncated:
      return "the stream ended inside a message";
    case FramingError::WrongLength:
      return "the message does not have the fixed length";
    case FramingError::ContainsDelimiter:
      return "the message contains the delimiter, and nothing can escape it";
  }
  return "unknown";
}

// ---- decoding ------------------------------------------------------------------------------------------------------

std::expected<MessageDecoder, FramingError> MessageDecoder::create(const Framing& framing) {
  if (!makes_sense(framing)) return std::unexpected(FramingError::BadFraming);
  return MessageDecoder(framing);
}

std::expected<std::optional<Slice>, FramingError> MessageDecoder::next(Slice& input) {
  if (failed_) return std::unexpected(*failed_);
  Found found = std::visit([&](const auto& framing) { return find(framing, input); }, framing_);
  if (!found) {
    failed_ = found.error();
    partial_ = {};  // its memory, too
  }
  return found;
}

std::expected<void, FramingError> MessageDecoder::finish() const {
  if (failed_) return std::unexpected(*failed_);
  if (!partial_.empty() || escaped_ || prefix_got_ > 0) return std::unexpected(FramingError::Truncated);
  return {};
}

Slice MessageDecoder::take_partial() { return Slice::adopt(std::exchange(partial_, {})); }

// The next `size` bytes, once they are all there.
std::optional<Slice> MessageDecoder::collect(Slice& input, std::uint32_t size) {
  if (partial_.empty() && input.size() >= size) {
    Slice whole = size == 0 ? Slice() : input.sub(0, size);
    input.drop_front(size);
    return whole;
  }
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(size - partial_.size(), input.size()));
  partial_ += input.sub(0, count).text();
  input.drop_front(count);
  if (partial_.size() < size) return std::nullopt;
  return take_partial();
}

MessageDecoder::Found MessageDecoder::find(const FixedLength& framing, Slice& input) {
  return collect(input, framing.size);
}

// ---- length prefix

MessageDecoder::Found MessageDecoder::find(const LengthPrefixed& framing, Slice& input) {
  if (!length_known_) {
    const auto complete = read_length(framing, input);
    if (!complete) return std::unexpected(complete.error());
    if (!*complete) return std::nullopt;
    if (length_ > framing.max_size) return std::unexpected(FramingError::TooLong);
    length_known_ = true;
  }
  auto message = collect(input, static_cast<std::uint32_t>(length_));
  if (message) {
    length_ = 0;
    prefix_got_ = 0;
    length_known_ = false;
  }
  return message;
}

// Whether all of it is there.
std::expected<bool, FramingError> MessageDecoder::read_length(const LengthPrefixed& framing, Slice& input) {
  if (framing.prefix == LengthPrefix::Varint) return read_varint(framing.order, input);
  for (const auto size = static_cast<std::uint8_t>(prefix_size(framing.prefix)); prefix_got_ < size; ++prefix_got_) {
    if (input.empty()) return false;
    const std::uint64_t byte = *input.data();
    input.drop_front(1);
    length_ = framing.order == ByteOrder::Big ? length_ << 8 | byte : length_ | byte << (8 * prefix_got_);
  }
  return true;
}

std::expected<bool, FramingError> MessageDecoder::read_varint(ByteOrder order, Slice& input) {
  while (!input.empty()) {
    const std::uint8_t byte = *input.data();
    input.drop_front(1);
    const std::uint64_t bits = byte & 0x7f;
    const bool more = (byte & kVarintMore) != 0;
    const bool first = prefix_got_ == 0;
    if (order == ByteOrder::Big) {
      // A leading group of zeros, or bits that would be shifted out.
      if ((first && more && bits == 0) || length_ >> 57 != 0) return std::unexpected(FramingError::BadVarint);
      length_ = length_ << 7 | bits;
    } else {
      // A last group of zeros, or bits that have no place: the tenth byte has room for one.
      if (!first && !more && bits == 0) return std::unexpected(FramingError::BadVarint);
      if (prefix_got_ == kLongestVarint - 1 && (bits > 1 || more)) return std::unexpected(FramingError::BadVarint);
      length_ |= bits << (7 * prefix_got_);
    }
    ++prefix_got_;
    if (!more) return true;
  }
  return false;
}

// ---- delimiter

MessageDecoder::Found MessageDecoder::find(const Delimited& framing, Slice& input) {
  while (!input.empty()) {
    if (escaped_) {
      const std::uint8_t byte = *input.data();
      const Escaping& escaping = *framing.escaping;
      if (byte != escaping.for_delimiter && byte != escaping.for_escape)
        return std::unexpected(FramingError::BadEscape);
      if (partial_.size() >= framing.max_size) return std::unexpected(FramingError::TooLong);
      partial_ += static_cast<char>(byte == escaping.for_delimiter ? framing.delimiter : escaping.escape);
      input.drop_front(1);
      escaped_ = false;
      continue;
    }
    const std::uint32_t plain = plain_run(framing, input.span());
    if (partial_.size() + plain > framing.max_size) return std::unexpected(FramingError::TooLong);
    const bool ends = plain < input.size() && input.data()[plain] == framing.delimiter;
    if (ends && partial_.empty()) {
      Slice message = plain == 0 ? Slice() : input.sub(0, plain);
      input.drop_front(plain + 1);
      if (message.empty() && framing.skip_empty) continue;
      return message;
    }
    partial_ += input.sub(0, plain).text();
    input.drop_front(plain);
    if (input.empty()) break;
    input.drop_front(1);
    if (ends) return take_partial();
    escaped_ = true;
  }
  return std::nullopt;
}

// ---- encoding ------------------------------------------------------------------------------------------------------

std::expected<EncodedMessage, FramingError> encode_message(const Framing& framing, Slice message) {
  if (!makes_sense(framing)) return std::unexpected(FramingError::BadFraming);
  return std::visit([&](const auto& one) { return encode(one, std::move(message)); }, framing);
}

}  // namespace ff
