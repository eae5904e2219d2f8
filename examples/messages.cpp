// Messages over TCP: a client asks a calculator three questions at once, each a line, and the answers come back with
// their length in front. Two stacks in one process, joined by a wire that the program carries packets over, and that
// delivers at most 700 bytes at a time, so that messages come in pieces.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "firstflight/framing.hpp"
#include "firstflight/stack.hpp"

namespace {

using namespace std::chrono_literals;

const ff::Framing kQuestions = ff::Delimited{.delimiter = '\n', .max_size = 100};
const ff::Framing kAnswers = ff::LengthPrefixed{.prefix = ff::LengthPrefix::Bytes4, .max_size = 10'000};

void carry(ff::Stack& from, ff::Stack& to, ff::Instant now) {
  ff::TxPacket packet;
  while (from.poll_transmit(now, packet)) {
    std::string bytes(ff::as_text(packet.header()));
    for (const ff::Slice& piece : packet.payload()) bytes += piece.text();
    ff::RxPacket received;
    received.bytes = ff::Slice::adopt(std::move(bytes));
    received.checksum = ff::RxChecksum::Verified;  // it never left this process
    to.handle_packet(now, 0, std::move(received));
  }
}

ff::Stack make_stack(std::uint64_t seed, const char* address) {
  ff::StackConfig config;
  config.seed = ff::Seed::from_number(seed);
  ff::Stack stack(std::move(config));
  ff::InterfaceConfig interface;
  interface.name = "wire";
  interface.mtu = 700;
  interface.max_super_segment = 700;
  interface.addresses = {*ff::Cidr::parse(address)};
  if (!stack.add_interface(std::move(interface))) std::abort();
  return stack;
}

// One side's half of a conversation: writes messages in one framing, reads them in another.
class Messenger {
 public:
  Messenger(ff::Stack& stack, ff::ConnectionId connection, ff::Framing writes, const ff::Framing& reads)
      : stack_(stack),
        connection_(connection),
        writes_(std::move(writes)),
        decoder_(ff::MessageDecoder::create(reads).value()) {}

  bool send(ff::Instant now, std::string message) {
    auto encoded = ff::encode_message(writes_, ff::Slice::adopt(std::move(message)));
    if (!encoded) return false;
    for (ff::Slice* part : {&encoded->head, &encoded->body, &encoded->tail})
      if (!part->empty() && !stack_.write(now, connection_, std::move(*part))) return false;
    return true;
  }

  // What has come by now. A framing error ends the connection: nothing behind it can be trusted.
  std::vector<ff::Slice> receive(ff::Instant now) {
    std::vector<ff::Slice> messages;
    for (auto piece = stack_.read_slice(now, connection_); piece && !piece->empty();
         piece = stack_.read_slice(now, connection_)) {
      for (;;) {
        auto message = decoder_.next(*piece);
        if (!message) {
          std::printf("bad message: %s\n", std::string(to_string(message.error())).c_str());
          stack_.abort(now, connection_);
          return messages;
        }
        if (!*message) break;
        messages.push_back(**std::move(message));
      }
    }
    return messages;
  }

 private:
  ff::Stack& stack_;
  ff::ConnectionId connection_;
  ff::Framing writes_;
  ff::MessageDecoder decoder_;
};

// "repeat 3 ab" gives "ababab".
std::string calculate(std::string_view question) {
  constexpr std::string_view kVerb = "repeat ";
  int count = 0;
  if (!question.starts_with(kVerb)) return "what?";
  question.remove_prefix(kVerb.size());
  const auto [end, error] = std::from_chars(question.data(), question.data() + question.size(), count);
  if (error != std::errc() || count < 0 || count > 1000) return "how often?";
  question.remove_prefix(static_cast<std::size_t>(end - question.data()));
  if (question.starts_with(' ')) question.remove_prefix(1);
  std::string answer;
  for (int i = 0; i < count; ++i) answer += question;
  return answer;
}

}  // namespace

int main() {
  ff::Stack server = make_stack(1, "192.0.2.1/24");
  ff::Stack client = make_stack(2, "192.0.2.2/24");
  ff::ListenOptions listen;
  listen.local = *ff::Endpoint::parse("192.0.2.1:7000");
  const auto listener = server.listen(listen);
  ff::Instant now{1s};
  ff::ConnectOptions connect;
  connect.remote = listen.local;
  connect.options.no_delay = true;
  const auto connection = client.connect(now, connect);
  if (!listener || !connection) return 1;

  Messenger asker(client, *connection, kQuestions, kAnswers);
  std::map<std::uint32_t, Messenger> sessions;
  std::vector<std::string> answers;
  if (asker.send(now, "a question\nin two lines")) return 1;  // the framing does not allow that
  for (const char* question : {"repeat 2 hello ", "repeat 900 ab", "tell me"})
    if (!asker.send(now, question)) return 1;
  for (int turn = 0; turn < 20 && answers.size() < 3; ++turn, now += 10ms) {
    carry(client, server, now);
    while (const auto accepted = server.accept(*listener))
      sessions.try_emplace(accepted->index, server, *accepted, kAnswers, kQuestions);
    for (auto& [id, session] : sessions)
      for (const ff::Slice& question : session.receive(now)) session.send(now, calculate(question.text()));
    carry(server, client, now);
    for (const ff::Slice& answer : asker.receive(now)) {
      answers.emplace_back(answer.text());
      std::printf("answer %zu: %u bytes, \"%.12s\"\n", answers.size(), answer.size(), answers.back().c_str());
    }
    for (ff::Stack* stack : {&client, &server})
      if (stack->next_deadline() <= now) stack->handle_deadline(now);
  }
  std::string expected;
  for (int i = 0; i < 900; ++i) expected += "ab";
  return answers == std::vector<std::string>{"hello hello ", expected, "what?"} ? 0 : 1;
}
