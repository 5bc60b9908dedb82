"""Verifiers in the loop: chosen by name, with their options, and never sent a key by somebody else's folder."""

import json

import pytest

from agent.loop import Agent
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Box, Instance, Layout
from tests.agent.doubles import SIZE, ColourDetector, ListPlanner, RectanglePainter
from tests.agent.openai_server import ChatServer, Reply, failed, said

DOG = Layout(
    caption="a dog",
    width=SIZE[0],
    height=SIZE[1],
    instances=(Instance(caption="a dog", category="dog", box=Box(x0=0.1, y0=0.1, x1=0.6, y1=0.9)),),
)
SEEN = said([{"label": "dog", "box": [0.1, 0.1, 0.6, 0.9]}])


def agent(tmp_path, server=None, **options):
    named = {"verifier": "vlm:gpt-4o", "verifier_url": server.url} if server else {}
    return Agent(planner=ListPlanner(), engine=RectanglePainter(), out=tmp_path, **{**named, **options})


def test_a_vision_model_verifies_a_run(tmp_path):
    with ChatServer(SEEN) as server:
        run = agent(tmp_path, server).run(layout=DOG)
    assert run.verified and len(run.rounds) == 1 and len(server.requests) == 1
    report = json.loads((run.folder / "round-0" / "report.json").read_text())
    assert (report["detector"], report["verdicts"][0]["kind"], report["verdicts"][0]["mask_iou"]) == (
        "vlm:gpt-4o",
        "found",
        None,
    )


@pytest.mark.parametrize(("found_score", "kind"), [(None, "found"), (0.9, "found"), (0.95, "missing")])
def test_the_user_says_how_sure_a_verifier_must_be(tmp_path, found_score, kind):
    """The double is always 0.9 sure, and 0.5 is enough for it."""
    own = ColourDetector()
    run = agent(tmp_path, verifier=own, rounds=1, found_score=found_score).run(layout=DOG)
    assert own.found_score == 0.5, "the caller's detector keeps its bar for the next run"
    report = json.loads((run.folder / "round-0" / "report.json").read_text())
    [verdict] = report["verdicts"]
    assert (verdict["kind"], verdict["sure"], report["found_score"]) == (kind, 0.9, found_score or 0.5)


def test_what_is_not_seen_is_painted_again(tmp_path):
    with ChatServer(Reply(text="[]"), SEEN) as server:
        run = agent(tmp_path, server).run(layout=DOG)
    assert run.verified and [done.verified for done in run.rounds] == [False, True]


def test_a_run_goes_on_after_the_service_failed(tmp_path):
    with ChatServer(failed(401), SEEN) as server:
        with pytest.raises(ServiceError, match="refused the key"):
            agent(tmp_path, server).run(layout=DOG)
        [folder] = tmp_path.iterdir()
        painter = RectanglePainter()
        run = Agent(
            planner=ListPlanner(), engine=painter, verifier="vlm:gpt-4o", verifier_url=server.url, out=tmp_path
        ).resume(folder)
    assert run.verified and not painter.painted


@pytest.mark.parametrize(
    "options, field",
    [
        ({"verifier": "judge"}, "verifier"),
        ({"found_score": 1.5}, "found_score"),
        ({"verifier": "vlm:m", "verifier_url": "http://me:secret@127.0.0.1:1/v1"}, "verifier_url"),
        ({"verifier_url": "http://127.0.0.1:1/v1"}, "verifier_url"),
        (
            {"verifier": "vlm:m", "verifier_url": "http://127.0.0.1:1/v1", "verifier_dialect": "klingon"},
            "verifier_dialect",
        ),
        ({"verifier": f"cogvlm:me/model@{'0' * 40}"}, "verifier"),
    ],
)
def test_bad_names_and_options_are_refused_before_anything_is_done(tmp_path, options, field):
    with pytest.raises(BadInput) as caught:
        agent(tmp_path, **options)
    assert caught.value.field == field and not list(tmp_path.iterdir())


def test_a_folder_does_not_choose_the_server_that_gets_the_key(tmp_path, monkeypatch):
    with ChatServer(SEEN) as server:
        run = agent(tmp_path, server).run(layout=DOG)
    path = run.folder / "run.json"
    elsewhere = "https://somewhere-else.example/v1"
    path.write_text(path.read_text().replace(server.url, elsewhere))
    monkeypatch.setenv("INSTDIFF_VERIFIER_KEY", "sk-mine")
    other = Agent(planner=ListPlanner(), engine=RectanglePainter(), verifier="none", out=tmp_path)
    for go in (other.resume, lambda folder: other.edit(folder, "make the dog larger")):
        with pytest.raises(BadInput, match="INSTDIFF_VERIFIER_URL"):
            go(run.folder)
    monkeypatch.setenv("INSTDIFF_VERIFIER_URL", elsewhere)
    assert other.resume(run.folder).done


def test_without_a_name_real_pictures_are_verified_by_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("INSTDIFF_MODELS", str(tmp_path))
    (tmp_path / "model_index.json").write_text("{}")
    engine = str(tmp_path)
    nothing = Agent(planner="offline", engine=engine)
    assert nothing.request.verifier == "none" and "instdiff-agent models get owlv2" in nothing.verifier_note
    (tmp_path / "owlv2-base-patch16-ensemble").mkdir()
    (tmp_path / "owlv2-base-patch16-ensemble" / "config.json").write_text("{}")
    assert Agent(planner="offline", engine=engine).request.verifier == "owlv2"
    assert Agent(planner="offline", engine=engine, verifier="none").verifier_note == ""
    assert Agent(planner="offline").request.verifier == "draft"
