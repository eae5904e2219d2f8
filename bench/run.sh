#!/usr/bin/env bash
# run.sh BUILD-DIRECTORY [--long] [--only memory|acknowledgements|devices|programs]: what `./dev bench` runs.
set -euo pipefail
exec python3 -B "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/run.py" "$@"
