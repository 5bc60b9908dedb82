"""A real HTTP server that speaks OpenAI's chat completions and Ollama's chat, and misbehaves as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = {
    "caption": "a dog beside a red ball on grass",
    "setting": "park",
    "objects": [
        {
            "id": "dog-1",
            "category": "dog",
            "caption": "a brown dog",
            "width_m": 0.7,
            "height_m": 0.6,
            "distance_m": None,
            "support": "ground",
        },
        {
            "id": "ball-1",
            "category": "ball",
            "caption": "a red ball",
            "width_m": None,
            "height_m": None,
            "distance_m": None,
            "support": None,
        },
    ],
    "relations": [{"subject": "dog-1", "predicate": "left of", "object": "ball-1"}],
    "absent": ["people"],
}
BOXES = {
    "caption": "a dog beside a red ball on grass",
    "negative_caption": "people",
    "objects": [
        {"category": "dog", "caption": "a brown dog", "left": 10, "top": 30, "right": 50, "bottom": 90},
        {"category": "sports ball", "caption": "a red ball", "left": 60, "top": 70, "right": 80, "bottom": 90},
    ],
}


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request.

    ``text`` is the model's message (or the arguments of its tool call, where the request has tools); ``usage`` its
    tokens, (prompt, answer), None if it does not say; ``body`` replaces the whole answer; ``how`` is "at once", "never"
    (no answer at all), "endless" (a body without end) or "dribble" (a byte now and then); ``thought`` stands beside the
    message.
    """

    text: str | None = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    finish: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (1, 1)
    body: bytes | None = None
    how: str = "at once"
    thought: str | None = None


def said(answer: object, **changes) -> Reply:
    """The model answers with this value as JSON."""
    return Reply(text=json.dumps(answer), **changes)


def failed(status: int, message: str = "no", **headers: str) -> Reply:
    """The service answers with an error."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return Reply(status=status, body=body, headers={key.replace("_", "-"): value for key, value in headers.items()})


class ChatServer:
    """Answers the n-th request with the n-th reply, and every further one with the last.

    A reply may also be a function of the request, so that a server refuses what it does not know.
    ``requests`` holds the JSON body of each request, ``paths`` and ``keys`` its path and Authorization header.
    """

    def __init__(self, *replies: Reply | Callable[[dict], Reply]):
        self.replies = replies
        self.requests = []
        self.paths = []
        self.keys = []
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    reply = server.replies[min(len(server.requests), len(server.replies) - 1)]
                    server.requests.append(body)
                    server.paths.append(self.path)
                    server.keys.append(self.headers.get("Authorization"))
                try:
                    self._send(reply(body) if callable(reply) else reply, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has had enough, which is what some tests are about
                self.close_connection = True

            def _send(self, reply: Reply, request: dict) -> None:
                if reply.how == "never":
                    server.stopped.wait(30)
                    return
                completion = ollama_answer if self.path == "/api/chat" else openai_answer
                payload = completion(reply, request) if reply.body is None else reply.body
                self.send_response(reply.status)
                for key, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(key, value)
                self.send_header("Connection", "close")
                if reply.how == "at once":
                    self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                if reply.how == "at once":
                    self.wfile.write(payload)
                piece, pause_s = (b" ", 0.05) if reply.how == "dribble" else (b" " * 65536, 0.0)
                while reply.how != "at once" and not server.stopped.is_set():
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(pause_s)

            def log_message(self, *args) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._http.server_port}"
        self.url = f"{self.host}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()


def openai_answer(reply: Reply, request: dict) -> bytes:
    """A chat completion; the text goes into a tool call where the request offers tools."""
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if request.get("tools") and reply.text:
        name = request["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": reply.text}}
        message = {**message, "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    about = {"id": "chat-1", "object": "chat.completion", "created": 1, "model": request["model"]}
    if reply.usage:
        prompt, answer = reply.usage
        about["usage"] = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    return json.dumps({**about, "choices": [choice]}).encode()


def ollama_answer(reply: Reply, request: dict) -> bytes:
    """Ollama's answer: the text, and then a line that ends it."""
    start = {
        "model": request["model"],
        "created_at": "2025-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": reply.text},
    }
    if reply.thought:
        start["message"]["thinking"] = reply.thought
    end = {**start, "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": reply.finish}
    end |= {"prompt_eval_count": reply.usage[0], "eval_count": reply.usage[1]} if reply.usage else {}
    return (json.dumps({**start, "done": False}) + "\n" + json.dumps(end) + "\n").encode()
