"""What `tests/fuzz.py` spoils: for each door its real inputs, how it spoils them, and what reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import fuzz_inputs as inputs
import fuzz_mangle as mangle


@dataclass(frozen=True)
class Target:
    """``read`` takes the path of a spoiled file; it raises an error of ours, or returns. ``once`` is read as it is."""

    seeds: Callable[[], list[bytes]]
    spoil: Callable[[bytes, Random], bytes]
    read: Callable[[Path], object]
    ending: str = ".json"
    once: Callable[[], list[bytes]] = list
    share: float = 1.0  # of the cases, beside the other targets; less where each takes long


def _words(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")  # as arguments of a command come


def read_layout(path: Path, boxes: str = "auto") -> None:
    from instdiff.formats import load_layout, save_layout
    from instdiff.formats.coco import fitted_mask

    layout = load_layout(path, boxes)
    [fitted_mask(instance.mask, layout.size) for instance in layout.instances if instance.mask and layout.width <= 1024]
    save_layout(layout, path.with_name("again.json"))


def read_corners(path: Path) -> None:
    read_layout(path, "corners")


def read_coco(path: Path) -> None:
    from instdiff.formats import layouts_from_coco, layouts_to_coco

    layouts_to_coco([layout for _, layout in layouts_from_coco(path)])


def read_data_set(path: Path) -> None:
    from evaluators.coco.dataset import PLACES, coco_truth, read_dataset

    dataset = read_dataset(path)
    [sample.conditioned(place, (64, 64)) for sample in dataset.samples for place in PLACES]
    coco_truth(dataset, str, dataset.has_masks)


def read_annotations(path: Path) -> None:
    from instdiff.errors import BadInput
    from instdiff.formats.files import read_bytes
    from instdiff.formats.other_tools import FORMS, read_annotations, save_annotations

    path.with_name("classes.txt").write_text("dog\nperson")  # YOLO's
    found = read_annotations(path, read_bytes(path))
    if found is None:
        raise BadInput("annotations", "are none")
    layouts = list(found)[:4]
    for form in FORMS:
        drawn = [
            (name, layout.with_instances([one for one in layout.instances if one.extent])) for name, layout in layouts
        ]
        out = path.with_name("again") / form
        out.parent.mkdir(exist_ok=True)
        save_annotations(drawn, out, form)


def read_mask(path: Path) -> None:
    from instdiff.formats.files import parse_json, read_bytes
    from instdiff.formats.native import read_mask

    for size in ((48, 64), (4096, 4096)):
        mask = read_mask(parse_json(read_bytes(path), "mask"), size, "mask")
        if mask:
            mask.array.sum()


def read_png(path: Path) -> None:
    from instdiff.formats import read_png

    read_png(path)


def read_answer(path: Path, form: str) -> None:
    from agent.planners.chat.planner import FORMS

    FORMS[form]().read(_words(path), "a dog beside a red ball", (512, 384), 0)


def read_seen(path: Path) -> None:
    from evaluators.detectors.dialects import DIALECTS
    from evaluators.detectors.vlm import detections
    from instdiff.errors import ServiceError

    refused = None
    found = []
    for dialect in DIALECTS.values():
        try:
            found += detections(dialect.read(_words(path), (504, 504)), ["cat", "dog"])
        except ServiceError as error:
            refused = error
    if refused and not found:
        raise refused


def read_checkpoint(path: Path) -> None:
    from instdiff.checkpoint.sources import open_source

    for tensors in open_source(path).parts.values():
        for tensor in tensors.values():
            if tensor.nbytes < 10**6:
                tensor.load()


def read_prompt(path: Path) -> None:
    from agent.planners.offline import OfflinePlanner
    from instdiff.formats import layout_from_json, layout_to_json

    layout_from_json(layout_to_json(OfflinePlanner().plan(_words(path), (512, 384), 0).layout))


@cache
def _living_room():
    from agent.planners.offline import OfflinePlanner

    return OfflinePlanner().plan("a grey sofa, a lamp on a table and a rug in a living room", (512, 512), 0)


def read_edit(path: Path) -> None:
    from agent.edit import edit_plan

    edit_plan(_living_room(), _words(path))


def read_prompt_file(path: Path) -> None:
    from agent.benchmarks.plan_checks import read_cases
    from agent.request import read_prompts
    from instdiff.formats.layout_sets import read_lines

    json.dumps(read_prompts(path), ensure_ascii=False).encode()
    read_cases(read_lines(path), "prompts")


def read_plan_lines(path: Path) -> None:
    from agent.plans import keep_done
    from instdiff.formats.layout_sets import layouts_by_prompt

    layouts_by_prompt(path)
    keep_done(path, 0, (512, 512))


def spoil_member(data: bytes, rng: Random) -> bytes:
    name, _, content = data.partition(b"\n")
    spoil = {b".json": mangle.spoil_json, b".png": mangle.spoil_png}.get(name[name.rfind(b".") :], mangle.spoil_bytes)
    try:
        return name + b"\n" + spoil(content, rng)
    except (ValueError, IndexError):  # no text chunk in this picture
        return name + b"\n" + mangle.spoil_bytes(content, rng)


def _with_member(path: Path, folders: tuple[Path, ...]) -> Path:
    """A copy of the folder with the spoiled file in it."""
    name, _, content = path.read_bytes().partition(b"\n")
    number, _, member = name.decode().partition(":")
    copy = path.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folders[int(number)], copy)
    (copy / member).write_bytes(content)
    return copy


def read_run(path: Path) -> None:
    from rich.console import Console

    from agent import Agent
    from agent.console import Display
    from agent.edit import source
    from agent.job import events
    from agent.runs import Run
    from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

    folder = _with_member(path, inputs.run_folders())
    json.dumps(Run.load(folder).summary())
    events(folder)
    with Display(Console(file=path.with_name("shown.txt").open("w", encoding="utf-8"), width=100)) as display:
        agent = Agent(
            planner=ListPlanner(),
            engine=RectanglePainter(),
            verifier=ColourDetector(),
            out=path.parent,
            on_event=display,
        )
        agent.resume(folder)
    source(folder)


def read_manifest_folder(path: Path) -> None:
    from evaluators.gallery import Gallery

    folder = _with_member(path, (inputs.manifest_folder(),))
    for painted in Gallery.open(folder).pictures():
        painted.image.load()


TARGETS = {
    "layout file": Target(lambda: inputs.layout_files("demos/*.json"), mangle.spoil_json, read_layout),
    "layout file, corners": Target(lambda: inputs.layout_files("gpt4o/*.json"), mangle.spoil_json, read_corners),
    "COCO annotations": Target(inputs.coco_files, mangle.spoil_json, read_coco),
    "COCO data set": Target(inputs.coco_files, mangle.spoil_json, read_data_set),
    "annotations, JSON": Target(
        lambda: inputs.annotation_files("label-studio", "labelme", "datumaro", "fiftyone", "coco"),
        mangle.spoil_json,
        read_annotations,
    ),
    "annotations, XML": Target(lambda: inputs.annotation_files("cvat"), mangle.spoil_xml, read_annotations, ".xml"),
    "annotations, YOLO": Target(lambda: inputs.annotation_files("yolo"), mangle.spoil_words, read_annotations, ".txt"),
    "plans, JSON lines": Target(inputs.plan_lines, mangle.spoil_lines, read_plan_lines, ".jsonl"),
    "mask": Target(inputs.mask_files, mangle.spoil_json, read_mask),
    "PNG": Target(inputs.png_files, mangle.spoil_png, read_png, ".png"),
    "chat answer, scene": Target(
        inputs.scene_answers, mangle.spoil_words, lambda path: read_answer(path, "scene"), ".txt"
    ),
    "chat answer, scene JSON": Target(
        lambda: inputs.scene_answers()[:2], mangle.spoil_json, lambda path: read_answer(path, "scene")
    ),
    "chat answer, boxes JSON": Target(inputs.box_answers, mangle.spoil_json, lambda path: read_answer(path, "boxes")),
    "vision answer": Target(lambda: list(inputs.SAID), mangle.spoil_words, read_seen, ".txt"),
    "vision answer, JSON": Target(lambda: list(inputs.SAID[:1]), mangle.spoil_json, read_seen),
    "pickled checkpoint": Target(
        inputs.checkpoints, mangle.spoil_zip, read_checkpoint, ".pth", inputs.pickle_tricks, 0.6
    ),
    "safetensors": Target(inputs.safetensors_files, mangle.spoil_safetensors, read_checkpoint, ".safetensors"),
    "prompt": Target(inputs.prompts, mangle.spoil_words, read_prompt, ".txt"),
    "edit": Target(lambda: list(inputs.EDITS), mangle.spoil_words, read_edit, ".txt"),
    "prompts file": Target(inputs.prompt_files, mangle.spoil_lines, read_prompt_file, ".jsonl"),
    "run folder": Target(inputs.folder_inputs(inputs.run_folders), spoil_member, read_run, ".bin", share=0.3),
    "manifest folder": Target(
        inputs.folder_inputs(lambda: (inputs.manifest_folder(),)), spoil_member, read_manifest_folder, ".bin"
    ),
}
