"""Batches on SLURM: submitit jobs that make every n-th batch each. A job that ends early goes on with its part."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent.dataset.making import Order, UsageCallback, make
from instdiff.errors import BadInput, ServiceError
from prompts.usage import Usage

POLL_S = 1.0


@dataclass(frozen=True)
class Share:
    """The part of one job; what is done lies in the folder, so that it can be begun again at any time."""

    order: Order
    first: int
    step: int

    def __call__(self) -> None:
        make(self.order, first=self.first, step=self.step)

    def checkpoint(self):
        """Submitit asks for this when the job's time is over: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def parse_options(texts: list[str]) -> dict[str, str | int]:
    """``["partition=gpu", "timeout_min=60"]`` as submitit's parameters.

    Raises:
        BadInput: one is not NAME=VALUE.
    """
    options: dict[str, str | int] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput("slurm_option", f'"{text[:80]}" is not NAME=VALUE, such as partition=gpu or timeout_min=60')
        general = name in ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb")
        options[name if general else f"slurm_{name}"] = int(value) if value.isdigit() else value
    return options


def make_on_slurm(
    order: Order, on_usage: UsageCallback, jobs: int, options: dict[str, str | int], cluster: str | None = None
) -> None:
    """Make all batches in ``jobs`` jobs; the folder must be the same on every node.

    Args:
        on_usage: called every second.
        options: submitit's parameters, those of SLURM with ``slurm_`` before their names.
        cluster: ``local`` for processes on this machine, ``debug`` for this process; None takes SLURM if it is here,
            else ``local``.

    Raises:
        ServiceError: submitit is missing, or jobs fail again and again.
        BadInput: an option is not known.
    """
    try:
        import submitit
    except ImportError as error:
        raise ServiceError('submitit is not installed; run pip install -e ".[slurm]"') from error
    executor = submitit.AutoExecutor(folder=order.folder.path / "jobs", cluster=cluster)
    try:
        executor.update_parameters(name="dataset", **{"timeout_min": 24 * 60, **options})
    except (NameError, ValueError, TypeError) as error:
        raise BadInput("slurm_option", str(error)) from error
    left = list(range(jobs))
    for _attempt in range(order.retries + 1):
        running = {first: executor.submit(Share(order, first, jobs)) for first in left}
        while not all(job.done() for job in running.values()):
            on_usage(Usage())
            time.sleep(POLL_S)
        errors = {first: job.exception() for first, job in running.items()}
        left = [first for first, error in errors.items() if error]
        if not left:
            return
    reason = str(errors[left[-1]]).strip().splitlines()[-1]
    raise ServiceError(f"{len(left)} jobs failed; the logs are in {order.folder.path / 'jobs'}; the last: {reason}")
