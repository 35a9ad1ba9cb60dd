#!/bin/sh
# Trains the network from nothing: environment, crops, weights. Run from anywhere.
#   triton/training/train.sh                    the shipped weights, on generated boards only
#   triton/training/train.sh --fine-tune DIR    goes on from the shipped weights on the trainval pairs of DIR, a data
#                                               set with a manifest.json in DeepPCB's layout; its weights never go
#                                               into the repository: they are written to OUT, which must lie outside
#   BOARDS=N  flawed boards in the training set (default 12000); and a quarter as many clean ones
#   REPAIRED=N  repaired boards (default: nine for sixteen flawed ones)
#   PHOTOGRAPHS=N  photographs of boards, one in twelve of them clean (default: one for three flawed boards)
#   EPOCHS=N  passes over the crops (default 5; 6 to fine-tune)
#   OUT=FILE  where the network is written (default triton/golden-compare/1/model.onnx); FILE.json says how it came to be
#   FROM=FILE goes on from that network rather than from nothing
#   TEACHER=FILE begins with the strongest channels of that larger network and learns its answers besides the labels
#   WIDTHS=N,N,N,N,N  outputs of the convolutions (default: network.py's); a teacher is wider
#   RATE=R    the highest rate of learning (default 0.003; 0.0006 to fine-tune)
#   VENV=DIR  a virtual environment that already holds requirements.txt (default: one is made)
#   THREADS=N threads that train (default 1)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
usage() { echo "usage: train.sh [--fine-tune DIR]; DIR needs a manifest.json" >&2; exit 64; }
real=
case ${1:-} in
    --fine-tune) [ -f "${2:-}/manifest.json" ] || usage; real=$(cd "$2" && pwd) ;;
    "") ;;
    *) usage ;;
esac
# Before minutes are spent on crops.
refuse() { echo "train.sh: $1" >&2; exit 64; }
path_of() { [ -f "$1" ] || refuse "$1 is not there: FROM and TEACHER name ONNX files that this command wrote"
    echo "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; }
[ -z "${FROM:-}" ] || FROM=$(path_of "$FROM")
[ -z "${TEACHER:-}" ] || TEACHER=$(path_of "$TEACHER")
if [ -n "${WIDTHS:-}" ]; then
    [ -z "${FROM:-}" ] || refuse "WIDTHS is for a new network; FROM has its own"
    echo "$WIDTHS" | grep -Eqx '[1-9][0-9]*(,[1-9][0-9]*){4}' || refuse "WIDTHS must be five numbers, N,N,N,N,N"
fi
shipped=triton/golden-compare/1/model.onnx
out=${OUT:-$root/$shipped}
case $out in /*) ;; *) out=$PWD/$out ;; esac
if [ -n "$real" ]; then
    case $out in
        "$root"/*) echo "OUT=FILE must name a file outside the repository: weights trained on other boards than" \
            "generated ones are not committed (docs/adr/0003)" >&2; exit 64 ;;
    esac
fi
cd "$root"
work="$root/target/training"
mkdir -p "$work"
if [ -z "${VENV:-}" ]; then
    VENV="$work/venv"
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    "$VENV/bin/pip" install --quiet --requirement triton/training/requirements.txt
fi
crops() { name=$1; shift; cargo run --quiet --package lab --example training_crops -- \
    --out "$work/$name.bin" "$@"; }
train() { "$VENV/bin/python" triton/training/train.py "$@" --photographs "$work/photographs.bin" \
    --validation "$work/validation.bin" --validation-photographs "$work/photographs-validation.bin" \
    --threads "${THREADS:-1}" --out "$out"; }
boards=${BOARDS:-12000}
photographs=${PHOTOGRAPHS:-$(((boards + 2) / 3))}
# Some generated boards stay in the mixture of fine-tuning, so that families that DIR lacks are not forgotten.
[ -z "$real" ] || photographs=$((photographs / 16 + 1))
crops validation --boards $(((boards + 31) / 32)) --seed 2001
crops photographs-validation --photographs --boards $(((boards + 63) / 64)) --seed 2002
crops photographs --photographs --boards "$photographs" --seed 1007 --clean-per-cent 8
if [ -n "$real" ]; then
    crops mixed --boards $((boards / 16 + 1)) --seed 1005
    crops mixed-repaired --boards $((boards / 32 + 1)) --seed 1006 --repaired
    crops real --manifest "$real/manifest.json" --split trainval
    crops real-repaired --manifest "$real/manifest.json" --split trainval --repaired
    train "$work/mixed.bin" "$work/mixed-repaired.bin" --from "$shipped" \
        --real "$work/real.bin" --real-repaired "$work/real-repaired.bin" --epochs "${EPOCHS:-6}" --rate "${RATE:-0.0006}"
    exit
fi
crops flawed --boards "$boards" --seed 1001 & first=$!
crops clean --boards $((boards / 4)) --seed 1003 --clean-per-cent 100
crops repaired --boards "${REPAIRED:-$((boards * 9 / 16))}" --seed 1004 --repaired
wait "$first"
more="--rate ${RATE:-0.003}${FROM:+ --from $FROM}${TEACHER:+ --teacher $TEACHER}${WIDTHS:+ --widths $WIDTHS}"
record=$out.json
[ "$out" != "$root/$shipped" ] || record=triton/golden-compare/card/training.json
# shellcheck disable=SC2086 # options and their values
train "$work/flawed.bin" "$work/clean.bin" "$work/repaired.bin" --epochs "${EPOCHS:-5}" --record "$record" $more
