#!/usr/bin/env python3
"""Checks that each counter and drop reason of include/firstflight/counters.hpp is counted by the core, and seen to move by a
test: one that never moves tells its reader that nothing happened.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
REGISTRY = TOP / 'include' / 'firstflight' / 'counters.hpp'
CORE = ('base', 'wire', 'tcp', 'udp', 'ip', 'stack')
COUNTER = re.compile(r'^\s*X\((\w+), (\w+)\)', re.MULTILINE)
DROP = re.compile(r'^\s*X\((\w+), "', re.MULTILINE)


def words_of(folders) -> set[str]:
    """Every identifier in the sources of these folders."""
    found = set()
    for folder in folders:
        for file in sorted(folder.rglob('*.[ch]pp')):
            found.update(re.findall(r'\w+', file.read_text(encoding='utf-8')))
    return found


def main() -> int:
    text = REGISTRY.read_text(encoding='utf-8')
    names = [f'{group}_{name}' for group, name in COUNTER.findall(text) if (group, name) != ('group', 'name')]
    names += DROP.findall(text)
    counted = words_of(TOP / 'src' / layer for layer in CORE)
    tested = words_of([TOP / 'tests'])
    # A test may have a macro put IPv4's and IPv6's names together.
    pairs = re.compile(r'\bBOTH\((\w+), (\w+)\)')
    for file in sorted((TOP / 'tests').rglob('*.cpp')):
        for group, name in pairs.findall(file.read_text(encoding='utf-8')):
            tested.update((f'{group}_{name}', f'{group}6_{name}'))
    found = [f'{name}: nothing counts it' for name in names if name not in counted]
    found += [f'{name}: no test sees it move' for name in names if name in counted and name not in tested]
    for line in found:
        print(f'{REGISTRY.relative_to(TOP)}: {line}')
    if len(names) < 150:
        print(f'{REGISTRY.relative_to(TOP)}: only {len(names)} names were found; does this script read it rightly?')
        return 1
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
