// From a four-tuple to the connection or request that it belongs to. The third form, TIME_WAIT entries, has a table of
// its own (time_waits.hpp).
//
// The table holds eight bytes for each: part of a keyed hash, so that growing it touches nothing else, and where to
// find the rest.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cassert>
#include <cstdint>
#include <optional>

#include "base/pool.hpp"
#include "base/siphash.hpp"
#include "stack/socket.hpp"
#include "stack/tuple_hash.hpp"
#include "tcp/request.hpp"

namespace ff {

enum class Form : std::uint8_t { Connection, Request };

struct FormRef {
  Form form;
  std::uint32_t index;
};

struct Forms {
  Pool<Socket> connections;
  Pool<tcp::Request> requests;

  [[nodiscard]] const FourTuple& tuple_of(FormRef ref) const noexcept {
    return ref.form == Form::Connection ? connections[ref.index].tcp.tuple() : requests[ref.index].tuple();
  }
};

class Demux {
 public:
  // The hash is keyed by a secret: peers choose addresses and ports, and must not choose collisions.
  Demux(const Forms& forms, const SipHashKey& key) : forms_(forms), key_(key), entries_(0, Hash{}, Equal{&forms}) {}

  [[nodiscard]] std::optional<FormRef> find(const FourTuple& tuple) const noexcept {
    // Packets come in trains: most are for whom the one before was.
    if (last_found_ && forms_.tuple_of(*last_found_) == tuple) return last_found_;
    const auto it = entries_.find(Key{hash(tuple), &tuple});
    if (it == entries_.end()) return std::nullopt;
    last_found_ = unpack(it->ref);
    return last_found_;
  }
  void insert(const FourTuple& tuple, FormRef ref) {
    [[maybe_unused]] const bool added = entries_.insert(Entry{hash(tuple), pack(ref)}).second;
    assert(added);
    last_found_ = ref;
  }
  void erase(const FourTuple& tuple) noexcept {
    const auto it = entries_.find(Key{hash(tuple), &tuple});
    assert(it != entries_.end());
    if (last_found_ && pack(*last_found_) == it->ref) last_found_.reset();
    entries_.erase(it);
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::uint32_t hash;
    std::uint32_t ref;
  };
  struct Key {
    std::uint32_t hash;
    const FourTuple* tuple;
  };
  static constexpr std::uint32_t kIndexBits = 30;
  static std::uint32_t pack(FormRef ref) noexcept {
    assert(ref.index >> kIndexBits == 0);
    return static_cast<std::uint32_t>(ref.form) << kIndexBits | ref.index;
  }
  static FormRef unpack(std::uint32_t ref) noexcept {
    return {static_cast<Form>(ref >> kIndexBits), ref & ((1u << kIndexBits) - 1)};
  }

  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    static std::size_t spread(std::uint32_t hash) noexcept { return hash * 0x9e3779b97f4a7c15u; }
    std::size_t operator()(const Entry& entry) const noexcept { return spread(entry.hash); }
    std::size_t operator()(const Key& key) const noexcept { return spread(key.hash); }
  };
  struct Equal {
    using is_transparent = void;
    const Forms* forms;
    bool operator()(const Entry& a, const Entry& b) const noexcept {
      return a.hash == b.hash && forms->tuple_of(unpack(a.ref)) == forms->tuple_of(unpack(b.ref));
    }
    bool operator()(const Key& a, const Entry& b) const noexcept {
      return a.hash == b.hash && *a.tuple == forms->tuple_of(unpack(b.ref));
    }
    bool operator()(const Entry& a, const Key& b) const noexcept { return (*this)(b, a); }
  };

  [[nodiscard]] std::uint32_t hash(const FourTuple& tuple) const noexcept {
    return static_cast<std::uint32_t>(tuple_hash<1, 3>(key_, tuple));
  }

  const Forms& forms_;
  SipHashKey key_;
  mutable std::optional<FormRef> last_found_;
  boost::unordered_flat_set<Entry, Hash, Equal> entries_;
};

}  // namespace ff
