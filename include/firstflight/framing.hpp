// Messages over a byte stream. TCP keeps bytes in order and forgets where one write() ended and the next began; a
// framing says so again, in one of three ways: every message has the same length, a byte stands between them, or each
// begins with its length. See docs/framing.md.
//
//   auto decoder = MessageDecoder::create(LengthPrefixed{.prefix = LengthPrefix::Bytes4}).value();
//   while (auto piece = stack.read_slice(now, connection)) {
//     if (piece->empty()) break;  // the end: decoder.finish() says whether inside a message
//     for (;;) {
//       auto message = decoder.next(*piece);
//       if (!message) return give_up(message.error());
//       if (!*message) break;       // the piece is used up
//       handle(**message);
//     }
//   }
//
// A message that lies in one piece of the stream is a part of that piece, not a copy. Of one that does not, the decoder
// keeps what has come, in memory of its own that grows with what came and never beyond the framing's limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "firstflight/bytes.hpp"

namespace ff {

inline constexpr std::uint32_t kDefaultMaxMessage = 1u << 20;

// Every message has this many bytes, at least one.
struct FixedLength {
  std::uint32_t size = 0;
};

// How a message that contains the delimiter is sent all the same (byte stuffing): `escape` and then a byte that stands
// for the delimiter or for `escape` itself. All four differ from one another.
struct Escaping {
  std::uint8_t escape;
  std::uint8_t for_delimiter;
  std::uint8_t for_escape;
};

// A delimiter behind each message.
struct Delimited {
  std::uint8_t delimiter = '\n';
  std::optional<Escaping> escaping{};  // without it no message may contain the delimiter
  std::uint32_t max_size = kDefaultMaxMessage;
  bool skip_empty = false;  // delimiters in a row count as one, and one in front of the first message is allowed

  // RFC 1055 §"Protocol", and the byte stuffing of HDLC as RFC 1662 §4.2 has it, without its checksum.
  static constexpr Delimited slip(std::uint32_t max = kDefaultMaxMessage) {
    return {.delimiter = 0xc0, .escaping = Escaping{0xdb, 0xdc, 0xdd}, .max_size = max, .skip_empty = true};
  }
  static constexpr Delimited hdlc(std::uint32_t max = kDefaultMaxMessage) {
    return {.delimiter = 0x7e, .escaping = Escaping{0x7d, 0x5e, 0x5d}, .max_size = max, .skip_empty = true};
  }
};

enum class LengthPrefix : std::uint8_t {
  Bytes1,
  Bytes2,
  Bytes4,
  Bytes8,
  Varint,  // seven bits a byte, the top bit says that more follow; the shortest form only
};
enum class ByteOrder : std::uint8_t { Big, Little };

// In front of each message the number of its bytes, the prefix itself not counted.
struct LengthPrefixed {
  LengthPrefix prefix = LengthPrefix::Bytes4;
  ByteOrder order = ByteOrder::Big;  // of a varint, too: Little is that of Protocol Buffers, Big that of MIDI files
  std::uint32_t max_size = kDefaultMaxMessage;
};

using Framing = std::variant<FixedLength, Delimited, LengthPrefixed>;

enum class FramingError : std::uint8_t {
  BadFraming,         // the framing itself makes no sense: length 0, or special bytes that are not distinct
  TooLong,            // a message over the limit, or longer than its prefix can say
  BadEscape,          // the escape byte before a byte that it does not go with
  BadVarint,          // a length that is not in its shortest form, or needs more than 64 bits
  Truncated,          // the stream ended inside a message
  WrongLength,        // encoding: not of the fixed length
  ContainsDelimiter,  // encoding: the message contains the delimiter, and there is no escaping
};
// One plain phrase, for example "the message is longer than allowed".
std::string_view to_string(FramingError) noexcept;

// Takes a stream apart, piece by piece.
class MessageDecoder {
 public:
  static std::expected<MessageDecoder, FramingError> create(const Framing& framing);

  // The next message, taken off the front of `input`; nothing when `input` is used up and the message is not complete.
  // After an error there is nothing but that error: where the next message begins is not known any more.
  std::expected<std::optional<Slice>, FramingError> next(Slice& input);

  // To be called where the stream ends: Truncated inside a message, or the error that was found before.
  [[nodiscard]] std::expected<void, FramingError> finish() const;

  // Bytes of an incomplete message that are kept here.
  [[nodiscard]] std::size_t held() const noexcept { return partial_.size(); }

 private:
  explicit MessageDecoder(const Framing& framing) : framing_(framing) {}
  using Found = std::expected<std::optional<Slice>, FramingError>;
  Found find(const FixedLength& framing, Slice& input);
  Found find(const Delimited& framing, Slice& input);
  Found find(const LengthPrefixed& framing, Slice& input);
  std::expected<bool, FramingError> read_length(const LengthPrefixed& framing, Slice& input);
  std::expected<bool, FramingError> read_varint(ByteOrder order, Slice& input);
  std::optional<Slice> collect(Slice& input, std::uint32_t size);
  Slice take_partial();

  Framing framing_;
  std::optional<FramingError> failed_;
  std::string partial_;          // what has come of a message that is not complete
  bool escaped_ = false;         // Delimited: an escape byte came last
  std::uint64_t length_ = 0;     // LengthPrefixed: as far as it has come
  std::uint8_t prefix_got_ = 0;  // its bytes
  bool length_known_ = false;
};

// A message as it goes into the stream: up to three parts, to be written one after the other.
struct EncodedMessage {
  Slice head;
  Slice body;  // the message itself, not copied, unless something in it had to be escaped
  Slice tail;
  [[nodiscard]] std::size_t size() const noexcept {
    return std::size_t{head.size()} + std::size_t{body.size()} + std::size_t{tail.size()};
  }
};
std::expected<EncodedMessage, FramingError> encode_message(const Framing& framing, Slice message);

}  // namespace ff
