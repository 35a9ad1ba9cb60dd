#!/bin/sh
# Trains the network from nothing: environment, crops, weights. Run from anywhere; takes no arguments.
#   BOARDS=N  boards in each of the three parts of the training set (default 4000)
#   EPOCHS=N  passes over the crops (default 6)
#   OUT=FILE  where the network is written (default triton/golden-compare/1/model.onnx)
#   VENV=DIR  a virtual environment that already holds requirements.txt (default: one is made)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
work="$root/target/training"
mkdir -p "$work"
if [ -z "${VENV:-}" ]; then
    VENV="$work/venv"
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --requirement triton/training/requirements.txt
fi
crops() { cargo run --quiet --package inference-worker --example training_crops -- "$@"; }
crops 400 2001 "$work/validation.bin"
crops "${BOARDS:-4000}" 1001 "$work/a.bin" & first=$!
crops "${BOARDS:-4000}" 1002 "$work/b.bin"
crops "${BOARDS:-4000}" 1003 "$work/clean.bin" 100
wait "$first"
"$VENV/bin/python" triton/training/train.py "$work/a.bin" "$work/b.bin" "$work/clean.bin" --validation "$work/validation.bin" \
    --epochs "${EPOCHS:-6}" --out "${OUT:-triton/golden-compare/1/model.onnx}"
