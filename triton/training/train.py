#!/usr/bin/env python3
"""Train the golden-comparison network on crops of labelled boards and write it as ONNX.

usage: train.py CROPS.bin ... --photographs CROPS.bin ... --validation VAL.bin --validation-photographs VAL.bin
                --out model.onnx [--epochs N] [--teacher large.onnx] [--from model.onnx [--real REAL.bin]]

CROPS are written by the Rust example `training_crops`: the shipped registration, candidates and crops, so that
training sees what inference sees. Crops of photographs, which are grey levels, are named by options of their own; the one
network learns both kinds, each batch of one of them. The format and the network are described in `network.py`. The
confidence is calibrated at the end: one temperature, fitted on the validation crops and folded into the weights.

With --teacher, a narrower network begins with the strongest channels of a larger one and learns its answers about
binarised crops besides the labels (Hinton et al. 2015); a teacher that knows fewer classes is asked about those. With --from, training goes on from that network. REAL are crops of a data set's own boards: seven in eight boards of
every group (by a digest of their names) are trained on, several times a pass, and the others choose the best pass.
"""
import argparse
import hashlib
import json
import os
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from network import (
    CLASSES, PHOTOGRAPH_RECORD, RECORD, SIDE, SIDE_SCALE, SPARE, WIDTHS, Network, answer, convs_of,
    export, load, slimmed, tensors, unpack,
)

# Exchanging copper and substrate exchanges these classes; binarised crops have no holes.
INVERTED = np.array([0, 2, 1, 4, 3, 6, 5, 7])
# A real crop is seen so many times in a pass, each time moved and turned otherwise.
REAL_REPEATS = 4
HELD_OUT_ONE_IN = 8
# Answers are softened by it before they are learnt, so that the teacher's doubts count.
SOFT = 2.0


def augment(records, rng, group=16):
    """Moves, turns and mirrors crops, a group of them in the same way; bits are inverted at times, levels relit."""
    planes, sides, classes = unpack(records), records["sides"].copy(), records["class"].astype(np.int64)
    out = np.empty((len(records), 2, SIDE, SIDE), planes.dtype)
    bits = planes.dtype == np.uint8
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
        if not bits:
            crop, s = enlarged(crop, s, rng)
            crop = relit(crop, rng)
        elif rng.random() < 0.25:
            crop, classes[part] = 1 - crop, INVERTED[classes[part]]
        out[part], sides[part] = crop, s
    return out, sides, classes


def enlarged(crop, sides, rng):
    """Half of the time levels as a camera sees them that is nearer, up to twice: traces and flaws have any width."""
    zoom = 2 ** max(0.0, rng.uniform(-1, 1))
    if zoom == 1:
        return crop, sides
    at = (np.arange(SIDE) - (SIDE - 1) / 2) / zoom + (SIDE - 1) / 2
    low = at.astype(int)
    share = (at - low).astype(np.float32)
    rows = crop[..., low, :] * (1 - share)[:, None] + crop[..., low + 1, :] * share[:, None]
    return rows[..., low] * (1 - share) + rows[..., low + 1] * share, sides * np.float32(zoom)


def relit(crop, rng):
    """Levels in another light: both planes alike, the test picture a little more, and its noise."""
    gain = 1 + rng.normal(0, 0.1) + np.array([rng.normal(0, 0.02), 0], np.float32)[:, None, None]
    offset = rng.normal(0, 0.04) + np.array([rng.normal(0, 0.01), 0], np.float32)[:, None, None]
    noise = rng.standard_normal(crop.shape, np.float32) * np.float32(0.02 * rng.random())
    return np.clip(crop * np.float32(gain) + np.float32(offset) + noise, 0, 1)


def overlap(a, b):
    """Intersection over union of boxes that are given as sides around one centre."""
    shared = (torch.minimum(a, b)[:, :2] + torch.minimum(a, b)[:, 2:]).clamp(min=0).prod(1)
    area = lambda s: (s[:, :2] + s[:, 2:]).clamp(min=0).prod(1)
    return shared / (area(a) + area(b) - shared).clamp(min=1)


def loss_of(network, batch, teacher):
    x, sides, classes = tensors(*batch)
    x = x.contiguous(memory_format=torch.channels_last)
    logits, predicted = network(x)
    logits, predicted = logits.float(), predicted.float()
    loss = F.cross_entropy(logits, classes)
    real = classes > 0
    if real.any():
        distance = F.smooth_l1_loss(predicted[real] / SIDE_SCALE, sides[real] / SIDE_SCALE, beta=0.1)
        loss = loss + distance + 0.5 * (1 - overlap(predicted[real], sides[real])).mean()
    if teacher is not None:
        with torch.no_grad():
            taught, boxes = (answers.float() for answers in teacher(x))
        known = logits[:, : taught.shape[1]]
        soft = F.kl_div(F.log_softmax(known / SOFT, 1), F.log_softmax(taught / SOFT, 1), reduction="batchmean",
                        log_target=True)
        loss = loss + SOFT**2 * soft
        if real.any():
            loss = loss + F.smooth_l1_loss(predicted[real] / SIDE_SCALE, boxes[real] / SIDE_SCALE, beta=0.1)
    return loss


def validate(network, kinds):
    """Loss over all validation crops, and figures of each kind of them in words."""
    found = [validate_kind(network, data) for data in kinds if len(data)]
    return sum(loss for loss, _ in found) / len(found), "; ".join(text for _, text in found)


def validate_kind(network, data):
    logits, sides = answer(network, data)
    classes, real = data["class"], data["class"] > 0
    confidence = torch.from_numpy(logits).softmax(1)[:, 1:].max(1).values.numpy()
    false_calls, missed = int((confidence[~real] >= 0.5).sum()), int((confidence[real] < 0.5).sum())
    right = (logits.argmax(1) == classes).mean()
    quality = overlap(torch.from_numpy(sides[real]), torch.from_numpy(data["sides"][real].copy())).mean()
    loss = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(classes.astype(np.int64))).item()
    text = (f"accuracy {right:.4f} loss {loss:.4f} false calls {false_calls} missed {missed} of {len(data)} crops, "
            f"mean IoU {quality:.3f}")
    return loss, text


def temperature_of(network, kinds):
    """The temperature at which the validation crops are least surprising (Guo et al. 2017)."""
    logits = torch.from_numpy(np.concatenate([answer(network, data)[0] for data in kinds]))
    classes = torch.from_numpy(np.concatenate([data["class"] for data in kinds]).astype(np.int64))
    grid = np.exp(np.linspace(np.log(0.4), np.log(3.0), 121))
    losses = [F.cross_entropy(logits / t, classes).item() for t in grid]
    return float(grid[int(np.argmin(losses))])


def split_real(path):
    """The crops of seven in eight boards, and of the rest."""
    records, held = np.fromfile(path, RECORD), []
    with open(path + ".boards.jsonl") as file:
        for row in map(json.loads, file):
            out = int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0
            held += [out] * (row["records"] or 0)
    held = np.array(held, bool)
    return records[~held], records[held]


def batches_of(kinds, size, rng):
    """The crops of a pass in batches of one kind each, in random order, moved about."""
    batches = []
    for data in kinds:
        order = rng.permutation(len(data))
        batches += [(data, np.sort(part)) for part in np.split(order, range(size, len(data), size)) if len(part) == size]
    for number in rng.permutation(len(batches)):
        data, part = batches[number]
        yield augment(data[part], rng)


def train(network, teacher, kinds, a, rng, each_pass):
    half = a.precision == "bfloat16" or (a.precision == "auto" and "amx_bf16" in open("/proc/cpuinfo").read())
    counted = [np.bincount(data["class"], minlength=len(CLASSES)).tolist() for data in kinds]
    print(f"{sum(map(len, kinds))} crops, classes {counted}, {sum(p.numel() for p in network.parameters())} parameters, {'bfloat16' if half else 'float'}", flush=True)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(a.average), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), a.rate, weight_decay=0.02)
    steps = sum(len(data) // a.batch for data in kinds)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, a.rate, total_steps=steps * a.epochs, pct_start=0.1)
    started = time.time()
    for epoch in range(a.epochs):
        network.train()
        if a.start:
            network.freeze_norms()
        losses = []
        for batch in batches_of(kinds, a.batch, rng):
            binarised = batch[0].dtype == np.uint8
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = loss_of(network, batch, teacher if binarised else None)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())
        print(f"pass {epoch + 1}/{a.epochs} loss {np.mean(losses):.4f} {each_pass(average.module)} "
              f"{(time.time() - started) / 60:.1f} min ({time.process_time():.0f} CPU s)", flush=True)
    return "bfloat16" if half else "float"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", nargs="+")
    parser.add_argument("--photographs", nargs="+", default=[], help="crops of photographs")
    parser.add_argument("--validation", required=True)
    parser.add_argument("--validation-photographs")
    parser.add_argument("--out", required=True)
    parser.add_argument("--from", dest="start", help="an ONNX file of this program to go on from")
    parser.add_argument("--teacher", help="an ONNX file of this program whose answers are learnt")
    parser.add_argument("--widths", type=lambda text: [int(width) for width in text.split(",")], default=WIDTHS,
                        help="outputs of the convolutions but for the last, N,N,…")
    parser.add_argument("--real", help="crops of a data set's own boards")
    parser.add_argument("--real-repaired", help="crops of the same boards after repair")
    parser.add_argument("--record", help="JSON file to say in how the weights came to be")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--average", type=float, default=0.998, help="share of the old in the running average")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", choices=["auto", "float", "bfloat16"], default="auto",
                        help="auto: bfloat16 where the CPU multiplies it in hardware (AMX)")
    return parser.parse_args()


def digest_of(path):
    """The SHA-256 of a file; none of no file."""
    if not path:
        return None
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def record_of(network, digest, beside):
    """What is recorded of the network with this digest, beside it or where this run is recorded, if anything."""
    for path in [f"{network}.json", beside]:
        if os.path.exists(path):
            with open(path) as file:
                record = json.load(file)
            if record["sha256"] == digest:
                return record
    return None


def main():
    a = arguments()
    before, taught_by = digest_of(a.start), digest_of(a.teacher)
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng = np.random.default_rng(a.seed)
    parts = [np.fromfile(path, RECORD) for path in a.crops]
    photographs = [np.fromfile(path, PHOTOGRAPH_RECORD) for path in a.photographs]
    validation = np.fromfile(a.validation, RECORD)
    for path in filter(None, [a.real, a.real_repaired]):
        real, held_out = split_real(path)
        parts += [real] * REAL_REPEATS
        # Where a network is to work is where its confidence is to be true.
        validation = held_out if path == a.real else np.concatenate([validation, held_out])
    teacher = load(a.teacher).eval().to(memory_format=torch.channels_last) if a.teacher else None
    if a.start:
        network = load(a.start, len(CLASSES))
    elif teacher and any(width > conv[0].out_channels for width, conv in zip(a.widths, teacher.convs)):
        raise SystemExit(f"train.py: {a.teacher} is narrower than --widths {a.widths}: a teacher is wider")
    else:
        network = slimmed(teacher, a.widths) if teacher else Network(convs_of(a.widths))
    network = network.to(memory_format=torch.channels_last)
    kinds, held_back, best = [np.concatenate(parts)], [validation], [float("inf")]
    if photographs:
        kinds.append(np.concatenate(photographs))
    if a.validation_photographs:
        held_back.append(np.fromfile(a.validation_photographs, PHOTOGRAPH_RECORD))

    def each_pass(averaged):
        loss, text = validate(averaged, held_back)
        # Generated boards never run out, so the last pass is the best one; a few real ones are soon known by heart.
        if loss < best[0] or not a.real:
            best[0] = loss
            export(averaged, a.out)
        return text

    half = train(network, teacher, kinds, a, rng, each_pass)
    final = load(a.out)
    temperature = temperature_of(final, held_back)
    export(final, a.out, temperature)
    print(f"temperature {temperature:.3f}, then {validate(load(a.out), held_back)[1]}")
    digest = digest_of(a.out)
    print("sha256", digest)
    if a.record:
        os.makedirs(os.path.dirname(a.record) or ".", exist_ok=True)
        made = {
            "sha256": digest, "crops": {os.path.basename(path).removesuffix(".bin"): len(crops)
                                        for path, crops in zip(a.crops + a.photographs, parts[: len(a.crops)] + photographs)},
            "epochs": a.epochs, "batch": a.batch, "rate": a.rate, "average": a.average, "seed": a.seed,
            "temperature": temperature, "precision": half, "cpu_seconds": round(time.process_time()),
            "parameters": sum(p.numel() for p in network.parameters()),
        }
        if before:
            made |= {"from": before, "before": record_of(a.start, before, a.record)}
        if taught_by:
            made |= {"teacher": taught_by, "taught": record_of(a.teacher, taught_by, a.record)}
        with open(a.record, "w") as file:
            json.dump(made, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
