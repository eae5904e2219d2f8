// Applications that move bytes from one host to the other, for scenarios that look at how.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "lab/lab.hpp"

namespace ff::lab {

// Bytes that tell where they belong.
inline std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i / 7 + i) % 26);
  return text;
}

// An application that writes all of a text, as there is room for it; one that reads all that comes.
class Writer {
 public:
  Writer(Socket socket, std::string text) : socket_(socket), text_(std::move(text)) { go_on(); }
  void go_on() {
    while (written_ < text_.size()) {
      const std::size_t count = socket_.write(std::string_view(text_).substr(written_));
      if (count == 0) return;
      written_ += count;
    }
  }
  [[nodiscard]] bool done() const { return written_ == text_.size(); }
  [[nodiscard]] std::size_t written() const { return written_; }

 private:
  Socket socket_;
  std::string text_;
  std::size_t written_ = 0;
};

// Moves `text` from client to server, the server reading as fast as it can. What the server has read when all is there,
// or `limit` over.
inline std::string transfer(Lab& lab, const Connected& both, const std::string& text, Duration limit = 10min) {
  Writer writer(both.client, text);
  Socket reader = both.server;
  std::string received;
  lab.client.on_event([&](const Event& event) {
    if ((event.bits & event_bits::kWritable) != 0) writer.go_on();
  });
  lab.server.on_event([&](const Event& event) {
    if ((event.bits & event_bits::kReadable) != 0 && event.connection == reader.id()) received += reader.read();
  });
  lab.run_until([&] { return received.size() >= text.size() || both.client.closed(); }, limit);
  lab.client.on_event({});
  lab.server.on_event({});
  return received;
}

}  // namespace ff::lab
