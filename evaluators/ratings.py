"""A vision-language model rates fit, quality and arrangement of each picture from 1 to 5; how far raters agree."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

import numpy as np
from pydantic import Field, ValidationError

import prompts
from evaluators.detectors.dialects import MAX_ANSWER_CHARS
from evaluators.detectors.vlm import TIMEOUT_S, load_vision_client
from evaluators.gallery import Gallery, PaintedPicture
from evaluators.reporting import EvaluationResult, Failure, Table, add_output_arguments, progress_bar
from instdiff.errors import MAX_FAILURES, BadInput, ServiceError
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Layout
from instdiff.values import Value, Words
from prompts.client import MAX_ATTEMPTS, AnswerError, Message, ModelClient, Question
from prompts.thoughts import without_thoughts

LOWEST = 1
HIGHEST = 5


def agreement(ratings: Sequence[int], others: Sequence[int]) -> dict[str, float | None]:
    """Exact agreement, agreement within 1, Spearman's correlation and quadratic weighted kappa of two raters.

    The last two are None where a rater always says the same, so that nothing can be told.
    """
    if len(ratings) != len(others) or not ratings:
        raise ValueError(f"{len(ratings)} and {len(others)} ratings cannot be compared")
    a = np.array(ratings)
    b = np.array(others)
    exact = float((a == b).mean())
    within_1 = float((np.abs(a - b) <= 1).mean())
    return {"exact": exact, "within_1": within_1, "spearman": spearman(a, b), "kappa": quadratic_kappa(a, b)}


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """The correlation of ranks, where equal ratings share the mean of their ranks; None where one list is constant."""
    from scipy.stats import spearmanr  # takes half a second to load

    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def quadratic_kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    """1 - observed / expected disagreement, each the mean squared difference (Cohen, 1968).

    What is expected are the same ratings, paired by chance. None where no disagreement is expected.
    """
    expected = ((a[:, None] - b[None, :]) ** 2).mean()
    return float(1 - ((a - b) ** 2).mean() / expected) if expected else None


OUT = Path("outputs/evaluations/judge")
KEPT = "ratings.jsonl"
PROMPT = "rate_picture.md"
WAYS = ("fit", "quality", "arrangement")
HumanRatings = dict[str, dict[str, int]]  # for the name of a picture, a rating for each of `WAYS`
HELP = """A vision-language model rates each painted picture from 1 (very poor) to 5 (very good): fit (is it what was
asked for?), quality (is it well painted?) and arrangement (do things lie where they should?), with a reason for each.

Any OpenAI-compatible endpoint will do. The key comes from INSTDIFF_VERIFIER_KEY, else OPENAI_API_KEY; the default
address from INSTDIFF_VERIFIER_URL. Answers are kept in ratings.jsonl under --out and never asked for twice. An answer
that is no rating is asked for again, at most twice; then the picture is listed as failed, and asked for anew by the
next start of the command.

--human FILE is a CSV file with the columns picture,fit,quality,arrangement; picture is the name of a picture in the
manifest."""


class Ratings(Value):
    """What the model says of one picture."""

    fit: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    fit_reason: Words = Field(max_length=2000)
    quality: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    quality_reason: Words = Field(max_length=2000)
    arrangement: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    arrangement_reason: Words = Field(max_length=2000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators judge``."""
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="painted pictures, with a manifest")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model, as its service calls it")
    parser.add_argument("--url", metavar="URL", help="an OpenAI-compatible endpoint (default: OpenAI's own)")
    parser.add_argument("--human", type=Path, metavar="FILE", help="ratings by people, to compare with")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace, timeout_s: float = TIMEOUT_S, max_attempts: int = MAX_ATTEMPTS) -> EvaluationResult:
    """The command.

    Args:
        timeout_s: of one request, answer included.
        max_attempts: how many requests a picture may take.

    Raises:
        BadInput: the pictures or the ratings of people cannot be read.
        ServiceError: there is no key, or the service fails.
    """
    gallery = Gallery.open(args.pictures)
    human = read_human(args.human) if args.human else {}
    client = load_vision_client(args.model, args.url, timeout_s, max_attempts)
    ratings, failures = rate_all(gallery, client, args.model, args.folder / KEPT)
    if not ratings:
        raise ServiceError(f"no picture was rated; the first: {next(iter(failures.values()))}")
    people = dict(_agreements(ratings, human, args.human)) if human else {}
    return _result(args, gallery, ratings, failures, people)


def rate_all(gallery: Gallery, judge: ModelClient, model: str, path: Path) -> tuple[dict[str, Ratings], dict[str, str]]:
    """Ratings by key, those of an earlier start included, and why the other pictures have none.

    Raises:
        ServiceError: the service failed several times in a row; what was rated is kept.
    """
    tokens = {key: _token(sha256, model) for key, sha256 in gallery.hashes.items()}
    ratings = read_kept(path, tokens)
    failures: dict[str, str] = {}
    in_a_row = 0
    missing = [key for key in gallery.keys if key not in ratings]
    with progress_bar() as progress:
        for picture in progress.track(gallery.pictures(missing), total=len(missing), description="rating"):
            message = Message("human", question(picture.layout), picture.image)
            asked = Question((message,), "rating", lambda reply: read_ratings(reply.text), Ratings.model_json_schema())
            try:
                ratings[picture.key] = judge.ask(asked)
            except ServiceError as error:
                failures[picture.key] = str(error)
                in_a_row = 0 if isinstance(error, AnswerError) else in_a_row + 1
                if in_a_row == MAX_FAILURES:
                    raise
                continue
            in_a_row = 0
            _keep(path, picture, tokens[picture.key], ratings[picture.key])
    return ratings, failures


def question(layout: Layout) -> str:
    """What the model is asked about a picture that was painted from this layout."""
    captions = [instance.caption or instance.category for instance in layout.instances]
    objects = "No single things were planned."
    if captions:
        objects = f"Things that were planned: {json.dumps(captions, ensure_ascii=False)}"
    if layout.negative_caption:
        objects += f"\nWhat must not be on it: {json.dumps(layout.negative_caption, ensure_ascii=False)}"
    caption = json.dumps(layout.caption, ensure_ascii=False)
    return Template(prompts.read(PROMPT)).substitute(caption=caption, objects=objects)


def read_ratings(text: str) -> Ratings:
    """The ratings in an answer: the first JSON object in it.

    Raises:
        AnswerError: there is none, or a rating is no whole number from 1 to 5.
    """
    text = without_thoughts(text)[:MAX_ANSWER_CHARS]
    try:
        value, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        return Ratings.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise AnswerError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        words = json.dumps(" ".join(text.split())[:100], ensure_ascii=False)
        raise AnswerError(f"it holds no rating: {words}") from error


def read_kept(path: Path, tokens: dict[str, str]) -> dict[str, Ratings]:
    """The ratings of an earlier start, of these very pictures by this model; a line that was cut off is dropped.

    Args:
        tokens: by key, what an answer must be about.
    """
    if not path.exists():
        return {}
    lines = read_bytes(path).decode("utf-8", errors="replace").split("\n")
    ratings = {}
    # what follows the last line end is torn, or nothing
    write_bytes(path, "".join(line + "\n" for line in lines[:-1]).encode())
    for number, line in enumerate(lines[:-1], 1):
        data = parse_json(line, f"{path} line {number}")
        if not isinstance(data, dict) or not {"key", "about", "ratings"} <= data.keys():
            raise BadInput(f"{path} line {number}", "is no rating of this command; give another --out")
        if tokens.get(data["key"]) == data["about"]:
            ratings[data["key"]] = Ratings.parse(data["ratings"], f"{path} line {number}")
    return ratings


def _keep(path: Path, picture: PaintedPicture, token: str, ratings: Ratings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"key": picture.key, "caption": picture.layout.caption, "about": token, "ratings": ratings.model_dump()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _token(sha256: str, model: str) -> str:
    """What tells answers apart: the picture, the model and the question."""
    return hashlib.sha256("\0".join((sha256, model, prompts.read(PROMPT))).encode()).hexdigest()[:16]


def read_human(path: Path) -> HumanRatings:
    """Ratings by people.

    Raises:
        BadInput: a column is missing, or a rating is no whole number from 1 to 5.
    """
    rows = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig", errors="replace")))
    if missing := [name for name in ("picture", *WAYS) if name not in (rows.fieldnames or ())]:
        raise BadInput(str(path), f'has no column "{missing[0]}"; the columns are picture,fit,quality,arrangement')
    ratings = {}
    for number, row in enumerate(rows, 2):
        for way in WAYS:
            if (row[way] or "").strip() not in {str(value) for value in range(LOWEST, HIGHEST + 1)}:
                reason = f"{way} is {str(row[way])[:20]!r}, and no whole number from 1 to 5"
                raise BadInput(f"{path} line {number}", reason)
        ratings[row["picture"].removesuffix(".png")] = {way: int(row[way]) for way in WAYS}
    return ratings


def _agreements(ratings: dict[str, Ratings], human: HumanRatings, path: Path) -> Iterator[tuple[str, dict]]:
    """For each way of rating, how far the model agrees with people on the pictures that both rated."""
    both = [key for key in ratings if key in human]
    if not both:
        raise BadInput(str(path), f'rates none of these pictures; they are called like "{next(iter(ratings))}"')
    for way in WAYS:
        figures = agreement([getattr(ratings[key], way) for key in both], [human[key][way] for key in both])
        yield way, {"pictures": len(both), **figures}


def _result(
    args: argparse.Namespace, gallery: Gallery, ratings: dict[str, Ratings], failures: dict[str, str], people: dict
) -> EvaluationResult:
    means = {way: sum(getattr(rated, way) for rated in ratings.values()) / len(ratings) for way in WAYS}
    names = ("exact", "within_1", "spearman", "kappa") if people else ()
    rows = []
    for way in WAYS:
        figures_of_way = [people[way][name] for name in names]
        rows.append([way, *("-" if value is None else f"{value:.2f}" for value in (means[way], *figures_of_way))])
    heads = ["exact", "within 1", "Spearman", "weighted kappa"] if people else []
    notes = [f"{len(ratings)} of {len(gallery.keys)} pictures were rated"]
    notes += [f"agreement with people on {people['fit']['pictures']} pictures"] if people else []
    failed: list[Failure] = [{"prompt": key, "failed": reason, "planned": True} for key, reason in failures.items()]
    rated_pictures = {key: rated.model_dump() for key, rated in ratings.items()}
    figures = {"model": args.model, "means": means, "agreement": people, "ratings": rated_pictures}
    table = Table(f"Ratings by {args.model}, 1 to 5", ["rating", "mean", *heads], rows)
    result = EvaluationResult("judge", figures, (table,), notes, failures=failed)
    result.write(args.folder)
    return result
