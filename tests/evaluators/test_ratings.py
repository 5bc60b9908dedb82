"""A model behind a real HTTP server rates pictures, and sometimes does not."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from evaluators.__main__ import build_parser, main
from evaluators.ratings import KEPT, agreement, run
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout
from tests.agent.openai_server import ChatServer, Reply, failed, said
from tests.galleries import make_gallery, plain

GOOD = {
    "fit": 4,
    "fit_reason": "a cat",
    "quality": 2,
    "quality_reason": "blurred",
    "arrangement": 5,
    "arrangement_reason": "as asked",
}
KEY = "sk-very-secret-key"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


@pytest.fixture
def gallery(tmp_path):
    pictures = {
        name: (plain(name), Layout(caption=f'a {name} "cat"\nignore this', negative_caption="dogs"))
        for name in ("red", "blue")
    }
    return make_gallery(tmp_path / "painted", pictures)


def rate(server, gallery, *more, **options):
    args = build_parser().parse_args(
        ["judge", str(gallery), "--model", "m", "--url", server.url, "--out", str(gallery.parent / "out"), *more]
    )
    return run(args, **{"timeout_s": 5.0, **options}).to_json()


def test_pictures_are_rated_once(gallery, monkeypatch):
    monkeypatch.setenv("INSTDIFF_VERIFIER_KEY", KEY)
    with ChatServer(said(GOOD), said({**GOOD, "fit": 2})) as server:
        result = rate(server, gallery)
        assert result["means"] == {"fit": 3.0, "quality": 2.0, "arrangement": 5.0} and not result["failures"]
        assert result["ratings"]["blue"]["fit_reason"] == "a cat"
        request = server.requests[0]
        assert server.keys[0] == f"Bearer {KEY}" and request["response_format"]["json_schema"]["strict"] is True
        shown, asked = request["messages"][0]["content"]
        assert (
            shown["image_url"]["url"].startswith("data:image/png")
            and json.dumps('a blue "cat"\nignore this') in asked["text"]
        )
        assert '"dogs"' in asked["text"]
        assert (
            rate(server, gallery)["means"] == result["means"] and len(server.requests) == 2
        )  # kept, not asked for again
    kept = gallery.parent / "out" / KEPT
    kept.write_text(kept.read_text()[:-10])  # killed while it wrote
    with ChatServer(said(GOOD)) as server:
        assert rate(server, gallery)["means"]["fit"] == 4.0 and len(server.requests) == 1
    assert KEY not in kept.read_text()


def test_the_schema_asks_for_whole_numbers_from_1_to_5(gallery):
    with ChatServer(said(GOOD)) as server:
        rate(server, gallery)
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["additionalProperties"] is False and set(schema["required"]) == set(GOOD)
    for way in ("fit", "quality", "arrangement"):
        about = schema["properties"][way]
        assert (about["type"], about["minimum"], about["maximum"]) == ("integer", 1, 5)


BAD = [
    ({**GOOD, "fit": 6}, "fit: Input should be less than or equal to 5"),
    ({**GOOD, "quality": 0}, "quality: Input should be greater than or equal to 1"),
    ({**GOOD, "quality": "5"}, "quality: Input should be a valid integer"),
    ({**GOOD, "fit": 4.5}, "fit: Input should be a valid integer"),
    ({**GOOD, "fit": True}, "fit: Input should be a valid integer"),
    ({"fit": 3}, "fit_reason: Field required"),
    ({**GOOD, "more": 1}, "more: Extra inputs"),
    ([1, 2], "holds no rating"),
    ("five stars", "holds no rating"),
]


@pytest.mark.parametrize("answer, reason", BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_rating_is_asked_for_again_and_then_listed(answer, reason, gallery):
    with ChatServer(said(answer), said(answer), said(GOOD)) as server:  # the third attempt is right
        assert not rate(server, gallery)["failures"] and len(server.requests) == 4
    (gallery.parent / "out" / KEPT).unlink()
    with ChatServer(said(answer), said(answer), said(answer), said(GOOD)) as server:
        [failure] = rate(server, gallery)["failures"]
        assert failure["prompt"] == "blue" and reason in failure["failed"] and len(server.requests) == 4
        assert not rate(server, gallery)["failures"]  # asked for anew by the next start


def test_words_around_the_answer_do_no_harm(gallery):
    with ChatServer(Reply(text=f"Sure!\n```json\n{json.dumps(GOOD)}\n```")) as server:
        assert rate(server, gallery)["means"]["fit"] == 4.0


def test_a_service_without_schemas_is_asked_without(gallery):
    with ChatServer(failed(400, "response_format json_schema is not supported"), said(GOOD)) as server:
        assert rate(server, gallery)["means"]["fit"] == 4.0
    assert ["response_format" in request for request in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    "reply, reason", [(failed(401), "refused the key"), (failed(500), "failed (500)"), (Reply(how="never"), "timeout")]
)
def test_a_service_that_fails(reply, reason, gallery):
    with ChatServer(reply) as server, pytest.raises(ServiceError) as caught:
        rate(server, gallery, max_attempts=1, timeout_s=0.4)
    assert reason in str(caught.value)


def test_a_service_that_is_gone_ends_the_work_and_what_was_rated_stays(tmp_path):
    gallery = make_gallery(tmp_path / "five", {f"p{k}": (plain("red"), Layout(caption="a cat")) for k in range(5)})
    with ChatServer(said(GOOD), failed(500)) as server, pytest.raises(ServiceError, match="500"):
        rate(server, gallery, max_attempts=1)
    assert len(server.requests) == 4  # one answer, and three failures in a row
    with ChatServer(said(GOOD)) as server:
        assert len(rate(server, gallery)["ratings"]) == 5 and len(server.requests) == 4


def test_agreement_with_people(gallery, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("picture,fit,quality,arrangement,remark\nred,4,3,1,x\nblue.png,2,2,5,y\nother,1,1,1,z\n")
    with ChatServer(said(GOOD)) as server:
        result = rate(server, gallery, "--human", str(people))
    assert result["agreement"]["fit"] == {"pictures": 2, "exact": 0.5, "within_1": 0.5, "spearman": None, "kappa": 0.0}
    assert result["agreement"]["quality"]["within_1"] == 1.0 and result["agreement"]["arrangement"]["exact"] == 0.5
    assert "weighted kappa" in (gallery.parent / "out" / "results.md").read_text()
    for content, words in (
        ("picture,fit\nred,1\n", 'no column "quality"'),
        ("picture,fit,quality,arrangement\nred,1,2,six\n", "line 2: arrangement"),
        ("picture,fit,quality,arrangement\nred,1\n", "quality is 'None'"),
        ("picture,fit,quality,arrangement\nnobody,1,2,3\n", "rates none of these pictures"),
    ):
        people.write_text(content)
        with ChatServer(said(GOOD)) as server, pytest.raises(BadInput) as caught:
            rate(server, gallery, "--human", str(people))
        assert words in str(caught.value)


def test_without_a_server_or_a_key_nothing_is_asked(gallery, capsys):
    assert main(["judge", str(gallery), "--model", "m"]) == 4
    assert "OPENAI_API_KEY" in capsys.readouterr().err
    assert main(["judge", str(gallery), "--model", "m", "--url", "ftp://somewhere"]) == 2
    assert "http://127.0.0.1:8000/v1" in capsys.readouterr().err


# By hand: kappa is 1 - sum of squared differences / the same over all pairs, times n.
AGREEMENTS = [
    # differences 0 0 0: the same
    ([1, 3, 5], [1, 3, 5], 1.0, 1.0, 1.0, 1.0),
    # squares 16 0 16, mean 32/3; over all nine pairs 0 4 16 4 0 4 16 4 0, mean 48/9; 1 - 2 = -1
    ([1, 3, 5], [5, 3, 1], 1 / 3, 1 / 3, -1.0, -1.0),
    # squares 1 0 1 0, mean 1/2; over all pairs of (1 2 4 5) and (2 2 3 5): 1 1 4 16 | 0 0 1 9 | 4 4 1 1 | 9 9 4 0 = 64
    # / 16 = 4
    ([1, 2, 4, 5], [2, 2, 3, 5], 0.5, 1.0, float(spearmanr([1, 2, 4, 5], [2, 2, 3, 5]).statistic), 1 - 0.5 / 4),
]


@pytest.mark.parametrize("one, other, exact, within, spearman, kappa", AGREEMENTS)
def test_agreement_by_hand(one, other, exact, within, spearman, kappa):
    found = agreement(one, other)
    expected = {"exact": exact, "within_1": within, "spearman": spearman, "kappa": kappa}
    assert found == {name: pytest.approx(value) for name, value in expected.items()}


def test_spearman_with_ties_is_scipys():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.integers(1, 6, (2, 30)).tolist()
        assert agreement(one, other)["spearman"] == pytest.approx(spearmanr(one, other).statistic)
