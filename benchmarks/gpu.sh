#!/bin/sh
# Tests and figures of a GPU, in two processes and less than eight minutes:
#
#     PYTHON=.venv/bin/python benchmarks/gpu.sh
#     benchmarks/gpu.sh --quick    # tries all of it on the CPU, in small sizes
#
# The tests come second, so that a failure among them costs no figure.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ "${1:-}" = --quick ]; then
    export PYG_AGFN_TEST_DEVICE=cpu
    timeout 450 "$python" benchmarks/gpu.py --device cpu "$@"
    figures=$?
    timeout 300 "$python" -m pytest tests/gpu -q -x -k "baseline-given0 or tiles"
else
    timeout 270 "$python" benchmarks/gpu.py --device cuda "$@"
    figures=$?
    timeout 200 "$python" -m pytest tests/gpu -q
fi
tests=$?
[ "$figures" -eq 0 ] && [ "$tests" -eq 0 ]
