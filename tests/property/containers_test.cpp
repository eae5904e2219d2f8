// The structures under a connection, each against the simplest thing that does the same.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/held_memory.hpp"
#include "base/random.hpp"
#include "base/ring.hpp"
#include "base/slice_queue.hpp"
#include "base/timer_wheel.hpp"
#include "firstflight/seed.hpp"
#include "tcp/reassembly.hpp"

namespace ff {
namespace {

std::string bytes_of(std::uint64_t seed, std::size_t size) {
  Random random(Seed::from_number(seed).bytes);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

RC_GTEST_PROP(RingProperty, BehavesAsADeque, (const std::vector<std::uint8_t>& operations)) {
  Ring<int> ring;
  std::deque<int> model;
  int next = 0;
  for (const std::uint8_t operation : operations) {
    switch (operation % 4) {
      case 0:
        ring.push_back(next);
        model.push_back(next++);
        break;
      case 1:
        if (model.empty()) break;
        ring.pop_front();
        model.pop_front();
        break;
      case 2:
        if (model.empty()) break;
        ring.pop_back();
        model.pop_back();
        break;
      default: {
        const std::size_t at = (operation / 4) % (model.size() + 1);
        ring.insert(at, next);
        model.insert(model.begin() + static_cast<std::ptrdiff_t>(at), next++);
      }
    }
    RC_ASSERT(ring.size() == model.size());
    for (std::size_t i = 0; i < model.size(); ++i) RC_ASSERT(ring[i] == model[i]);
  }
}

RC_GTEST_PROP(SliceQueueProperty, BehavesAsAString, (std::uint64_t seed)) {
  Random random(Seed::from_number(seed).bytes);
  SlabPool pool(64, 8);
  HeldMemory memory;
  SliceQueue queue;
  std::string model;
  for (int step = 0; step < 300; ++step) {
    const std::string text = bytes_of(random.next(), random.below(150));
    switch (random.below(7)) {
      case 0: {
        Slice slice = Slice::copy_of(as_bytes(text));
        slice.drop_front(static_cast<std::uint32_t>(random.below(text.size() + 1)));
        model += slice.text();
        queue.push_back(std::move(slice), memory);
        break;
      }
      case 1:
        queue.push_copy(as_bytes(text), pool, memory);
        model += text;
        break;
      case 4:
        queue.compact(pool, memory);
        RC_ASSERT(queue.compact(pool, memory) == 0u);
        RC_ASSERT(memory.bytes() <= 4 * model.size() + queue.pieces() * (64 + HeldSlice::kCostOfSlab));
        break;
      case 2: {
        const auto count = static_cast<std::uint32_t>(random.below(model.size() + 1));
        queue.drop_front(count);
        model.erase(0, count);
        break;
      }
      case 3: {
        std::vector<std::uint8_t> into(random.below(200));
        const std::uint32_t count = queue.read(into);
        RC_ASSERT(count == std::min(into.size(), model.size()));
        RC_ASSERT(as_text(ByteSpan(into).first(count)) == model.substr(0, count));
        model.erase(0, count);
        break;
      }
      default: {
        const auto max = static_cast<std::uint32_t>(random.below(100));
        const Slice taken = queue.take_front(max);
        RC_ASSERT(taken.size() <= max);
        RC_ASSERT(taken.empty() == (max == 0 || model.empty()));
        RC_ASSERT(taken.text() == model.substr(0, taken.size()));
        model.erase(0, taken.size());
      }
    }
    RC_ASSERT(queue.size() == model.size());
    RC_ASSERT(memory.bytes() >= model.size() && (memory.bytes() > 0) == !model.empty());
    RC_ASSERT(memory.bytes() <= queue.pinned() + queue.pieces() * HeldSlice::kCostOfSlab);
    const auto offset = static_cast<std::uint32_t>(random.below(model.size() + 1));
    const auto length = static_cast<std::uint32_t>(random.below(model.size() - offset + 1));
    std::vector<Slice> pieces(1 + random.below(6));
    std::uint16_t used = 0;
    const std::uint32_t covered = queue.gather(offset, length, pieces, used);
    std::string gathered;
    for (std::uint16_t i = 0; i < used; ++i) gathered += pieces[i].text();
    RC_ASSERT(gathered.size() == covered);
    RC_ASSERT(gathered == model.substr(offset, covered));
    RC_ASSERT(covered == length || used == pieces.size());
  }
}

RC_GTEST_PROP(TimerWheelProperty, FiresEachTimerOnceAndNeverEarly, (std::uint64_t seed)) {
  Random random(Seed::from_number(seed).bytes);
  TimerWheel wheel;
  std::vector<TimerNode> nodes(20);
  std::vector<std::optional<Instant>> model(nodes.size());
  Instant now{Duration(static_cast<std::int64_t>(random.below(1'000'000'000'000)))};
  for (int step = 0; step < 300; ++step) {
    const std::size_t which = random.below(nodes.size());
    if (random.below(8) == 0) {
      wheel.cancel(nodes[which]);
      model[which].reset();
    } else {
      // From nanoseconds to days ahead, and now and then in the past.
      const Duration ahead(static_cast<std::int64_t>(random.next() >> (18 + random.below(40))));
      const Instant at = random.below(16) == 0 ? now - std::min(ahead, now.time_since_epoch()) : now + ahead;
      wheel.arm(nodes[which], at);
      model[which] = at;
    }
    const Instant first_asked = wheel.next_deadline();
    for (const auto& deadline : model)
      if (deadline) RC_ASSERT(first_asked <= std::max(*deadline, now));
    if (random.below(3) != 0) continue;
    now = random.below(4) == 0 ? now + Duration(static_cast<std::int64_t>(random.next() >> (20 + random.below(30))))
                               : (first_asked == kNever ? now : std::max(now, first_asked));
    while (TimerNode* fired = wheel.expire(now)) {
      const auto index = static_cast<std::size_t>(fired - nodes.data());
      RC_ASSERT(model[index].has_value());
      RC_ASSERT(*model[index] <= now);
      model[index].reset();
    }
    for (const auto& deadline : model)
      if (deadline) RC_ASSERT(*deadline > now);
  }
}

// The naive way: a byte is there or it is not, and the first copy of it counts.
RC_GTEST_PROP(ReassemblyProperty, BehavesAsAMapOfBytes, (std::uint64_t seed)) {
  Random random(Seed::from_number(seed).bytes);
  HeldMemory memory;
  tcp::Reassembly reassembly;
  std::map<std::uint64_t, std::uint8_t> model;
  std::uint64_t position = 0;
  for (int step = 0; step < 200; ++step) {
    if (random.below(8) == 0) {
      // Memory is scarce: what lies furthest ahead goes, as far as it is not in front of `keep`.
      const std::uint64_t keep = position + random.below(200);
      const auto enough = static_cast<std::uint32_t>(random.below(100));
      const std::uint32_t freed = reassembly.prune(keep, enough);
      for (std::uint32_t i = 0; i < freed; ++i) {
        RC_ASSERT(std::prev(model.end())->first > keep);
        model.erase(std::prev(model.end()));
      }
      // In parentheses of its own, or RC_ASSERT would evaluate all of it.
      RC_ASSERT((freed >= enough || model.empty() || std::prev(model.end())->first <= keep + 60));
      RC_ASSERT(reassembly.empty() == model.empty());
      RC_ASSERT((memory.bytes() > 0) == !model.empty());
    }
    const std::uint64_t place = position + 1 + random.below(200);
    const std::string text = bytes_of(random.next(), 1 + random.below(60));
    std::uint32_t fresh = 0;
    std::optional<std::uint64_t> first_duplicate, behind_duplicates;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (model.emplace(place + i, static_cast<std::uint8_t>(text[i])).second) {
        ++fresh;
        if (first_duplicate && !behind_duplicates) behind_duplicates = place + i;
      } else if (!first_duplicate) {
        first_duplicate = place + i;
      }
    }
    const tcp::Reassembly::Added added = reassembly.add(place, Slice::copy_of(as_bytes(text)), memory);
    RC_ASSERT(added.new_bytes == fresh);
    RC_ASSERT(added.duplicate.has_value() == first_duplicate.has_value());
    if (first_duplicate) {
      RC_ASSERT(added.duplicate->begin == *first_duplicate);
      RC_ASSERT(added.duplicate->end == behind_duplicates.value_or(place + text.size()));
    }

    // Each block reported is a whole run of bytes that are there, the one just changed first.
    wire::SackBlocks blocks;
    reassembly.report(Seq(0), position, wire::SackBlocks::kMax, blocks);
    RC_ASSERT(blocks.count > 0);
    for (std::uint8_t i = 0; i < blocks.count; ++i) {
      const std::uint64_t first = position + blocks.blocks[i].first.raw();
      const std::uint64_t end = position + blocks.blocks[i].end.raw();
      RC_ASSERT(first < end);
      if (i == 0) RC_ASSERT(first <= place && place + text.size() <= end);
      for (std::uint64_t at = first; at < end; ++at) RC_ASSERT(model.contains(at));
      RC_ASSERT(!model.contains(end));
      RC_ASSERT(first == position || !model.contains(first - 1));
    }

    if (random.below(3) != 0) continue;
    // Bytes arrive in order and run into what waits.
    const std::uint64_t gap = random.below(40);
    model.erase(model.begin(), model.lower_bound(position + gap));
    position += gap;
    for (Slice taken = reassembly.take(position); !taken.empty(); taken = reassembly.take(position)) {
      for (const std::uint8_t byte : taken.span()) {
        RC_ASSERT(model.contains(position));
        RC_ASSERT(model.at(position) == byte);
        model.erase(position++);
      }
    }
    RC_ASSERT(!model.contains(position));
    RC_ASSERT(reassembly.empty() == model.empty());
  }
}

}  // namespace
}  // namespace ff
