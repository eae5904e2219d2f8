#include "cli/ss_filter.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "cli/usage.hpp"

namespace ff::cli {
namespace {

constexpr std::uint32_t bit(TcpState state) { return SocketCursor::bit(state); }

// ---- states --------------------------------------------------------------------------------------------------------

struct StateName {
  std::string_view name;
  std::uint32_t states;
};

constexpr std::uint32_t kConnected =
    SocketCursor::kAllStates & ~bit(TcpState::Listen) & ~bit(TcpState::Closed);  // as ss(8) lists them
constexpr std::uint32_t kBucket = bit(TcpState::SynReceived) | bit(TcpState::TimeWait);

constexpr std::array kStateNames{
    StateName{"established", bit(TcpState::Established)},
    StateName{"syn-sent", bit(TcpState::SynSent)},
    StateName{"syn-recv", bit(TcpState::SynReceived)},
    StateName{"fin-wait-1", bit(TcpState::FinWait1)},
    StateName{"fin-wait-2", bit(TcpState::FinWait2)},
    StateName{"time-wait", bit(TcpState::TimeWait)},
    StateName{"unconnected", bit(TcpState::Closed)},
    StateName{"closed", bit(TcpState::Closed)},
    StateName{"close-wait", bit(TcpState::CloseWait)},
    StateName{"last-ack", bit(TcpState::LastAck)},
    StateName{"listening", bit(TcpState::Listen)},
    StateName{"closing", bit(TcpState::Closing)},
    StateName{"all", SocketCursor::kAllStates},
    StateName{"connected", kConnected},
    StateName{"synchronized", kConnected & ~bit(TcpState::SynSent)},
    StateName{"bucket", kBucket},
    StateName{"big", SocketCursor::kAllStates & ~kBucket},
    // Other spellings that ss takes.
    StateName{"listen", bit(TcpState::Listen)},
    StateName{"estab", bit(TcpState::Established)},
};

// ---- words ---------------------------------------------------------------------------------------------------------

struct Word {
  std::string_view text;
  std::size_t place;  // the first character is 1
};

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kSymbols = "()!&|=<>";

// The symbol at the front of `text`: one character, or two of "!=", "==", "<=", ">=", "&&", "||".
std::size_t symbol_length(std::string_view text) {
  if (text.size() < 2) return 1;
  const bool pair = (text[1] == '=' && std::string_view("!=<>").contains(text[0])) ||
                    (text[0] == text[1] && (text[0] == '&' || text[0] == '|'));
  return pair ? 2 : 1;
}

std::vector<Word> split(std::string_view text) {
  std::vector<Word> words;
  for (std::size_t at = 0; (at = text.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    std::size_t length = 0;
    if (kSymbols.contains(text[at])) {
      length = symbol_length(text.substr(at));
    } else {
      const std::size_t blank = text.find_first_of(kBlanks, at);
      const std::size_t symbol = text.find_first_of(kSymbols, at);
      length = std::min({blank, symbol, text.size()}) - at;
    }
    words.push_back({text.substr(at, length), at + 1});
    at += length;
  }
  return words;
}

// ---- conditions ----------------------------------------------------------------------------------------------------

enum class Comparison : std::uint8_t { Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual };

std::optional<Comparison> comparison(std::string_view word) {
  struct Name {
    std::string_view symbol, letters, other;
    Comparison means;
  };
  static constexpr std::array kNames{
      Name{"=", "eq", "==", Comparison::Equal},   Name{"!=", "ne", "neq", Comparison::NotEqual},
      Name{"<", "lt", "lt", Comparison::Less},    Name{"<=", "le", "leq", Comparison::LessOrEqual},
      Name{">", "gt", "gt", Comparison::Greater}, Name{">=", "ge", "geq", Comparison::GreaterOrEqual},
  };
  for (const Name& name : kNames)
    if (word == name.symbol || word == name.letters || word == name.other) return name.means;
  return std::nullopt;
}

bool compare(std::uint16_t a, Comparison how, std::uint16_t b) {
  switch (how) {
    case Comparison::Equal:
      return a == b;
    case Comparison::NotEqual:
      return a != b;
    case Comparison::Less:
      return a < b;
    case Comparison::LessOrEqual:
      return a <= b;
    case Comparison::Greater:
      return a > b;
    case Comparison::GreaterOrEqual:
      return a >= b;
  }
  return false;
}

// A number, or the name of a service such as "http".
std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size()) return port;
  const std::string name(text);
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return std::nullopt;
  const servent* service = ::getservbyname(name.c_str(), nullptr);
  if (service == nullptr) return std::nullopt;
  return ntohs(static_cast<std::uint16_t>(service->s_port));
}

struct AddressCondition {
  std::optional<Cidr> prefix;
  std::optional<std::uint16_t> port;
};

// An address with its port split off; both may be missing, "*" stands for any.
struct AddressWords {
  std::string_view address, port;
};
AddressWords split_address(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return {text, {}};
    // A prefix length may stand in the brackets or behind them.
    const std::string_view rest = text.substr(bracket + 1);
    return {text.substr(1, bracket - 1), rest.starts_with(':') ? rest.substr(1) : rest};
  }
  const std::size_t colon = text.rfind(':');
  const bool one_colon = colon != std::string_view::npos && text.find(':') == colon;
  if (!one_colon) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::optional<AddressCondition> parse_address_condition(std::string_view text) {
  for (const std::string_view family : {std::string_view("inet:"), std::string_view("inet6:")})
    if (text.starts_with(family)) text.remove_prefix(family.size());
  const auto [address, port] = split_address(text);
  AddressCondition condition;
  if (!address.empty() && address != "*") {
    condition.prefix = Cidr::parse(address);
    if (!condition.prefix) return std::nullopt;
  }
  if (!port.empty() && port != "*") {
    condition.port = parse_port(port);
    if (!condition.port) return std::nullopt;
  }
  return condition;
}

// ---- the parser ----------------------------------------------------------------------------------------------------

struct Trouble {
  std::string text;
};

class Parser {
 public:
  Parser(std::string_view text, std::uint32_t states) : words_(split(text)), states_(states) {}

  SocketFilter parse() {
    parse_states();
    SocketFilter filter{states_, [](const SocketInfo&) { return true; }};
    if (!at_end()) filter.matches = parse_or();
    if (!at_end()) fail("there is no '(' for it; leave it out");  // nothing but ')' ends an expression
    return filter;
  }

 private:
  [[nodiscard]] bool at_end() const { return next_ == words_.size(); }
  [[nodiscard]] std::string_view peek() const { return at_end() ? std::string_view() : words_[next_].text; }
  bool take_one_of(std::initializer_list<std::string_view> choices) {
    if (at_end() || std::ranges::find(choices, peek()) == choices.end()) return false;
    ++next_;
    return true;
  }
  // About the next word.
  [[noreturn]] void fail(std::string_view what) const {
    if (at_end()) throw Trouble{fmt::format("the filter ends too early: {}", what)};
    const Word& word = words_[next_];
    throw Trouble{fmt::format("in the filter, '{}' at character {}: {}", word.text, word.place, what)};
  }

  void parse_states();
  std::uint32_t parse_state_name();
  SocketPredicate parse_or();
  SocketPredicate parse_and();
  SocketPredicate parse_not();
  SocketPredicate parse_condition();
  SocketPredicate parse_address(bool remote);
  SocketPredicate parse_ports(bool remote);

  static constexpr int kMaxDepth = 64;
  std::vector<Word> words_;
  std::size_t next_ = 0;
  std::uint32_t states_;
  int depth_ = 0;
};

void Parser::parse_states() {
  bool named = false;
  for (;;) {
    if (take_one_of({"state"})) {
      states_ = (named ? states_ : 0) | parse_state_name();
    } else if (take_one_of({"exclude", "excl"})) {
      states_ = (named ? states_ : SocketCursor::kAllStates) & ~parse_state_name();
    } else {
      return;
    }
    named = true;
  }
}

std::uint32_t Parser::parse_state_name() {
  if (at_end()) fail("a state such as established or listening is missing; add one");
  std::vector<std::string> names;
  for (const StateName& state : kStateNames) {
    if (peek() == state.name) {
      ++next_;
      return state.states;
    }
    names.emplace_back(state.name);
  }
  const std::string guess = nearest(peek(), names);
  names.resize(names.size() - 2);
  fail(guess.empty() ? fmt::format("no such state; there are {}", fmt::join(names, ", "))
                     : fmt::format("no such state; did you mean '{}'?", guess));
}

SocketPredicate Parser::parse_or() {
  SocketPredicate left = parse_and();
  while (take_one_of({"or", "|", "||"}))
    left = [a = std::move(left), b = parse_and()](const SocketInfo& s) { return a(s) || b(s); };
  return left;
}

SocketPredicate Parser::parse_and() {
  SocketPredicate left = parse_not();
  for (;;) {
    const bool spelled_out = take_one_of({"and", "&", "&&"});
    if (!spelled_out && (at_end() || peek() == ")" || peek() == "or" || peek() == "|" || peek() == "||")) return left;
    left = [a = std::move(left), b = parse_not()](const SocketInfo& s) { return a(s) && b(s); };
  }
}

SocketPredicate Parser::parse_not() {
  if (++depth_ > kMaxDepth) fail("too deep; write the filter with fewer parentheses");
  SocketPredicate predicate;
  if (take_one_of({"not", "!"})) {
    predicate = [inner = parse_not()](const SocketInfo& s) { return !inner(s); };
  } else if (take_one_of({"("})) {
    predicate = parse_or();
    if (!take_one_of({")"})) fail("a ')' is missing; add it");
  } else {
    predicate = parse_condition();
  }
  --depth_;
  return predicate;
}

SocketPredicate Parser::parse_condition() {
  if (take_one_of({"dst", "dest"})) return parse_address(true);
  if (take_one_of({"src"})) return parse_address(false);
  if (take_one_of({"dport"})) return parse_ports(true);
  if (take_one_of({"sport"})) return parse_ports(false);
  if (peek() == "state" || peek() == "exclude") fail("states go before everything else; move it to the front");
  if (at_end()) fail("a condition such as 'dport = :443' is missing; add one");
  const std::string guess = nearest(peek(), {"dst", "src", "dport", "sport", "state", "exclude", "and", "or", "not"});
  fail(guess.empty() || guess == peek()
           ? "no condition; write one such as 'dst 10.0.0.0/8', 'sport = :80' or 'state established'"
           : fmt::format("no condition; did you mean '{}'?", guess));
}

SocketPredicate Parser::parse_address(bool remote) {
  const auto how = comparison(peek());
  if (how && *how != Comparison::Equal && *how != Comparison::NotEqual)
    fail("addresses can be equal or not, but not compared; write '=' or '!='");
  if (how) ++next_;
  if (at_end()) fail("an address such as 192.0.2.1, 10.0.0.0/8 or [2001:db8::1]:443 is missing; add one");
  const auto condition = parse_address_condition(peek());
  if (!condition) fail("no address; give one such as 192.0.2.1, 10.0.0.0/8, 192.0.2.1:80, [2001:db8::1]:443 or :80");
  ++next_;
  const bool wanted = how != Comparison::NotEqual;
  return [remote, wanted, condition = *condition](const SocketInfo& socket) {
    const Endpoint& end = remote ? socket.tuple.remote : socket.tuple.local;
    const bool address = !condition.prefix || (condition.prefix->address.is_v4() == end.address.is_v4() &&
                                               condition.prefix->contains(end.address));
    return (address && (!condition.port || *condition.port == end.port)) == wanted;
  };
}

SocketPredicate Parser::parse_ports(bool remote) {
  const auto how = comparison(peek());
  if (how) ++next_;
  if (at_end()) fail("a port such as :80 is missing; add one");
  std::string_view text = peek();
  // An address may stand before it; only the port counts, as in ss.
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) text.remove_prefix(colon + 1);
  const auto port = parse_port(text);
  if (!port) fail("no port; write a number from 0 to 65535 or a service's name, such as :80 or :http");
  ++next_;
  return [remote, how = how.value_or(Comparison::Equal), port = *port](const SocketInfo& socket) {
    return compare((remote ? socket.tuple.remote : socket.tuple.local).port, how, port);
  };
}

}  // namespace

Parsed<SocketFilter> parse_socket_filter(std::string_view text, std::uint32_t states) {
  try {
    return Parser(text, states).parse();
  } catch (const Trouble& trouble) {
    return std::unexpected(trouble.text);
  }
}

}  // namespace ff::cli
