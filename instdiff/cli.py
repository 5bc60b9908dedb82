"""What all commands share: exit codes, flags made from the fields of a model, and errors as one line."""

from __future__ import annotations

import argparse
import gc
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial, reduce
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from instdiff.errors import BadInput, InstDiffError, ServiceError, printable
from instdiff.values import Value

DONE = 0
FAILED_PARTLY = 1
BAD_INPUT = 2
NOT_VERIFIED = 3
SERVICE_FAILED = 4
INTERRUPTED = 130

PROGRAM = "instdiff-agent"  # the one installed command

Model = TypeVar("Model", bound=Value)


@dataclass(frozen=True)
class Flag:
    """How a field of a model is asked for: on command lines, and in the form of the dashboard.

    The field's description is the help; its type and bounds are those of the flag.

    Args:
        metavar: what stands for the value in the help.
        name: without the dashes; empty takes the field's own name. ``no-`` before it turns off what is on by default.
        group: the heading over it in the help.
        read: makes the value of the text; None takes the field's type.
        label: over it in the form; empty leaves it out of the form.
        examples: values to choose from in the form, beside any other.
    """

    metavar: str | None = None
    name: str = ""
    group: str = ""
    read: Callable[[str], object] | None = None
    label: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Only:
    """Marks a field that is a model itself: only these flags of it are flags of the model around it."""

    keys: tuple[str, ...]


class Option(NamedTuple):
    """A field with a `Flag`, in a model or in a model inside it; ``path`` leads there."""

    path: tuple[str, ...]
    field: FieldInfo
    flag: Flag

    @property
    def name(self) -> str:
        """The flag without its dashes, such as ``verifier-url``."""
        return self.flag.name or self.path[-1].replace("_", "-")

    @property
    def key(self) -> str:
        """Its name in a namespace of argparse and in errors, such as ``verifier_url``."""
        return self.name.replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that there are, if they are few."""
        return get_args(self._type) if get_origin(self._type) is Literal else ()

    @property
    def type(self) -> type:
        """What the text of the flag becomes: bool, int, float or str."""
        return self._type if self._type in (bool, int, float) else str

    @property
    def _type(self) -> Any:
        """The field's type without None."""
        annotation = self.field.annotation
        if get_origin(annotation) in (Union, UnionType):
            return next(part for part in get_args(annotation) if part is not type(None))
        return annotation

    def of(self, model: Value) -> Any:
        """The field's value in a model."""
        return reduce(getattr, self.path, model)


def options(model: type[Value], only: Collection[str] | None = None) -> list[Option]:
    """The fields with a flag of a model and of the models in it, in their order; ``only`` those with these keys."""
    flagged = []
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Flag):
                flagged.append(Option((name,), field, mark))
        if isinstance(field.annotation, type) and issubclass(field.annotation, Value):
            keys = next((mark.keys for mark in field.metadata if isinstance(mark, Only)), None)
            flagged += [option._replace(path=(name, *option.path)) for option in options(field.annotation, keys)]
    return [option for option in flagged if only is None or option.key in only]


def add_options(
    parser: argparse.ArgumentParser, model: type[Value], only: Collection[str] | None = None
) -> dict[str, argparse._ArgumentGroup]:
    """Add the flags of a model to a parser; returns the groups of its help by their headings, for further flags."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options(model, only):
        heading = option.flag.group
        if heading and heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        place = groups.get(heading, parser)
        flag = f"--{option.name}"
        text = option.field.description
        if option.type is bool:
            place.add_argument(flag, action="store_true", help=text)
        else:
            read = option.flag.read or option.type
            place.add_argument(flag, type=read, choices=option.choices or None, metavar=option.flag.metavar, help=text)
    return groups


def given_values(model: type[Value], flags: Mapping[str, Any], only: Collection[str] | None = None) -> dict[str, Any]:
    """What was given on a command line as fields of a model; those of a model in it in a dictionary of their own."""
    values: dict[str, Any] = {}
    for option in options(model, only):
        value = flags.get(option.key)
        if value is not None and value is not False:
            inner = reduce(lambda outer, name: outer.setdefault(name, {}), option.path[:-1], values)
            inner[option.path[-1]] = False if option.name.startswith("no-") else value
    return values


def parse_values(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The model with these values; errors name the flag and the value.

    Raises:
        BadInput: a value cannot be used.
    """
    try:
        return model.parse(values)
    except BadInput as error:
        for option in options(model):
            if ".".join(option.path) == error.field:
                value = reduce(lambda inner, name: inner[name], option.path, values)
                raise BadInput(option.key, f"{error.reason}, and it is {str(value)[:100]}") from error
        raise


def to_arguments(model: Value) -> list[str]:
    """The flags that ask for a model with these values; what is so by default is left out."""
    words = []
    for option in options(type(model)):
        value = option.of(model)
        if value == option.field.get_default(call_default_factory=True):
            continue
        words.append(f"--{option.name}")
        if option.type is not bool:
            words.append("x".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return words


def input_path(text: str) -> Path:
    """The type of a flag that names a file or folder to read."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} is not there")
    return path


def input_file(text: str) -> Path:
    """The type of a flag that names a file to read."""
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; give a file")
    return input_path(text)


def input_folder(text: str) -> Path:
    """The type of a flag that names a folder to read."""
    path = input_path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file; give a folder")
    return path


def output_path(text: str) -> Path:
    """The type of a flag that names a file or folder to write, which need not be there yet."""
    path = Path(text)
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent  # what is missing is made later
    if place != path.absolute() and not place.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {place} is a file")
    if not os.access(place, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written: no right to write to {place}")
    return path


def output_file(text: str) -> Path:
    """The type of a flag that names a file to write, which need not be there yet."""
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; give a file")
    return output_path(text)


def output_folder(text: str) -> Path:
    """The type of a flag that names a folder to write into, which need not be there yet."""
    if Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is a file; give a folder")
    return output_path(text)


class Parser(argparse.ArgumentParser):
    """Its errors are ours: one line that names the field, and the nearest name where one is mistyped.

    They are raised, for the command to print and to return 2.
    """

    def parse_known_args(self, args=None, namespace=None):
        """As in argparse, but nothing unknown is passed on: the parser that was given it knows what is near."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._cure(unknown[0])}")
        return namespace, unknown

    def error(self, message: str):
        named = re.match(r"argument (?:-\w, )?-*([\w-]+).*?: (.*)", message, re.DOTALL)
        if not named:
            raise BadInput("arguments", f"{message}; see --help")
        reason = named[2]
        if choice := re.match(r"invalid choice: '(.*)' \(choose from (.*)\)", reason, re.DOTALL):
            reason += nearest(choice[1], re.findall(r"[^\s,']+", choice[2]))
        raise BadInput(named[1].replace("-", "_").lower(), reason)

    def _cure(self, word: str) -> str:
        """What may have been meant by a word that no option takes."""
        if not word.startswith("-"):
            return "; put a sentence in quotes"
        flags = [flag for action in self._actions for flag in action.option_strings]
        return nearest(word.partition("=")[0], flags)


def part_parser(name: str, description: str, examples: str) -> Parser:
    """The parser of a part of the installed command, from whose namespace what is not given is absent."""
    return Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )


class LazyParser(Parser):
    """A sub-command whose options are added when it is named: ``add`` may import what others do not need."""

    add: Callable[[LazyParser], None] | None = None

    def parse_known_args(self, args=None, namespace=None):
        """As in argparse."""
        self.fill()
        return super().parse_known_args(args, namespace)

    def fill(self) -> None:
        """Add the options, once."""
        add, self.add = self.add, None
        if add:
            add(self)


def nearest(word: str, names: Collection[str]) -> str:
    """``"; did you mean NAME?"`` for the name that is most like a word, or nothing."""
    import difflib  # for errors alone

    found = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {found[0]}?" if found else ""


@cache
def program() -> str:
    """How the installed command is called from here: by its name where the shell finds it, else by its path."""
    if shutil.which(PROGRAM):
        return PROGRAM
    script = Path(sys.executable).with_name(PROGRAM)
    path = script if script.exists() else Path(sys.executable)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return shlex.quote(str(shown)) if script.exists() else f"{shlex.quote(str(shown))} -m agent"


def exit_code(work: Callable[[], int], what_is_left: Callable[[], str] = lambda: "") -> int:
    """Do the work of a command; an error is one line on stderr, and the exit code that goes with it.

    Args:
        work: returns the exit code of what was done.
        what_is_left: ends the line where the work was not refused but broken off, such as "; go on with: ...".
    """
    format_warning = warnings.formatwarning
    warnings.formatwarning = partial(_format_warning, format_warning)
    thresholds = gc.get_threshold()
    collect_seldom()
    try:
        return work()
    except ServiceError as error:
        return _fail(f"error: {error}{what_is_left()}", SERVICE_FAILED)
    except InstDiffError as error:
        return _fail(f"error: {error}", BAD_INPUT)
    except OSError as error:  # a full disk, a folder that may not be written, a file that is gone
        place = error.filename or "output"
        return _fail(f"error: {place}: {error.strerror or error}{what_is_left()}", BAD_INPUT)
    except KeyboardInterrupt:
        return _fail(f"stopped{what_is_left()}", INTERRUPTED)
    finally:
        warnings.formatwarning = format_warning
        gc.set_threshold(*thresholds)


def collect_seldom() -> None:
    """Look for garbage less often than Python does by itself.

    Torch and what it loads are a million objects that stay: to look through them again and again takes a tenth of the
    time to the first picture.
    """
    gc.set_threshold(50_000, 20, 20)


def _format_warning(others: Callable[..., str], message: Warning | str, category: type[Warning], *place: Any) -> str:
    """What is said of a file is a note of one line, without the line of code that found it."""
    if getattr(category, "is_note", False):
        return f"note: {printable(str(message))}\n"
    return others(message, category, *place)


def _fail(line: str, code: int) -> int:
    print(printable(line), file=sys.stderr)
    return code
