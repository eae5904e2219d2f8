// Messages into values, by Boost.Beast's parser.
#include <fmt/format.h>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

#include "cli/http.hpp"

namespace ff::cli::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using beast::http::field;
using beast::http::verb;

std::string_view std_view(beast::string_view text) { return {text.data(), text.size()}; }

beast::net::const_buffer buffer_of(std::string_view text) { return {text.data(), text.size()}; }

// Only the head is given to it; bodies of requests are nobody's business here.
class RequestCollector final : public beast::http::basic_parser<true> {
 public:
  Request request;
  std::string target;
  int version = 0;  // 10 or 11
  std::size_t hosts = 0;

 private:
  void on_request_impl(verb method, beast::string_view, beast::string_view text, int http_version,
                       error_code&) override {
    version = http_version;
    request.method = method == verb::get ? Method::Get : method == verb::head ? Method::Head : Method::Other;
    target = std_view(text);
  }
  void on_field_impl(field name, beast::string_view, beast::string_view value, error_code& failure) override {
    if (++fields_ > kMaxFields) failure = beast::http::error::header_limit;
    switch (name) {
      case field::host:
        ++hosts;
        break;
      case field::range:
        request.range = std_view(value);
        break;
      case field::if_range:
        request.if_range = std_view(value);
        break;
      case field::if_modified_since:
        request.if_modified_since = std_view(value);
        break;
      default:
        break;
    }
  }
  void on_header_impl(error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override { return body.size(); }
  void on_finish_impl(error_code&) override {}

  std::size_t fields_ = 0;
};

// The path of a request target in origin form or absolute form (RFC 9112 §3.2), still encoded.
std::optional<std::string_view> path_of(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {
    const std::size_t slash = target.find('/', kScheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (!target.starts_with('/')) return std::nullopt;
  return target.substr(0, target.find_first_of("?#"));
}

}  // namespace

std::expected<Request, BadRequest> parse_request(std::string_view head) {
  while (head.starts_with("\r\n")) head.remove_prefix(2);
  if (head.size() > kMaxHead) return std::unexpected(BadRequest{431, "the request's head is too large"});
  RequestCollector collector;
  collector.header_limit(kMaxHead + 1);
  collector.body_limit(boost::none);
  error_code error;
  collector.put(buffer_of(head), error);
  if (error == beast::http::error::header_limit)
    return std::unexpected(BadRequest{431, "the request has too many fields"});
  if ((error && error != beast::http::error::need_more) || !collector.is_header_done())
    return std::unexpected(BadRequest{400, "the request is malformed"});
  // RFC 9112 §3.2: exactly one Host since HTTP/1.1.
  if (collector.hosts > 1 || (collector.hosts == 0 && collector.version >= 11))
    return std::unexpected(BadRequest{400, "the request must have one Host field"});
  Request request = std::move(collector.request);
  request.keep_alive = collector.keep_alive();
  request.has_body = collector.chunked() || collector.content_length().value_or(0) > 0;
  if (request.method == Method::Other) return request;
  const auto encoded = path_of(collector.target);
  auto path = encoded ? percent_decode(*encoded) : std::nullopt;
  if (!path) return std::unexpected(BadRequest{400, "the request's target is no path"});
  request.path = *std::move(path);
  return request;
}

// ---- the client's side

class ResponseReader::Impl {
 public:
  explicit Impl(BodySink sink);

  bool feed(ByteSpan bytes);
  bool finish();

  bool head_done = false;
  bool done = false;
  std::string error;
  unsigned status = 0;
  std::string location;
  std::uint64_t body_bytes = 0;
  std::optional<std::uint64_t> content_length;

 private:
  class Parser;
  void begin();
  std::optional<std::size_t> put(std::string_view text);
  bool fail(const error_code& code);
  void give(beast::string_view body) {
    body_bytes += body.size();
    if (sink_) sink_(as_bytes(std_view(body)));
  }

  BodySink sink_;
  std::unique_ptr<Parser> parser_;
  std::string pending_;  // what the parser could not use yet
};

class ResponseReader::Impl::Parser final : public beast::http::basic_parser<false> {
 public:
  explicit Parser(Impl& owner) : owner_(owner) {
    header_limit(kMaxHead);
    body_limit(boost::none);
    eager(true);
  }

 private:
  void on_response_impl(int code, beast::string_view, int, error_code&) override {
    owner_.status = static_cast<unsigned>(code);
  }
  void on_field_impl(field name, beast::string_view, beast::string_view value, error_code& failure) override {
    if (++fields_ > kMaxFields) failure = beast::http::error::header_limit;
    if (name == field::location) owner_.location = std_view(value);
  }
  void on_header_impl(error_code&) override {
    // An interim response has no body, and the final one follows (RFC 9110 §15.2).
    if (owner_.status >= 200) owner_.head_done = true;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length && owner_.status >= 200) owner_.content_length = *length;
  }
  std::size_t on_body_impl(beast::string_view body, error_code&) override {
    owner_.give(body);
    return body.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override {
    owner_.give(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_request_impl(verb, beast::string_view, beast::string_view, int, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  Impl& owner_;
  std::size_t fields_ = 0;
};

ResponseReader::Impl::Impl(BodySink sink) : sink_(std::move(sink)) { begin(); }

void ResponseReader::Impl::begin() { parser_ = std::make_unique<Parser>(*this); }

bool ResponseReader::Impl::fail(const error_code& code) {
  error = code == beast::http::error::header_limit      ? "its header is too large"
          : code == beast::http::error::partial_message ? "it ended in the middle"
                                                        : fmt::format("it is no HTTP response ({})", code.message());
  return false;
}

// How much of `text` was used; nothing on an error.
std::optional<std::size_t> ResponseReader::Impl::put(std::string_view text) {
  std::size_t used = 0;
  while (!done && used < text.size()) {
    error_code code;
    const std::size_t taken = parser_->put(buffer_of(text.substr(used)), code);
    used += taken;
    if (code == beast::http::error::need_more) break;
    if (code) {
      fail(code);
      return std::nullopt;
    }
    if (parser_->is_done() && status < 200) {
      begin();
    } else if (parser_->is_done()) {
      done = true;
    } else if (taken == 0) {
      break;
    }
  }
  return used;
}

bool ResponseReader::Impl::feed(ByteSpan bytes) {
  if (done) return true;
  if (!error.empty()) return false;
  std::string_view text = as_text(bytes);
  if (!pending_.empty()) text = pending_.append(text);
  const auto used = put(text);
  if (!used) return false;
  // What is left is part of a head or of a chunk's header, both of which the parser bounds.
  pending_ = std::string(text.substr(*used));
  return true;
}

bool ResponseReader::Impl::finish() {
  if (done) return true;
  if (!error.empty()) return false;
  if (!parser_->got_some()) {
    error = "the connection ended before any answer";
    return false;
  }
  error_code code;
  parser_->put_eof(code);
  if (code || !parser_->is_done()) return fail(code ? code : error_code(beast::http::error::partial_message));
  done = true;
  return true;
}

ResponseReader::ResponseReader(BodySink sink) : impl_(std::make_unique<Impl>(std::move(sink))) {}
ResponseReader::~ResponseReader() = default;
bool ResponseReader::feed(ByteSpan bytes) { return impl_->feed(bytes); }
bool ResponseReader::finish() { return impl_->finish(); }
bool ResponseReader::head_done() const noexcept { return impl_->head_done; }
bool ResponseReader::done() const noexcept { return impl_->done; }
const std::string& ResponseReader::error() const noexcept { return impl_->error; }
unsigned ResponseReader::status() const noexcept { return impl_->status; }
const std::string& ResponseReader::location() const noexcept { return impl_->location; }
std::uint64_t ResponseReader::body_bytes() const noexcept { return impl_->body_bytes; }
std::optional<std::uint64_t> ResponseReader::content_length() const noexcept { return impl_->content_length; }

}  // namespace ff::cli::http
