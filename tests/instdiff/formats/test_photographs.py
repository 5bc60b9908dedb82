"""Photographs of annotation files: found by the names that people's files have, turned, checked before use."""

import numpy as np
import pytest
from PIL import Image

from instdiff.errors import BadInput
from instdiff.formats import photographs
from instdiff.formats.photographs import check_photographs, find_photograph, open_photograph, photograph_size

ORIENTATION = 0x0112


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path / "cache"))


def picture(path, size=(60, 40), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path, **options)
    return path


def record(name="a.jpg", number=1, size=(60, 40), **more):
    return {"id": number, "width": size[0], "height": size[1], "file_name": name, **more}


@pytest.mark.parametrize(
    ("named", "stored"),
    [
        ({"file_name": "a.jpg"}, "a.jpg"),
        ({"file_name": "./a.jpg"}, "a.jpg"),
        ({"file_name": "part\\one\\a.jpg"}, "part/one/a.jpg"),
        ({"file_name": "train\\a.jpg"}, "a.jpg"),  # begins with the folder's own name
        ({"file_name": "train/a.jpg"}, "train/a.jpg"),
        ({"file_name": "C:\\data\\set\\a.jpg"}, "a.jpg"),
        ({"file_name": "/home/somebody/a.jpg"}, "a.jpg"),
        ({"file_name": "../../upload/1/a.jpg"}, "a.jpg"),
        ({"file_name": "COCO_val2014_000000001268.jpg"}, "000000001268.jpg"),  # LVIS v0.5
        (
            {"file_name": None, "coco_url": "http://images.cocodataset.org/train2017/17.jpg"},
            "train2017/17.jpg",
        ),  # LVIS v1
        ({"coco_url": "http://images.cocodataset.org/train/17.jpg"}, "17.jpg"),
    ],
)
def test_names_as_people_write_them(tmp_path, named, stored):
    path = picture(tmp_path / "train" / stored)
    assert find_photograph({"id": 1, **named}, tmp_path / "train") == path


@pytest.mark.parametrize(
    "name", ["b.jpg", "../secret.jpg", "/etc/hostname", "", None, 7, "other/a.jpg", "..", "a\0b", "train"]
)
def test_names_of_nothing(tmp_path, name):
    picture(tmp_path / "train" / "a.jpg")
    picture(tmp_path / "secret.jpg")
    with pytest.raises(BadInput, match="^image 1.file_name: .* is not in "):
        find_photograph({"id": 1, "file_name": name}, tmp_path / "train")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_they_are_to_be_seen(tmp_path, orientation, ending):
    """A picture with a red left upper corner, stored in each of the eight ways that EXIF knows."""
    seen = np.full((40, 60, 3), 255, np.uint8)
    seen[:20, :30] = (255, 0, 0)
    mirrored = seen[:, ::-1]
    stored = {
        **{1: seen, 2: mirrored, 3: np.rot90(seen, 2), 4: seen[::-1]},
        **{
            5: seen.transpose(1, 0, 2),
            6: np.rot90(seen),
            7: seen[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(seen, -1),
        },
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95} if ending == "jpg" else {"lossless": True} if ending == "webp" else {}
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif.tobytes(), **options)
    assert photograph_size(path) == (60, 40)
    image = np.asarray(open_photograph(path)).astype(int)
    assert image.shape == (40, 60, 3) and np.abs(image - seen).mean() < 3
    assert (np.asarray(open_photograph(path, path.read_bytes())) == image).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_none(tmp_path):
    path = picture(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03\0\0\xff\xff")
    assert photograph_size(path) == (60, 40) and open_photograph(path).size == (60, 40)


def test_what_cannot_be_used_is_said_with_its_reason(tmp_path):
    folder = tmp_path / "images"
    picture(folder / "good.jpg")
    picture(folder / "half.jpg", (30, 20))  # the same places, in fractions
    picture(folder / "turned.jpg", (40, 60))
    whole = picture(folder / "cut.jpg", (600, 400)).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    whole = picture(folder / "cut.png", (60, 40)).read_bytes()
    (folder / "cut.png").write_bytes(whole[:-40])
    (folder / "text.jpg").write_text("no picture")
    picture(folder / "trailer.jpg")
    with (folder / "trailer.jpg").open("ab") as file:
        file.write(b"what some cameras write behind the picture")
    names = ["good", "half", "turned", "cut", "text", "trailer"]
    records = [record(f"{name}.jpg", number) for number, name in enumerate(names)] + [record("cut.png", 6)]
    records += [record("gone.jpg", 7), record("good.jpg", 8)]  # two records may share a file by its name
    found = check_photographs(records, folder)
    assert [one.oddity for one in found] == [
        *("", photographs.OTHER_SCALE, photographs.OTHER_SHAPE, photographs.UNREADABLE, photographs.UNREADABLE, ""),
        *(photographs.UNREADABLE, photographs.MISSING, ""),
    ]
    assert [one.is_usable for one in found] == [True, True, False, False, False, True, False, False, True]
    assert found[2].detail == "turned.jpg has 40 x 60, and not 60 x 40" and "gone.jpg" in found[7].detail


def test_what_was_looked_at_is_looked_at_again_when_it_changes(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    for name in "ab":
        picture(folder / f"{name}.jpg")
    records = [record("a.jpg", 1), record("b.jpg", 2, (999, 40))]
    opened = []
    original = photographs.photograph_size
    monkeypatch.setattr(photographs, "photograph_size", lambda path: opened.append(path.name) or original(path))
    done = []
    first = check_photographs(records, folder, done.append)
    assert sorted(opened) == ["a.jpg", "b.jpg"] and sum(done) == 2
    assert check_photographs(records, folder, done.append) == first and len(opened) == 2 and sum(done) == 4
    picture(folder / "b.jpg", (999, 40))
    assert [one.oddity for one in check_photographs(records, folder)] == ["", ""] and len(opened) == 4
    [kept, *_] = (tmp_path / "cache" / "photographs").iterdir()
    for path in kept.parent.iterdir():
        path.write_text("[[0")  # what was kept is damaged
    assert [one.oddity for one in check_photographs(records, folder)] == ["", ""] and len(opened) == 6


def test_two_names_of_one_file_are_refused(tmp_path):
    picture(tmp_path / "a.jpg")
    records = [record("/one/a.jpg", 1), record("/two/a.jpg", 2)]
    with pytest.raises(BadInput, match='^image 2.file_name: "/two/a.jpg" and "/one/a.jpg" of image 1 would both be'):
        check_photographs(records, tmp_path)
    with pytest.raises(BadInput, match="none-such: is no folder"):
        check_photographs(records, tmp_path / "none-such")
