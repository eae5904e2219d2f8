#!/usr/bin/env python3
"""Runs clang-tidy on every translation unit of src/, each only when it or a header of ours that it includes has changed.

usage: tidy.py BUILD-DIRECTORY    (one with a compile_commands.json)

What passed is remembered below build/tidy/, under a hash of everything of ours that clang-tidy read.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PASSED = TOP / 'build' / 'tidy'
TIDY = 'clang-tidy-19'
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def closure(file: pathlib.Path, seen: dict[pathlib.Path, bytes]) -> None:
    """Adds `file` and what it includes from include/ and src/, each with its content."""
    if file in seen or not file.exists():
        return
    seen[file] = file.read_bytes()
    for name in INCLUDE.findall(seen[file]):
        for root in (TOP / 'include', TOP / 'src', file.parent):
            closure(root / name.decode(), seen)


def key_of(file: pathlib.Path, command: str, fixed: bytes) -> str:
    seen: dict[pathlib.Path, bytes] = {}
    closure(file, seen)
    digest = hashlib.sha256(fixed + command.encode())
    for path in sorted(seen):
        digest.update(str(path).encode() + b'\0' + seen[path] + b'\0')
    return digest.hexdigest()


def without_precompiled_headers(command: str) -> str:
    """GCC's are of no use to clang; and read without them, a file must include all that it uses."""
    return re.sub(r' -fpch-preprocess| -Winvalid-pch| -include \S*cmake_pch\.hxx', '', command)


def tidy(file: pathlib.Path, build: pathlib.Path) -> tuple[bool, str]:
    run = subprocess.run([TIDY, '-p', str(build), '--quiet', str(file)], capture_output=True, text=True, check=False)
    noise = re.compile(r'^\d+ warnings? (generated|treated as errors?)\.?$', re.MULTILINE)
    return run.returncode == 0, (run.stdout + noise.sub('', run.stderr)).strip()


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build = pathlib.Path(sys.argv[1]).resolve()
    units = {}
    database = json.loads((build / 'compile_commands.json').read_text())
    for unit in database:
        unit['command'] = without_precompiled_headers(unit['command'])
        file = pathlib.Path(unit['file'])
        if (TOP / 'src') in file.parents:
            units[file] = unit['command']
    if not units:
        print('no translation units of src/ in compile_commands.json')
        return 1

    version = subprocess.run([TIDY, '--version'], capture_output=True, check=True).stdout
    profiles = [TOP / '.clang-tidy', *sorted((TOP / 'src').rglob('.clang-tidy'))]
    fixed = version + b''.join(profile.read_bytes() for profile in profiles)
    PASSED.mkdir(parents=True, exist_ok=True)
    keys = {file: key_of(file, command, fixed) for file, command in units.items()}
    todo = sorted(file for file in units if not (PASSED / keys[file]).exists())

    commands = PASSED.parent / 'tidy-commands'
    commands.mkdir(exist_ok=True)
    (commands / 'compile_commands.json').write_text(json.dumps(database))

    good = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(tidy, file, commands): file for file in todo}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            file = jobs[job]
            passed, text = job.result()
            print(f'[{done}/{len(todo)}] {file.relative_to(TOP)}', flush=True)
            if passed:
                (PASSED / keys[file]).touch()
            else:
                good = False
                print(text, flush=True)
    for stale in set(os.listdir(PASSED)) - set(keys.values()):
        (PASSED / stale).unlink()
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
