"""``python tests/agent/measure_export.py DATASET``: memory and time of each format's export, of few and of many items.

The many are those of DATASET over and over, each under a key and with a prompt and a plan of its own; the pictures are
hard links. A format that keeps all items in memory takes ten times as much for ten times as many.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
EXPORT = "import sys; from agent.dataset.__main__ import main; sys.exit(main(sys.argv[1:]))"


def multiply(source: Path, out: Path, count: int) -> None:
    """Write a dataset of so many items, made of those of another."""
    (out / "items").mkdir(parents=True)
    (out / "plans").mkdir()
    pictures = []
    paths = sorted(path for path in source.glob("items/[0-9]*.json") if path.with_suffix(".png").exists())
    for index, path in enumerate(islice(cycle(paths), count)):
        item = json.loads(path.read_text())
        prompt = f"{item['prompt']}, number {index}"
        layout = {**item["layout"], "caption": prompt}
        item |= {"index": index, "prompt": prompt, "layout": layout}
        (out / f"items/{index:06d}.json").write_text(json.dumps(item, indent=2))
        os.link(path.with_suffix(".png"), out / f"items/{index:06d}.png")
        plan = json.loads((source / "plans" / path.name).read_text())
        plan |= {"index": index, "prompt": prompt}
        plan["plan"]["layout"]["caption"] = prompt
        (out / f"plans/{index:06d}.json").write_text(json.dumps(plan))
        pictures.append({"key": f"{index:06d}", "seed": item["seed"], "sha256": item["sha256"]})
    manifest = json.loads((source / "items/manifest.json").read_text())
    (out / "items/manifest.json").write_text(json.dumps({**manifest, "pictures": pictures}))


def peak_mib(arguments: list[str]) -> float:
    """The most memory that a Python process held, in MiB.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    return usage.ru_maxrss / 1024


def main() -> int:
    from agent.dataset.__main__ import FORMATS, OTHER_FORMATS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--items", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--formats", nargs="*", default=[*FORMATS, *OTHER_FORMATS])
    parser.add_argument("--most-growth", type=float, default=60.0, metavar="MIB", help="from fewest to most items")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="exported-", dir=args.dataset.parent) as scratch:  # for the hard links
        for count in args.items:
            multiply(args.dataset, Path(scratch, str(count)), count)
        grown = {}
        for name in args.formats:
            peaks = []
            for count in args.items:
                began = time.monotonic()
                out = Path(scratch, "out")
                peaks.append(
                    peak_mib(["-c", EXPORT, "export", f"{scratch}/{count}", "--out", str(out), "--format", name])
                )
                shutil.rmtree(out)
                print(f"{name}, {count} items: {peaks[-1]:.0f} MiB, {time.monotonic() - began:.0f} s", flush=True)
            grown[name] = peaks[-1] - peaks[0]
    too_much = {name: round(growth) for name, growth in grown.items() if growth > args.most_growth}
    print(f"grown by more than {args.most_growth} MiB: {too_much}" if too_much else "no format grows")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
