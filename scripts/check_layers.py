#!/usr/bin/env python3
"""Checks that includes in src/ and include/ follow the arrows of docs/architecture.md, and that the core stays pure.

A layer may include itself and what LAYERS lists for it. Public headers are the vocabulary that every layer shares, except
for the few that describe a layer: those are closed to the layers below it.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

CORE = ['base', 'wire', 'tcp', 'udp', 'ip', 'stack']
LAYERS = {
    'public': [],
    'base': ['public'],
    'wire': ['public', 'base'],
    'tcp': ['public', 'base', 'wire'],
    'udp': ['public', 'base', 'wire'],
    'ip': ['public', 'base', 'wire'],
    'stack': ['public', 'base', 'wire', 'tcp', 'udp', 'ip'],
    'device': ['public', *CORE],
    'sim': ['public', *CORE, 'device'],
    'lab': ['public', *CORE, 'device', 'sim'],
    'runtime': ['public', *CORE, 'device', 'sim'],
    'relay': ['public', *CORE, 'device', 'runtime'],
    'posix': ['public', *CORE, 'device', 'runtime'],
    'packetdrill': ['public', *CORE, 'device', 'posix'],
    'asio': ['public', *CORE, 'device', 'runtime'],
    'cli': ['public', *CORE, 'device', 'runtime', 'sim', 'relay', 'posix', 'asio', 'lab'],
}

# Public headers that are not for everyone, and the layers that may not include them.
CLOSED = {
    'firstflight/stack.hpp': ['base', 'wire'],
    'firstflight/device.hpp': CORE,
}

# What the core may not reach for: clocks, the system, threads, other sources of randomness, output.
IMPURE_INCLUDE = re.compile(
    r'(fmt|spdlog|CLI|nlohmann|sys|netinet|arpa|net|linux|boost/asio)/'
    r'|(unistd|fcntl|poll|signal|pthread|errno|time|stdio|stdlib)\.h$'
    r'|(thread|mutex|shared_mutex|condition_variable|future|atomic|random|iostream|fstream|print|filesystem|ctime|cstdio)$')
IMPURE_WORD = re.compile(
    r'\b(system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday|getrandom|arc4random|random_device'
    r'|rand|srand|getenv|thread_local|printf|fprintf|randombytes_\w+)\b')
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path: str) -> str | None:
    """The layer of a path as an #include names it; None for what is not ours."""
    head = path.split('/')[0]
    if head == 'firstflight':
        return 'public'
    return head if head in LAYERS and (TOP / 'src' / path).exists() else None


def complaints(file: pathlib.Path, layer: str):
    text = file.read_text(encoding='utf-8')
    pure = layer in CORE or layer == 'public'
    for match in INCLUDE.finditer(text):
        where = f'{file.relative_to(TOP)}:{text.count(chr(10), 0, match.start(2)) + 1}'
        name = match.group(2)
        target = layer_of(name)
        if match.group(1) == '"' and target is None:
            yield f'{where}: "{name}" is not named from src/ or include/, or does not exist'
        elif target is not None and target != layer and target not in LAYERS[layer]:
            yield f'{where}: {layer} may not include {target} ("{name}")'
        elif layer in CLOSED.get(name, []):
            yield f'{where}: {layer} may not include {name}'
        elif pure and IMPURE_INCLUDE.match(name) and target is None:
            yield f'{where}: the core may not include <{name}>'
    if pure:
        code = COMMENT_OR_STRING.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)
        for match in IMPURE_WORD.finditer(code):
            yield f'{file.relative_to(TOP)}:{code.count(chr(10), 0, match.start()) + 1}: the core may not use {match.group()}'


def main() -> int:
    found = []
    files = 0
    for root in ('include', 'src'):
        for file in sorted((TOP / root).rglob('*.[ch]pp')):
            files += 1
            layer = 'public' if root == 'include' else file.relative_to(TOP / root).parts[0]
            if layer not in LAYERS:
                found.append(f'{file.relative_to(TOP)}: src/{layer} has no place among the layers of {__file__}')
                continue
            found.extend(complaints(file, layer))
    if files == 0:
        found.append('no sources found')
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
