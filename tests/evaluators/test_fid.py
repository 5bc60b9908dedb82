import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.image.fid import FrechetInceptionDistance

from evaluators.__main__ import main
from evaluators.fid import frechet_distance, gaussian_distance
from evaluators.inception import Inception
from instdiff.layout import Layout
from tests.galleries import make_gallery

LAYOUT = Layout(width=64, height=64, caption="noise")


def noise(seed: int, size=(64, 64)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


# By hand: covariances that commute have the root of the product of their eigenvalues, so that the trace of
# A + B - 2 (AB)^(1/2) is the sum of (sqrt a - sqrt b)^2 over common eigenvectors.
GAUSSIANS = {
    "the same": ([0, 0], [[1, 0], [0, 1]], [0, 0], [[1, 0], [0, 1]], 0.0),
    "means 3 and 4 apart": ([0, 0], [[1, 0], [0, 1]], [3, 4], [[1, 0], [0, 1]], 25.0),
    "deviations 1, 2 and 3, 1": ([0, 0], [[1, 0], [0, 4]], [1, 0], [[9, 0], [0, 1]], 1 + (1 - 3) ** 2 + (2 - 1) ** 2),
    # eigenvectors (1, 1) and (1, -1): 9 and 1 on the one side, 4 and 16 on the other
    "turned by 45 degrees": ([0, 0], [[5, 4], [4, 5]], [0, 0], [[10, -6], [-6, 10]], (3 - 2) ** 2 + (1 - 4) ** 2),
    "no extent": ([0, 0], [[0, 0], [0, 0]], [0, 2], [[4, 0], [0, 0]], 4 + 4),
}


def root_of(covariance: list[list[float]]) -> np.ndarray:
    """A matrix whose transpose times itself is a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values)).T


@pytest.mark.parametrize("mean_a, cov_a, mean_b, cov_b, expected", GAUSSIANS.values(), ids=GAUSSIANS)
def test_gaussians_by_hand(mean_a, cov_a, mean_b, cov_b, expected):
    distance = gaussian_distance(np.array(mean_a), root_of(cov_a), np.array(mean_b), root_of(cov_b))
    assert distance == pytest.approx(expected, abs=1e-9)


class Flat(torch.nn.Module):
    """Features for torchmetrics: the means of the colours in each quarter."""

    num_features = 12

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images.double(), 2).flatten(1)


def test_the_same_as_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randint(low, 256, (40, 3, 32, 32), generator=generator, dtype=torch.uint8) for low in (0, 90))
    metric = FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 32, 32))
    metric.set_dtype(torch.float64)
    metric.update(ours, real=False)
    metric.update(theirs, real=True)
    features = Flat()
    assert frechet_distance(features(ours).numpy(), features(theirs).numpy()) == pytest.approx(
        float(metric.compute()), rel=1e-6
    )


def test_inception_has_the_published_size():
    # Without its classifier, Inception v3 has 21,802,784 numbers in Keras, which count a mean and a variance for each
    # of
    # 17,216 channels, and no factor: 21,802,784 - 2 * 17,216 + 17,216 are trained here.
    with torch.device("meta"):
        network = Inception()
    parameters = {name: value for name, value in network.named_parameters() if not name.startswith("fc.")}
    assert sum(value.numel() for value in parameters.values()) == 21_802_784 - 17_216
    assert len(parameters) == 94 * 3  # 94 convolutions, each with a factor and an offset of its batch norm


@pytest.fixture
def places(tmp_path):
    """Three painted pictures, and the same and other real ones."""
    gallery = make_gallery(tmp_path / "painted", {f"p{k}": (noise(k), LAYOUT) for k in range(3)})
    (tmp_path / "same").mkdir()
    (tmp_path / "other" / "below").mkdir(parents=True)
    for k in range(3):
        noise(k).save(tmp_path / "same" / f"{k}.png")
        noise(k + 10, (48, 80)).save(tmp_path / "other" / "below" / f"{k}.jpg")
    return tmp_path, ["fid", str(gallery), "--out", str(tmp_path / "out"), "--json"]


def figures(command, capsys) -> dict:
    assert main(command) == 0
    return json.loads(capsys.readouterr().out)


def test_with_the_features_of_the_judge(places, capsys):
    folder, command = places
    same = figures([*command, "--real", str(folder / "same"), "--features", "judge"], capsys)
    assert (
        same["distance"] == pytest.approx(0, abs=1e-5)
        and same["name"] == "FD (judge features)"
        and "not FID" in same["notes"][-1]
    )
    other = figures([*command, "--real", str(folder / "other"), "--features", "judge"], capsys)
    assert (
        other["distance"] > 1e-3
        and (other["painted"], other["real"]) == (3, 3)
        and "bias the distance upwards" in other["notes"][1]
    )
    assert "FD (judge features)" in (folder / "out" / "results.md").read_text()


def test_with_inception_from_a_file(places, capsys, monkeypatch):
    folder, command = places
    torch.manual_seed(0)
    torch.save(Inception().state_dict(), folder / "pt_inception-2015-12-05-6726825d.pth")
    monkeypatch.setenv("INSTDIFF_MODELS", str(folder))
    same = figures([*command, "--real", str(folder / "same")], capsys)
    assert same["name"] == "FID" and same["distance"] == pytest.approx(0, abs=1e-5)
    kept = sorted((folder / "out").glob("real-inception-*/*.npy"))
    assert len(kept) == 1 and np.load(kept[0]).shape == (3, 2048)
    np.save(kept[0], np.load(kept[0]) + 1.0)  # every mean moves by 1: what was kept is what is used
    assert figures([*command, "--real", str(folder / "same")], capsys)["distance"] == pytest.approx(2048, rel=1e-3)


@pytest.mark.parametrize(
    "more, words",
    [
        (["--real", "other"], "fetch https://github.com/mseitzer/pytorch-fid"),
        (["--real", "other", "--weights", "nowhere.pth"], "there is no file nowhere.pth"),
        (["--real", "other", "--weights", "bad.pth"], "does not hold the Inception network"),
        (["--real", "painted", "--features", "judge"], "holds painted pictures"),
        (["--real", "empty", "--features", "judge"], "holds no pictures"),
        (["--real", "broken", "--features", "judge"], "is no picture that can be read"),
        (["--real", "other", "--features", "judge", "--real-count", "1"], "at least 2 pictures"),
    ],
)
def test_bad_input_is_one_line(places, more, words, capsys, monkeypatch):
    folder, command = places
    monkeypatch.chdir(folder)
    (folder / "bad.pth").write_bytes(b"no weights")
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "a.png").write_bytes(b"\x89PNG")
    assert main([*command, *more]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and words in error


def test_a_folder_without_a_manifest_is_not_scored(tmp_path, capsys):
    noise(0).save(tmp_path / "photo.png")
    assert main(["fid", str(tmp_path), "--real", str(tmp_path)]) == 2
    assert "no photographs" in capsys.readouterr().err
