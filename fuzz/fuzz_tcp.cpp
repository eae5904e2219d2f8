// TCP headers and options: any bytes may be read, and what was read can be written and read again.
#include <algorithm>
#include <array>
#include <vector>

#include "require.hpp"
#include "wire/tcp.hpp"

namespace {

using namespace ff;
using namespace ff::wire;

bool same(const TcpHeader& a, const TcpHeader& b) {
  return a.source_port == b.source_port && a.destination_port == b.destination_port && a.seq == b.seq &&
         a.ack == b.ack && a.flags == b.flags && a.window == b.window && a.urgent_pointer == b.urgent_pointer &&
         a.options == b.options;
}

void check_options(const TcpOptions& options, bool syn) {
  FF_REQUIRE(options.sack.count <= SackBlocks::kMax);
  if (options.window_scale) FF_REQUIRE(options.window_scale->shift <= WindowScale::kMax);
  if (options.mss) FF_REQUIRE(*options.mss != 0);
  if (options.fast_open) {
    const std::uint8_t size = options.fast_open->cookie.size;
    FF_REQUIRE(size == 0 || FastOpenCookie::valid_size(size));
  }
  if (syn) {
    FF_REQUIRE(options.sack.count == 0);
  } else {
    FF_REQUIRE(!options.mss && !options.window_scale && !options.sack_permitted && !options.fast_open);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan segment(data, size);
  const auto quoted = parse_quoted_tcp(segment);
  FF_REQUIRE(quoted.has_value() == (size >= 8));

  const auto view = parse_tcp(segment);
  if (!view) {
    FF_REQUIRE(view.error() == DropReason::TcpTruncated || view.error() == DropReason::TcpHeader ||
               view.error() == DropReason::TcpOptions);
    return 0;
  }
  const TcpHeader& header = view->header;
  FF_REQUIRE(std::size_t{view->payload_offset} + view->payload_size == size);
  FF_REQUIRE(quoted->source_port == header.source_port && quoted->seq == header.seq);
  check_options(header.options, header.flags.syn());

  std::array<std::uint8_t, kTcpHeaderSize + kMaxTcpOptions> bytes;
  const std::size_t written = emit_tcp(header, bytes.data());
  FF_REQUIRE(written <= bytes.size() && written % 4 == 0);
  const auto again = parse_tcp(ByteSpan(bytes).first(written));
  FF_REQUIRE(again.has_value());
  FF_REQUIRE(same(again->header, header));
  return 0;
}
