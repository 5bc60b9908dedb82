"""What all commands of the project share."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

from instdiff.errors import BadInput, InstDiffError, ServiceError, printable

BAD_INPUT = 2
SERVICE_FAILED = 4
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Its errors are ours: one line that names the field. They are raised, for the command to print and to return 2."""

    def error(self, message: str):
        named = re.match(r"argument (?:-\w, )?-*([\w-]+).*?: (.*)", message, re.DOTALL)
        if named:
            raise BadInput(named[1].replace("-", "_").lower(), named[2])
        raise BadInput("arguments", f"{message}; see --help")


def exit_code(work: Callable[[], int]) -> int:
    """Do the work of a command; an error is one line on stderr, and the exit code that goes with it."""
    try:
        return work()
    except OSError as error:
        print(printable(f"error: {error.filename or 'output'}: {error.strerror or error}"), file=sys.stderr)
        return BAD_INPUT
    except InstDiffError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return SERVICE_FAILED if isinstance(error, ServiceError) else BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
