#!/usr/bin/env python3
"""Train the golden-comparison network on crops of generated boards and write it as ONNX.

usage: train.py CROPS.bin [CROPS.bin ...] --validation VAL.bin --out model.onnx [--epochs N] [--threads N]

CROPS are written by the Rust example `training_crops`: the shipped registration, candidates and crops, so that
training sees what inference sees. Records of 3,156 bytes: class (1 byte, 0 is background), 3 spare bytes, the
box's left, top, right and bottom distance from the crop's centre in pixels (little-endian f32), two planes
(test, golden) of 112 x 112 bits, least significant bit first, set where there is copper.

The network: [n, 2, 96, 96] (0 copper, 1 substrate) -> probabilities [n, 7], sides [n, 4] in pixels.
"""
import argparse
import hashlib
import time

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

STORED, SIDE = 112, 96
SPARE = STORED - SIDE
RECORD = np.dtype(
    [("class", "u1"), ("spare", "u1", 3), ("sides", "<f4", 4), ("planes", "u1", (2, STORED, STORED // 8))]
)
CLASSES = ["background", "open", "short", "mousebite", "spur", "copper", "pin-hole"]
# Exchanging copper and substrate exchanges these classes.
INVERTED = np.array([0, 2, 1, 4, 3, 6, 5])
SIDE_SCALE, SIDE_OFFSET = 16.0, 20.0


def block(inputs, outputs, stride, kernel=3):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Network(nn.Module):
    """About 295,000 parameters, 23 million multiplications a crop."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                block(2, 16, 2, 5),
                block(16, 32, 2),
                block(32, 32, 1),
                block(32, 64, 2),
                block(64, 64, 1),
                block(64, 96, 2),
                block(96, 96, 1),
                block(96, 24, 1, 1),
            ]
        )
        self.hidden = nn.Linear(24 * 6 * 6, 96)
        self.drop = nn.Dropout(0.1)
        self.classes = nn.Linear(96, len(CLASSES))
        self.sides = nn.Linear(96, 4)

    def forward(self, x):
        for conv in self.convs:
            x = conv(x)
        x = self.drop(torch.relu(self.hidden(torch.flatten(x.contiguous(), 1))))
        return self.classes(x), self.sides(x) * SIDE_SCALE + SIDE_OFFSET


def unpack(records):
    bits = np.unpackbits(records["planes"], axis=-1, bitorder="little")
    return 1 - bits  # copper is 0


def centre(records):
    """Crops as the shipped pipeline cuts them."""
    planes = unpack(records)[:, :, SPARE // 2 : SPARE // 2 + SIDE, SPARE // 2 : SPARE // 2 + SIDE]
    return planes, records["sides"], records["class"].astype(np.int64)


def augment(records, rng, group=16):
    """Moves, turns, mirrors and inverts crops, a group of them in the same way."""
    planes, sides, classes = unpack(records), records["sides"].copy(), records["class"].astype(np.int64)
    out = np.empty((len(records), 2, SIDE, SIDE), np.uint8)
    for start in range(0, len(records), group):
        part = slice(start, start + group)
        # Small moves are likelier: candidates lie near the middle of their flaw.
        x, y = (int(v) for v in np.clip(np.rint(rng.normal(SPARE / 2, 3, 2)), 0, SPARE))
        crop = planes[part, :, y : y + SIDE, x : x + SIDE]
        dx, dy = x - SPARE // 2, y - SPARE // 2
        s = sides[part] + np.array([dx, dy, -dx, -dy], np.float32)
        if rng.random() < 0.5:
            crop, s = crop[..., ::-1], s[:, [2, 1, 0, 3]]
        if rng.random() < 0.5:
            crop, s = crop[..., ::-1, :], s[:, [0, 3, 2, 1]]
        if rng.random() < 0.5:
            crop, s = crop.swapaxes(2, 3), s[:, [1, 0, 3, 2]]
        if rng.random() < 0.25:
            crop, classes[part] = 1 - crop, INVERTED[classes[part]]
        out[part], sides[part] = crop, s
    return out, sides, classes


def tensors(planes, sides, classes):
    x = torch.from_numpy(planes).float().contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(np.ascontiguousarray(sides)), torch.from_numpy(classes)


def overlap(a, b):
    """Intersection over union of boxes that are given as sides around one centre."""
    shared = (torch.minimum(a, b)[:, :2] + torch.minimum(a, b)[:, 2:]).clamp(min=0).prod(1)
    area = lambda s: (s[:, :2] + s[:, 2:]).clamp(min=0).prod(1)
    return shared / (area(a) + area(b) - shared).clamp(min=1)


def loss_of(network, batch):
    x, sides, classes = tensors(*batch)
    logits, predicted = network(x)
    logits, predicted = logits.float(), predicted.float()
    loss = F.cross_entropy(logits, classes, label_smoothing=0.02)
    real = classes > 0
    if real.any():
        distance = F.smooth_l1_loss(predicted[real] / SIDE_SCALE, sides[real] / SIDE_SCALE, beta=0.1)
        loss = loss + distance + 0.5 * (1 - overlap(predicted[real], sides[real])).mean()
    return loss


@torch.no_grad()
def validate(network, data):
    network.eval()
    hits = total = false_calls = missed = 0
    quality = []
    for start in range(0, len(data), 512):
        x, sides, classes = tensors(*centre(data[start : start + 512]))
        logits, predicted = network(x)
        called = logits.softmax(1)
        found = called[:, 1:].max(1).values >= 0.5
        real = classes > 0
        hits += (logits.argmax(1) == classes).sum().item()
        false_calls += (found & ~real).sum().item()
        missed += (~found & real).sum().item()
        quality.append(overlap(predicted[real], sides[real]))
        total += len(classes)
    return (
        f"accuracy {hits / total:.4f} false calls {false_calls} missed {missed} of {total} crops, "
        f"mean IoU {torch.cat(quality).mean():.3f}"
    )


def export(network, path):
    """Writes ONNX by hand: batch-norm folded, opset 17, a named batch axis, nothing that varies by exporter."""
    network.eval()
    nodes, weights, last = [], [], "crops"

    def weight(name, tensor):
        weights.append(numpy_helper.from_array(tensor.detach().float().numpy(), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    for i, conv in enumerate(network.convs):
        folded = fuse_conv_bn_eval(conv[0], conv[1])
        pad = list(folded.padding) * 2
        inputs = [last, weight(f"conv{i}.weight", folded.weight), weight(f"conv{i}.bias", folded.bias)]
        last = node("Conv", inputs, f"conv{i}", kernel_shape=list(folded.kernel_size), pads=pad,
                    strides=list(folded.stride))
        last = node("Relu", [last], f"relu{i}")
    last = node("Flatten", [last], "flat", axis=1)

    def linear(name, layer, scale=1.0, offset=0.0):
        inputs = [last, weight(f"{name}.weight", layer.weight * scale),
                  weight(f"{name}.bias", layer.bias * scale + offset)]
        return node("Gemm", inputs, name, transB=1)

    linear("hidden", network.hidden)
    last = node("Relu", ["hidden"], "hidden_relu")
    linear("logits", network.classes)
    node("Softmax", ["logits"], "probabilities", axis=1)
    linear("sides", network.sides, SIDE_SCALE, SIDE_OFFSET)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
    graph = helper.make_graph(
        nodes, "golden-compare", [value("crops", 2, SIDE, SIDE)],
        [value("probabilities", len(CLASSES)), value("sides", 4)], weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="chipq")
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", nargs="+")
    parser.add_argument("--validation", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", choices=["auto", "float", "bfloat16"], default="auto",
                        help="auto: bfloat16 where the CPU multiplies it in hardware (AMX)")
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng = np.random.default_rng(a.seed)
    half = a.precision == "bfloat16" or (a.precision == "auto" and "amx_bf16" in open("/proc/cpuinfo").read())
    data = np.concatenate([np.fromfile(path, RECORD) for path in a.crops])
    validation = np.fromfile(a.validation, RECORD)
    network = Network().to(memory_format=torch.channels_last)
    print(f"{len(data)} crops, classes {np.bincount(data['class'], minlength=7).tolist()}, "
          f"{sum(p.numel() for p in network.parameters())} parameters, {'bfloat16' if half else 'float'}", flush=True)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), a.rate, weight_decay=0.02)
    steps = len(data) // a.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, a.rate, total_steps=steps * a.epochs, pct_start=0.1)
    started = time.time()
    for epoch in range(a.epochs):
        network.train()
        order, losses = rng.permutation(len(data)), []
        for step in range(steps):
            batch = augment(data[np.sort(order[step * a.batch : (step + 1) * a.batch])], rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = loss_of(network, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{a.epochs} loss {np.mean(losses):.4f} {validate(average.module, validation)} "
              f"{(time.time() - started) / 60:.1f} min ({time.process_time():.0f} CPU s)", flush=True)
        export(average.module, a.out)
    print("sha256", hashlib.sha256(open(a.out, "rb").read()).hexdigest())


if __name__ == "__main__":
    main()
