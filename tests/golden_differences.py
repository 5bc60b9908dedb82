"""``python tests/golden_differences.py``: how far this engine is from the reference's figures, as a table."""

import sys
from pathlib import Path

import torch

sys.path[:0] = [
    str(Path(__file__).parents[1]),
    str(Path(__file__).parent),
    str(Path(__file__).parent / "instdiff" / "model"),
]

from golden_figures import (  # noqa: E402
    figures,
    grounding,
    load_models,
    seg_planes,
    small_grounding,
    small_models,
    tensors,
)
from test_sampler import run  # noqa: E402
from test_unet import filter_cases, predict  # noqa: E402

from instdiff.model.unet import low_frequency_filter  # noqa: E402
from instdiff.model.unifusion import fourier_features  # noqa: E402


def show(what: str, found: torch.Tensor, expected: torch.Tensor, bound: float, relative: bool = False) -> None:
    difference = float((found - expected).abs().max() / (expected.abs().max() if relative else 1))
    print(f"| {what} | {difference:.1e} | {bound:.0e}{' relative' if relative else ''} |", flush=True)


@torch.no_grad()
def small() -> None:
    _unet, unifusion = small_models()
    fourier, tokens, eps, golden = (tensors(n) for n in ("fourier", "unifusion_small", "unet_small", "sampler_small"))
    for kind in ("boxes", "points", "scribbles", "polygons"):
        show(
            f"Fourier features of {kind}",
            fourier_features(fourier[f"embed.{kind}.in"]),
            fourier[f"embed.{kind}.out"],
            1e-6,
        )
    worst = max(((low_frequency_filter(fourier[c.values[0]], torch.tensor(c.values[1])) - c.values[2]).abs().max(), i)
                for i, c in enumerate(filter_cases()))[1]  # fmt: skip
    case = list(filter_cases())[worst]
    show(
        f"ScaleU filter, worst case ({case.id})",
        low_frequency_filter(fourier[case.values[0]], torch.tensor(case.values[1])),
        case.values[2],
        1e-6,
    )
    for mode in ("box", "mask", "point", "scribble"):
        show(f"UniFusion tokens, {mode}", unifusion(small_grounding(mode)), tokens[f"objs_{mode}"], 1e-5)
        show(f"small UNet, {mode}", predict(tokens[f"objs_{mode}"]), eps[f"eps_{mode}"], 1e-4)
    show("UniFusion tokens, null", unifusion(small_grounding("box").null()), tokens["objs_null"], 1e-5)
    show("small UNet, null", predict(tokens["objs_null"]), eps["eps_null"], 1e-4)
    show(
        "small UNet, stock first convolution",
        predict(tokens["objs_box"], grounding_scale=0.0, stock_conv_in=True),
        eps["eps_sdconv_alpha0"],
        1e-4,
    )
    trajectory, _ = run()
    show("PLMS, 10 steps, worst step", torch.cat([b[0] for b in trajectory]), golden["plain.s10.x"], 5e-3)
    for name, options, apart in (
        ("mis036.s10", {"mis": 0.36}, 3),
        ("mis020.s10", {"mis": 0.2}, 2),
        ("mis036_mask.s10", {"mis": 0.36, "mode": "mask"}, 3),
    ):
        trajectory, _final = run(**options)
        show(f"{name}, merged", torch.cat(trajectory[apart - 1]).mean(0, keepdim=True), golden[f"{name}.merged"], 5e-3)
        show(f"{name}, worst step after", torch.cat([b[0] for b in trajectory[apart:]]), golden[f"{name}.x"], 5e-3)


@torch.no_grad()
def full() -> None:
    unet, unifusion = load_models("keys_sd15", {}, {})
    golden = tensors("unet_sd15")
    segs = seg_planes(figures("segs_sd15")["segs"])
    tokens = {mode: unifusion(grounding(golden, segs, mode)) for mode in ("box", "mask")}
    tokens["null"] = unifusion(grounding(golden, segs, "box").null())
    for name, kind, timestep in (
        ("eps_box_t981", "box", 981),
        ("eps_box_t21", "box", 21),
        ("eps_mask_t981", "mask", 981),
        ("eps_null_t981", "null", 981),
    ):
        show(
            f"SD1.5 size, {name}",
            unet(golden["x"], timestep, golden["context"], tokens[kind]),
            golden[name],
            1e-3,
            relative=True,
        )
    stock = unet(golden["x"], 21, golden["context"], tokens["box"], grounding_scale=0.0, stock_conv_in=True)
    show("SD1.5 size, eps_sdconv_alpha0_t21", stock, golden["eps_sdconv_alpha0_t21"], 1e-3, relative=True)


if __name__ == "__main__":
    print("| what | largest difference | bound |\n| --- | --- | --- |")
    small()
    if "--full" in sys.argv:
        full()
