"""Keys come from the environment and are found nowhere else, however a service fails."""

import base64
import logging
import traceback
from urllib.parse import quote

import pytest

import run_agent
from agent import loop
from evaluators.detectors.vlm import VlmDetector
from instdiff.errors import ServiceError
from tests.agent.doubles import RectanglePainter
from tests.agent.openai_server import GOOD, ChatServer, Reply, failed, said

PLANNER_KEY = "sk-planner-0123456789abcdef"
VERIFIER_KEY = "sk-verifier-fedcba9876543210"
SEEN = [{"label": "dog", "box": [0.1, 0.1, 0.6, 0.9]}]


def elsewhere(server: ChatServer) -> Reply:
    return Reply(status=307, body=b"", headers={"Location": f"{server.url}/chat/completions"})


KINDS = {
    "works": lambda other, good, echo: [good],
    "401": lambda other, good, echo: [failed(401, echo)],
    "403": lambda other, good, echo: [failed(403, echo)],
    "400": lambda other, good, echo: [failed(400, echo)],
    "429": lambda other, good, echo: [failed(429, echo, Retry_After="0")],
    "500": lambda other, good, echo: [failed(500, echo)],
    "a broken body": lambda other, good, echo: [Reply(body=f'{{"choices": [{echo}'.encode())],
    "a broken answer": lambda other, good, echo: [Reply(text=f'{{"objects": [{{"caption": "{echo}')],
    "no answer": lambda other, good, echo: [Reply(how="never")],
    "no end": lambda other, good, echo: [Reply(how="dribble")],
    "a redirect": lambda other, good, echo: [elsewhere(other)],
    "a refusal": lambda other, good, echo: [Reply(None, refusal=echo)],
}


def replies(kind: str, other: ChatServer, good: object, key: str) -> list[Reply]:
    """What a service answers, which repeats its key wherever it can."""
    return KINDS[kind](other, said(good), f"your key is {key}")


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Keys in the environment, short times, and a painter that is fast."""
    values = {
        "OPENAI_API_KEY": PLANNER_KEY,
        "INSTDIFF_VERIFIER_KEY": VERIFIER_KEY,
        "INSTDIFF_CACHE": str(tmp_path / "cache"),
    }
    for name, value in {**values, "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("agent.planners.chat.planner.TIMEOUT_S", 0.4)
    painter = RectanglePainter()
    painter.name = "draft"
    monkeypatch.setattr(loop, "load_engine", lambda name, refiner=None: painter)
    monkeypatch.setattr(
        loop, "load_detector", lambda name, url=None, *_: VlmDetector(name.removeprefix("vlm:"), url, timeout_s=0.4)
    )


def forms(key: str) -> list[bytes]:
    return [key.encode(), base64.b64encode(key.encode())[:20], quote(key).encode()]


def check_nowhere(folder, *texts: str) -> None:
    """No key in any form, in any file below the folder or in what was shown; and something was written."""
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(name.endswith("run.json") for name in found) and any(
        name.endswith("checkpoint.sqlite") for name in found
    )
    for name, content in [*found.items(), *((f"text {number}", text.encode()) for number, text in enumerate(texts))]:
        for form in (form for key in (PLANNER_KEY, VERIFIER_KEY) for form in forms(key)):
            assert form not in content, f"a key is in {name}"


OF_AUTO = ("works", "401", "no answer", "a redirect")  # what fails there is planned offline


@pytest.mark.parametrize(
    ("kind", "planner"), [*((kind, "openai:gpt-4o") for kind in KINDS), *((kind, "auto") for kind in OF_AUTO)]
)
def test_no_key_is_written_or_shown_whatever_the_planner_meets(kind, planner, keys, tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    with (
        ChatServer(said(SEEN)) as verifier,
        ChatServer(said(GOOD)) as other,
        ChatServer(*replies(kind, other, GOOD, PLANNER_KEY)) as server,
    ):
        arguments = [
            "a dog beside a red ball",
            "--planner",
            planner,
            "--planner-url",
            server.url,
            "--out",
            str(tmp_path / "out"),
            "--json",
        ]
        arguments += ["--verifier", "vlm:gpt-4o", "--verifier-url", verifier.url, "--rounds", "1", "--size", "128x96"]
        code = run_agent.main(arguments)
    assert code == (0 if kind == "works" or planner == "auto" else 4)
    assert server.keys and set(server.keys) == {f"Bearer {PLANNER_KEY}"}, (
        "the planner's service is sent the planner's key alone"
    )
    assert set(verifier.keys) <= {f"Bearer {VERIFIER_KEY}"} and bool(verifier.keys) == (code == 0)
    assert other.requests == [], "nothing is sent where a redirect points"
    check_nowhere(tmp_path, *capfd.readouterr(), caplog.text)


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_is_written_or_shown_whatever_the_verifier_meets(kind, keys, tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    with (
        ChatServer(said(GOOD)) as planner,
        ChatServer(said(SEEN)) as other,
        ChatServer(*replies(kind, other, SEEN, VERIFIER_KEY)) as server,
    ):
        arguments = [
            "a dog beside a red ball",
            "--planner",
            "openai:gpt-4o",
            "--planner-url",
            planner.url,
            "--out",
            str(tmp_path / "out"),
        ]
        arguments += ["--verifier", "vlm:gpt-4o", "--verifier-url", server.url, "--rounds", "1", "--size", "128x96"]
        assert run_agent.main(arguments) == (0 if kind == "works" else 4)
    assert set(server.keys) == {f"Bearer {VERIFIER_KEY}"} and set(planner.keys) == {f"Bearer {PLANNER_KEY}"}
    assert other.requests == []
    check_nowhere(tmp_path, *capfd.readouterr(), caplog.text)


@pytest.mark.parametrize("kind", ["401", "400", "429", "a redirect", "a refusal", "a broken answer"])
def test_no_key_hangs_on_to_the_verifiers_error(kind, keys):
    from PIL import Image

    with ChatServer(said(SEEN)) as other, ChatServer(*replies(kind, other, SEEN, VERIFIER_KEY)) as server:
        with pytest.raises(ServiceError) as caught:
            VlmDetector("gpt-4o", server.url, timeout_s=0.4).detect([Image.new("RGB", (64, 64))], ["dog"])
    shown = "".join(traceback.format_exception(caught.value))
    assert PLANNER_KEY not in shown and VERIFIER_KEY not in shown
    assert caught.value.__context__ is None
