// Framings on arbitrary streams: memory stays within the limit, pieces do not matter, and what was decoded can be
// encoded again. The first four bytes choose the framing and the pieces.
#include <cstdint>
#include <string>
#include <vector>

#include "firstflight/framing.hpp"
#include "require.hpp"

namespace {

using namespace ff;

constexpr std::uint32_t kMost = 300;

Framing framing_of(std::uint8_t choice) {
  switch (choice % 5) {
    case 0:
      return FixedLength{1u + choice / 5u};
    case 1:
      return Delimited{.delimiter = choice, .max_size = kMost, .skip_empty = (choice & 0x40) != 0};
    case 2:
      return Delimited::slip(kMost);
    case 3:
      return Delimited{.delimiter = 'a', .escaping = Escaping{'b', 'c', 'd'}, .max_size = kMost};
    default:
      return LengthPrefixed{.prefix = static_cast<LengthPrefix>(choice / 5 % 5),
                            .order = static_cast<ByteOrder>(choice / 25 % 2),
                            .max_size = kMost};
  }
}

struct Decoded {
  std::vector<std::string> messages;
  int error = -1;
  bool whole = false;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(const Framing& framing, ByteSpan stream, std::size_t piece) {
  auto decoder = MessageDecoder::create(framing).value();
  Decoded result;
  while (!stream.empty()) {
    Slice input = Slice::copy_of(stream.first(std::min(piece, stream.size())));
    stream = stream.subspan(input.size());
    for (;;) {
      const auto message = decoder.next(input);
      FF_REQUIRE(decoder.held() <= kMost);
      if (!message) {
        result.error = static_cast<int>(message.error());
        FF_REQUIRE(!decoder.next(input) && !decoder.finish());
        return result;
      }
      if (!*message) break;
      result.messages.emplace_back((*message)->text());
    }
    FF_REQUIRE(input.empty());
  }
  result.whole = decoder.finish().has_value();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Framing framing = framing_of(data[0]);
  const ByteSpan stream(data + 2, size - 2);
  const Decoded decoded = decode(framing, stream, stream.size());
  FF_REQUIRE(decode(framing, stream, 1u + data[1]) == decoded);
  FF_REQUIRE(decode(framing, stream, 1) == decoded);
  std::string again;
  for (const std::string& message : decoded.messages) {
    const auto encoded = encode_message(framing, Slice::copy_of(as_bytes(message)));
    FF_REQUIRE(encoded.has_value());
    for (const Slice& part : {encoded->head, encoded->body, encoded->tail}) again += part.text();
  }
  FF_REQUIRE(decode(framing, as_bytes(again), again.size() + 1).messages == decoded.messages);
  return 0;
}
