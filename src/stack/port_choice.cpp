#include "stack/port_choice.hpp"

namespace ff {

namespace {
bool is_towards(const FourTuple& tuple, const FourTuple& destination) noexcept {
  return tuple.remote == destination.remote && tuple.local.address == destination.local.address;
}
}  // namespace

void PortChoice::put(Crowd& crowd, std::uint16_t port, Holder holder) noexcept {
  if (crowd.taken.contains(port) || crowd.waiting.contains(port)) --crowd.size;
  crowd.taken.remove(port);
  crowd.waiting.remove(port);
  if (holder == Holder::Nobody) return;
  (holder == Holder::Taken ? crowd.taken : crowd.waiting).add(port);
  ++crowd.size;
}

void PortChoice::note_in_crowd(const FourTuple& tuple, Holder holder) {
  for (auto& crowd : crowds_) {
    if (!is_towards(tuple, crowd->destination)) continue;
    put(*crowd, tuple.local.port, holder);
    // Half of them have gone: asking is quick again.
    if (crowd->size < crowd->size_at_first / 2) {
      crowd = std::move(crowds_.back());
      crowds_.pop_back();
    }
    return;
  }
}

PortChoice::Crowd* PortChoice::crowd_of(const FourTuple& destination) noexcept {
  for (auto& crowd : crowds_) {
    if (!is_towards(destination, crowd->destination)) continue;
    crowd->used = searches_;
    return crowd.get();
  }
  return nullptr;
}

PortChoice::Crowd& PortChoice::add_crowd(const FourTuple& destination) {
  if (crowds_.size() == kMostCrowds) {
    const auto oldest = std::ranges::min_element(crowds_, {}, [](const auto& crowd) { return crowd->used; });
    *oldest = std::move(crowds_.back());
    crowds_.pop_back();
  }
  Crowd& crowd = *crowds_.emplace_back(std::make_unique<Crowd>());
  crowd.destination = destination;
  crowd.used = searches_;
  return crowd;
}

}  // namespace ff
