"""``python tests/fuzz.py``: spoiled inputs at every door; each must end in an error of ours or in a valid result."""

from __future__ import annotations

import argparse
import faulthandler
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz_targets import TARGETS, Target  # noqa: E402

from instdiff.errors import InstDiffError  # noqa: E402

CPU_LIMIT_S = 2.0
WALL_LIMIT_S = 300.0  # of one case; the second is for what waits and does not compute
MAX_INPUT = 4 * 2**20  # bytes; the time to parse JSON grows with its length, and is not what is looked for
GROWTH_LIMIT_MB = 200  # beyond what the process held before, by one case,
GROWTH_OF_INPUT = 50  # and as many times its input
PEAK = Path("/proc/self/clear_refs")  # 5 begins the count of the most memory anew, in Linux
ADDRESS_LIMIT = 12 * 2**30  # bytes; what asks for more gets a MemoryError
DESCRIPTION = """Spoil real inputs (flipped bytes, swapped types, huge numbers, NaN, deep nesting, bombs) and read them.

A case fails if it ends in an error that is not of this project, takes longer than 2 s of processor time, or needs more
memory than 50 times its input and 200 MB, beyond what the process held before. The input of a failed case is kept in
--keep. The same seed makes the same cases."""


class Hang(BaseException):
    """A case takes too long; no ``except Exception`` holds it."""


@dataclass
class Tally:
    """What became of the cases of one target."""

    cases: int = 0
    refused: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    grown_mb: float = 0.0
    failures: list[str] = field(default_factory=list)


@contextmanager
def limited(cpu_s: float | None = None):
    """Raise `Hang` in what takes too long: more processor time than this, or than a case may take."""

    def late(number, frame):
        raise Hang

    numbers = (signal.SIGPROF, signal.SIGALRM)
    handlers = [signal.signal(number, late) for number in numbers]
    signal.setitimer(signal.ITIMER_PROF, cpu_s or CPU_LIMIT_S)
    waiting = signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, *waiting)  # of a test runner, perhaps


def inputs(name: str, cases: int, seed: int) -> Iterator[bytes]:
    """The inputs of the cases: a few real ones as they are, then spoiled ones."""
    target = TARGETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeds = target.seeds()
        once = (seeds + target.once())[: cases // 3]
    for number in range(cases):
        rng = Random(f"{seed} {name} {number}")
        yield once[number] if number < len(once) else target.spoil(rng.choice(seeds), rng)[:MAX_INPUT]


def run_case(target: Target, data: bytes, path: Path, tally: Tally) -> str:
    """Read one input; returns what is wrong with how it ended, or nothing."""
    path.write_bytes(data)
    held = restart_peak()
    started = time.process_time()
    problem = ""
    tally.cases += 1
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(path)
        tally.accepted += 1
    except InstDiffError as error:
        tally.refused += 1
        message = str(error)
        if not message.isprintable():
            problem = f"the message is not one printable line: {message[:200]!r}"
    except Hang:
        problem = f"took longer than {CPU_LIMIT_S:g} s"
    except Exception:  # whatever it is, it is what is looked for
        problem = traceback.format_exc(limit=-3).strip()[-1500:]
    seconds = time.process_time() - started
    tally.slowest_s = max(tally.slowest_s, seconds)
    grown = peak_mb() - held
    tally.grown_mb = max(tally.grown_mb, grown)
    if not problem and grown > GROWTH_LIMIT_MB + GROWTH_OF_INPUT * len(data) / 2**20:
        problem = f"took {grown:.0f} MB"
    return problem or (f"took {seconds:.1f} s" if seconds > CPU_LIMIT_S + 1 else "")


def restart_peak() -> float:
    """Count the most memory from now on, where the system can; returns what the process holds now, in MB."""
    with suppress(OSError):
        PEAK.write_text("5")
    return peak_mb()


def peak_mb() -> float:
    """The most memory that this process has held since the count began."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def warm_up(target: Target, folder: str) -> None:
    """Read a real input and count nothing: the first one of a kind imports what reads it."""
    path = Path(folder, f"input{target.ending}")
    path.write_bytes(target.seeds()[0])
    with suppress(Exception, Hang), limited(WALL_LIMIT_S), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.read(path)


def fuzz(name: str, cases: int, seed: int, keep: Path) -> Tally:
    """All cases of one target; what failed is kept as a file in ``keep``."""
    target = TARGETS[name]
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        warm_up(target, folder)
        for number, data in enumerate(inputs(name, cases, seed)):
            path = Path(folder, f"input{target.ending}")
            if problem := run_case(target, data, path, tally):
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"{name.replace(' ', '-').replace(',', '')}-{seed}-{number}{target.ending}"
                kept.write_bytes(data)
                tally.failures.append(f"{kept}: {problem}")
    return tally


def shares(names: list[str], cases: int) -> dict[str, int]:
    """How many cases each target gets; together as many as asked for."""
    weights = {name: TARGETS[name].share for name in names}
    counts = {name: int(cases * weight / sum(weights.values())) for name, weight in weights.items()}
    counts[names[0]] += cases - sum(counts.values())
    return counts


def table(tallies: dict[str, Tally]) -> str:
    """The counts of all targets, as Markdown."""
    rows: list[tuple] = [("target", "cases", "refused", "accepted", "slowest, CPU s", "grew by, MB", "failures")]
    rows.append(("---", *["---:"] * 6))
    for name, tally in tallies.items():
        counts = tally.cases, tally.refused, tally.accepted
        rows.append((name, *counts, f"{tally.slowest_s:.2f}", f"{tally.grown_mb:.0f}", len(tally.failures)))
    sums = [sum(getattr(tally, part) for tally in tallies.values()) for part in ("cases", "refused", "accepted")]
    slowest = max(tally.slowest_s for tally in tallies.values())
    grown = max(tally.grown_mb for tally in tallies.values())
    failed = sum(len(t.failures) for t in tallies.values())
    rows.append(("all", *sums, f"{slowest:.2f}", f"{grown:.0f}", failed))
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def main(argv: list[str] | None = None) -> int:
    """Spoil and read; 1 if a case failed."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python tests/fuzz.py", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument(
        "--cases", type=int, default=1000, metavar="N", help="in all, shared by the targets (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the cases (default: 0)")
    parser.add_argument(
        "--target", action="append", choices=TARGETS, metavar="NAME", help=f"only this one: {', '.join(TARGETS)}"
    )
    kept = "where failed inputs go (default: %(default)s)"
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), metavar="FOLDER", help=kept)
    parser.add_argument("--input", type=Path, metavar="FILE", help="read this kept input alone, with --target")
    args = parser.parse_args(argv)
    os.environ |= {"HF_HUB_OFFLINE": "1", "LANGSMITH_TRACING": "false"}
    names = args.target or list(TARGETS)
    started = time.monotonic()
    tallies = {}
    if args.input:
        return read_again(TARGETS[names[0]], args.input)
    for name, share in shares(names, args.cases).items():
        tallies[name] = fuzz(name, share, args.seed, args.keep)
        tally = tallies[name]
        print(f"{name}: {tally.cases} cases, {len(tally.failures)} failures", file=sys.stderr, flush=True)
        for failure in tally.failures:
            print(failure, file=sys.stderr, flush=True)
    print(table(tallies))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cases = sum(t.cases for t in tallies.values())
    print(f"\n{cases} cases in {time.monotonic() - started:.0f} s, at most {most:.0f} MB of memory")
    return 1 if any(tally.failures for tally in tallies.values()) else 0


def read_again(target: Target, source: Path) -> int:
    """One kept input, for a debugger or a traceback."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, f"input{target.ending}")
        shutil.copy(source, path)
        target.read(path)
    return 0


if __name__ == "__main__":
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_LIMIT, ADDRESS_LIMIT))
    sys.exit(main())
