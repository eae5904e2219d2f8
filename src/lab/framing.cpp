// Scenarios of message framing: J1.
#include "firstflight/framing.hpp"

#include <algorithm>
#include <deque>

#include "lab/lab.hpp"

namespace ff::lab {
namespace {

constexpr std::uint32_t kLargest = 5000;

Framing framing_called(std::string_view name) {
  if (name == "fixed") return FixedLength{.size = 100};
  if (name == "lines") return Delimited{.delimiter = '\n', .max_size = kLargest};
  if (name == "slip") return Delimited::slip(kLargest);
  if (name == "varint") return LengthPrefixed{.prefix = LengthPrefix::Varint, .max_size = kLargest};
  return LengthPrefixed{.prefix = LengthPrefix::Bytes4, .max_size = kLargest};
}

// Messages of every size that the framing takes, with every byte that it allows in them.
std::deque<std::string> messages_for(std::string_view framing) {
  std::deque<std::string> messages;
  for (std::size_t i = 0; i < 60; ++i) {
    std::string message(framing == "fixed" ? 100 : 1 + i * i % 2500, '\0');
    for (std::size_t k = 0; k < message.size(); ++k) message[k] = static_cast<char>(i * 31 + k * 7);
    if (framing == "lines") std::ranges::replace(message, '\n', ' ');
    messages.push_back(std::move(message));
  }
  return messages;
}

std::string encoded(const Framing& framing, const std::string& message) {
  const auto parts = encode_message(framing, Slice::copy_of(as_bytes(message)));
  if (!parts) throw Stopped(fmt::format("a message cannot be framed: {}", to_string(parts.error())));
  return std::string(parts->head.text()).append(parts->body.text()).append(parts->tail.text());
}

void messages_cut_anywhere(Lab& lab) {
  const std::string name = lab.parameter("framing");
  const Framing framing = framing_called(name);
  lab.path({.delay = kDelay, .loss = 0.02});
  Connected both = connected(lab, {.options = {.no_delay = true}});
  const std::deque<std::string> messages = messages_for(name);
  std::string stream;
  for (const std::string& message : messages) stream += encoded(framing, message);
  lab.say("the client sends {} messages in writes of 77 bytes, over a path that loses packets", messages.size());

  MessageDecoder decoder = MessageDecoder::create(framing).value();
  std::deque<std::string> received;
  std::size_t written = 0, read_size = 1;
  const bool all = lab.run_until(
      [&] {
        while (written < stream.size()) {
          const std::size_t count = both.client.write(std::string_view(stream).substr(written, 77));
          if (count == 0) break;
          written += count;
        }
        // The server reads in pieces of 1 byte, 2, 3, ... and begins anew at 1000.
        for (;; read_size = read_size % 1000 + 1) {
          Slice piece = Slice::adopt(both.server.read(read_size));
          if (piece.empty()) break;
          for (auto message = decoder.next(piece); message && *message; message = decoder.next(piece))
            received.emplace_back((*message)->text());
        }
        return received.size() == messages.size();
      },
      10min);
  lab.expect(all && received == messages, fmt::format("all {} messages come out as they went in", messages.size()));
  lab.expect(decoder.finish().has_value(), "and nothing is left over");
  const std::size_t segments = lab.number_of(lab.client, data);
  lab.expect(segments != messages.size(), fmt::format("although the stream travelled in {} segments", segments));
}

void message_too_long(Lab& lab) {
  const std::string name = lab.parameter("framing");
  const Framing framing = framing_called(name);
  Connected both = connected(lab);
  lab.say("the server takes messages of {} bytes at most; a client announces, or goes on to, much more", kLargest);
  both.client.write(encoded(framing, "a good one"));
  both.client.write(name == "length" ? std::string("\x7f\xff\xff\xff", 4) : std::string());
  both.client.write(std::string(20'000, 'x'));
  lab.run(2s);
  MessageDecoder decoder = MessageDecoder::create(framing).value();
  std::size_t held = 0, good = 0;
  std::optional<FramingError> error;
  while (!error) {
    Slice piece = Slice::adopt(both.server.read(1000));
    if (piece.empty()) break;
    for (;;) {
      const auto message = decoder.next(piece);
      if (!message) error = message.error();
      if (!message || !*message) break;
      ++good;
    }
    held = std::max(held, decoder.held());
  }
  lab.expect_equal("good messages before it", good, 1);
  lab.expect_equal("what the decoder says then", error ? to_string(*error) : "nothing",
                   to_string(FramingError::TooLong));
  lab.expect(held <= kLargest, fmt::format("and it never kept more than it may: {} bytes", held));
  both.server.abort();
  lab.run(1s);
  lab.expect_error("the server ends the connection, for where the next message begins is not known",
                   both.client.error(), Error::ConnectionReset);
}

}  // namespace

std::vector<Scenario> framing_scenarios() {
  return {
      {.name = "messages-cut-anywhere",
       .ids = {"J1"},
       .summary = "a stream keeps bytes in order, not the ends of messages; a framing does that",
       .lesson =
           "What one write() has sent may arrive in three read()s, and three write()s in one. Programs that take one "
           "for the other work on the developer's machine, and fail on a path that loses packets. A framing says where "
           "a message ends: by its length in front, by a byte behind it, or by a length that never changes.",
       .knobs = {{"framing", {"length", "varint", "lines", "slip", "fixed"}, "how messages are told apart"}},
       .play = messages_cut_anywhere},
      {.name = "message-too-long",
       .ids = {"J1"},
       .summary = "a peer that announces a huge message costs nothing but the connection",
       .lesson =
           "A length that comes from the network is a claim. Whoever allocates what it says can be stopped by four "
           "bytes; a limit, checked before anything is kept, makes it an error.",
       .knobs = {{"framing", {"length", "lines"}, "how messages are told apart"}},
       .play = message_too_long},
  };
}

}  // namespace ff::lab
