#include "runtime/known_paths.hpp"

#include <fmt/format.h>

#include <map>
#include <tuple>
#include <utility>

namespace ff::control {

namespace {

using PlaceInList = std::tuple<IpAddress, IpAddress, std::uint64_t>;

KnownPath path_of(const FastOpenCacheEntry& entry) {
  KnownPath path;
  path.metrics.destination = entry.destination;
  path.metrics.source = entry.source;
  path.metrics.updated = entry.learned;
  path.fo_mss = entry.mss;
  path.fo_cookie = fmt::format("{:02x}", fmt::join(entry.cookie.span(), ""));
  path.fo_syn_drops = entry.syn_losses;
  path.fo_partition = entry.partition;
  return path;
}

}  // namespace

// By addresses. What is known of a path belongs to all partitions, and stands with the one that nobody asked for.
std::vector<KnownPath> known_paths(const Stack& stack, Instant now) {
  std::map<PlaceInList, KnownPath> paths;
  for (const FastOpenCacheEntry& entry : stack.fast_open_cache(now))
    paths.emplace(PlaceInList(entry.destination, entry.source, entry.partition), path_of(entry));
  for (const TcpMetrics& metrics : stack.tcp_metrics(now))
    paths[PlaceInList(metrics.destination, metrics.source, 0)].metrics = metrics;
  std::vector<KnownPath> listed;
  listed.reserve(paths.size());
  for (auto& [place, path] : paths) listed.push_back(std::move(path));
  return listed;
}

}  // namespace ff::control
