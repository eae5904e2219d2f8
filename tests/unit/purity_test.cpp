// The core is a function of what it is given: no clock, no system call, no thread, no randomness and no global of its
// own. The linker knows: whatever the library calls but does not contain is an undefined symbol, and whatever it could
// remember between two stacks lies in a writable section.
#include <cxxabi.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace ff {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What the core may call, by the beginning of the symbol's name. '$' stands for its end.
constexpr std::string_view kAllowedCalls[] = {
    // memory and text
    "memcpy$", "memmove$", "memset$", "memcmp$", "bcmp$", "memchr$", "strlen$", "_Znwm", "_Znam", "_ZdlPv", "_ZdaPv",
    // arithmetic
    "cbrt$", "exp2$", "log2$", "pow$", "sqrt$", "ceil$", "ceilf$", "floor$", "round$", "lround$", "__udivti3$",
    "__umodti3$", "__divti3$", "__popcountdi2$", "__cpu_model$",
    // the compiler's own: failed assertions, exceptions that memory running out throws, type information
    "__assert_fail$", "abort$", "__stack_chk_fail$", "_GLOBAL_OFFSET_TABLE_$", "_Unwind_Resume$",
    "__gxx_personality_v0$", "__cxa_begin_catch$", "__cxa_end_catch$", "__cxa_rethrow$", "__cxa_throw",
    "__cxa_allocate_exception$", "__cxa_free_exception$", "__cxa_pure_virtual$", "_ZTVN10__cxxabiv1",
    // the C++ library's containers and strings
    "_ZSt9terminatev$", "_ZSt21__glibcxx_assert_fail", "_ZSt17__throw_bad_alloc", "_ZSt19__throw_logic_error",
    "_ZSt20__throw_", "_ZSt24__throw_out_of_range_fmt", "_ZSt25__throw_bad_function_call",
    "_ZSt28__throw_bad_array_new_length", "_ZSt11_Hash_bytes", "_ZSt18_Rb_tree_", "_ZSt28_Rb_tree_", "_ZSt29_Rb_tree_",
    "_ZNSt8__detail15_List_node_base", "_ZNKSt8__detail20_Prime_rehash_policy", "_ZNSaIcE",
    "_ZNSt7__cxx1112basic_string", "_ZNKSt7__cxx1112basic_string", "_ZNSt9exception", "_ZNSt9bad_alloc", "_ZTVSt",
    "_ZTISt",
    // libsodium's functions without randomness
    "crypto_shorthash", "crypto_generichash", "crypto_kdf", "crypto_verify", "sodium_memzero$", "sodium_memcmp$",
    // sanitizers
    "__asan_", "__ubsan_", "__tsan_", "__sanitizer_", "__sancov_", "__start_", "__stop_"};

// Writable data that a compiler makes of its own accord.
constexpr std::string_view kAllowedData[] = {"DW.ref.", "__odr_asan", "___asan_", "__asan_", "__sancov_"};

struct Symbol {
  std::string name;
  char type = ' ';  // as nm's manual has it
  std::string section;
};

// The lines of `nm --format=sysv`: name, value, class, type, size, line, section, with bars between.
std::vector<Symbol> parse_symbols(std::istream& lines) {
  std::vector<Symbol> symbols;
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> fields;
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '|');) {
      const std::size_t first = cell.find_first_not_of(' ');
      const std::size_t last = cell.find_last_not_of(' ');
      fields.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    if (fields.size() == 7 && fields[2].size() == 1) symbols.push_back({fields[0], fields[2][0], fields[6]});
  }
  return symbols;
}

template <std::size_t size>
bool is_allowed(std::string_view name, const std::string_view (&allowed)[size]) {
  for (const std::string_view pattern : allowed) {
    const bool whole = pattern.ends_with('$');
    if (whole ? name == pattern.substr(0, pattern.size() - 1) : name.starts_with(pattern)) return true;
  }
  return false;
}

bool is_undefined(const Symbol& symbol) { return symbol.section == "*UND*"; }

bool is_writable(const Symbol& symbol) {
  const std::string_view section = symbol.section;
  if (section.starts_with(".data.rel.ro")) return false;  // constants that hold addresses
  if (section == "*COM*") return true;
  for (const char* prefix : {".data", ".bss", ".tdata", ".tbss"}) {
    if (section.starts_with(prefix)) return true;
  }
  return false;
}

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 ? text.get() : name;
}

// Everything that makes the library impure, one line each.
std::vector<std::string> impurities(const std::vector<Symbol>& symbols) {
  std::set<std::string_view> defined;
  for (const Symbol& symbol : symbols) {
    if (!is_undefined(symbol)) defined.insert(symbol.name);
  }
  std::set<std::string> found;
  for (const Symbol& symbol : symbols) {
    if (is_undefined(symbol) && !defined.contains(symbol.name) && !is_allowed(symbol.name, kAllowedCalls)) {
      found.insert("uses " + demangled(symbol.name));
    }
    if (is_writable(symbol) && !is_allowed(symbol.name, kAllowedData)) {
      found.insert("keeps " + demangled(symbol.name));
    }
  }
  return {found.begin(), found.end()};
}

std::vector<Symbol> symbols_of(std::string_view nm_output) {
  std::istringstream lines{std::string(nm_output)};
  return parse_symbols(lines);
}

TEST(Purity, OfTheCore) {
  const std::string command = "nm --format=sysv '" FF_CORE_LIBRARY "' 2>/dev/null";
  const std::unique_ptr<FILE, decltype(&pclose)> pipe(popen(command.c_str(), "r"), &pclose);
  ASSERT_TRUE(pipe);
  std::string output;
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe.get())) output.append(buffer, size);
  const std::vector<Symbol> symbols = symbols_of(output);
  ASSERT_GT(symbols.size(), 100u) << "nm found nothing in " FF_CORE_LIBRARY;
  EXPECT_THAT(impurities(symbols), IsEmpty());
}

TEST(Purity, SeesAClockASystemCallAndAThread) {
  EXPECT_THAT(impurities(symbols_of(R"(
clock_gettime       |                |   U  |            NOTYPE|                |     |*UND*
_ZNSt6chrono3_V212steady_clock3nowEv|                |   U  |            NOTYPE|                |     |*UND*
memcpy              |                |   U  |            NOTYPE|                |     |*UND*
memcpy_and_send     |                |   U  |            NOTYPE|                |     |*UND*
pthread_create      |                |   w  |            NOTYPE|                |     |*UND*
randombytes_buf     |                |   U  |            NOTYPE|                |     |*UND*
write               |                |   U  |            NOTYPE|                |     |*UND*
_ZN2ff5Stack4ImplE  |                |   U  |            NOTYPE|                |     |*UND*
_ZN2ff5Stack4ImplE  |0000000000000000|   T  |              FUNC|0000000000000010|     |.text
)")),
              ElementsAre("uses clock_gettime", "uses memcpy_and_send", "uses pthread_create", "uses randombytes_buf",
                          "uses std::chrono::_V2::steady_clock::now()", "uses write"));
}

TEST(Purity, SeesGlobalsAndNotConstants) {
  EXPECT_THAT(impurities(symbols_of(R"(
_ZN2ff7counterE     |0000000000000000|   B  |            OBJECT|0000000000000008|     |.bss
_ZL7counter         |0000000000000008|   d  |            OBJECT|0000000000000008|     |.data
_ZZN2ff4nextEvE1n   |0000000000000000|   u  |            OBJECT|0000000000000008|     |.bss._ZZN2ff4nextEvE1n
_ZN2ff7perhapsE     |0000000000000000|   D  |               TLS|0000000000000008|     |.tdata
_ZN2ff9kSettingsE   |0000000000000000|   d  |            OBJECT|0000000000000008|     |.data.rel.ro.local
_ZN2ff7kPrimesE     |0000000000000000|   r  |            OBJECT|0000000000000008|     |.rodata
)")),
              ElementsAre("keeps counter", "keeps ff::counter", "keeps ff::next()::n", "keeps ff::perhaps"));
}

}  // namespace
}  // namespace ff
