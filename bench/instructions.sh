#!/usr/bin/env bash
# instructions.sh BUILD-DIRECTORY [--profile]: how many instructions a segment costs in memory, both hosts and its share of
# acknowledgements together. Unlike a time it does not depend on what else the machine does, so that a change of a few
# percent shows. --profile lists the functions that they are spent in.
set -euo pipefail

program=$1/bench/back_to_back
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# instructions WHO BYTES: of the whole run.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/$2.out" "$program" --only "$1" --rounds 1 --bytes "$2" 2>&1 |
    sed -n 's/.*Collected : //p'
}

# The difference of two runs leaves out all that happens once.
few=20000000
many=80000000
for who in "lwIP, 64 KiB window" "firstflight, 64 KiB window" "firstflight, default settings" "firstflight, super-segments"; do
  more=$(instructions "$who" "$many")
  less=$(instructions "$who" "$few")
  printf '%-30s %6d instructions a segment\n' "$who" $(((more - less) * 1460 / (many - few)))
  if [[ ${2:-} == --profile ]]; then
    callgrind_annotate --show-percs=yes --threshold=95 "$work/$many.out" | sed -n '/file:function/,$p' | cut -c 1-150 | head -n 45
  fi
done
