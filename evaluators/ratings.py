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
from evaluators.detectors.vision_client import VisionClient, place_of
from evaluators.detectors.vlm import check_key
from evaluators.gallery import Gallery, Painted
from evaluators.reporting import add_output_arguments, progress_bar, write_results
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Layout
from instdiff.settings import verifier_key, verifier_url
from instdiff.values import Value, Words

LOWEST = 1
HIGHEST = 5


def agreement(one: Sequence[int], other: Sequence[int]) -> dict[str, float | None]:
    """Exact agreement, agreement within 1, Spearman's rank correlation and quadratic weighted kappa of two lists of
    ratings.

    The last two are None where a rater always says the same, so that nothing can be told.
    """
    if len(one) != len(other) or not one:
        raise ValueError(f"{len(one)} and {len(other)} ratings cannot be compared")
    a = np.array(one)
    b = np.array(other)
    apart = np.abs(a - b)
    return {
        "exact": float((apart == 0).mean()),
        "within_1": float((apart <= 1).mean()),
        "spearman": spearman(a, b),
        "kappa": quadratic_kappa(a, b),
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """The correlation of ranks, where equal ratings share the mean of their ranks; None where one list is constant."""
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def quadratic_kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    """1 - observed / expected disagreement, each the mean squared difference (Cohen, 1968).

    What is expected are the same ratings, paired by chance. None where no disagreement is expected.
    """
    expected = ((a[:, None] - b[None, :]) ** 2).mean()
    return float(1 - ((a - b) ** 2).mean() / expected) if expected else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """(n,) ranks from 0; equal values share the mean of theirs."""
    return np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])


OUT = Path("outputs/evaluations/judge")
KEPT = "ratings.jsonl"
PROMPT = "rate_picture.md"
WAYS = ("fit", "quality", "arrangement")
MAX_FAILURES = 3  # so many failures of the service in a row end the work: it can be gone on with later
HELP = """A vision-language model rates each painted picture from 1 (very poor) to 5 (very good): fit (is it what was asked for?), quality
(is it well painted?) and arrangement (do things lie where they should?), with a reason for each.

Any OpenAI-compatible endpoint will do. The key comes from INSTDIFF_VERIFIER_KEY, else OPENAI_API_KEY; the default address from
INSTDIFF_VERIFIER_URL. Answers are kept in ratings.jsonl under --out and never asked for twice. An answer that is no rating is asked
for again, at most twice; then the picture is listed as failed, and asked for anew by the next start of the command.

--human FILE is a CSV file with the columns picture,fit,quality,arrangement; picture is the name of a picture in the manifest."""


class Ratings(Value):
    """What the model says of one picture."""

    fit: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    fit_reason: Words = Field(max_length=2000)
    quality: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    quality_reason: Words = Field(max_length=2000)
    arrangement: int = Field(ge=LOWEST, le=HIGHEST, strict=True)
    arrangement_reason: Words = Field(max_length=2000)


class NoRating(ServiceError):
    """The model answered with something that is no rating."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators judge``."""
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="painted pictures, with a manifest")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model, as its service calls it")
    parser.add_argument("--url", metavar="URL", help="an OpenAI-compatible endpoint (default: OpenAI's own)")
    parser.add_argument("--human", type=Path, metavar="FILE", help="ratings by people, to compare with")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace, **options) -> dict:
    """The command; ``options`` are those of `VisionClient`.

    Raises:
        BadInput: the pictures or the ratings of people cannot be read.
        ServiceError: there is no key, or the service fails.
    """
    gallery = Gallery.open(args.pictures)
    human = read_human(args.human) if args.human else {}
    if args.url:
        place_of(args.url)
    check_key(args.url)
    client = VisionClient(
        args.model, args.url or verifier_url(), verifier_key(), answer_format=answer_format(), **options
    )
    kept, failed = rate_all(gallery, client, args.folder / KEPT)
    if not kept:
        raise ServiceError(f"no picture was rated; the first: {next(iter(failed.values()))}")
    return _result(args, gallery, kept, failed, human)


def answer_format() -> dict:
    """The JSON schema that the answer is constrained by."""
    schema = Ratings.model_json_schema()
    return {"type": "json_schema", "json_schema": {"name": "ratings", "strict": True, "schema": schema}}


def rate_all(gallery: Gallery, client: VisionClient, path: Path) -> tuple[dict[str, Ratings], dict[str, str]]:
    """Ratings by key, those of an earlier start included, and why the other pictures have none.

    Raises:
        ServiceError: the service failed several times in a row; what was rated is kept.
    """
    wanted = {picture.key: _token(picture.sha256, client.model) for picture in gallery.manifest.pictures}
    kept = read_kept(path, wanted)
    failed = {}
    in_a_row = 0
    missing = [key for key in gallery.keys if key not in kept]
    with progress_bar() as progress:
        for one in progress.track(gallery.pictures(missing), total=len(missing), description="rating"):
            try:
                kept[one.key] = client.ask(one.image, question(one.layout), read_ratings)
            except ServiceError as error:
                failed[one.key] = str(error)
                in_a_row = 0 if isinstance(error.__cause__, NoRating) else in_a_row + 1
                if in_a_row == MAX_FAILURES:
                    raise
                continue
            in_a_row = 0
            _keep(path, one, wanted[one.key], kept[one.key])
    return kept, failed


def question(layout: Layout) -> str:
    """What the model is asked about a picture that was painted from this layout."""
    captions = [instance.caption or instance.category for instance in layout.instances]
    objects = (
        f"Things that were planned: {json.dumps(captions, ensure_ascii=False)}"
        if captions
        else "No single things were planned."
    )
    if layout.negative_caption:
        objects += f"\nWhat must not be on it: {json.dumps(layout.negative_caption, ensure_ascii=False)}"
    return Template(prompts.read(PROMPT)).substitute(
        caption=json.dumps(layout.caption, ensure_ascii=False), objects=objects
    )


def read_ratings(text: str) -> Ratings:
    """The ratings in an answer: the first JSON object in it.

    Raises:
        NoRating: there is none, or a rating is no whole number from 1 to 5.
    """
    text = text[:MAX_ANSWER_CHARS]
    try:
        value, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        return Ratings.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise NoRating(f"its answer is no rating: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise NoRating(
            f"its answer holds no rating: {json.dumps(' '.join(text.split())[:100], ensure_ascii=False)}"
        ) from error


def read_kept(path: Path, wanted: dict[str, str]) -> dict[str, Ratings]:
    """The ratings of an earlier start, of these very pictures by this model; a line that was cut off is dropped.

    Args:
        wanted: by key, what an answer must be about.
    """
    if not path.exists():
        return {}
    lines = read_bytes(path).decode("utf-8", errors="replace").split("\n")
    kept = {}
    write_bytes(
        path, "".join(line + "\n" for line in lines[:-1]).encode()
    )  # what follows the last line end is torn, or nothing
    for number, line in enumerate(lines[:-1], 1):
        data = parse_json(line, f"{path} line {number}")
        if not isinstance(data, dict) or not {"key", "about", "ratings"} <= data.keys():
            raise BadInput(f"{path} line {number}", "is no rating of this command; give another --out")
        if wanted.get(data["key"]) == data["about"]:
            kept[data["key"]] = Ratings.parse(data["ratings"], f"{path} line {number}")
    return kept


def _keep(path: Path, one: Painted, about: str, ratings: Ratings) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"key": one.key, "caption": one.layout.caption, "about": about, "ratings": ratings.model_dump()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _token(sha256: str, model: str) -> str:
    """What tells answers apart: the picture, the model and the question."""
    return hashlib.sha256("\0".join((sha256, model, prompts.read(PROMPT))).encode()).hexdigest()[:16]


def read_human(path: Path) -> dict[str, dict[str, int]]:
    """Ratings by people, ``{picture: {"fit", "quality", "arrangement"}}``.

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
                raise BadInput(
                    f"{path} line {number}", f"{way} is {str(row[way])[:20]!r}, and no whole number from 1 to 5"
                )
        ratings[row["picture"].removesuffix(".png")] = {way: int(row[way]) for way in WAYS}
    return ratings


def _agreements(kept: dict[str, Ratings], human: dict[str, dict[str, int]], path: Path) -> Iterator[tuple[str, dict]]:
    both = [key for key in kept if key in human]
    if not both:
        raise BadInput(str(path), f'rates none of these pictures; they are called like "{next(iter(kept))}"')
    for way in WAYS:
        yield (
            way,
            {
                "pictures": len(both),
                **agreement([getattr(kept[key], way) for key in both], [human[key][way] for key in both]),
            },
        )


def _result(
    args, gallery: Gallery, kept: dict[str, Ratings], failed: dict[str, str], human: dict[str, dict[str, int]]
) -> dict:
    means = {way: sum(getattr(one, way) for one in kept.values()) / len(kept) for way in WAYS}
    people = dict(_agreements(kept, human, args.human)) if human else {}

    def figure(value):
        return "-" if value is None else f"{value:.2f}"

    names = ("exact", "within_1", "spearman", "kappa") if people else ()
    rows = [[way, f"{means[way]:.2f}", *(figure(people[way][name]) for name in names)] for way in WAYS]
    heads = ["exact", "within 1", "Spearman", "weighted kappa"] if people else []
    table = {"title": f"Ratings by {args.model}, 1 to 5", "columns": ["rating", "mean", *heads], "rows": rows}
    notes = [f"{len(kept)} of {len(gallery.keys)} pictures were rated"]
    notes += [f"agreement with people on {people['fit']['pictures']} pictures"] if people else []
    failures = [{"prompt": key, "failed": reason, "planned": True} for key, reason in failed.items()]
    result = {"evaluation": "judge", "model": args.model, "means": means, "agreement": people, "failures": failures}
    result |= {"ratings": {key: one.model_dump() for key, one in kept.items()}, "notes": notes, "table": table}
    write_results(args.folder, result)
    return result
