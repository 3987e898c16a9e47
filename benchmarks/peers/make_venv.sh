#!/usr/bin/env bash
# Makes the environment that the comparison with anomalib and anomavision needs: benchmarks/peers/make_venv.sh FOLDER
# Then: PANDA_PEERS_VENV=FOLDER python -m benchmarks.speed.report
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER (about 5 GB; outside the repository)" >&2; exit 2; }
"${PYTHON:-python3}" -m venv "$1"
"$1/bin/pip" install --quiet -r "$(dirname "$0")/requirements.txt"
# anomavision pins a numpy that this onnxruntime does not run with; it works without its pins.
"$1/bin/pip" install --quiet --no-deps anomavision==3.6.2
