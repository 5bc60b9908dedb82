"""``python tests/agent/time_dataset.py``: time of one dataset in one process, and with 1, 2 … workers of Ray.

The first batch of each is left out: until then everything is being loaded. Every process paints with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pace(folder: Path, args: argparse.Namespace, workers: int) -> dict[str, float]:
    """Pictures a second after the first batch, and seconds in all. ``workers`` 0 is without Ray."""
    what = [
        "--scenes",
        "kitchen,street",
        "--count",
        str(args.count),
        "--size",
        str(args.size),
        "--steps",
        str(args.steps),
    ]
    how = [
        "--accept",
        "all",
        "--rounds",
        "2",
        "--batch",
        str(args.batch),
        *(["--ray", str(workers)] if workers else []),
    ]
    began = time.time()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "agent.dataset", "make", str(folder), *what, *how]
    subprocess.run(arguments, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    written = sorted(path.stat().st_mtime for path in folder.glob("items/[0-9]*.json"))
    first = args.batch * max(workers, 1)  # what is loaded by then
    return {
        "pictures_a_second": round((len(written) - first) / (written[-1] - written[first - 1]), 3),
        "seconds": round(time.time() - began),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2], help="0 is one process without Ray")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="timed-") as scratch:
        found = {str(workers): pace(Path(scratch, str(workers)), args, workers) for workers in args.workers}
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
