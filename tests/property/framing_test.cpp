// Framings, over every way to cut a stream into pieces.
#include "firstflight/framing.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "firstflight/seed.hpp"

namespace ff {
namespace {

constexpr std::uint32_t kMost = 600;

rc::Gen<Framing> any_framing() {
  return rc::gen::exec([]() -> Framing {
    const std::uint32_t most = kMost;
    switch (*rc::gen::inRange(0, 5)) {
      case 0:
        return FixedLength{*rc::gen::inRange(1u, 20u)};
      case 1:
        return Delimited{.delimiter = 'a', .max_size = most};
      case 2:
        return *rc::gen::element(Delimited::slip(most), Delimited::hdlc(most));
      case 3:
        return Delimited{.delimiter = 0, .escaping = Escaping{1, 2, 3}, .max_size = most};
      default:
        return LengthPrefixed{
            .prefix = *rc::gen::element(LengthPrefix::Bytes1, LengthPrefix::Bytes2, LengthPrefix::Bytes4,
                                        LengthPrefix::Bytes8, LengthPrefix::Varint),
            .order = *rc::gen::element(ByteOrder::Big, ByteOrder::Little),
            .max_size = most};
    }
  });
}

// Few different bytes, so that special ones are frequent.
rc::Gen<std::string> any_message() {
  const auto byte =
      rc::gen::element<char>('\0', '\1', '\2', '\3', 'a', 'b', '\x7d', '\x7e', '\xc0', '\xdb', '\xdc', '\xdd');
  return rc::gen::oneOf(
      rc::gen::container<std::string>(byte),
      rc::gen::map(rc::gen::inRange<std::size_t>(0, kMost), [](auto n) { return std::string(n, 'b'); }));
}

// Cuts a stream where the dice say, and decodes it. The error, if one came, ends the list.
std::vector<std::string> decode_in_pieces(const Framing& framing, const std::string& stream, std::uint64_t seed) {
  Random random(Seed::from_number(seed).bytes);
  const std::uint64_t longest = 1 + random.below(stream.size() + 1);
  auto decoder = MessageDecoder::create(framing).value();
  std::vector<std::string> messages;
  for (std::size_t at = 0; at < stream.size();) {
    const auto size = std::min<std::size_t>(stream.size() - at, random.below(longest + 1));
    Slice input = Slice::copy_of(as_bytes(stream).subspan(at, size));
    at += size;
    for (;;) {
      const auto message = decoder.next(input);
      if (!message) {
        messages.push_back("error: " + std::string(to_string(message.error())));
        return messages;
      }
      RC_ASSERT(decoder.held() <= kMost);
      if (!*message) break;
      messages.emplace_back((*message)->text());
    }
  }
  if (!decoder.finish()) messages.emplace_back("truncated");
  return messages;
}

RC_GTEST_PROP(FramingProperty, WhatWasEncodedIsDecoded, ()) {
  const Framing framing = *any_framing();
  std::string stream;
  std::vector<std::string> sent;
  for (const std::string& message : *rc::gen::container<std::vector<std::string>>(any_message())) {
    const auto encoded = encode_message(framing, Slice::copy_of(as_bytes(message)));
    if (!encoded) continue;
    for (const Slice& part : {encoded->head, encoded->body, encoded->tail}) stream += part.text();
    const auto* delimited = std::get_if<Delimited>(&framing);
    if (delimited == nullptr || !delimited->skip_empty || !message.empty()) sent.push_back(message);
  }
  RC_ASSERT(decode_in_pieces(framing, stream, *rc::gen::arbitrary<std::uint64_t>()) == sent);
}

RC_GTEST_PROP(FramingProperty, PiecesDoNotMatter, ()) {
  const Framing framing = *any_framing();
  const std::string stream = *any_message();  // most likely not a stream that anyone would send
  const auto seeds = *rc::gen::arbitrary<std::pair<std::uint64_t, std::uint64_t>>();
  RC_ASSERT(decode_in_pieces(framing, stream, seeds.first) == decode_in_pieces(framing, stream, seeds.second));
}

}  // namespace
}  // namespace ff
