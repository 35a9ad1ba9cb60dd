"""How good predictions are: the DeepPCB paper's matching, and what an operator feels. Standard library only.

`items` are pairs of a manifest (`id`, `group`, `boxes`), `predictions` maps their ids to detections
(`x1 y1 x2 y2 class confidence`, pixels of the test picture, x2 and y2 excluded).
"""
import json

CLASSES = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
DIFFERENCE = "difference"  # how `evaluate` writes what differs and has no name
SAME_PLACE = 0.33  # intersection over union from which a detection is at a label's place


def read_items(manifest, split=None):
    with open(manifest) as file:
        items = json.load(file)["items"]
    return [item for item in items if split is None or item["split"] == split]


def read_predictions(path):
    with open(path) as file:
        rows = [json.loads(line) for line in file if line.strip()]
    refused = {row["id"]: row["not_comparable"] for row in rows if row.get("not_comparable")}
    return {row["id"]: row["detections"] for row in rows}, refused


def overlap(a, b):
    width = min(a["x2"], b["x2"]) - max(a["x1"], b["x1"])
    height = min(a["y2"], b["y2"]) - max(a["y1"], b["y1"])
    if width <= 0 or height <= 0:
        return 0.0
    area = lambda box: (box["x2"] - box["x1"]) * (box["y2"] - box["y1"])
    return width * height / (area(a) + area(b) - width * height)


def match(labels, detections, same_place=SAME_PLACE):
    """The paper's matching: each label in file order takes the most confident free detection at its place, whatever
    its class. Gives the detections by confidence, and the number of each one's label or None."""
    detections = sorted(detections, key=lambda d: -d["confidence"])
    taken = [None] * len(detections)
    for number, label in enumerate(labels):
        for index, detection in enumerate(detections):
            if taken[index] is None and overlap(label, detection) > same_place:
                taken[index] = number
                break
    return detections, taken


def average_precision(scored, labels):
    """Area under precision against recall, not interpolated; `scored` holds (confidence, hit)."""
    hits = total = 0
    for rank, (_, hit) in enumerate(sorted(scored, key=lambda s: -s[0]), 1):
        if hit:
            hits += 1
            total += hits / rank
    return total / labels if labels else float("nan")


def pooled(items, predictions, same_place=SAME_PLACE):
    scored, labels = [], 0
    for item in items:
        detections, taken = match(item["boxes"], predictions[item["id"]], same_place)
        labels += len(item["boxes"])
        for detection, number in zip(detections, taken):
            hit = number is not None and item["boxes"][number]["class"] == detection["class"]
            scored.append((detection["confidence"], hit))
    return average_precision(scored, labels)


def at_threshold(items, predictions, threshold=0.5):
    """Counts at one threshold; `confusion` counts (label or None, detection or None)."""
    hits = calls = labels = escaped = boards = 0
    confusion = {}
    for item in items:
        kept = [d for d in predictions[item["id"]] if d["confidence"] >= threshold]
        detections, taken = match(item["boxes"], kept)
        right = 0
        for detection, number in zip(detections, taken):
            label = None if number is None else item["boxes"][number]["class"]
            right += label == detection["class"]
            confusion[label, detection["class"]] = confusion.get((label, detection["class"]), 0) + 1
        for number in set(range(len(item["boxes"]))) - set(taken):
            label = item["boxes"][number]["class"]
            confusion[label, None] = confusion.get((label, None), 0) + 1
            escaped += 1
        hits, calls, labels = hits + right, calls + len(detections), labels + len(item["boxes"])
        boards += right < len(detections)
    precision, recall = hits / max(calls, 1), hits / max(labels, 1)
    return {
        "precision": precision, "recall": recall, "f": 2 * precision * recall / max(precision + recall, 1e-9),
        "hits": hits, "calls": calls, "labels": labels, "escaped": escaped, "false_calls": calls - hits,
        "boards_with_false_calls": boards, "confusion": confusion,
    }


def classes(items, predictions):
    """Per class: labels, precision, recall and F at 0.5 by the pooled matching."""
    confusion = at_threshold(items, predictions)["confusion"]
    rows = {}
    for name in CLASSES:
        labels = sum(n for (label, _), n in confusion.items() if label == name)
        calls = sum(n for (_, call), n in confusion.items() if call == name)
        hits = confusion.get((name, name), 0)
        precision, recall = hits / max(calls, 1), hits / max(labels, 1)
        rows[name] = (labels, precision, recall, 2 * precision * recall / max(precision + recall, 1e-9))
    return rows


def reliability(items, predictions, bins=10):
    """Of the calls in each tenth of confidence: (calls, mean confidence, share that is right), and the expected
    calibration error over all calls."""
    sums = [[0, 0.0, 0] for _ in range(bins)]
    for item in items:
        detections, taken = match(item["boxes"], predictions[item["id"]])
        for detection, number in zip(detections, taken):
            row = sums[min(int(detection["confidence"] * bins), bins - 1)]
            row[0] += 1
            row[1] += detection["confidence"]
            row[2] += number is not None and item["boxes"][number]["class"] == detection["class"]
    total = sum(row[0] for row in sums)
    rows = [(n, c / n, h / n) if n else (0, 0.0, 0.0) for n, c, h in sums]
    error = sum(n * abs(confidence - right) for n, confidence, right in rows) / max(total, 1)
    return rows, error


def operating_curve(items, predictions, thresholds):
    """(threshold, false calls per board, share of defects that escape) for every threshold."""
    rows = []
    for threshold in thresholds:
        counts = at_threshold(items, predictions, threshold)
        rows.append((threshold, counts["false_calls"] / len(items), counts["escaped"] / max(counts["labels"], 1)))
    return rows


def naming(items, predictions):
    """Per class of the labels: labels, and of these marked by anything, named rightly, and named only wrongly (from 0.5
    on); and how much is marked where nothing is labelled."""
    touch = lambda a, b: overlap(a, b) > 0
    rows, false = {}, 0
    for item in items:
        for label in item["boxes"]:
            marks = [d for d in predictions[item["id"]] if touch(d, label)]
            names = {d["class"] for d in marks if d["confidence"] >= 0.5 and d["class"] != DIFFERENCE}
            row = rows.setdefault(label["class"], [0, 0, 0, 0])
            row[0] += 1
            row[1] += bool(marks)
            row[2] += label["class"] in names
            row[3] += bool(names) and label["class"] not in names
        false += sum(not any(touch(d, label) for label in item["boxes"]) for d in predictions[item["id"]])
    return rows, false


def false_calls(predictions, threshold=0.5):
    """Calls on boards that have no flaw, and on how many boards."""
    calls = [sum(d["confidence"] >= threshold for d in row) for row in predictions.values()]
    return sum(calls), sum(call > 0 for call in calls)
