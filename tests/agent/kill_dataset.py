"""``python tests/agent/kill_dataset.py --kills 50 --count 80``: a dataset whose making is killed again and again.

With ``--ray N`` every second kill takes one of the workers, the others the process that drives them; with ``--lower``
every second start asks for fewer pictures, or names no count. Afterwards everything must be there once and whole, as it
was when it was first written, and the same as where nobody was killed.

This process makes the whole set first; the ones that are killed begin as copies of it, in which everything is imported:
a start takes a second or two instead of ten. With ``--cold`` each is a Python of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
# Ray gives each worker one thread; a process alone must have as many to give the same pictures to the bit. And a
# process that has started threads of torch cannot be copied.
os.environ["OMP_NUM_THREADS"] = "1"

EARLY_SHARE = 0.2
EARLY_S = 1.0  # some kills come while models are still being loaded
SLOWEST_START_S = 300


def options(folder: Path, args: argparse.Namespace, ray: int | None, count: int | None) -> list[str]:
    """The arguments that make the dataset; ``count`` None names none."""
    what = ["--scenes", "kitchen,street", "--per-picture", "2-3", "--colours", "red,blue"]
    what += [] if count is None else ["--count", str(count)]
    how = ["--size", str(args.size), "--steps", str(args.steps), "--batch", str(args.batch), "--rounds", "2"]
    # few things are found on small pictures of few steps
    how += ["--accept", args.accept, "--min-iou", "0.05", "--tries", "20"]
    where = ["--ray", str(ray), "--retries", "1000"] if ray else []
    return ["make", str(folder), *what, *how, *where]


def start(arguments: list[str], log: Path, cold: bool = False) -> multiprocessing.process.BaseProcess:
    """A process that makes the dataset."""
    context = multiprocessing.get_context("spawn" if cold else "fork")
    process = context.Process(target=run, args=(arguments, log))
    process.start()
    return process


def run(arguments: list[str], log: Path) -> None:
    """Make the dataset in this process, all output of which goes into the log."""
    from agent.dataset.__main__ import main as dataset

    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.exit(dataset(arguments))


def snapshot(items: Path) -> dict[str, tuple[int, int]]:
    """Every item that is finished, with when its two files were written."""
    found = {}
    for path in items.glob("[0-9]*.json"):
        found[path.stem] = (path.stat().st_mtime_ns, path.with_suffix(".png").stat().st_mtime_ns)
    return found


def workers_of(pid: int) -> list[int]:
    """The Ray workers that work for this process: its descendants that are Python and named after the class."""
    parents = {}
    named = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry.name)] = int(stat[1])
            if b"ray::Worker" in (entry / "cmdline").read_bytes():
                named.append(int(entry.name))
        except (OSError, IndexError):
            continue

    def is_ours(one: int) -> bool:
        while one in parents and one != pid:
            one = parents[one]
        return one == pid

    return [one for one in named if is_ours(one)]


def wait_for_work(process: multiprocessing.process.BaseProcess, items: Path, rng: random.Random) -> bool:
    """Wait for a random moment; False if everything was done before."""
    if rng.random() < EARLY_SHARE:
        time.sleep(rng.uniform(0, EARLY_S))
        return process.is_alive()
    before = len(snapshot(items))
    limit = time.monotonic() + SLOWEST_START_S
    while process.is_alive() and len(snapshot(items)) <= before and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.2))  # a batch of small pictures takes about as long
    return process.is_alive()


def kill_again_and_again(args: argparse.Namespace, folder: Path, log: Path) -> dict[str, int | None]:
    """Kill, start again, and see that nothing finished is lost or made anew, until all is done or kills are spent."""
    rng = random.Random(args.seed)
    items = folder / "items"
    counts = {"driver kills": 0, "worker kills": 0, "lost": 0, "made twice": 0}
    finished: dict[str, tuple[int, int]] = {}

    def begin(count: int | None) -> multiprocessing.process.BaseProcess:
        return start(options(folder, args, args.ray, count), log, args.cold)

    def compare() -> None:
        now = snapshot(items)
        counts["lost"] += len(finished.keys() - now.keys())
        counts["made twice"] += sum(now[key] != finished[key] for key in finished.keys() & now.keys())
        finished.update(now)

    process = begin(args.count)
    is_whole = False  # the last start asked for all
    while sum(list(counts.values())[:2]) < args.kills:
        if not wait_for_work(process, items, rng):
            if is_whole or not args.lower:
                break
            process = begin(args.count)  # the fewer are there
            is_whole = True
            continue
        workers = workers_of(process.pid) if args.ray and sum(list(counts.values())[:2]) % 2 else []
        if workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            counts["worker kills"] += 1
        else:
            process.kill()
            process.join()
            counts["driver kills"] += 1
        compare()
        if not workers:
            print(f"{counts}, {len(finished)} finished", flush=True)
            lower = args.lower and counts["driver kills"] % 2
            count = rng.choice([None, 1, args.count // 3]) if lower else args.count
            process = begin(count)
            is_whole = count == args.count
    process.join()
    last = begin(args.count)  # the one before may have been asked for fewer
    last.join()
    compare()
    return {**counts, "exit code": last.exitcode}


def verdict(args: argparse.Namespace, folder: Path, reference: Path) -> dict[str, object]:
    """What is in the folder at the end, against a folder that was made in one go."""
    from agent.dataset.folder import Folder
    from agent.dataset.mending import find_damage
    from evaluators.manifest import read_manifest, read_pictures

    killed = Folder(folder)
    whole = Folder(reference)
    manifest = read_manifest(killed.items)
    keys = [picture.key for picture in manifest.pictures]
    pictures = sum(image.size == (args.size, args.size) for image in read_pictures(manifest, killed.items, keys))
    leftovers = [str(path.relative_to(folder)) for path in folder.rglob(".writing-*")]
    return {
        "pictures": pictures,
        "annotations": len(killed.members()),
        "twice": len(keys) - len(set(keys)),
        "torn": list(find_damage(killed).values()) + leftovers,
        "same as without kills": list(killed.read()) == list(whole.read()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--accept", default="all", choices=["picture", "instance", "all"])
    parser.add_argument("--lower", action="store_true", help="every second start asks for fewer")
    parser.add_argument("--ray", type=int, metavar="N", help="on Ray with N workers")
    parser.add_argument("--cold", action="store_true", help="start a new Python each time")
    args = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="killed-"))
    began = time.monotonic()
    from agent.dataset.__main__ import main as dataset

    dataset(options(scratch / "whole", args, None, args.count))  # also loads what the copies will have loaded
    counts = kill_again_and_again(args, scratch / "killed", scratch / "log.txt")
    found = verdict(args, scratch / "killed", scratch / "whole")
    print({**counts, **found, "seconds": round(time.monotonic() - began)})
    ok = {
        "pictures": args.count,
        "annotations": args.count,
        "twice": 0,
        "torn": [],
        "same as without kills": True,
    } == found
    ok = ok and counts["lost"] == counts["made twice"] == counts["exit code"] == 0
    kills = counts["driver kills"] + counts["worker kills"]
    if kills < args.kills:  # all was done before
        print(f"{kills} kills of {args.kills}: give a larger --count")
        ok = False
    if ok:
        shutil.rmtree(scratch)
    else:
        print(f"failed; see {scratch}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
