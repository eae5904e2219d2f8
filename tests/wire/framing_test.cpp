// Messages over a connection (J1): packets cut the stream wherever they like, reads too.
#include "firstflight/framing.hpp"

#include <optional>
#include <vector>

#include "wire/two_stacks.hpp"

namespace ff::wiretest {
namespace {

std::vector<std::string> messages() {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < 40; ++i) {
    std::string message(1 + i * i, '\0');
    for (std::size_t k = 0; k < message.size(); ++k) message[k] = static_cast<char>(i + 3 * k);
    all.push_back(std::move(message));
  }
  return all;
}

class FramingOverTcp : public testing::TestWithParam<std::tuple<bool, std::uint32_t>> {
 protected:
  // What the server decodes of what the client wrote, reading at most so much at a time.
  std::vector<std::string> received(const Framing& framing, std::optional<FramingError>& error) {
    auto decoder = MessageDecoder::create(framing).value();
    std::vector<std::string> all;
    const std::uint32_t at_a_time = std::get<1>(GetParam());
    for (;;) {
      auto piece = two_.server.read_slice(two_.now, two_.at_server, at_a_time);
      if (!piece) return all;
      for (;;) {
        const auto message = decoder.next(*piece);
        if (!message) error = message.error();
        if (!message) return all;
        if (!*message) break;
        all.emplace_back((*message)->text());
      }
    }
  }
  void write(const Slice& bytes) {
    if (!bytes.empty()) {
      EXPECT_TRUE(two_.client.write(two_.now, two_.at_client, bytes));
    }
    two_.pump();
  }

  TwoStacks two_{std::get<0>(GetParam()), static_cast<std::uint16_t>(std::get<0>(GetParam()) ? 1280 : 100)};
};

TEST_P(FramingOverTcp, MessagesComeOutAsTheyWentIn) {
  for (const Framing& framing : {Framing(LengthPrefixed{}), Framing(LengthPrefixed{.prefix = LengthPrefix::Varint}),
                                 Framing(Delimited::slip()), Framing(Delimited::hdlc())}) {
    two_.connect(two_.pair.a());
    for (const std::string& message : messages()) {
      const auto encoded = encode_message(framing, Slice::copy_of(as_bytes(message)));
      ASSERT_TRUE(encoded);
      for (const Slice* part : {&encoded->head, &encoded->body, &encoded->tail}) write(*part);
    }
    two_.advance(1s);
    std::optional<FramingError> error;
    EXPECT_EQ(received(framing, error), messages());
    EXPECT_EQ(error, std::nullopt);
    EXPECT_TRUE(two_.client.abort(two_.now, two_.at_client));
    two_.pump();
  }
}

TEST_P(FramingOverTcp, AMessageOverTheLimitIsAnErrorAtOnce) {
  two_.connect(two_.pair.a());
  write(Slice::copy_of(as_bytes(std::string("\0\0\0\2hi\x7f\xff\xff\xff and so on", 20))));
  std::optional<FramingError> error;
  EXPECT_EQ(received(LengthPrefixed{.max_size = 1000}, error), std::vector<std::string>{"hi"});
  EXPECT_EQ(error, FramingError::TooLong);
}

INSTANTIATE_TEST_SUITE_P(Cuts, FramingOverTcp,
                         testing::Combine(testing::Bool(), testing::Values(1u, 7u, 1000u, 100'000u)));

}  // namespace
}  // namespace ff::wiretest
