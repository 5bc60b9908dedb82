"""The dataset card: what is in it, how it was made, what it is worth, in the form that the Hugging Face hub reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.dataset.export.records import AnnotatedPicture, Records
from agent.dataset.export.writers import HUB_SPLITS
from agent.dataset.folder import REJECTED, Folder
from agent.dataset.tally import SIZES, Counts, Tally
from agent.runs import read_json
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.manifest import read_manifest
from instdiff.formats.files import write_bytes
from prompts.usage import Usage

CARD = "README.md"
SHEET = "contact_sheet.png"
PROOF = "proof.json"
PICTURES_SHOWN = 24
BARS = 10
LICENCES = {
    "draft": "bundled draft models, Apache-2.0",
    "sd15": "InstanceDiffusion (Apache-2.0) on Stable Diffusion 1.5 (CreativeML OpenRAIL-M)",
    "yolo": "ultralytics YOLO, AGPL-3.0",
    "owlv2": "OWLv2, Apache-2.0",
    "grounding-dino": "Grounding DINO, Apache-2.0",
}
LOADING = {
    "coco": (
        "COCO: `COCO('coco/annotations/instances_train.json')` with the pictures in `coco/images/train`; FiftyOne reads"
        " it as a `COCODetectionDataset` with `data_path` and `labels_path`"
    ),
    "coco-polygons": "COCO with polygons: as above, in `coco-polygons`",
    "yolo": "YOLO: `yolo detect train data=yolo/data.yaml`",
    "yolo-seg": "YOLO, segmentation: `yolo segment train data=yolo-seg/data.yaml`",
    "webdataset": "WebDataset: `wds.WebDataset('webdataset/train-000000.tar').decode('pil').to_tuple('png', 'json')`",
    "parquet": "Hugging Face: `load_dataset('parquet', data_files='parquet/data/train-*.parquet')`",
    "label-studio": (
        "Label Studio: a project with the labelling interface `label-studio/config.xml`, local storage of the folder"
        " `label-studio` as document root, and `label-studio/train.json` imported"
    ),
    "cvat": "CVAT: a task of `cvat/images/train`, then `cvat/train.xml` uploaded as CVAT 1.1",
    "labelme": "labelme: `labelme labelme/train`",
}


@dataclass
class Figures:
    """What the pictures of an export have together, from one look at each."""

    names: Counter[str] = field(default_factory=Counter)  # of labels
    verdicts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    prompts: set[str] = field(default_factory=set)
    scores: list[tuple[float, float | None]] = field(default_factory=list)  # IoU where planned, and score
    ignored: int = 0
    with_mask: int = 0
    seeds: list[int] = field(default_factory=list)
    usage: Usage = Usage()

    def add(self, record: AnnotatedPicture) -> None:
        """Count a picture."""
        self.names.update(label.name for label in record.labels)
        self.verdicts.update(label.verdict for label in record.labels)
        self.sizes["{} x {}".format(*record.size)] += 1
        self.prompts.add(record.item.prompt)
        self.scores += [(label.iou, label.score) for label in record.labels]
        self.ignored += len(record.ignored)
        self.with_mask += sum(label.mask is not None for label in record.labels)
        self.seeds.append(record.item.seed)
        self.usage += record.item.usage


def write_card(folder: Folder, records: Records, out: Path, formats: Sequence[str]) -> Figures:
    """Write ``README.md`` and ``contact_sheet.png``; returns what is counted on the way."""
    figures = Figures()
    for record in records:
        figures.add(record)
    _write_sheet(records, out / SHEET)
    made_with = read_manifest(folder.items).painted_with
    sections = [
        _head(formats, records),
        _counts(folder, records, figures),
        _classes(folder, records, figures),
        _histograms(figures),
        _settings(made_with, figures),
        _proof(folder),
        "## Reading it\n\n" + "\n".join(f"- {LOADING[name]}" for name in formats),
        _limits(records),
    ]
    write_bytes(out / CARD, ("\n\n".join(filter(None, sections)) + "\n").encode())
    return figures


def _head(formats: Sequence[str], records: Records) -> str:
    """What the hub reads, and the title."""
    lines = ["---", "task_categories:", "- object-detection", "- text-to-image"]
    lines += ["tags:", "- synthetic", "- instancediffusion"]
    if "parquet" in formats:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, name in HUB_SPLITS.items():
            if split in records.splits:
                lines += [f"  - split: {name}", f"    path: parquet/data/{name}-*.parquet"]
    title = "# Painted pictures with verified annotations"
    return "\n".join([*lines, "---", "", title, "", f"![Some of the pictures]({SHEET})"])


def _counts(folder: Folder, records: Records, figures: Figures) -> str:
    decided = Counter(folder.decided().values())
    labels = figures.names.total()
    splits = ", ".join(f"{records.number_in(split)} {split}" for split in records.splits)
    rows = {
        "pictures": f"{len(records)} ({splits}; no layout or prompt is in two)",
        "prompts": len(figures.prompts),
        "annotations": f"{labels}, {labels / len(records):.1f} a picture",
        "by verdict": ", ".join(f"{name} ({count})" for name, count in figures.verdicts.most_common()),
        "regions to ignore": figures.ignored,
        "with a mask": figures.with_mask,
        "categories": len(records.classes),
        "sizes in pixels": ", ".join(f"{size} ({count})" for size, count in figures.sizes.most_common(5)),
        "rejected candidates": f"{decided[REJECTED]} ({decided[REJECTED] / max(decided.total(), 1):.0%} of all)",
        "most common": ", ".join(f"{name} ({count})" for name, count in figures.names.most_common(10)),
    }
    if records.dropped:
        rows["dropped pictures"] = f"{records.dropped}, something planned on which was not verified"
    return "## Counts\n\n" + _table(["what", "how many"], rows.items())


def _classes(folder: Folder, records: Records, figures: Figures) -> str:
    """What became of each class, what is missing, and which sizes and colours pass less."""
    tally = Tally(folder).update()
    classes = {name: records.class_of(name) for name in sorted(tally.by_class)}
    labels = {name: figures.names[own] if own else "left out" for name, own in classes.items()}
    rows = [
        (name, one.planned, one.painted, one.passed, labels[name], _by_size(tally, name))
        for name, one in sorted(tally.by_class.items())
    ]
    others = sorted(figures.names.keys() - set(classes.values()))
    rows += [(name, 0, 0, 0, figures.names[name], "") for name in others]
    missing = [name for name, count in labels.items() if count == 0]
    sentence = f"Planned and without any label: {', '.join(missing)}." if missing else "Every planned class has labels."
    biases = {"size": tally.by_size, "asked colour": tally.by_colour}
    bias = [
        (kind, name, one.planned, f"{one.share:.0%}") for kind, by in biases.items() for name, one in sorted(by.items())
    ]
    head = ["class", "planned", "painted", "passed", "labels", f"passed, {' / '.join(SIZES)}"]
    about = (
        "Of all candidates: what was planned, what the verifier saw anywhere, and what passed; and what is labelled."
    )
    parts = ["## Classes", f"{about} {sentence}", _table(head, rows), "Sizes and asked colours (in that colour):"]
    return "\n\n".join([*parts, _table(["of", "", "planned", "passed"], bias)])


def _by_size(tally: Tally, name: str) -> str:
    """ "3 / 5 / 0": how many of a class passed of each size"""
    return " / ".join(str(tally.by_cell.get((name, "", size), Counts()).passed) for size in SIZES)


def _histograms(figures: Figures) -> str:
    """How well objects lie in their places, and how sure the verifier was of them."""
    pairs = [(iou, score) for iou, score in figures.scores if score is not None]
    if not pairs:
        return "## Scores\n\nNo detector looked at the pictures: the annotations are the plans."
    edges = np.linspace(0, 1, BARS + 1)
    ious, scores = (np.histogram(values, edges)[0] for values in zip(*pairs, strict=True))
    rows = [
        (f"{low:.1f} to {high:.1f}", _bar(iou_count, ious), _bar(score_count, scores))
        for low, high, iou_count, score_count in zip(edges, edges[1:], ious, scores, strict=False)
    ]
    intro = "## Scores\n\nAnnotations by IoU with the planned place (0 where none was), and by the verifier's score."
    return f"{intro}\n\n{_table(['from, to', 'IoU', 'score'], rows)}"


def _settings(made_with: dict, figures: Figures) -> str:
    """What the pictures were made with, and under which licences it stands."""
    seeds, usage = figures.seeds, figures.usage
    rows = {**made_with, "seeds of the pictures": f"{min(seeds)} to {max(seeds)}, each in the picture's PNG and JSON"}
    if usage.requests:
        cost = "price not known" if usage.usd is None else f"${usage.usd:.4f}"
        rows["planner usage of what is kept"] = f"{usage.requests} requests, {usage.tokens} tokens, {cost}"
    models = [made_with["engine"], str(made_with["verifier"]).partition(":")[0]]
    unknown = "see the licence of this model"
    licences = [f"- {name}: {LICENCES.get(name, unknown)}" for name in dict.fromkeys(models) if name != "none"]
    return "\n\n".join(["## Made with", _table(["setting", "value"], rows.items()), "## Licences", "\n".join(licences)])


def _proof(folder: Folder) -> str:
    """What `dataset prove` found, if it ran."""
    path = folder.path / PROOF
    if not path.exists():
        return ""
    proof = read_json(path)
    figures = {name: json.dumps(found) if isinstance(found, dict | list) else found for name, found in proof.items()}
    about = "A small detector, and others that learned from real pictures or both for as many steps, on real ones."
    return f"## What a detector learns from it\n\n{about}\n\n" + _table(["figure", "value"], figures.items())


def _limits(records: Records) -> str:
    options = records.options
    kept = {
        "picture": "Every planned thing of a picture was found in its place by the verifier.",
        "instance": "Of each picture at least one planned thing was found in its place by the verifier.",
        "all": "All pictures were kept as they were planned, whether things were found or not.",
    }[str(records.made_with["accept"])]
    planned = {
        "ignore": "What was planned and not verified is a region to ignore.",
        "drop": "Pictures on which something planned was not verified are left out.",
        "label": "What was planned and not verified is labelled all the same.",
        "none": "What was planned and not verified has no label.",
    }[str(options.unverified)]
    extras = {
        "label": "What was seen and not planned is labelled where the verifier was sure, else a region to ignore.",
        "ignore": "What was seen and not planned is a region to ignore.",
        "none": "What was seen and not planned has no label.",
    }[str(options.extras)]
    boxes = {
        "plan": "Boxes are those of the plan; where no mask was planned, it is the shape that the verifier saw.",
        "seen": "Boxes and masks are those that the verifier saw.",
        "mean": "Boxes are the means of the plan's and the verifier's where they nearly agree, else the verifier's.",
    }[str(options.boxes)]
    person = " A person accepted each of them; labels with the verdict corrected are that person's."
    seen_by = person if options.reviewed else ""
    return f"## Limits\n\nThe pictures are painted by a model.{seen_by} {kept} {planned} {extras} {boxes}"


def _write_sheet(records: Records, path: Path) -> None:
    """Some pictures, evenly taken from all."""
    from PIL import Image

    step = max(len(records) // PICTURES_SHOWN, 1)
    tiles = []
    for place in range(0, len(records), step)[:PICTURES_SHOWN]:
        record = records[place]
        with Image.open(record.path) as image:
            about = f"{len(record.labels)} annotated, mean IoU {record.item.score:.2f}"
            tiles.append(Tile(image.convert("RGB"), (record.item.prompt or record.caption, about)))
    contact_sheet(tiles, path)


def _bar(count: int, counts: np.ndarray) -> str:
    return f"{'█' * round(20 * count / max(counts.max(), 1))} {count}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *cells])
