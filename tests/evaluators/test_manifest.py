"""Pictures are known by their manifest alone, and a manifest says all that changes them."""

import json

import pytest

from evaluators import manifest as manifests
from evaluators.manifest import Job, Manifest, open_manifest, read_manifest, read_pictures
from instdiff.engine import load_engine
from instdiff.errors import BadInput
from instdiff.formats.png import read_png
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings

SETTINGS = RenderSettings(num_inference_steps=1, guidance_scale=1.0, alpha=1.0, mis=0.0)


def a_layout(caption: str) -> Layout:
    dog = Instance(caption=caption, category="dog", box=Box(x0=0.1, y0=0.2, x1=0.6, y1=0.9))
    return Layout(width=64, height=64, caption=caption, instances=(dog,))


def test_painted_and_read(tmp_path):
    engine = load_engine("draft")
    expected = manifests.painted_with(engine, SETTINGS, layouts="two")
    jobs = [Job("b-2", a_layout("a red dog"), 2), Job("a", a_layout("a blue dog"), 1)]
    counts = []
    manifests.paint(tmp_path, open_manifest(tmp_path, expected), jobs, engine, SETTINGS, 1, counts.append)
    manifest = read_manifest(tmp_path)
    assert counts == [1, 1] and [(one.key, one.seed, one.file) for one in manifest.pictures] == [
        ("a", 1, "a.png"),
        ("b-2", 2, "b-2.png"),
    ]
    assert [image.size for image in read_pictures(manifest, tmp_path, ["b-2", "a"])] == [(64, 64)] * 2
    assert read_png(tmp_path / "b-2.png")[0].caption == "a red dog"
    manifests.paint(tmp_path, manifest, jobs, engine, SETTINGS, 1, counts.append)
    assert counts == [1, 1]  # nothing is painted twice

    with pytest.raises(BadInput, match=r"mis 0.0 \(now 0.5\)"):
        open_manifest(tmp_path, expected | {"mis": 0.5})
    with pytest.raises(BadInput, match='no picture "c"'):
        list(read_pictures(manifest, tmp_path, ["c"]))
    with pytest.raises(BadInput, match='"a" is there twice'):
        manifests.paint(tmp_path, manifest, [jobs[1], jobs[1]], engine, SETTINGS, 1)
    (tmp_path / "a.png").write_bytes((tmp_path / "b-2.png").read_bytes())
    with pytest.raises(BadInput, match="is not the picture that was painted"):
        list(read_pictures(manifest, tmp_path, ["a"]))


def test_no_photographs(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(BadInput, match="no manifest.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["", "../a", "a/b", ".a", "a.b", "a" * 101])
def test_keys_stay_in_the_folder(key):
    with pytest.raises(BadInput, match="key"):
        Manifest.parse({"painted_with": {}, "pictures": [{"key": key, "seed": 0, "sha256": ""}]}, "manifest.json")
    assert json.loads(Manifest(painted_with={}).model_dump_json())["pictures"] == []
