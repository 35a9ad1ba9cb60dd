#!/usr/bin/env python3
"""Average networks that went on from one another, and calibrate the confidence of the result.

usage: average.py NETWORK.onnx NETWORK.onnx ... --validation VAL.bin --validation-photographs VAL.bin --out model.onnx
                  [--record FILE]

The weights of networks of one training lie in one basin, and their mean is often better than each (Wortsman et al. 2022,
Model soups). The record of the last one, NETWORK.onnx.json, goes into the new one.
"""
import argparse
import json

import numpy as np

from network import PHOTOGRAPH_RECORD, RECORD, export, load
from train import digest_of, record_of, temperature_of, validate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--validation", required=True)
    parser.add_argument("--validation-photographs", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--record")
    a = parser.parse_args()
    held_back = [np.fromfile(a.validation, RECORD), np.fromfile(a.validation_photographs, PHOTOGRAPH_RECORD)]
    networks = [load(path) for path in a.networks]
    mean, states = networks[0], [network.state_dict() for network in networks]
    mean.load_state_dict({
        name: sum(state[name] for state in states) / len(states) if value.is_floating_point() else value
        for name, value in states[0].items()
    })
    temperature = temperature_of(mean, held_back)
    export(mean, a.out, temperature)
    print(f"temperature {temperature:.3f}, then {validate(load(a.out), held_back)[1]}")
    if a.record:
        digests = [digest_of(path) for path in a.networks]
        made = {"sha256": digest_of(a.out), "temperature": temperature, "mean_of": digests,
                "before": record_of(a.networks[-1], digests[-1], a.record)}
        with open(a.record, "w") as file:
            json.dump(made, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
