"""Whole runs that a chat model plans: what is asked for reaches it, its usage is kept, the key is nowhere."""

import json

import pytest

from agent import Agent
from agent.runs import Run
from instdiff.errors import BadInput, ServiceError
from run_agent import main
from tests.agent.doubles import ColourDetector, RectanglePainter
from tests.agent.openai_server import ChatServer, Reply, failed, said

KEY = "sk-secret-0123456789"
PROMPT = "a dog to the left of a car"
SCENE = {
    "caption": PROMPT,
    "setting": "",
    "objects": [
        {
            "id": name,
            "category": name,
            "caption": f"a {name}",
            "width_m": None,
            "height_m": None,
            "distance_m": None,
            "support": "ground",
        }
        for name in ("dog", "car")
    ],
    "relations": [{"subject": "dog", "predicate": "left of", "object": "car"}],
    "absent": [],
}
ANSWER = said(SCENE, usage=(3000, 400))


@pytest.fixture(autouse=True)
def _key_and_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def agent(server: ChatServer, tmp_path, forgets=None, **options) -> Agent:
    parts = {"planner": "openai:gpt-4o", "engine": RectanglePainter(forgets), "verifier": ColourDetector()}
    return Agent(**{**parts, "planner_url": server.url, "out": tmp_path / "out", **options})


def texts(folder) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def test_a_run_says_what_it_took_and_holds_no_key(tmp_path):
    with ChatServer(ANSWER) as server:
        run = agent(server, tmp_path, forgets={0: {"dog"}}).run(PROMPT)
    assert run.verified and len(run.rounds) == 2
    assert (run.usage.requests, run.usage.prompt_tokens, run.usage.answer_tokens) == (2, 6000, 800)
    assert run.usage.usd == pytest.approx(0.023) and Run.load(run.folder).usage == run.usage
    assert run.summary()["usage"]["requests"] == 2
    assert any("6800 tokens" in note for note in run.rounds[1].notes)
    told = server.requests[1]["messages"][1]["content"]
    assert '"object": "dog", "category": "dog", "verdict": "missing"' in told
    assert KEY not in texts(run.folder) + texts(tmp_path / "cache")


def test_a_second_run_is_paid_by_the_cache_unless_told_otherwise(tmp_path):
    with ChatServer(ANSWER) as server:
        for cache, requests in ((True, 1), (True, 1), (False, 2)):
            run = agent(server, tmp_path, cache=cache).run(PROMPT)
            assert len(server.requests) == requests
            assert run.usage.requests == (0 if run.rounds[0].notes[-1].startswith("The answer was kept") else 1)


def test_each_run_has_the_ceiling_to_itself(tmp_path):
    with ChatServer(ANSWER) as server:
        one = agent(server, tmp_path, cache=False, max_tokens=7000)
        usages = [one.run(PROMPT).usage.tokens for _ in range(2)]
    assert usages == [3400, 3400]


def test_a_resumed_run_remembers_what_it_took(tmp_path):
    with ChatServer(Reply("A dog.", usage=(3000, 100))) as server:
        one = agent(server, tmp_path, max_tokens=10_000)
        with pytest.raises(ServiceError, match="no usable layout"):
            one.run(PROMPT)
        (folder,) = (tmp_path / "out").iterdir()
        spent = Run.load(folder).usage
        asked = len(server.requests)
        assert asked > 0 and spent.tokens == 3100 * asked
        with pytest.raises(
            ServiceError,
            match=f"the ceiling of 10000 tokens leaves no room for another request: {spent.tokens} are used",
        ):
            agent(server, tmp_path).resume(folder)
    assert len(server.requests) == asked


def test_a_ceiling_in_a_later_round_ends_in_a_picture(tmp_path):
    with ChatServer(ANSWER) as server:
        run = agent(server, tmp_path, forgets={0: {"dog"}}, max_tokens=6000).run(PROMPT)
    assert len(server.requests) == 1 and run.done and run.rounds[1].seed != run.rounds[0].seed
    assert any("raise --max-tokens" in note for note in run.rounds[1].notes)


def test_auto_plans_offline_where_the_service_fails(tmp_path):
    with ChatServer(failed(401, KEY)) as server:
        run = agent(server, tmp_path, planner="auto").run(PROMPT)
    assert run.planner == "offline" and run.usage.requests == 1
    assert any("refused the key (401)" in note for note in run.rounds[0].notes) and KEY not in texts(run.folder)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"planning": "pixels"}, "planning"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_usd": -1.0}, "max_usd"),
        ({"max_usd": float("nan")}, "max_usd"),
    ],
)
def test_bad_options_are_refused_at_once(options, field):
    with pytest.raises(BadInput) as caught:
        Agent(planner="openai:gpt-4o", **options)
    assert caught.value.field == field


def test_a_price_that_is_not_known_leaves_no_folder(tmp_path):
    with ChatServer(ANSWER) as server, pytest.raises(BadInput, match="max_usd: the price of chat:m is not known"):
        agent(server, tmp_path, planner="chat:m", max_usd=1.0).run(PROMPT)
    assert not (tmp_path / "out").exists() and server.requests == []


FLAGS = {
    "boxes": (["--planning", "boxes"], lambda request: "boxes" not in request and '"left"' in request),
    "scene": ([], lambda request: '"width_m"' in request),
    "tokens": (["--max-tokens", "9000", "--no-cache"], lambda request: '"max_tokens": ' in request),
}


@pytest.mark.parametrize("case", FLAGS)
def test_flags_reach_the_model(case, capsys):
    flags, expected = FLAGS[case]
    boxes = {
        "caption": "c",
        "negative_caption": "",
        "objects": [{"category": "dog", "caption": "a dog", "left": 1, "top": 1, "right": 50, "bottom": 60}],
    }
    with ChatServer(said(boxes) if case == "boxes" else ANSWER) as server:
        code = main([PROMPT, "--planner", "chat:m", "--planner-url", server.url, "--plan-only", *flags])
    shown = capsys.readouterr()
    assert code == 0 and json.loads(shown.out)["annos"] and "chat:m was asked" in shown.err
    assert expected(json.dumps(server.requests[0]).replace("\\", ""))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--planner offline --max-tokens 9", "error: max_tokens: is about chat models"),
        ("--planner offline --no-cache", "error: no_cache: is about chat models"),
        ("--planner openai:gpt-4o --max-tokens many", "error: max_tokens: invalid int value"),
        ("--planner openai:gpt-4o --planning pixels", "error: planning: invalid choice"),
        ("--planner openai:unheard-of --max-usd 1", "error: max_usd: the price of openai:unheard-of is not known"),
        ("--planner llama:no.gguf", "error: planner: llama:no.gguf cannot be read"),
    ],
)
def test_flags_that_are_refused(arguments, error, capsys):
    assert main(["a dog", "--plan-only", *arguments.split()]) == 2
    assert error in capsys.readouterr().err


def test_the_flag_for_the_context_reaches_ollama(capsys):
    with ChatServer(ANSWER) as server:
        code = main([PROMPT, "--planner", f"ollama:m@{server.host}", "--plan-only", "--num-ctx", "20000"])
    assert code == 0 and server.requests[0]["options"]["num_ctx"] == 20_000 and capsys.readouterr().out
    assert main([PROMPT, "--planner", "chat:m@http://127.0.0.1:9/v1", "--plan-only", "--num-ctx", "20000"]) == 2
    assert "num_ctx: is about ollama:MODEL" in capsys.readouterr().err
