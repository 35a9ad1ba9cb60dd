#!/bin/sh
# Trains the network from nothing: environment, crops, weights. Run from anywhere; takes no arguments.
# BOARDS=N boards for each of the two parts of the training set (default 4000), EPOCHS=N (default 6).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work="$root/target/training"
boards=${BOARDS:-4000}
mkdir -p "$work"
cd "$root"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --requirement triton/training/requirements.txt
crops() { cargo run --quiet --package inference-worker --example training_crops -- "$1" "$2" "$work/$3"; }
crops 400 2001 validation.bin
crops "$boards" 1001 a.bin & first=$!
crops "$boards" 1002 b.bin
wait "$first"
"$work/venv/bin/python" triton/training/train.py "$work/a.bin" "$work/b.bin" --validation "$work/validation.bin" \
    --epochs "${EPOCHS:-6}" --out triton/golden-compare/1/model.onnx
