#!/usr/bin/env python3
"""Checks docs/features.md: every id has its row, each with a state that is one of three; the files, tests (`file: Suite.Name`)
and scenarios of `ff lab` (lab `name`) that it names exist; and what works has a scenario and a wire test, where there are to
be some.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
TABLE = TOP / 'docs' / 'features.md'

COUNTS = {'A': 17, 'B': 9, 'C': 9, 'D': 8, 'E': 9, 'F': 3, 'G': 4, 'H': 4, 'I': 3, 'J': 1, 'K': 10, 'L': 3}
STATES = ('works', 'partly', 'not yet')
ROW = re.compile(r'^\|\s*([A-L]\d+)\s*\|(.*)\|\s*$')
# What stands in backquotes and looks like a path: a file, or a folder with a slash at its end; behind a file of tests
# may stand which of them are meant.
PATH = re.compile(r'`((?:include|src|tests|fuzz|bench|examples|docs|scripts)/[^`\s:]*)(?:: ([\w., ]+))?`')
# The scenarios named in a cell, and those there are: src/lab/ gives each a name and the ids that it shows.
LAB = re.compile(r'\blab ((?:`[a-z0-9-]+`(?:, )?)+)')
SCENARIO = re.compile(r'\.name = "([a-z0-9-]+)",\s*\.ids = \{([^}]*)\}')
# What is shown by a scenario, and tested by real bytes through a whole stack.
SHOWN = 'ABCEFGHIJ'
NOT_SHOWN = ('A16',)
WIRE_TEST = re.compile(r'`tests/wire/')


def scenarios() -> dict[str, set[str]]:
    """The ids that each scenario shows, by its name."""
    found = {}
    for file in sorted((TOP / 'src' / 'lab').glob('*.cpp')):
        for name, ids in SCENARIO.findall(file.read_text(encoding='utf-8')):
            found[name] = set(re.findall(r'[A-L]\d+', ids))
    return found


def missing_tests(path: str, names: str):
    """Those of "Suite.Name, Suite.Other" that the file does not have."""
    text = (TOP / path).read_text(encoding='utf-8')
    for name in re.split(r'[,\s]+', names.strip()):
        suite, _, test = name.partition('.')
        if not re.search(rf'\b\w*(?:TEST|TEST_F|TEST_P|PROP)\({suite},\s*{test}\b', text):
            yield f'{path} has no test {name}'


def main() -> int:
    found = []
    rows = {}
    known = scenarios()
    text = TABLE.read_text(encoding='utf-8')
    for number, line in enumerate(text.splitlines(), 1):
        for path, tests in PATH.findall(line):
            if not (TOP / path).exists():
                found.append(f'{number}: {path} does not exist')
            elif tests:
                found.extend(f'{number}: {complaint}' for complaint in missing_tests(path, tests))
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
        shown = re.findall(r'`([^`]+)`', ' '.join(LAB.findall(test)))
        for scenario in shown:
            if scenario not in known:
                found.append(f'{number}: {name}: there is no scenario {scenario}')
            elif name not in known[scenario]:
                found.append(f'{number}: {name}: the scenario {scenario} does not say that it shows this')
        for scenario in sorted(set(key for key, ids in known.items() if name in ids) - set(shown)):
            found.append(f'{number}: {name}: the scenario {scenario} shows it, and is not named')
        to_be_shown = state == 'works' and name[0] in SHOWN and name not in NOT_SHOWN
        if to_be_shown and not shown:
            found.append(f'{number}: {name} is said to work, but no scenario shows it')
        if to_be_shown and not WIRE_TEST.search(test):
            found.append(f'{number}: {name} is said to work, but no wire test is named')
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
