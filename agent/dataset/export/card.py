"""The dataset card: what is in it, how it was made, what it is worth, in the form that the Hugging Face hub reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from agent.dataset.export.records import AnnotatedPicture, categories
from agent.dataset.export.writers import HUB_SPLITS
from agent.dataset.folder import REJECTED, Folder
from agent.runs import read_json
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.manifest import read_manifest
from instdiff.formats.files import write_bytes
from prompts.usage import Usage

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
    "yolo": "YOLO: `yolo detect train data=yolo/data.yaml`",
    "webdataset": "WebDataset: `wds.WebDataset('webdataset/train-000000.tar').decode('pil').to_tuple('png', 'json')`",
    "parquet": "Hugging Face: `load_dataset('parquet', data_files='parquet/data/train-*.parquet')`",
    "label-studio": (
        "Label Studio: a project with the labelling interface `label-studio/config.xml`, local storage of the folder"
        " `label-studio` as document root, and `label-studio/train.json` imported"
    ),
    "cvat": "CVAT: a task of `cvat/images/train`, then `cvat/train.xml` uploaded as CVAT 1.1",
    "labelme": "labelme: `labelme labelme/train`",
}


def write_card(folder: Folder, records: Sequence[AnnotatedPicture], out: Path, formats: Sequence[str]) -> None:
    """Write ``README.md`` and ``contact_sheet.png``."""
    _write_sheet(records, out / SHEET)
    made_with = read_manifest(folder.items).painted_with
    sections = [
        _head(formats, records),
        _counts(folder, records),
        _histograms(records),
        _settings(made_with, records),
        _proof(folder),
        "## Reading it\n\n" + "\n".join(f"- {LOADING[name]}" for name in formats),
        _limits(made_with),
    ]
    write_bytes(out / "README.md", ("\n\n".join(filter(None, sections)) + "\n").encode())


def _head(formats: Sequence[str], records: Sequence[AnnotatedPicture]) -> str:
    """What the hub reads, and the title."""
    lines = ["---", "task_categories:", "- object-detection", "- text-to-image"]
    lines += ["tags:", "- synthetic", "- instancediffusion"]
    if "parquet" in formats:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, name in HUB_SPLITS.items():
            if any(record.split == split for record in records):
                lines += [f"  - split: {name}", f"    path: parquet/data/{name}-*.parquet"]
    title = "# Painted pictures with verified annotations"
    return "\n".join([*lines, "---", "", title, "", f"![Some of the pictures]({SHEET})"])


def _counts(folder: Folder, records: Sequence[AnnotatedPicture]) -> str:
    names = Counter(instance.name for record in records for instance in record.layout.instances)
    sizes = Counter("{} x {}".format(*record.size) for record in records)
    splits = Counter(record.split for record in records)
    decided = Counter(folder.decided().values())
    per_picture = names.total() / len(records)
    with_mask = sum(instance.mask is not None for record in records for instance in record.layout.instances)
    rows = {
        "pictures": f"{len(records)} ({splits['train']} train, {splits['val']} val; split by prompt)",
        "prompts": len({record.item.prompt for record in records}),
        "annotations": f"{names.total()}, {per_picture:.1f} a picture",
        "with a mask": with_mask,
        "categories": len(categories(records)),
        "sizes in pixels": ", ".join(f"{size} ({count})" for size, count in sizes.most_common(5)),
        "rejected candidates": f"{decided[REJECTED]} ({decided[REJECTED] / max(decided.total(), 1):.0%} of all)",
        "most common": ", ".join(f"{name} ({count})" for name, count in names.most_common(10)),
    }
    return "## Counts\n\n" + _table(["what", "how many"], rows.items())


def _histograms(records: Sequence[AnnotatedPicture]) -> str:
    """How well objects lie in their places, and how sure the verifier was of them."""
    verdicts = [verdict for record in records for verdict in record.verdicts]
    pairs = [(verdict.iou, verdict.detection.score) for verdict in verdicts if verdict.detection]
    if not pairs:
        return "## Scores\n\nNo detector looked at the pictures: the annotations are the plans."
    edges = np.linspace(0, 1, BARS + 1)
    ious, scores = (np.histogram(values, edges)[0] for values in zip(*pairs, strict=True))
    rows = [
        (f"{low:.1f} to {high:.1f}", _bar(iou_count, ious), _bar(score_count, scores))
        for low, high, iou_count, score_count in zip(edges, edges[1:], ious, scores, strict=False)
    ]
    intro = "## Scores\n\nAnnotations by IoU with the planned place, and by the verifier's score."
    return f"{intro}\n\n{_table(['from, to', 'IoU', 'score'], rows)}"


def _settings(made_with: dict, records: Sequence[AnnotatedPicture]) -> str:
    """What the pictures were made with, and under which licences it stands."""
    seeds = [record.item.seed for record in records]
    usage = sum((record.item.usage for record in records), Usage())
    rows = {**made_with, "seeds of the pictures": f"{min(seeds)} to {max(seeds)}, each in the picture's PNG and JSON"}
    if usage.requests:
        cost = "price not known" if usage.usd is None else f"${usage.usd:.4f}"
        rows["planner usage of what is kept"] = f"{usage.requests} requests, {usage.tokens} tokens, {cost}"
    models = [made_with["engine"], str(made_with["verifier"]).partition(":")[0]]
    unknown = "see the licence of this model"
    licences = [f"- {name}: {LICENCES.get(name, unknown)}" for name in dict.fromkeys(models) if name != "none"]
    return "\n\n".join(["## Made with", _table(["setting", "value"], rows.items()), "## Licences", "\n".join(licences)])


def _proof(folder: Folder) -> str:
    """What `python -m agent.dataset prove` found, if it ran."""
    path = folder.path / PROOF
    if not path.exists():
        return ""
    proof = read_json(path)
    figures = {name: json.dumps(found) if isinstance(found, dict | list) else found for name, found in proof.items()}
    about = "A small detector, against one trained for as many steps on as many composites; both scored on others."
    return f"## What a detector learns from it\n\n{about}\n\n" + _table(["figure", "value"], figures.items())


def _limits(made_with: dict) -> str:
    annotated = {
        "picture": "Every instance of a picture was found in its place by the verifier.",
        "instance": "Annotated is what the verifier found in its place; the picture may show more without annotation.",
        "all": "All planned instances are annotated, whether they were found or not.",
    }[made_with["accept"]]
    shapes = "Boxes are those of the plan; where no mask was planned, it is the shape that the verifier saw."
    return f"## Limits\n\nThe pictures are painted by a model. {annotated} {shapes}"


def _write_sheet(records: Sequence[AnnotatedPicture], path: Path) -> None:
    """Some pictures, evenly taken from all."""
    from PIL import Image

    step = max(len(records) // PICTURES_SHOWN, 1)
    tiles = []
    for record in records[::step][:PICTURES_SHOWN]:
        with Image.open(record.path) as image:
            about = f"{len(record.layout.instances)} annotated, mean IoU {record.item.score:.2f}"
            tiles.append(Tile(image.convert("RGB"), (record.item.prompt or record.layout.caption, about)))
    contact_sheet(tiles, path)


def _bar(count: int, counts: np.ndarray) -> str:
    return f"{'█' * round(20 * count / max(counts.max(), 1))} {count}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *cells])
