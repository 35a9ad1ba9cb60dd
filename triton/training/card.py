#!/usr/bin/env python3
"""Write the model card and its figures from the runs that `card.sh` made. Standard library only."""
import argparse
import hashlib
import json
import os

import figures
import measure

HERE = os.path.dirname(os.path.abspath(__file__))
THRESHOLDS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99]
TITLES = {"generated": "generated boards, held out", "trainval": "DeepPCB trainval", "test": "DeepPCB test"}


def read(runs, name, manifest, split=None):
    """Everything that is said of one run."""
    predictions, refused = measure.read_predictions(f"{runs}/{name}.jsonl")
    items = measure.read_items(manifest, split)
    counts = measure.at_threshold(items, predictions)
    rows, error = measure.reliability(items, predictions)
    repaired, _ = measure.read_predictions(f"{runs}/{name}-repaired.jsonl")
    calls, boards = measure.false_calls(repaired)
    groups = {}
    for item in items:
        groups.setdefault(item["group"], []).append(item)
    with open(f"{runs}/{name}.json") as file:
        summary = json.load(file)
    return {
        "title": TITLES[name], "pairs": len(items), "labels": counts["labels"], "refused": refused,
        "ap": measure.pooled(items, predictions), "ap75": measure.pooled(items, predictions, 0.75), "counts": counts,
        "classes": measure.classes(items, predictions), "reliability": rows, "error": error,
        "curve": measure.operating_curve(items, predictions, THRESHOLDS), "summary": summary,
        "repaired": (100 * calls / len(repaired), boards, len(repaired)),
        "groups": {name: (len(of), sum(len(i["boxes"]) for i in of), measure.pooled(of, predictions),
                          measure.at_threshold(of, predictions)["f"]) for name, of in sorted(groups.items())},
    }


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def results(runs):
    rows = []
    for run in runs:
        c = run["counts"]
        rows.append([
            run["title"], run["pairs"], run["labels"], f"{run['ap']:.3f}", f"{c['f']:.3f}", f"{c['precision']:.3f}",
            f"{c['recall']:.3f}", c["false_calls"], c["escaped"], len(run["refused"]), f"{run['repaired'][0]:.1f}",
            f"{run['error']:.3f}",
        ])
    return table(["boards", "pairs", "labels", "pooled AP", "F", "precision", "recall", "false calls", "escaped",
                  "refused", "false calls per 100 repaired", "calibration error"], rows)


def per_class(runs):
    rows = []
    for name in measure.CLASSES:
        cells = []
        for run in runs:
            labels, precision, recall, f = run["classes"][name]
            cells += [labels, f"{precision:.3f}", f"{recall:.3f}", f"{f:.3f}"]
        rows.append([name, *cells])
    head = [f"{what} ({run['title']})" for run in runs for what in ("labels", "precision", "recall", "F")]
    return table(["class", *head], rows)


def confusion(run):
    names = [*measure.CLASSES, None]
    shown = lambda name: name or "nothing"
    counts = run["counts"]["confusion"]
    rows = [[f"**{shown(label)}**", *(counts.get((label, call), 0) or "·" for call in names)] for label in names]
    return [f"Confusion at 0.5, {run['title']} (rows: labels; columns: calls):", "",
            *table(["", *map(shown, names)], rows)]


def training(digest):
    """How the weights came to be, when the record beside them is theirs."""
    path = os.path.join(HERE, "..", "golden-compare", "card", "training.json")
    try:
        with open(path) as file:
            record = json.load(file)
    except FileNotFoundError:
        return []
    if record["sha256"] != digest:
        return ["These weights were not made by the recorded training run (fine-tuned, or another file).", ""]
    return [*stages(record), "", f"Temperature {record['temperature']:.3f}, fitted on crops of generated boards, is folded into the "
            "weights. `docs/detector.md` says what changed between the stages.", ""]


def stages(record):
    """The training runs that led to a record, the first one first."""
    runs = []
    while record:
        runs.insert(0, record)
        record = record.get("before")
    last = next(run for run in reversed(runs) if "mean_of" not in run)
    lines = [f"{last['parameters']:,} parameters, batch {last['batch']}, running average {last['average']}, seed "
             f"{last['seed']}, {last['precision']}:", ""]
    for number, run in enumerate(runs, 1):
        if "mean_of" in run:
            of = ", ".join(f"`{digest[:16]}…`" for digest in run["mean_of"])
            lines.append(f"{number}. the mean of the weights of {of}, to `{run['sha256'][:16]}…`")
            continue
        crops = ", ".join(f"{name} {count:,}" for name, count in run["crops"].items())
        lines.append(f"{number}. {run['epochs']} passes over {sum(run['crops'].values()):,} crops ({crops}) at a rate of "
                     f"{run['rate']}, {run['cpu_seconds']:,} CPU seconds, to `{run['sha256'][:16]}…`")
    first = runs[0]
    if first.get("teacher"):
        lines += ["", f"It began with the strongest channels of a wider network, `{first['teacher'][:16]}…`, and learnt that "
                  "one's answers besides the labels. The wider one was trained so:", ""]
        lines += stages(first["taught"]) if first["taught"] else ["Not recorded."]
    return lines


def families(run, trained):
    rows = [[name + ("" if name in trained else " *"), pairs, labels, f"{ap:.3f}", f"{f:.3f}"]
            for name, (pairs, labels, ap, f) in run["groups"].items()]
    return [f"### {run['title']}", "", *table(["family", "pairs", "labels", "pooled AP", "F"], rows)]


def clean(runs_folder):
    predictions, _ = measure.read_predictions(f"{runs_folder}/generated-clean.jsonl")
    at = {t: measure.false_calls(predictions, t)[1] for t in (0.5, 0.25)}
    return (f"Of {len(predictions)} generated boards without any flaw, {at[0.5]} get a call at 0.5 or above and "
            f"{at[0.25]} at 0.25 or above, which is what it takes for review.")


def photographs(runs_folder):
    items = measure.read_items(f"{runs_folder}/photographs/manifest.json")
    predictions, refused = measure.read_predictions(f"{runs_folder}/photographs.jsonl")
    rows, false = measure.naming(items, predictions)
    total = [sum(counts) for counts in zip(*rows.values())]
    lines = table(["class", "labels", "marked", "rightly named", "only wrongly named"],
                  [*([name, *counts] for name, counts in sorted(rows.items())), ["all", *total]])
    return [*lines, f"{len(items)} photographs, {len(refused)} refused; {false} places marked where nothing is labelled."]


def write(a):
    with open(a.weights, "rb") as file:
        weights = file.read()
    digest = hashlib.sha256(weights).hexdigest()
    runs = [read(a.runs, "generated", f"{a.runs}/flawed/manifest.json")]
    if a.data:
        runs += [read(a.runs, split, f"{a.data}/manifest.json", split) for split in ("trainval", "test")]
    os.makedirs(f"{a.out}/card", exist_ok=True)
    figures.reliability(f"{a.out}/card/reliability.svg", [(run["title"], run["reliability"]) for run in runs])
    figures.operating_curve(f"{a.out}/card/operating-curve.svg", [(run["title"], run["curve"]) for run in runs])
    with open(os.path.join(HERE, "card.template.md"), encoding="utf-8") as file:
        text = file.read()
    real = runs[1:]
    trained = set(real[0]["groups"]) if real else set()
    curve = table(["threshold", *(f"false calls a board / escaped ({run['title']})" for run in runs)],
                  [[t, *(f"{run['curve'][i][1]:.3f} / {100 * run['curve'][i][2]:.2f} %" for run in runs)]
                   for i, t in enumerate(THRESHOLDS)])
    refused = [f"{name} ({why})" for run in real for name, why in sorted(run["refused"].items())]
    parts = {
        "digest": digest, "bytes": f"{len(weights):,}", "training": "\n".join(training(digest)),
        "results": "\n".join(results(runs)), "classes": "\n".join(per_class(runs)), "clean": clean(a.runs),
        "photographs": "\n".join(photographs(a.runs)),
        "confusion": "\n".join(line for run in (real or runs) for line in confusion(run)),
        "families": "\n".join(line for run in real for line in families(run, trained))
                    or "Run with a real data set to fill this in.\n",
        "ap75": ", ".join(f"{run['ap75']:.3f} ({run['title']})" for run in runs),
        "refused": "Refused pairs of the real data, to review: " + (", ".join(refused) or "none") + ".",
        "curve": "\n".join(curve),
    }
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part.rstrip("\n"))
    with open(f"{a.out}/MODEL_CARD.md", "w", encoding="utf-8") as file:
        file.write(text)
    for run in runs:
        c = run["counts"]
        print(f"{run['title']}: AP {run['ap']:.4f} F {c['f']:.4f} false calls {c['false_calls']} escaped {c['escaped']} "
              f"refused {len(run['refused'])} repaired {run['repaired'][0]:.1f} per 100")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--data")
    write(parser.parse_args())


if __name__ == "__main__":
    main()
