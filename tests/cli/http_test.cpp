#include "cli/http.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ff::cli::http {
namespace {

std::expected<Request, BadRequest> parse(const std::string& lines) { return parse_request(lines + "\r\n"); }

unsigned status_of(const std::string& lines) {
  const auto request = parse(lines);
  return request ? 200 : request.error().status;
}

// ---- requests

TEST(HttpRequest, IsReadWithItsFields) {
  const auto request = parse(
      "GET /a%20b/c?q=1 HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\nIf-Range: yesterday\r\n"
      "if-modified-since: today\r\n");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, Method::Get);
  EXPECT_EQ(request->path, "/a b/c");
  EXPECT_TRUE(request->keep_alive);
  EXPECT_FALSE(request->has_body);
  EXPECT_EQ(request->range, "bytes=0-9");
  EXPECT_EQ(request->if_range, "yesterday");
  EXPECT_EQ(request->if_modified_since, "today");
}

TEST(HttpRequest, StaysOpenAsVersionAndConnectionFieldSay) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: x\r\n")->keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")->keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n")->keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n")->keep_alive);
}

TEST(HttpRequest, MayNameItsTargetInAbsoluteForm) {
  EXPECT_EQ(parse("GET http://x/y HTTP/1.1\r\nHost: x\r\n")->path, "/y");
  EXPECT_EQ(parse("GET http://x HTTP/1.1\r\nHost: x\r\n")->path, "/");
}

TEST(HttpRequest, WithOtherMethodIsNoError) {
  EXPECT_EQ(parse("HEAD / HTTP/1.1\r\nHost: x\r\n")->method, Method::Head);
  const auto post = parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n");
  ASSERT_TRUE(post);
  EXPECT_EQ(post->method, Method::Other);
  EXPECT_TRUE(post->has_body);
  EXPECT_TRUE(parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n")->has_body);
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n")->method, Method::Other);
}

TEST(HttpRequest, ToleratesEmptyLinesBeforeIt) { EXPECT_EQ(status_of("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n"), 200u); }

TEST(HttpRequest, MalformedIsRefused) {
  for (const char* lines : {
           "GET /\r\n",                                                                // no version
           "GET / HTTP/3.7\r\nHost: x\r\n",                                            // unknown version
           " GET / HTTP/1.1\r\nHost: x\r\n",                                           // space first
           "GET / HTTP/1.1\r\nHost x\r\n",                                             // no colon
           "GET / HTTP/1.1\r\nHo st: x\r\n",                                           // space in a name
           "GET / HTTP/1.1\r\nHost : x\r\n",                                           // space before the colon
           "GET / HTTP/1.1\r\n",                                                       // no Host
           "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n",                                 // two
           "GET relative HTTP/1.1\r\nHost: x\r\n",                                     // no path
           "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n",                                     // another scheme
           "GET /%zz HTTP/1.1\r\nHost: x\r\n",                                         // no hexadecimal digits
           "GET /%4 HTTP/1.1\r\nHost: x\r\n",                                          // one digit
           "GET /a%00b HTTP/1.1\r\nHost: x\r\n",                                       // a NUL
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n",                      // no length
           "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n",  // two
       })
    EXPECT_EQ(status_of(lines), 400u) << lines;
}

TEST(HttpRequest, WithTooManyFieldsIsRefused) {
  std::string lines = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (std::size_t i = 1; i < kMaxFields; ++i) lines += "A: b\r\n";
  EXPECT_EQ(status_of(lines), 200u);
  EXPECT_EQ(status_of(lines + "A: b\r\n"), 431u);
}

TEST(HttpRequest, TooLargeIsRefused) {
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
  const auto of_size = [&](std::size_t size) { return start + std::string(size - start.size() - 4, 'a') + "\r\n"; };
  EXPECT_EQ(status_of(of_size(kMaxHead)), 200u);
  EXPECT_EQ(status_of(of_size(kMaxHead + 1)), 431u);
}

// ---- finding heads

TEST(HttpHead, IsFoundHoweverItIsCut) {
  const std::string message = "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nnext";
  HeadScanner scanner;
  for (std::size_t size = 0; size + 4 < message.size(); ++size)
    EXPECT_FALSE(scanner.scan(std::string_view(message).substr(0, size))) << size;
  EXPECT_EQ(scanner.scan(message), message.size() - 4);
  scanner.reset();
  EXPECT_EQ(scanner.scan(message), message.size() - 4);
}

TEST(HttpHead, DoesNotEndWithEmptyLinesBeforeIt) {
  HeadScanner scanner;
  EXPECT_FALSE(scanner.scan("\r\n\r\n"));
  EXPECT_FALSE(scanner.scan("\r\n\r\n\r\nGET"));
}

// ---- ranges, dates, types

TEST(HttpRange, IsWhatTheFieldSays) {
  const auto part = [](std::string_view field, std::uint64_t size) {
    const RangeAnswer answer = answer_range(field, size);
    EXPECT_EQ(answer.kind, RangeKind::Part) << field;
    return std::pair(answer.range.first, answer.range.length);
  };
  EXPECT_EQ(part("bytes=0-0", 10), std::pair(0ul, 1ul));
  EXPECT_EQ(part("bytes=2-5", 10), std::pair(2ul, 4ul));
  EXPECT_EQ(part("bytes=2-", 10), std::pair(2ul, 8ul));
  EXPECT_EQ(part("bytes=2-99", 10), std::pair(2ul, 8ul));
  EXPECT_EQ(part("bytes=-3", 10), std::pair(7ul, 3ul));
  EXPECT_EQ(part("bytes=-30", 10), std::pair(0ul, 10ul));
  EXPECT_EQ(part(" bytes= 9-9 ", 10), std::pair(9ul, 1ul));
  EXPECT_EQ(part("bytes=0-18446744073709551615", 10), std::pair(0ul, 10ul));
}

TEST(HttpRange, BeyondTheEndCannotBe) {
  for (const char* field : {"bytes=10-", "bytes=10-12", "bytes=-0"})
    EXPECT_EQ(answer_range(field, 10).kind, RangeKind::Unsatisfiable) << field;
  EXPECT_EQ(answer_range("bytes=0-", 0).kind, RangeKind::Unsatisfiable);
  EXPECT_EQ(answer_range("bytes=-1", 0).kind, RangeKind::Unsatisfiable);
}

TEST(HttpRange, ThatMakesNoSenseIsIgnored) {
  for (const char* field : {"", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-2", "bytes=a-b", "bytes=1-2,4-5",
                            "lines=1-2", "bytes=99999999999999999999-", "bytes=1--2", "bytes=+1-2"})
    EXPECT_EQ(answer_range(field, 10).kind, RangeKind::Whole) << field;
}

TEST(HttpDate, IsInTheFormOfTheRfc) {
  EXPECT_EQ(format_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110 §5.6.7
  EXPECT_EQ(format_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(HttpHead, IsWrittenWithWhatItIsGiven) {
  const std::string head = format_head({.status = 206,
                                        .content_length = 7,
                                        .content_type = "text/plain",
                                        .extra_fields = "Content-Range: bytes 0-6/9\r\n",
                                        .keep_alive = false},
                                       784111777);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 206 Partial Content\r\n")) << head;
  EXPECT_TRUE(head.ends_with("Content-Range: bytes 0-6/9\r\nConnection: close\r\n\r\n")) << head;
  EXPECT_NE(head.find("\r\nContent-Length: 7\r\n"), std::string::npos) << head;
}

TEST(ContentType, FollowsTheName) {
  EXPECT_EQ(content_type_of("/a/index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("/x.tar.gz"), "application/gzip");
  EXPECT_EQ(content_type_of("/html"), "application/octet-stream");
}

// ---- responses

struct Read {
  bool fed = true;
  bool finished = false;
  std::string body;
  unsigned status = 0;
  std::string error;
};

// Feeds the message in pieces of `piece` bytes, then closes.
Read read(const std::string& message, std::size_t piece) {
  Read result;
  ResponseReader reader([&](ByteSpan bytes) { result.body += as_text(bytes); });
  for (std::size_t at = 0; at < message.size() && result.fed; at += piece)
    result.fed = reader.feed(as_bytes(std::string_view(message).substr(at, piece)));
  result.finished = result.fed && reader.finish();
  result.status = reader.status();
  result.error = reader.error();
  EXPECT_EQ(reader.body_bytes(), result.body.size());
  return result;
}

class HttpResponse : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Pieces, HttpResponse, testing::Values(1, 2, 3, 7, 64, 100'000));

TEST_P(HttpResponse, WithLengthIsRead) {
  const Read result = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloand more", GetParam());
  EXPECT_TRUE(result.finished) << result.error;
  EXPECT_EQ(result.body, "hello");
  EXPECT_EQ(result.status, 200u);
}

TEST_P(HttpResponse, InChunksIsRead) {
  const Read result = read(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0\r\nT: "
      "r\r\n\r\n",
      GetParam());
  EXPECT_TRUE(result.finished) << result.error;
  EXPECT_EQ(result.body, "hello, world");
}

TEST_P(HttpResponse, UpToTheEndOfTheConnectionIsRead) {
  const Read result = read("HTTP/1.0 404 Not Found\r\n\r\nno such thing", GetParam());
  EXPECT_TRUE(result.finished) << result.error;
  EXPECT_EQ(result.body, "no such thing");
  EXPECT_EQ(result.status, 404u);
}

TEST_P(HttpResponse, BehindAnInterimOneIsRead) {
  const Read result = read(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      GetParam());
  EXPECT_TRUE(result.finished) << result.error;
  EXPECT_EQ(result.body, "ok");
  EXPECT_EQ(result.status, 200u);
}

TEST_P(HttpResponse, WithoutBodyByItsStatusIsRead) {
  EXPECT_TRUE(read("HTTP/1.1 204 No Content\r\n\r\n", GetParam()).finished);
  EXPECT_TRUE(read("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", GetParam()).finished);
}

TEST_P(HttpResponse, ThatEndsTooEarlyIsAnError) {
  for (const char* message :
       {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    const Read result = read(message, GetParam());
    EXPECT_FALSE(result.finished) << message;
    EXPECT_FALSE(result.error.empty()) << message;
  }
}

TEST_P(HttpResponse, ThatIsNoneIsAnError) {
  for (const char* message :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    const Read result = read(message, GetParam());
    EXPECT_FALSE(result.finished) << message;
    EXPECT_FALSE(result.error.empty()) << message;
  }
}

TEST(HttpResponseBound, HeadWithoutEndIsAnError) {
  const std::string message = "HTTP/1.1 200 OK\r\nA: " + std::string(2 * kMaxHead, 'a');
  EXPECT_FALSE(read(message, 1000).fed);
}

}  // namespace
}  // namespace ff::cli::http
