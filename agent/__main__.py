"""``python -m agent``: the same as the installed command ``instdiff-agent``."""

import sys

from agent.commands import main

if __name__ == "__main__":
    sys.exit(main())
