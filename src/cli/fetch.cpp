#include "cli/fetch.hpp"

#include <fmt/format.h>

#include <utility>

namespace ff::cli {

std::optional<double> FetchResult::round_trips() const {
  if (!first_byte || rtt <= Duration::zero()) return std::nullopt;
  return std::chrono::duration<double>(*first_byte) / std::chrono::duration<double>(rtt);
}

Fetch::Fetch(Stack& stack, Url url, Endpoint remote, bool fast_open, http::ResponseReader::BodySink sink)
    : stack_(stack), url_(std::move(url)), remote_(remote), fast_open_(fast_open), reader_(std::move(sink)) {}

void Fetch::start(Instant now) {
  started_ = now;
  result_.tuple.remote = remote_;
  ConnectOptions options;
  options.remote = remote_;
  options.fast_open = fast_open_ ? FastOpenMode::Now : FastOpenMode::Off;
  options.options.no_delay = true;
  options.data =
      Slice::adopt(fmt::format("GET {} HTTP/1.1\r\n"
                               "Host: {}\r\n"
                               "User-Agent: firstflight/" FF_VERSION "\r\n"
                               "Accept: */*\r\n"
                               "Connection: close\r\n"
                               "\r\n",
                               url_.target, url_.authority()));
  const Result<ConnectionId> connection = stack_.connect(now, options);
  if (!connection) {
    const bool no_route = connection.error() == Error::NetworkUnreachable;
    end(now, fmt::format("{}{}", to_string(connection.error()), no_route ? "; --gateway ADDR gives a way there" : ""));
    return;
  }
  connection_ = *connection;
  observe();
}

void Fetch::handle_event(Instant now, const Event& event) {
  if (done_ || event.connection != connection_) return;
  observe();
  read(now);
  if (done_ || (event.bits & event_bits::kClosed) == 0) return;
  const Result<ConnectionInfo> info = stack_.info(connection_);
  end(now, std::string(info && info->error ? to_string(*info->error) : "the connection ended"));
}

void Fetch::give_up(Instant now, std::string why) {
  if (done_) return;
  observe();
  end(now, std::move(why));
}

std::string_view Fetch::progress() const {
  const Result<ConnectionInfo> info = stack_.info(connection_);
  if (!info || info->state == TcpState::SynSent) return "no connection";
  return result_.first_byte ? "no whole answer" : "no answer";
}

// What the connection tells of its start, as long as there is one to ask.
void Fetch::observe() {
  const Result<ConnectionInfo> info = stack_.info(connection_);
  if (!info) return;
  result_.tuple = info->tuple;
  result_.fast_open = info->fast_open;
  result_.syn_data_bytes = info->syn_data_bytes;
  // The first value is the handshake's; later ones would count the server's thinking too.
  if (result_.rtt == Duration::zero()) result_.rtt = info->rtt;
}

void Fetch::read(Instant now) {
  while (!done_) {
    const Result<Slice> bytes = stack_.read_slice(now, connection_);
    if (!bytes && bytes.error() == Error::WouldBlock) return;
    if (!bytes) {
      end(now, std::string(to_string(bytes.error())));
    } else if (bytes->empty()) {
      end(now, reader_.finish() ? std::string() : reader_.error());
    } else {
      if (!result_.first_byte) result_.first_byte = now - started_;
      if (!reader_.feed(bytes->span())) {
        end(now, reader_.error());
      } else if (reader_.done()) {
        end(now, {});
      }
    }
  }
}

void Fetch::end(Instant now, std::string error) {
  done_ = true;
  result_.total = now - started_;
  result_.status = reader_.head_done() ? reader_.status() : 0;
  result_.body_bytes = reader_.body_bytes();
  result_.location = reader_.location();
  result_.error = std::move(error);
  (void)(result_.error.empty() ? stack_.close(now, connection_) : stack_.abort(now, connection_));
}

}  // namespace ff::cli
