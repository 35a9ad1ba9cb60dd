#!/bin/sh
# Regenerates the model card and its figures: `triton/training/card.sh [DIR]`, from anywhere.
# Always on generated boards that training never saw; on a real data set too when DIR holds its manifest.json in
# DeepPCB's layout, with the splits trainval and test. Needs Python 3.11 and nothing beyond its standard library.
#   WEIGHTS=FILE  another ONNX file than the shipped one (then OUT is needed)
#   OUT=DIR       where MODEL_CARD.md and card/ are written (default triton/golden-compare)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${1:+$(cd "$1" && pwd)}
cd "$root"
weights=${WEIGHTS:-triton/golden-compare/1/model.onnx}
out=${OUT:-triton/golden-compare}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
example() { name=$1; shift; cargo run --quiet --package lab --example "$name" -- "$@"; }
run() { # NAME MANIFEST [arguments]: predictions and a summary of one run
    name=$1; manifest=$2; shift 2
    example evaluate --manifest "$manifest" --weights "$weights" --out "$work/$name.jsonl" "$@" > "$work/$name.json"
}
example boards 400 9001 "$work/flawed"
example boards 400 9002 "$work/clean" 100
example boards 48 9003 "$work/photographs" photographs
run generated "$work/flawed/manifest.json"
run generated-repaired "$work/flawed/manifest.json" --repaired
run generated-clean "$work/clean/manifest.json"
run photographs "$work/photographs/manifest.json"
if [ -n "$data" ]; then
    for split in trainval test; do
        run "$split" "$data/manifest.json" --split "$split"
        run "$split-repaired" "$data/manifest.json" --split "$split" --repaired
    done
fi
python3 triton/training/card.py --weights "$weights" --runs "$work" --out "$out" ${data:+--data "$data"}
