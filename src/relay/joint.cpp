#include "relay/joint.hpp"

#include <utility>

namespace ff::relay {

bool Joint::pump(Instant now, Way& way, bool other_ended) {
  while (!way.ended) {
    if (way.pending.bytes.empty()) {
      Result<Piece> next = way.from.read(now);
      if (!next) return next.error() == Error::WouldBlock;
      if (next->bytes.empty()) {
        if (!other_ended) way.to.shutdown_write(now);
        way.ended = true;
        return true;
      }
      way.pending = *std::move(next);
    }
    const std::uint32_t before = way.pending.bytes.size();
    const auto written = way.to.write(now, way.pending);
    way.moved += before - way.pending.bytes.size();
    if (!written) return written.error() == Error::WouldBlock;
  }
  return true;
}

}  // namespace ff::relay
