import io
import tarfile

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("resvg_py")

from instdiff.errors import BadInput
from instdiff.training.draft.catalogue import COLOURS, TEXTURES, THINGS
from instdiff.training.draft.sprites import ART, NOTICE, _fit, _rasterise, body_of, drawing_of, load_sprites, unpack

COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,"
    "suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,computer mouse,remote,"
    "keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
).split(",")


def test_the_catalogue_has_every_category_of_coco():
    """COCO's "mouse" is our "computer mouse": a mouse is the animal, as in the knowledge base."""
    assert len(COCO) == 80 and len(THINGS) >= 150
    assert [name for name in COCO if name not in THINGS] == []


def test_every_thing_has_a_drawing_and_known_colours():
    drawings = {path for path in ART.glob("*.svg")}
    assert drawings == {drawing_of(name) for name, thing in THINGS.items() if "a" in thing.looks}
    for name, thing in THINGS.items():
        assert thing.looks and set(thing.looks) <= set("fna") and (thing.emoji or thing.looks == "a"), name
        assert (
            set(thing.colours) <= set(COLOURS)
            and set(thing.textures) <= set(TEXTURES)
            and thing.natural in ("", *COLOURS)
        ), name


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if "a" in thing.looks])
def test_our_drawings_are_pictures_with_a_body_that_can_be_tinted(name):
    import cv2

    bgra = cv2.imdecode(
        np.frombuffer(_rasterise(drawing_of(name).read_text(encoding="utf-8"), 128), np.uint8), cv2.IMREAD_UNCHANGED
    )
    rgba = _fit(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA), 96)
    solid = rgba[..., 3] > 127
    assert max(rgba.shape[:2]) == 96 and 0.08 < solid.mean() < 1
    if THINGS[name].colours:
        assert body_of(rgba)[solid].mean() > 0.15


def test_the_package_is_unpacked_flat_and_wanted_files_only(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("package/assets/1f408.webp", "../../escaped.webp", "package/run.js", "package/icons.json"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
        link = tarfile.TarInfo("package/link.webp")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/hostname"
        archive.addfile(link)
    unpack(packed.getvalue(), tmp_path / "sprites")
    unpack(packed.getvalue(), tmp_path / "noto", ("icons.json",))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "1f408.webp",
        "escaped.webp",
        "icons.json",
    ]
    assert not (tmp_path.parent / "escaped.webp").exists()


def test_missing_pictures_are_refused(tmp_path):
    with pytest.raises(BadInput, match="--stage sprites"):
        load_sprites(tmp_path)


def test_the_notice_names_both_licences():
    assert "MIT License" in NOTICE and "Apache License, Version 2.0" in NOTICE
