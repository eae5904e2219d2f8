#!/usr/bin/env bash
# The core asks nothing of the world: what its library leaves undefined is memory, arithmetic on it, and the C++ runtime.
# And it keeps nothing between calls outside its objects: no writable global.
#
# usage: purity_test.sh LIBRARY
set -euo pipefail
export LC_ALL=C

library=$1

allowed='
  memchr|memcmp|memcpy|memmove|memset|strlen|bcmp
  operator\ (new|delete)(\[\])?\(.*
  _GLOBAL_OFFSET_TABLE_|_Unwind_Resume|__gxx_personality_v0|__dso_handle|__cxa_[a-z_]+|__stack_chk_fail
  __assert_fail|abort|__cpu_model|__cpu_indicator_init
  vtable\ for\ __cxxabiv1::.*|(vtable|typeinfo)\ for\ std::[a-z_]+
  std::__throw_[a-z_]+\(.*|std::__glibcxx_assert_fail\(.*|std::terminate\(\)|std::[a-z_]+::~?[a-z_]+\(.*
  std::_Rb_tree_[a-z_]+\(.*|std::_Hash_bytes\(.*|std::__detail::_(Prime_rehash_policy|List_node_base)::.*
  std::__cxx11::basic_string<.*|std::(to|from)_chars\(.*
  crypto_shorthash_[a-z0-9_]+|crypto_generichash_[a-z0-9_]+
'
pattern="^($(sed -E 's/^ +//; /^$/d' <<<"$allowed" | paste -s -d '|'))\$"

names() { nm -C "$1" "$library" 2>/dev/null | sed -nE "s/^[0-9a-f ]* $2 //p" | sort -u; }

undefined=$(comm -23 <(names --undefined-only '[Uw]') <(names --defined-only '[A-Za-z]'))
[[ $undefined == *crypto_shorthash_siphash24* ]] || { echo "this is not the core's library: $library"; exit 1; }

# The second line catches the parts of the standard library that the broad patterns above would let through.
impure=$({
  grep -vE "$pattern" <<<"$undefined"
  grep -E 'clock|thread|mutex|random|stream|filesystem|locale|time_zone' <<<"$undefined"
} | sort -u || true)

globals=$(nm -C "$library" 2>/dev/null | sed -nE 's/^[0-9a-f]+ [bB] //p' | sort -u)
data=$(size -A "$library" | awk '$1 ~ /^\.(data|bss|tdata|tbss)(\.[^r]|$)/ && $2 > 0 { print $1, $2 " bytes" }')

if [[ $impure$globals$data ]]; then
  printf 'the core is not pure:\n%s\n' "${impure:+undefined: $impure}" "${globals:+globals: $globals}" "${data:+writable: $data}"
  exit 1
fi
echo "pure: $(wc -l <<<"$undefined") undefined symbols, all memory and runtime"
