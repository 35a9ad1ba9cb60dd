#!/usr/bin/env python3
"""Makes another version of a network: the same graph, with its weights rounded to fewer bits.

    round_weights.py MODEL.onnx OUT.onnx [--bits 8]

A stand-in for a retrained network: another digest, slightly other answers. `--bits` is how many bits
of a weight's significand stay (float32 has 24, bfloat16 has 8, and with 2 little is found any more).
Needs the packages of ../training/requirements.txt, of which it uses numpy and onnx.
"""

import argparse

import numpy as np
import onnx
from onnx import numpy_helper


def rounded(weights, bits):
    significand, exponent = np.frexp(weights)
    return np.ldexp(np.round(np.ldexp(significand, bits)), exponent - bits).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--bits", type=int, default=8, choices=range(1, 25), metavar="1..24")
    arguments = parser.parse_args()
    model = onnx.load(arguments.model)
    changed = 0
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        before = numpy_helper.to_array(tensor)
        after = rounded(before, arguments.bits)
        changed += int(np.count_nonzero(before != after))
        tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))
    onnx.checker.check_model(model)
    onnx.save(model, arguments.out)
    print(f"{changed} weights of {arguments.model} rounded to {arguments.bits} bits")


if __name__ == "__main__":
    main()
