// HTTP/1.1 (RFC 9110, RFC 9112), as much as a file server and a client need. Parsing proper is Boost.Beast's; what is
// here sets the bounds and turns messages into values.
#pragma once

#include <cstdint>
#include <ctime>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "firstflight/bytes.hpp"

namespace ff::cli::http {

inline constexpr std::size_t kMaxHead = 64 * 1024;  // start line and fields
inline constexpr std::size_t kMaxFields = 256;

// "Not Found" of 404.
std::string_view reason_phrase(unsigned status) noexcept;

// ---- the server's side

// Finds the end of a message's head in bytes that come piece by piece, looking at each byte once.
class HeadScanner {
 public:
  // `buffer` holds all bytes so far. The size of the head, its empty line included; nothing as long as it is not whole.
  std::optional<std::size_t> scan(std::string_view buffer) noexcept;
  void reset() noexcept { scanned_ = 0; }

 private:
  std::size_t scanned_ = 0;
};

enum class Method : std::uint8_t { Get, Head, Other };

struct Request {
  Method method = Method::Other;
  std::string path;  // decoded, begins with '/', without the query
  bool keep_alive = false;
  bool has_body = false;
  std::string range;              // the Range field, or empty
  std::string if_range;           // likewise
  std::string if_modified_since;  // likewise
};

// The status to answer with, and why in a phrase.
struct BadRequest {
  unsigned status = 400;
  std::string_view why;
};

// `head`: as HeadScanner found it.
std::expected<Request, BadRequest> parse_request(std::string_view head);

// "%41%2f" becomes "A/"; nothing when a '%' is not followed by two hexadecimal digits or stands for a NUL.
std::optional<std::string> percent_decode(std::string_view text);

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};
enum class RangeKind : std::uint8_t { Whole, Part, Unsatisfiable };
struct RangeAnswer {
  RangeKind kind = RangeKind::Whole;
  ByteRange range;  // for Part
};
// What a Range field means for something of `size` bytes (RFC 9110 §14.2). More than one range, another unit and what
// makes no sense are ignored, as the RFC allows.
RangeAnswer answer_range(std::string_view field, std::uint64_t size);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string format_date(std::time_t time);

std::string_view content_type_of(std::string_view path) noexcept;

struct ResponseHead {
  unsigned status = 200;
  std::uint64_t content_length = 0;
  std::string_view content_type{};
  std::string_view extra_fields{};  // whole lines with their CR LF
  bool keep_alive = true;
};
std::string format_head(const ResponseHead& head, std::time_t now);

// ---- the client's side

// Reads one response from bytes that come piece by piece.
class ResponseReader {
 public:
  // Gets the body, decoded, piece by piece.
  using BodySink = std::function<void(ByteSpan)>;
  explicit ResponseReader(BodySink sink);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // False when this is no HTTP response; error() says why. Bytes behind the response are ignored.
  bool feed(ByteSpan bytes);
  // The peer has closed. False when the response is not complete then.
  bool finish();

  [[nodiscard]] bool head_done() const noexcept;
  [[nodiscard]] bool done() const noexcept;
  [[nodiscard]] const std::string& error() const noexcept;
  [[nodiscard]] unsigned status() const noexcept;
  [[nodiscard]] const std::string& location() const noexcept;
  [[nodiscard]] std::uint64_t body_bytes() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ff::cli::http
