"""``instdiff-agent completion SHELL``: a script that completes commands, options, their values and files.

Written once by shtab from the parsers, so that no Python is started when Tab is pressed.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from instdiff import cli
from instdiff.cli import DONE, LazyParser, Parser, exit_code

DESCRIPTION = "Print a script that completes commands, options, their values and files in a shell."
EXAMPLES = """\
examples:
  bash  instdiff-agent completion bash > ~/.local/share/bash-completion/completions/instdiff-agent
  zsh   instdiff-agent completion zsh > ~/.zfunc/_instdiff-agent       with fpath+=~/.zfunc before compinit in ~/.zshrc
  fish  instdiff-agent completion fish > ~/.config/fish/completions/instdiff-agent.fish"""
SHELLS = ("bash", "zsh", "fish")
FOLDERS = (cli.input_folder, cli.output_folder)
FILES = (cli.input_file, cli.input_path, cli.output_file, cli.output_path)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="instdiff-agent completion", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Print the script; the exit code is returned."""
    return exit_code(lambda: run(build_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """The command."""
    import shtab

    print(shtab.complete(whole_parser(), args.shell))
    return DONE


def whole_parser() -> argparse.ArgumentParser:
    """The parser of the command with those of all its parts in it, and what their values are."""
    from agent import commands

    parser = commands.build_parser()
    parts: Any = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.COMMANDS.items():
        parts.choices[name] = import_module(command.module).build_parser()
    _mark(parser)
    return parser


def _mark(parser: argparse.ArgumentParser) -> None:
    """Say which values are files and folders, in a parser and those below it."""
    import shtab

    if isinstance(parser, LazyParser):
        parser.fill()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                _mark(part)
        elif action.type in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.type in FILES or "FILE" in str(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
