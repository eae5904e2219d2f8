#include "firstflight/framing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ff {
namespace {

using namespace std::string_view_literals;

Slice slice(std::string_view text) { return Slice::copy_of(as_bytes(text)); }

MessageDecoder decoder_for(const Framing& framing) { return MessageDecoder::create(framing).value(); }

// All messages of the pieces, and the error that ended it, if any did.
struct Decoded {
  std::vector<std::string> messages;
  std::optional<FramingError> error;
  bool whole = true;  // the stream did not end inside a message
};
Decoded decode(const Framing& framing, const std::vector<std::string_view>& pieces) {
  MessageDecoder decoder = decoder_for(framing);
  Decoded result;
  for (const std::string_view piece : pieces) {
    Slice input = slice(piece);
    for (;;) {
      const auto message = decoder.next(input);
      if (!message) {
        result.error = message.error();
        EXPECT_EQ(decoder.held(), 0u);
        EXPECT_EQ(decoder.finish().error(), message.error());
        return result;
      }
      if (!*message) break;
      result.messages.emplace_back((*message)->text());
    }
    EXPECT_TRUE(input.empty());
  }
  result.whole = decoder.finish().has_value();
  return result;
}

std::string encode(const Framing& framing, std::string_view message) {
  const auto encoded = encode_message(framing, slice(message));
  if (!encoded) return "error: " + std::string(to_string(encoded.error()));
  return std::string(encoded->head.text()) + std::string(encoded->body.text()) + std::string(encoded->tail.text());
}

void expect_messages(const Decoded& decoded, const std::vector<std::string>& expected) {
  EXPECT_EQ(decoded.messages, expected);
  EXPECT_EQ(decoded.error, std::nullopt);
  EXPECT_TRUE(decoded.whole);
}

TEST(FramingFixed, CutsTheStreamInEqualParts) {
  expect_messages(decode(FixedLength{3}, {"abcdef", "g", "", "hi"}), {"abc", "def", "ghi"});
  EXPECT_EQ(encode(FixedLength{3}, "abc"), "abc");
  EXPECT_EQ(encode_message(FixedLength{3}, slice("ab")).error(), FramingError::WrongLength);
  EXPECT_FALSE(decode(FixedLength{3}, {"ab"}).whole);
}

TEST(FramingDelimited, EndsAMessageAtTheDelimiter) {
  expect_messages(decode(Delimited{}, {"one\ntw", "o\n\nthr", "", "ee\n"}), {"one", "two", "", "three"});
  EXPECT_EQ(encode(Delimited{}, "one"), "one\n");
  EXPECT_EQ(encode(Delimited{}, ""), "\n");
  EXPECT_EQ(encode_message(Delimited{}, slice("o\nne")).error(), FramingError::ContainsDelimiter);
  EXPECT_FALSE(decode(Delimited{}, {"one\ntwo"}).whole);
}

TEST(FramingDelimited, MaySkipWhatIsEmpty) {
  expect_messages(decode(Delimited{.skip_empty = true}, {"\n\none\n", "\n", "two\n\n"}), {"one", "two"});
}

TEST(FramingDelimited, EscapesWhatIsSpecial) {
  // The example of RFC 1055: a message with both special bytes.
  EXPECT_EQ(encode(Delimited::slip(),
                   "a\xc0"
                   "b\xdb"
                   "c"),
            "a\xdb\xdc"
            "b\xdb\xdd"
            "c\xc0");
  expect_messages(decode(Delimited::slip(), {"\xc0"
                                             "a\xdb",
                                             "\xdc"
                                             "b\xdb\xdd"
                                             "c\xc0"}),
                  {"a\xc0"
                   "b\xdb"
                   "c"});
  EXPECT_EQ(encode(Delimited::hdlc(), "~}"), "\x7d\x5e\x7d\x5d~");
  expect_messages(decode(Delimited::hdlc(), {"\x7d\x5e\x7d\x5d~"}), {"~}"});
}

TEST(FramingDelimited, RefusesAnEscapeOfWhatNeedsNone) {
  const Decoded decoded = decode(Delimited::slip(), {"fine\xc0"
                                                     "bad\xdb",
                                                     "x\xc0 more\xc0"});
  EXPECT_EQ(decoded.messages, std::vector<std::string>{"fine"});
  EXPECT_EQ(decoded.error, FramingError::BadEscape);
  EXPECT_EQ(decode(Delimited::slip(), {"\xdb\xc0"}).error, FramingError::BadEscape);
}

TEST(FramingDelimited, EndingBehindAnEscapeIsTruncated) { EXPECT_FALSE(decode(Delimited::slip(), {"\xdb"}).whole); }

TEST(FramingDelimited, BoundsAMessage) {
  const Delimited framing{.max_size = 4};
  expect_messages(decode(framing, {"abcd\n"}), {"abcd"});
  expect_messages(decode(framing, {"ab", "cd", "\n"}), {"abcd"});
  EXPECT_EQ(decode(framing, {"abcde\n"}).error, FramingError::TooLong);
  EXPECT_EQ(decode(framing, {"ab", "cde"}).error, FramingError::TooLong);  // without waiting for its end
  EXPECT_EQ(encode_message(framing, slice("abcde")).error(), FramingError::TooLong);
  // What counts is the message, not how it is escaped.
  expect_messages(decode(Delimited::slip(2), {"\xdb\xdc\xdb\xdd\xc0"}), {"\xc0\xdb"});
  EXPECT_EQ(decode(Delimited::slip(2), {"\xdb\xdc\xdb\xdd\xdb\xdd"}).error, FramingError::TooLong);
}

TEST(FramingLength, ComesInEveryWidthAndOrder) {
  const auto is = [](LengthPrefix prefix, ByteOrder order, std::string_view head) {
    const LengthPrefixed framing{.prefix = prefix, .order = order};
    const std::string message(0x105, 'x');
    EXPECT_EQ(encode(framing, message), std::string(head) + message);
    expect_messages(decode(framing, {encode(framing, message), encode(framing, ""), encode(framing, "y")}),
                    {message, "", "y"});
  };
  is(LengthPrefix::Bytes2, ByteOrder::Big, "\x01\x05"sv);
  is(LengthPrefix::Bytes2, ByteOrder::Little, "\x05\x01"sv);
  is(LengthPrefix::Bytes4, ByteOrder::Big, "\0\0\x01\x05"sv);
  is(LengthPrefix::Bytes4, ByteOrder::Little, "\x05\x01\0\0"sv);
  is(LengthPrefix::Bytes8, ByteOrder::Big, "\0\0\0\0\0\0\x01\x05"sv);
  is(LengthPrefix::Bytes8, ByteOrder::Little, "\x05\x01\0\0\0\0\0\0"sv);
  is(LengthPrefix::Varint, ByteOrder::Little, "\x85\x02"sv);
  is(LengthPrefix::Varint, ByteOrder::Big, "\x82\x05"sv);
  const LengthPrefixed one{.prefix = LengthPrefix::Bytes1};
  EXPECT_EQ(encode(one, "abc"),
            "\x03"
            "abc");
  EXPECT_EQ(encode_message(one, slice(std::string(256, 'x'))).error(), FramingError::TooLong);
  EXPECT_EQ(encode(one, std::string(255, 'x')).size(), 256u);
}

TEST(FramingLength, BoundsAMessageBeforeItComes) {
  const LengthPrefixed framing{.prefix = LengthPrefix::Bytes8, .max_size = 1000};
  EXPECT_EQ(decode(framing, {"\x7f\xff\xff\xff\xff\xff\xff\xff"}).error, FramingError::TooLong);
  EXPECT_EQ(decode(framing, {"\0\0\0\0\0\0\x03\xe9"sv}).error, FramingError::TooLong);
  EXPECT_EQ(decode(framing, {"\0\0\0\0\0\0\x03\xe8"sv}).error, std::nullopt);
  EXPECT_EQ(encode_message(framing, slice(std::string(1001, 'x'))).error(), FramingError::TooLong);
}

TEST(FramingLength, TakesVarintsInTheirShortestFormAlone) {
  const LengthPrefixed little{.prefix = LengthPrefix::Varint, .order = ByteOrder::Little};
  const LengthPrefixed big{.prefix = LengthPrefix::Varint, .order = ByteOrder::Big};
  expect_messages(decode(little, {"\0"sv}), {""});
  expect_messages(decode(big, {"\0"sv}), {""});
  EXPECT_EQ(decode(little, {"\x81\0"sv}).error, FramingError::BadVarint);
  EXPECT_EQ(decode(big, {"\x80\x01"}).error, FramingError::BadVarint);
  // 2^64 - 1 has ten bytes and is only too long; one more is no number of 64 bits.
  EXPECT_EQ(decode(little, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}).error, FramingError::TooLong);
  EXPECT_EQ(decode(little, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"}).error, FramingError::BadVarint);
  EXPECT_EQ(decode(little, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81"}).error, FramingError::BadVarint);
  EXPECT_EQ(decode(big, {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}).error, FramingError::TooLong);
  EXPECT_EQ(decode(big, {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}).error, FramingError::BadVarint);
}

TEST(FramingLength, EndingInTheLengthIsTruncated) {
  EXPECT_FALSE(decode(LengthPrefixed{}, {"\0\0"sv}).whole);
  EXPECT_FALSE(decode(LengthPrefixed{}, {"\0\0\0\x02"
                                         "a"sv})
                   .whole);
  EXPECT_FALSE(decode(LengthPrefixed{.prefix = LengthPrefix::Varint}, {"\x81"}).whole);
}

TEST(MessageDecoder, StaysFailed) {
  MessageDecoder decoder = decoder_for(Delimited{.max_size = 2});
  Slice bad = slice("toolong\n"), good = slice("ok\n");
  EXPECT_EQ(decoder.next(bad).error(), FramingError::TooLong);
  EXPECT_EQ(decoder.next(good).error(), FramingError::TooLong);
  EXPECT_EQ(decoder.finish().error(), FramingError::TooLong);
}

TEST(MessageDecoder, RefusesAFramingThatMakesNoSense) {
  const Delimited twice{.delimiter = 'a', .escaping = Escaping{'a', 'b', 'c'}};
  const Delimited same{.delimiter = 'a', .escaping = Escaping{'e', 'b', 'b'}};
  for (const Framing& framing : {Framing(FixedLength{0}), Framing(twice), Framing(same)}) {
    EXPECT_EQ(MessageDecoder::create(framing).error(), FramingError::BadFraming);
    EXPECT_EQ(encode_message(framing, slice("")).error(), FramingError::BadFraming);
  }
}

// A message in one piece is a part of that piece; one in two pieces is not, and gives the first piece back at once.
TEST(MessageDecoder, CopiesOnlyWhatIsInPieces) {
  const Framing framings[] = {FixedLength{4}, Delimited{}, Delimited::slip(), LengthPrefixed{},
                              LengthPrefixed{.prefix = LengthPrefix::Varint}};
  for (const Framing& framing : framings) {
    const std::string stream = encode(framing, "abcd") + encode(framing, "efgh");
    MessageDecoder decoder = decoder_for(framing);
    Slice input = slice(stream);
    const std::uint8_t *begin = input.data(), *end = begin + input.size();
    for (int i = 0; i < 2; ++i) {
      const auto message = decoder.next(input).value().value();
      EXPECT_TRUE(message.data() >= begin && message.data() + message.size() <= end);
    }
    EXPECT_EQ(decoder.held(), 0u);

    SlabPool pool(256);
    {
      const SlabRef slab = pool.acquire();
      std::ranges::copy(stream, slab.memory().begin());
      Slice first = slab.slice(0, static_cast<std::uint32_t>(stream.size() / 2 - 2));
      EXPECT_FALSE(decoder.next(first).value());
    }
    EXPECT_EQ(pool.outstanding(), 0u);
    EXPECT_GT(decoder.held(), 0u);
  }
}

TEST(EncodedMessage, DoesNotCopyWhatNeedsNoEscape) {
  const Slice message = slice("abcd");
  for (const Framing& framing : {Framing(FixedLength{4}), Framing(Delimited::slip()), Framing(LengthPrefixed{})}) {
    const auto encoded = encode_message(framing, message).value();
    EXPECT_EQ(encoded.body.data(), message.data());
    EXPECT_EQ(encoded.size(), encode(framing, "abcd").size());
  }
}

}  // namespace
}  // namespace ff
