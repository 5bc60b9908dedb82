"""``instdiff-agent dashboard``: the pages of `agent.dashboard` in the browser."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from instdiff.cli import DONE, INTERRUPTED, Parser, exit_code, output_folder
from instdiff.errors import BadInput, ServiceError
from instdiff.settings import environment, outputs_folder

DESCRIPTION = """Make pictures, look at them, put them right and rate them in the browser. The pages open on this
machine alone: there are no accounts, and who reaches the port can make pictures and see all runs."""
EXAMPLES = """\
examples:
  instdiff-agent dashboard                                 then open http://127.0.0.1:8501; Ctrl+C ends it
  instdiff-agent dashboard --outputs outputs/mine --port 8600

needs pip install "instdiff-agent[dashboard]"

exit codes: 0 done, 2 bad input, 4 streamlit is not installed"""
# What .streamlit/config.toml says in a checkout, for installations without one.
OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "20",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="instdiff-agent dashboard",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    runs = "the folder of the runs (default: INSTDIFF_OUTPUTS, or outputs)"
    parser.add_argument("--outputs", type=output_folder, metavar="FOLDER", help=runs)
    parser.add_argument("--port", type=int, default=8501, metavar="N", help="(default: 8501)")
    address = "who is listened to (default: 127.0.0.1, this machine alone)"
    parser.add_argument("--address", default="127.0.0.1", metavar="A", help=address)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve the pages until it is stopped; the exit code is returned."""
    return exit_code(lambda: run(build_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """Start streamlit in a process of its own, and wait for it."""
    if not 1 <= args.port <= 65535:
        raise BadInput("port", f"{args.port} is outside 1..65535")
    if find_spec("streamlit") is None:
        raise ServiceError('the dashboard needs the package streamlit: pip install "instdiff-agent[dashboard]"')
    place = {"server.address": args.address, "server.port": str(args.port)}
    flags = [f"--{name}={value}" for name, value in {**OPTIONS, **place}.items()]
    script = Path(__file__).parents[1] / "dashboard" / "app.py"
    outputs = str((args.outputs or outputs_folder()).absolute())
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
    try:
        code = subprocess.run(command, env=environment(INSTDIFF_OUTPUTS=outputs), check=False).returncode
    finally:
        from agent.job import dismiss

        dismiss(Path(outputs))  # jobs that are begun go on
    if code not in (DONE, INTERRUPTED, -2):
        raise ServiceError(f"the dashboard ended with code {code}; what streamlit said is above")
    return DONE
