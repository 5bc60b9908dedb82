"""Real inputs for `tests/fuzz.py`: files of the golden tests, answers, checkpoints, words, and whole folders."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent

GOLDEN = HERE / "golden"


def layout_files(pattern: str, most: int = 12) -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob(pattern))[:most] if path.stat().st_size < 60_000]


def coco_files() -> list[bytes]:
    from instdiff.formats import layout_from_json, layouts_to_coco

    layouts = [layout_from_json(json.loads(text)) for text in layout_files("demos/*.json", 3)]
    coco = layouts_to_coco([layout for layout in layouts if all(one.extent for one in layout.instances)])
    ring = [10, 10, 60, 10, 60, 60, 10, 60]
    coco["annotations"].append({**coco["annotations"][0], "id": 99, "segmentation": [ring], "bbox": [10, 10, 50, 50]})
    coco["annotations"].append({**coco["annotations"][0], "id": 100, "iscrowd": 1})
    return [json.dumps(coco).encode()]


def annotation_files(*forms: str) -> list[bytes]:
    """Files of other tools, without the pictures and names of classes that lie beside some."""
    from annotation_files import FILES

    contents = [content for file in FILES.values() if file.form in forms for content in file.files.items()]
    return [data for name, data in contents if name.endswith(("street.txt", ".json", ".xml")) and "notes" not in name]


def mask_files() -> list[bytes]:
    import numpy as np

    from instdiff import rle

    disc = np.hypot(*np.mgrid[-32:32, -24:24]) < 20
    runs = rle.encode(disc)
    whole = {"size": [64, 48], "counts": rle.counts_to_string(runs)}
    polygons = [[4.5, 4, 40, 4, 40, 50], [1, 1, 9, 1, 9, 9, 1, 9]]
    bomb = {"size": [4096, 4096], "counts": "0" * 100_000}
    full = [[0, 0, 4096, 0, 4096, 4096, 0, 4096]] * 40
    return [json.dumps(mask).encode() for mask in (whole, {"size": [64, 48], "counts": runs}, polygons, bomb, full)]


def png_files() -> list[bytes]:
    from PIL import Image

    from instdiff.formats import layout_from_json, write_png

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.png")
        write_png(
            Image.new("RGB", (16, 16)),
            path,
            layout_from_json(json.loads(layout_files("demos/*.json", 1)[0])),
            {"seed": 1, "engine": "draft"},
        )
        return [path.read_bytes()]


def scene_answers() -> list[bytes]:
    from tests.agent.openai_server import GOOD

    wild = {
        **GOOD,
        "objects": [{**GOOD["objects"][0], "width_m": 2.0, "height_m": 1.0, "distance_m": 9.0}, GOOD["objects"][1]],
    }
    prose = b"Here it is:\n```json\n" + json.dumps(GOOD).encode() + b"\n```\nEnjoy!"
    return [json.dumps(GOOD).encode(), json.dumps(wild).encode(), prose]


def box_answers() -> list[bytes]:
    from tests.agent.openai_server import BOXES

    return [json.dumps(BOXES).encode()]


SEEN = [
    {"label": "cat", "box": [0.1, 0.2, 0.5, 0.6], "bbox_2d": [100, 200, 500, 600], "box_2d": [200, 100, 600, 500]}
] * 2

SAID = (
    json.dumps(SEEN).encode(),
    b"<ref>cat</ref><box>(100,200),(500,600)</box>",
    b"<loc0250><loc0100><loc0750><loc0900> cat ; <loc0250><loc0100><loc0750><loc0900> dog",
    b"cat<loc_100><loc_250><loc_900><loc_750>dog<loc_1><loc_2><loc_3><loc_4>",
    b"A cat [[100,200,500,600;001,002,003,004]] on a red mat [[000,000,999,999]].",
)


@cache
def checkpoints() -> list[bytes]:
    import torch

    tensors = {"position_net.null": torch.zeros(2, 3), "input_blocks.0.0.bias": torch.ones(4).half()}
    content = {
        "model": tensors,
        "ema": tensors,
        "iters": 3,
        "config_dict": {"_content": {"model": {"params": {"num_heads": 8}}}},
    }
    plain = {"state_dict": {"model.diffusion_model.out.2.bias": torch.zeros(4), "model_ema.decay": torch.tensor(0.9)}}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.pth")
        for value in (content, plain):
            for zipped in (True, False):
                torch.save(value, path, _use_new_zipfile_serialization=zipped)
                found.append(path.read_bytes())
    return found + [path.read_bytes() for path in sorted(GOLDEN.glob("malicious*.pth"))]


def safetensors_files() -> list[bytes]:
    import torch
    from safetensors.torch import save

    import instdiff.checkpoint.sources  # noqa: F401  # takes a second or two, which no case is to be blamed for

    names = ("model.diffusion_model.out.2.bias", "first_stage_model.post_quant_conv.bias", "model_ema.decay")
    return [save({name: torch.zeros(4) for name in names}, {"format": "pt"})]


def prompts() -> list[bytes]:
    lines = (HERE / "agent" / "plan_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt"].encode() for line in lines]


EDITS = (
    b"add a cat on the sofa",
    b"remove the lamp, make the sofa red and move the table to the left",
    b"replace the lamp with two dogs",
    b"swap the lamp and the table",
    b"make the sofa twice as large",
    b"put the lamp between the sofa and the table",
)


def prompt_files() -> list[bytes]:
    return [
        b"a dog\ntwo cats on a couch\n\na red car",
        (HERE / "agent" / "plan_prompts.jsonl").read_bytes()[:2_000].rpartition(b"\n")[0],
    ]


def plan_lines() -> list[bytes]:
    layouts = [json.loads(text) for text in layout_files("demos/*.json", 3)]
    lines = [
        json.dumps({"prompt": layout["caption"], "layout": layout, "seed": 0, "size": [512, 512]}) for layout in layouts
    ]
    return ["\n".join([*lines, json.dumps({"prompt": "x", "error": "no", "seed": 0, "size": [512, 512]}), ""]).encode()]


@cache
def manifest_folder() -> Path:
    from PIL import Image

    from evaluators.manifest import Job, Manifest, with_pictures
    from instdiff.formats import layout_from_json, write_png

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    layout = layout_from_json(json.loads(layout_files("demos/*.json", 1)[0]))
    jobs = [Job(key, layout, 1) for key in ("a", "b-2")]
    for job in jobs:
        write_png(Image.new("RGB", (16, 16)), folder / f"{job.key}.png", layout, {"seed": 1})
    with_pictures(Manifest(painted_with={"engine": "draft", "seed": 1}), folder, jobs)
    return folder


@cache
def run_folders() -> tuple[Path, ...]:
    """A run that is over, and one that was stopped in its second round."""
    from agent import Agent
    from agent.events import Failed
    from agent.job import job_folder, tell
    from instdiff.errors import ServiceError
    from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

    out = Path(tempfile.mkdtemp(prefix="fuzz-"))
    parts = {"engine": RectanglePainter({0: {"dog"}}), "verifier": ColourDetector()}
    done = Agent(planner=ListPlanner(), out=out / "done", **parts).run("dog cat").folder
    with contextlib.suppress(ServiceError):
        Agent(planner=ListPlanner(fails=("revise",)), out=out / "stopped", **parts).run("dog cat")
    folders = done, next((out / "stopped").iterdir())
    for folder in folders:
        job_folder(folder).mkdir()
        tell(job_folder(folder), Failed(reason="a\u2028b"))
    return folders


def folder_inputs(folders: Callable[[], tuple[Path, ...]]) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        files = [
            (n, path, folder)
            for n, folder in enumerate(folders())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        return [f"{n}:{path.relative_to(folder)}\n".encode() + path.read_bytes() for n, path, folder in files]

    return seeds


def pickle_tricks() -> list[bytes]:
    """Small pickles that ask for much: memory, depth, or a walk without end."""
    deep = b"\x80\x02" + b")" + b"\x85" * 200_000 + b"}" + b"".join((b"h\x00",)) + b"."
    loop: list = []
    loop.extend([loop] * 50_000)
    nested: object = []
    for _ in range(400):
        nested = [nested, nested]
    tricks = [
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"\x80\x02]p4294967290\n.",
        b"\x80\x02" + b"]" * 10**6 + b".",
        deep,
        pickle.dumps({"model": loop}, 2),
    ]
    tricks += [
        b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s.",
        pickle.dumps({"a": nested}, 2),
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    ]
    return [_as_checkpoint(trick) for trick in tricks]


def _as_checkpoint(pickled: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled)
    return out.getvalue()
