"""FID: how far the painted pictures are, as a whole, from real ones; with Inception's features, or with a detector's.

The distance and the network are written out here: clean-fid and pytorch-fid need torchvision, and torchmetrics takes
pictures where features are kept on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.gallery import Gallery, batches, load_bundled
from evaluators.manifest import FILE as MANIFEST
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, progress_bar
from instdiff.cli import input_folder
from instdiff.errors import BadInput
from instdiff.formats.files import read_bytes, write_bytes
from instdiff.formats.photographs import open_photograph
from instdiff.settings import models_folder

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH_SIZE = 16
FEW = 2048  # pictures; fewer than the width of the features give a covariance without full rank
PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
NAMES = {"inception": "FID", "judge": "FD (judge features)"}
OUT = Path("outputs/evaluations/fid")
HELP = """The Fréchet distance between painted pictures (a folder with a manifest) and real ones (a folder of pictures,
such as COCO's val2017): how far apart two Gaussians are that have the means and covariances of their features. 0 is the
same; lower is better.

  --features inception  FID as it is published; --weights names the file of Inception's weights, which is not bundled
  --features judge      features of the bundled judge; comparable with itself alone, and made for drawings

What was computed of real pictures is kept under --out, so that the command goes on with what was stopped."""
WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
SOURCE = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{WEIGHTS}"

Extractor = Callable[[list["Image"]], np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators fid``."""
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="painted pictures, with a manifest")
    parser.add_argument("--real", type=input_folder, required=True, metavar="FOLDER", help="a folder of real pictures")
    parser.add_argument("--features", choices=tuple(NAMES), default="inception", help="what compares (%(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="Inception's weights (default: found in INSTDIFF_MODELS)")
    parser.add_argument("--real-count", type=int, metavar="N", help="only the first N of the real pictures, by name")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a folder holds no pictures, or the weights are not there.
    """
    gallery = Gallery.open(args.pictures)
    real_files = real_pictures(args.real)[: args.real_count]
    extract, kind = (judge_features(), "judge") if args.features == "judge" else inception_features(args.weights)
    with progress_bar() as progress:
        task = progress.add_task("painted", total=len(gallery.keys))
        painted = features_of(gallery.images(), extract, lambda count: progress.advance(task, count))
        real_task = progress.add_task("real", total=len(real_files))
        folder = args.folder / f"real-{kind}"
        real = kept_features(real_files, extract, folder, lambda count: progress.advance(real_task, count))
    distance = frechet_distance(painted, real)
    name = NAMES[args.features]
    notes = [f"{len(painted)} painted against {len(real)} real pictures"]
    if min(len(painted), len(real)) < FEW:
        cure = f"compare only figures of the same numbers, and take {FEW} or more"
        notes.append(f"so few pictures bias the distance upwards: {cure}")
    if args.features == "judge":
        notes.append("not FID: features of the bundled judge, comparable with themselves alone")
    figures = {"name": name, "distance": distance, "painted": len(painted), "real": len(real)}
    figures |= {"features": kind, "painted_with": gallery.painted_with}
    table = Table(name, ["figure", "value"], [[name, f"{distance:.3f}"]])
    result = EvaluationResult("fid", figures, (table,), notes)
    result.write(args.folder)
    return result


def frechet_distance(painted: np.ndarray, real: np.ndarray) -> float:
    """The distance of the Gaussians with the means and covariances of two sets of features, (n, D) and (m, D).

    Raises:
        BadInput: a set has fewer than two vectors, or they hold what is no number.
    """
    for features in (painted, real):
        if len(features) < 2:
            needed = "a distance of distributions needs at least 2 pictures on each side"
            raise BadInput("pictures", f"{needed}; here are {len(features)}")
        if not np.isfinite(features).all():
            raise BadInput("features", "hold what is no number; are these the right weights?")
    gaussians = [gaussian_of(np.asarray(features, dtype=np.float64)) for features in (painted, real)]
    return gaussian_distance(*gaussians[0], *gaussians[1])


def gaussian_of(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) of features (n, D), and a root (r, D) of their covariance: its transpose times itself is that."""
    mean = features.mean(axis=0)
    root = (features - mean) / np.sqrt(len(features) - 1)
    if len(root) > root.shape[1]:
        root = np.linalg.qr(root)[1]
    return mean, root


def gaussian_distance(mean_a: np.ndarray, root_a: np.ndarray, mean_b: np.ndarray, root_b: np.ndarray) -> float:
    """``|mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2))``; means (D,), roots of covariances (r, D).

    The trace of the root of the product is the sum of the singular values of ``root_a root_b^T``: no eigenvalue of a
    large product is needed, which fewer pictures than features would leave almost all zero.
    """
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    away = mean_a - mean_b
    return float(away @ away + (root_a**2).sum() + (root_b**2).sum() - 2 * shared)


def real_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder and of those below, by name.

    Raises:
        BadInput: there are none, or they are painted ones.
    """
    if (folder / MANIFEST).exists():
        raise BadInput("real", f"{folder} holds painted pictures; give a folder of real ones")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not files:
        raise BadInput("real", f"{folder} holds no pictures ({', '.join(sorted(PICTURES))})")
    return files


def judge_features() -> Extractor:
    """The features of the bundled judge, (n, F)."""
    judge = load_bundled()
    return lambda images: judge.features(images).numpy()


def inception_features(weights: str | None) -> tuple[Extractor, str]:
    """Inception's features, (n, 2048), and a name that tells its weights apart.

    Raises:
        BadInput: the weights are not on this machine; the reason says what to fetch.
    """
    path = inception_file(weights)
    from evaluators.inception import SIDE, load_inception

    model = load_inception(path)
    name = f"inception-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"

    def extract(images: list[Image]) -> np.ndarray:
        import torch
        from torch.nn.functional import interpolate

        tensors = [torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() for image in images]
        resized = [interpolate(tensor, (SIDE, SIDE), mode="bilinear", antialias=True) for tensor in tensors]
        with torch.inference_mode():
            return model((torch.cat(resized) - 128) / 128).numpy()  # as the network was trained

    return extract, name


def inception_file(weights: str | None) -> Path:
    """Where the weights lie: as named, or a file in ``INSTDIFF_MODELS`` that is called like the published one."""
    folder = models_folder()
    places = [Path(weights).expanduser(), folder / weights] if weights else []
    places += sorted(folder.glob("*inception-2015-12-05*.pth")) if not weights else []
    for path in places:
        if path.is_file():
            return path
    fetch = f"fetch {SOURCE}, and name its path or put it into the folder INSTDIFF_MODELS; or take --features judge"
    raise BadInput("weights", f"there is no file {weights or WEIGHTS}; {fetch}")


def features_of(images: Iterable[Image], extract: Extractor, progress: Callable[[int], object]) -> np.ndarray:
    """The features of all pictures, (n, D), a few at a time."""
    rows = []
    for batch in batches(images, BATCH_SIZE):
        rows.append(extract(batch))
        progress(len(batch))
    return np.concatenate(rows)


def kept_features(paths: list[Path], extract: Extractor, folder: Path, progress: Callable[[int], object]) -> np.ndarray:
    """The features of real pictures, (n, D); each few are written to the folder, and read from there the next time."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for first in range(0, len(paths), BATCH_SIZE):
        batch = paths[first : first + BATCH_SIZE]
        contents = [read_bytes(path) for path in batch]
        hashes = b"".join(hashlib.sha256(content).digest() for content in contents)
        file = folder / f"{hashlib.sha256(hashes).hexdigest()[:16]}.npy"
        if file.exists():
            rows.append(np.load(io.BytesIO(read_bytes(file)), allow_pickle=False))
        else:
            rows.append(extract(list(map(open_photograph, batch, contents))))
            buffer = io.BytesIO()
            np.save(buffer, rows[-1])
            write_bytes(file, buffer.getvalue())
        progress(len(contents))
    return np.concatenate(rows)
