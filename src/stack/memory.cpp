// What the stack does about tcp_mem (src/tcp/memory.hpp), beside what each connection does for itself.
#include <algorithm>

#include "stack/impl.hpp"

namespace ff {

namespace {
// Connections that are looked at for each packet or call, so that pressure never makes one of those take long.
constexpr std::uint32_t kCompactedAtATime = 8;
}  // namespace

void Stack::Impl::ease_memory(Instant now) {
  tcp::Memory& memory = env_.memory;
  memory.relax(now, env_.settings.tcp_mem, env_.counters);
  if (memory.under_pressure()) compact_some(now);
  if (!writers_.empty() && !memory.exhausted(env_.settings.tcp_mem)) tell_a_writer(now);
}

// Readers that are asleep pin memory that they make no use of: each connection is looked at once whenever pressure
// begins.
void Stack::Impl::compact_some(Instant now) {
  if (compacted_in_ != env_.memory.episodes()) {
    compacted_in_ = env_.memory.episodes();
    next_compacted_ = 0;
  }
  const std::uint32_t end = std::min(next_compacted_ + kCompactedAtATime, forms_.connections.slots());
  for (; next_compacted_ < end; ++next_compacted_) {
    Socket* socket = forms_.connections.at(next_compacted_);
    if (socket == nullptr) continue;
    tcp::Context c = context(now);
    socket->tcp.compact(c);
  }
}

void Stack::Impl::queue_writer(Socket& socket) {
  if (socket.writer_queued) return;
  socket.writer_queued = true;
  writers_.push_back({socket.index, forms_.connections.generation(socket.index)});
}

// The one that has waited longest, if it would not be refused again.
void Stack::Impl::tell_a_writer(Instant now) {
  const ConnectionId id = writers_.front();
  writers_.pop_front();
  Socket* socket = forms_.connections.find(id.index, id.generation);
  if (socket == nullptr) return;
  tcp::Context c = context(now);
  if (!socket->tcp.retry_write(c)) return void(writers_.push_back(id));
  socket->writer_queued = false;
  socket->events |= socket->tcp.take_events();
  if (socket->owned && socket->events != 0 && !socket->event_hook.is_linked()) event_list_.push_back(*socket);
}

}  // namespace ff
