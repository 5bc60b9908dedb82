"""From a sentence to a verified picture: ``python run_agent.py "a cozy living room"``.

The same as ``instdiff-agent make``.
"""

import sys

from agent.commands.make import build_parser, build_request, main

__all__ = ["build_parser", "build_request", "main"]

if __name__ == "__main__":
    sys.exit(main())
