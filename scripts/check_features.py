#!/usr/bin/env python3
"""Checks docs/features.md: every id has its row, each with a state that is one of three, and the files it names exist."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
TABLE = TOP / 'docs' / 'features.md'

COUNTS = {'A': 17, 'B': 9, 'C': 9, 'D': 8, 'E': 9, 'F': 3, 'G': 4, 'H': 4, 'I': 3, 'J': 1, 'K': 10, 'L': 3}
STATES = ('works', 'partly', 'not yet')
ROW = re.compile(r'^\|\s*([A-L]\d+)\s*\|(.*)\|\s*$')
# What stands in backquotes and looks like a path: a file, or a folder with a slash at its end.
PATH = re.compile(r'`((?:include|src|tests|fuzz|bench|examples|docs|scripts)/[^`\s]*)`')


def main() -> int:
    found = []
    rows = {}
    text = TABLE.read_text(encoding='utf-8')
    for number, line in enumerate(text.splitlines(), 1):
        for path in PATH.findall(line):
            if not (TOP / path).exists():
                found.append(f'{number}: {path} does not exist')
        match = ROW.match(line)
        if not match:
            continue
        name, cells = match.group(1), [cell.strip() for cell in match.group(2).split('|')]
        if name in rows:
            found.append(f'{number}: {name} stands here for the second time')
        rows[name] = number
        if len(cells) != 4:
            found.append(f'{number}: {name} wants four cells behind its id: what, state, code, test')
            continue
        _, state, code, test = cells
        if state not in STATES:
            found.append(f'{number}: {name}: the state "{state}" is none of: {", ".join(STATES)}')
        if state != 'not yet' and not PATH.search(code):
            found.append(f'{number}: {name} is said to work, but no code is named')
        if state == 'works' and not PATH.search(test):
            found.append(f'{number}: {name} is said to work, but no test is named')
    for letter, count in COUNTS.items():
        for index in range(1, count + 1):
            if f'{letter}{index}' not in rows:
                found.append(f'{letter}{index} is missing')
    for name in rows:
        if int(name[1:]) > COUNTS[name[0]]:
            found.append(f'{name} is no id')
    for line in found:
        print(f'docs/features.md: {line}')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
