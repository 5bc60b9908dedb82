"""The three commands, painting with the draft engine: in parts, merged, gone on with, refused."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_clip

from evaluators.__main__ import build_parser, main
from evaluators.coco import painting
from evaluators.coco.painting import Work, paint_part
from evaluators.manifest import read_parts
from instdiff.errors import BadInput
from instdiff.formats.png import read_png
from instdiff.render_settings import RenderSettings

STEPS = ["--steps", "1", "--guidance", "1"]


def work(folder, out, place="point", **changes) -> Work:
    settings = RenderSettings(num_inference_steps=1, guidance_scale=1.0)
    return Work(folder / "annotations.json", None, place, "draft", settings, out, **changes)


def told(folder) -> dict:
    """The layout in each picture below a folder."""
    return {path.stem: read_png(path)[0] for path in sorted(folder.rglob("*.png"))}


def pixels(folder) -> dict[str, np.ndarray]:
    """The pictures below a folder as (H, W, 3)."""
    return {path.stem: np.asarray(Image.open(path)).astype(int) for path in sorted(folder.rglob("*.png"))}


def test_parts_are_disjoint_and_merged(tmp_path, coco_set, capsys):
    """Two jobs paint, each into a folder of its own; a part that is missing is not scored over; then all is."""
    arguments = [
        "coco",
        "--annotations",
        str(coco_set / "annotations.json"),
        "--places",
        "point",
        "--out",
        str(tmp_path / "out"),
        *STEPS,
    ]
    assert main([*arguments, "--num-jobs", "2", "--job-index", "1"]) == 0
    assert "1 of 1 pictures painted now" in capsys.readouterr().out
    assert main([*arguments, "--merge"]) == 2
    assert "2 of 3 pictures are not painted yet (000000000003 is the first)" in capsys.readouterr().err
    first = (tmp_path / "out" / "point" / "job-1-of-2" / "000000000005.png").read_bytes()

    assert main([*arguments, "--num-jobs", "2", "--job-index", "0"]) == 0
    assert sorted(told(tmp_path / "out")) == ["000000000003", "000000000005", "000000000007"]
    capsys.readouterr()
    assert main([*arguments, "--merge", "--images", str(coco_set / "images"), "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result["pictures"] == 3 and list(result["rows"]) == ["real images", "point"] and result["places"] == "point"
    assert result["painted_with"]["place"] == "point" and "pictures painted in" not in " ".join(result["notes"])
    folder = tmp_path / "out" / "point"
    assert (
        json.loads((folder / "results.json").read_text()) == result
        and "| box AP50 |" in (folder / "results.md").read_text()
    )
    assert printed.err == ""  # no bar where there is no terminal

    assert main([*arguments, "--json"]) == 0  # nothing is missing, nothing is painted again
    assert (folder / "job-1-of-2" / "000000000005.png").read_bytes() == first and not (folder / "job-0-of-1").exists()
    capsys.readouterr()
    assert main([*arguments, "--guidance", "2"]) == 2  # the same folder with other settings
    assert "guidance_scale 1.0 (now 2.0)" in capsys.readouterr().err

    assert main(["pim", str(folder), "--kind", "point", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["point"]["pim"] is not None
    paper = ["pim", str(folder), "--kind", "point", "--protocol", "paper"]
    assert (
        main(
            [
                *paper,
                "--annotations",
                str(coco_set / "annotations.json"),
                "--images",
                str(coco_set / "images"),
                "--json",
            ]
        )
        == 0
    )
    assert list(json.loads(capsys.readouterr().out)["rows"]) == ["real images", "point"]
    assert main(["pim", str(folder), "--kind", "scribble"]) == 2
    assert "kind: no picture" in capsys.readouterr().err
    (coco_set / "annotations.json").write_text((coco_set / "annotations.json").read_text() + " ")
    assert main([*arguments, "--merge"]) == 2
    assert "painted from other annotations" in capsys.readouterr().err


def test_a_stopped_part_goes_on_with_the_same_pictures(tmp_path, coco_set):
    """What another number of jobs has painted is not painted twice, and every image has noise of its own."""
    whole = tmp_path / "whole"
    split = tmp_path / "split"
    assert paint_part(work(coco_set, whole)) == 3
    assert paint_part(work(coco_set, split, count=1)) == 1
    assert paint_part(work(coco_set, split), 0, 2) == 1  # images 3 and 7, of which 3 is there
    assert paint_part(work(coco_set, split), 1, 2) == 1
    assert paint_part(work(coco_set, split), 1, 2) == 0
    assert [folder.name for folder, _ in read_parts(split)] == ["job-0-of-1", "job-0-of-2", "job-1-of-2"]
    assert told(whole) == told(split)
    assert {one.seed for _, manifest in read_parts(split) for one in manifest.pictures} == {3, 5, 7}
    assert set(pixels(whole)) == set(pixels(split))
    for key, picture in pixels(whole).items():  # a picture of a batch differs from one alone by roundings
        assert np.abs(picture - pixels(split)[key]).max() <= 2 and picture.std() > 1
    with pytest.raises(BadInput, match="place point"):
        paint_part(work(coco_set, split, place="box"))
    assert "place point (now box)" in painting.paint_in_worker(work(coco_set, split, place="box"), 0, 2)


def test_attributes_are_painted_and_told(tmp_path, coco_set, golden, capsys):
    """By the judge, then by CLIP for the same pictures; textures are painted apart."""
    painted = ["attributes", "--annotations", str(coco_set / "annotations.json"), "--out", str(tmp_path), *STEPS]
    arguments = [*painted, "--by", "detector"]
    assert main([*arguments, "--images", str(coco_set / "images"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    captions = [[one.caption for one in layout.instances] for layout in told(tmp_path / "colours").values()]
    assert captions == [["pink sofa"], [], ["red dog", "green sofa", "yellow dog"]]  # ids 14, 10, 11, 12
    assert result["rows"]["colours"]["asked"] == 4 and result["rows"]["real images, own words"]["asked"] == 1
    by_clip = ["--clip", str(write_clip(golden, tmp_path / "clip")), "--images", str(coco_set / "images"), "--json"]
    assert main([*painted, *by_clip]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["by"] == "clip" and not any("painted in" in note for note in result["notes"])
    assert all(row["accuracy"] is not None and -1 <= row["score"] <= 1 for row in result["rows"].values())
    assert [row[0] for row in result["table"]["rows"]] == ["accuracy", "local CLIP score"]
    assert main([*arguments, "--kind", "textures", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"]["textures"]["told"] == ["metallic", "wooden"]
    assert result["rows"]["textures"]["asked"] == 2  # of rubber and glass the detector cannot tell
    assert any("real images is left out" in note for note in result["notes"])


@pytest.mark.slow
def test_ray_paints_the_same_pictures(tmp_path, coco_set):
    pytest.importorskip("ray")
    arguments = ["coco", "--annotations", str(coco_set / "annotations.json"), "--places", "point", *STEPS]
    assert main([*arguments, "--out", str(tmp_path / "ray"), "--ray", "2"]) == 0
    assert [folder.name for folder, _ in read_parts(tmp_path / "ray" / "point")] == ["job-0-of-2", "job-1-of-2"]
    paint_part(work(coco_set, tmp_path / "here"))
    seeds = [
        {picture.key: picture.seed for _, manifest in read_parts(folder) for picture in manifest.pictures}
        for folder in (tmp_path / "here", tmp_path / "ray" / "point")
    ]
    assert seeds[0] == seeds[1]
    assert told(tmp_path / "here") == told(tmp_path / "ray")


def test_without_ray(monkeypatch, tmp_path, coco_set, capsys):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    arguments = ["coco", "--annotations", str(coco_set / "annotations.json"), "--out", str(tmp_path), "--ray", "2"]
    assert main(arguments) == 4
    assert '".[ray]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--num-jobs", "2"], "num_jobs"),
        (["--num-jobs", "2", "--job-index", "2"], "job_index"),
        (["--num-jobs", "0", "--job-index", "0"], "num_jobs"),
        (["--merge", "--ray", "2"], "merge"),
        (["--ray", "0"], "ray"),
        (["--count", "0"], "count"),
        (["--batch", "65"], "batch"),
        (["--steps", "0"], "steps"),
        (["--mis", "1"], "mis"),
        (["--places", "circle"], "places"),
        (["--engine", "none-such"], "engine"),
        (["--detector", "none-such"], "verifier"),
        (["--images", "/none-such"], "/none-such"),
        (["--captions", "/none-such.json"], "/none-such.json"),
    ],
)
def test_refusals(coco_set, tmp_path, capsys, arguments, field):
    assert (
        main(["coco", "--annotations", str(coco_set / "annotations.json"), "--out", str(tmp_path / "out"), *arguments])
        == 2
    )
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"error: {field}") and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["pim", "FOLDER", "--kind", "point"], "FOLDER"),
        (["pim", "FOLDER", "--kind", "point", "--protocol", "paper"], "annotations"),
        (
            ["attributes", "--annotations", "FOLDER/annotations.json", "--by", "detector", "--detector", "owlv2"],
            "detector",
        ),
        (["attributes", "--annotations", "FOLDER/annotations.json", "--clip", "/none-such"], "clip"),
    ],
)
def test_refusals_of_the_others(coco_set, capsys, arguments, field):
    assert main([argument.replace("FOLDER", str(coco_set)) for argument in arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {field.replace('FOLDER', str(coco_set))}")


def test_settings_reach_the_work(coco_set):
    given = [
        "coco",
        "--annotations",
        "x.json",
        "--steps",
        "9",
        "--mis",
        "0.4",
        "--alpha",
        "0.7",
        "--seed",
        "5",
        "--places",
        "scribble",
    ]
    asked = painting.read_work(build_parser().parse_args(given))
    settings = asked.settings
    assert (settings.num_inference_steps, settings.mis, settings.alpha, settings.seed) == (9, 0.4, 0.7, 5)
    assert asked.folder.name == "scribble"
