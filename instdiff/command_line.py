"""What all commands of the project share."""

from __future__ import annotations

import argparse
import re

from instdiff.errors import BadInput


class Parser(argparse.ArgumentParser):
    """Its errors are ours: one line that names the field. They are raised, for the command to print and to return 2."""

    def error(self, message: str):
        named = re.match(r"argument (?:-\w, )?-*([\w-]+).*?: (.*)", message, re.DOTALL)
        if named:
            raise BadInput(named[1].replace("-", "_").lower(), named[2])
        raise BadInput("arguments", f"{message}; see --help")
