import base64
import io
import json

import pytest
from PIL import Image

from evaluators.detectors import check_detector, load_detector
from evaluators.detectors.vlm import VlmDetector, sent_size
from instdiff.errors import BadInput, ServiceError
from tests.agent.openai_server import ChatServer, Reply, failed, said

CAT = {"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}
KEY = "sk-very-secret-key"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def picture(width=200, height=100):
    image = Image.new("RGB", (width, height), "white")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    return image


def look(server, model="gpt-4o", images=1, words=("cat", "sofa"), **options):
    return VlmDetector(model, server.url, **{"timeout_s": 5.0, **options}).detect([picture()] * images, list(words))


def test_the_model_is_shown_the_picture_and_asked_for_the_names(monkeypatch):
    monkeypatch.setenv("INSTDIFF_VERIFIER_KEY", KEY)
    with ChatServer(
        said([CAT, {"label": "Sofas", "box": [0, 0, 1, 1]}, {"label": "dog", "box": [0, 0, 1, 1]}])
    ) as server:
        [found] = look(server)
    assert [(one.category, one.score) for one in found] == [("cat", 1.0), ("couch", 1.0)]  # nobody asked for dogs
    assert found[0].box.xyxy == pytest.approx((0.1, 0.2, 0.5, 0.6))
    [request] = server.requests
    shown, asked = request["messages"][0]["content"]
    sent = Image.open(io.BytesIO(base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,"))))
    assert (
        sent.size == (196, 112) and sent.getpixel((2, 2)) == (255, 0, 0) and sent.getpixel((190, 2)) == (255, 255, 255)
    )
    assert '["cat", "couch"]' in asked["text"]
    assert (request["model"], server.keys) == ("gpt-4o", [f"Bearer {KEY}"])


@pytest.mark.parametrize(
    "model, text",
    [
        ("qwen2.5-vl", '[{"bbox_2d": [19.6, 22.4, 98, 67.2], "label": "cat"}]'),
        ("qwen3-vl", '[{"bbox_2d": [100, 200, 500, 600], "label": "cat"}]'),
        ("gemini-2.5-flash", '[{"box_2d": [200, 100, 600, 500], "label": "cat"}]'),
        ("cogvlm", "A cat[[100,200,500,600]] on the grass."),
    ],
)
def test_each_dialect_gives_the_same_box(model, text):
    with ChatServer(Reply(text=text)) as server:
        [[cat]] = look(server, model)
    assert cat.category == "cat" and cat.box.xyxy == pytest.approx((0.1, 0.2, 0.5, 0.6))


def test_a_batch_keeps_its_order():
    with ChatServer(said([CAT])) as server:
        found = VlmDetector("m", server.url).detect([picture(100 + 50 * n, 100) for n in range(6)], ["cat"])
    assert [len(one) for one in found] == [1] * 6 and len(server.requests) == 6


def test_nothing_is_asked_for_nothing():
    with ChatServer(said([CAT])) as server:
        assert look(server, words=()) == [[]] and not server.requests


RECOVERS = [
    [failed(429, retry_after="0"), said([CAT])],
    [failed(500), failed(503), said([CAT])],
    [failed(400, "Unsupported value: 'temperature'"), said([CAT])],
    [Reply(text="I think there is a cat somewhere."), said([CAT])],
    [Reply(body=b"<html>busy</html>"), said([CAT])],
    [Reply(body=b'{"choices": []}'), Reply(body=b"[" * 100_000), said([CAT])],
]


@pytest.mark.parametrize("replies", RECOVERS, ids=range(len(RECOVERS)))
def test_what_can_pass_is_asked_again(replies):
    with ChatServer(*replies) as server:
        [[cat]] = look(server)
    assert cat.category == "cat" and len(server.requests) == len(replies)


@pytest.mark.parametrize(
    "text, names",
    [
        ("There is no dog in this picture.", ["dog"]),
        ("No sofas are visible. The picture shows a house.", ["couch"]),
        ("I cannot see any of these things.", ["cat", "dog"]),
        ('[{"label": "dog", "box": null}]', ["dog"]),
    ],
)
def test_an_answer_that_denies_means_missing(text, names):
    with ChatServer(Reply(text=text)) as server:
        assert look(server, words=names) == [[]] and len(server.requests) == 1


@pytest.mark.parametrize("text", ["There is no cat.", "No image was provided.", "<think>There is no dog.</think>"])
def test_an_answer_that_does_not_is_asked_for_again(text):
    with ChatServer(Reply(text=text), said([CAT])) as server:
        assert len(look(server, words=("cat", "dog"))[0]) == 1 and len(server.requests) == 2


def test_a_draft_in_a_thought_is_no_detection():
    draft = json.dumps([{"label": "dog", "box": [0, 0, 1, 1]}])
    for reply in (Reply(f"<think>{draft}</think>{json.dumps([CAT])}"), said([CAT], thought=draft)):
        with ChatServer(reply) as server:
            [found] = look(server, words=("cat", "dog"))
        assert [one.category for one in found] == ["cat"]
    with ChatServer(Reply(None, thought=draft)) as server, pytest.raises(ServiceError, match='holds no "box"'):
        look(server, words=("dog",))


FAILS = [
    (failed(401, f"the key {KEY} is wrong"), "refused the key (401)", 1),
    (failed(403), "refused the key (403)", 1),
    (failed(400, f"no pictures please, {KEY}"), "refused the request (400)", 1),
    (failed(404, "no such model"), "refused the request (404)", 1),
    (failed(429), "is rate limited (429)", 3),
    (failed(429, retry_after="3600"), "asks to wait 3600 s", 1),
    (failed(429, "insufficient_quota"), "no quota left", 1),
    (failed(500), "failed (500)", 3),
    (Reply(text=None, refusal="I will not"), "refusal", 1),
    (Reply(text="", finish="content_filter"), "refusal", 1),
    (Reply(text="a cat, I guess"), 'holds no "box"', 3),
    (Reply(text='[{"label": "cat", "box": [9, 9, 7, 7]}]'), 'holds no "box"', 3),
    (Reply(body=b"<html></html>"), "no chat completion", 3),
    (Reply(how="endless"), "does not end within 5 s and 1000000 bytes", 3),
    (Reply(body=b"x", headers={"Content-Encoding": "gzip"}), "compressed", 1),
]


@pytest.mark.parametrize("reply, reason, requests", FAILS, ids=[reason for _, reason, _ in FAILS])
def test_what_fails_is_one_line_without_the_key(reply, reason, requests, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(reply) as server, pytest.raises(ServiceError) as caught:
        look(server)
    message = str(caught.value)
    assert message.startswith("verifier vlm:gpt-4o: ") and reason in message and server.host in message
    assert "\n" not in message and KEY not in message and len(message) < 500
    assert len(server.requests) == requests


@pytest.mark.parametrize("how", ["never", "dribble"])
def test_a_service_that_does_not_answer_in_time(how):
    with ChatServer(Reply(how=how)) as server, pytest.raises(ServiceError, match="within|timeout"):
        look(server, timeout_s=0.4, max_attempts=2)
    assert len(server.requests) == 2


def test_a_service_that_is_not_there():
    with ChatServer() as server:
        pass
    with pytest.raises(ServiceError, match="no connection"):
        look(server, max_attempts=2)


@pytest.mark.parametrize(
    "size, sent",
    [((512, 512), (504, 504)), ((4096, 2048), (1008, 504)), ((64, 64), (56, 56)), ((4000, 64), (1008, 56))],
)
def test_pictures_are_sent_in_sizes_that_stay(size, sent):
    assert sent_size(size) == sent


@pytest.mark.parametrize(
    "name, options, error, words",
    [
        ("vlm:gpt-4o", {}, ServiceError, "--verifier-url"),
        ("vlm:", {"url": "http://127.0.0.1:1/v1"}, BadInput, "name of a model"),
        ("vlm:m", {"url": "ftp://127.0.0.1/v1"}, BadInput, "verifier_url"),
        ("vlm:m", {"url": f"http://me:{KEY}@127.0.0.1/v1"}, BadInput, "holds a user name, password or query"),
        ("vlm:m", {"url": "http://[1/v1"}, BadInput, "verifier_url"),
        ("vlm:m", {"url": "http://127.0.0.1/v1", "dialect": "klingon"}, BadInput, "verifier_dialect"),
        ("vlm:qwen-vl-max", {"url": "http://127.0.0.1/v1"}, BadInput, "--verifier-dialect"),
        ("draft", {"url": "http://127.0.0.1/v1"}, BadInput, "verifier_url"),
        ("draft", {"dialect": "json"}, BadInput, "verifier_dialect"),
    ],
)
def test_bad_options_are_refused_at_the_door(name, options, error, words):
    with pytest.raises(error) as caught:
        check_detector(name, **options)
    assert words in str(caught.value) and KEY not in str(caught.value)


def test_loaded_by_name(monkeypatch):
    with ChatServer(said([CAT])) as server:
        monkeypatch.setenv("INSTDIFF_VERIFIER_URL", server.url)
        check_detector("vlm:any-model")
        detector = load_detector("vlm:any-model")
        assert (detector.name, detector.canonical("a red sofa"), detector.knows("zorp"), detector.knows("")) == (
            "vlm:any-model",
            "couch",
            True,
            False,
        )
        assert len(detector.detect([picture()], ["cat"])[0]) == 1
    assert json.dumps(server.requests[0]["messages"]).count("image_url") == 2
