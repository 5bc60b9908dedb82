"""One process that holds the models and takes jobs from a queue on disk.

`agent.worker.__main__` looks after it, `agent.worker.work` is it, `agent.worker.expected` knows how long a job takes.
"""

AGAIN = 75  # the worker's exit code where it is to be started anew
CRASHED = "crashed"  # how it died: by itself, or for want of memory
KILLED = "killed"
