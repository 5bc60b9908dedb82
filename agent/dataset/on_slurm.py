"""Batches on SLURM: submitit jobs that make every n-th batch each. A job that ends early goes on with its part."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from threading import Thread

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
    driver: int | None = None  # process on this machine, with which the job ends

    def __call__(self) -> None:
        if self.driver:
            Thread(target=_end_with, args=(self.driver,), daemon=True).start()
        make(self.order, first=self.first, step=self.step)

    def checkpoint(self):
        """Submitit asks for this when the job's time is over: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _end_with(driver: int) -> None:
    """End this process as soon as another one is gone. All files are written whole or not at all."""
    while True:
        try:
            os.kill(driver, 0)
        except OSError:
            os._exit(1)
        time.sleep(POLL_S)


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
        cluster: ``local`` for processes on this machine, which end with this one, ``debug`` for this process; None or
            ``slurm`` for SLURM.

    Raises:
        ServiceError: submitit is missing, or jobs fail again and again.
        BadInput: an option is not known, or there is no SLURM here.
    """
    try:
        import submitit
    except ImportError as error:
        raise ServiceError('submitit is not installed; run pip install -e ".[slurm]"') from error
    if cluster in (None, "slurm") and shutil.which("srun") is None:
        raise BadInput(
            "slurm", "there is no SLURM on this machine; --slurm-cluster local runs the jobs as processes here"
        )
    executor = submitit.AutoExecutor(folder=order.folder.path / "jobs", cluster=cluster or "slurm")
    try:
        executor.update_parameters(name="dataset", **{"timeout_min": 24 * 60, **options})
    except (NameError, ValueError, TypeError) as error:
        raise BadInput("slurm_option", str(error)) from error
    left = list(range(jobs))
    for _attempt in range(order.retries + 1):
        driver = os.getpid() if cluster == "local" else None
        running = {first: executor.submit(Share(order, first, jobs, driver)) for first in left}
        try:
            while not all(job.done() for job in running.values()):
                on_usage(Usage())
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            for job in running.values():
                job.cancel()
            raise
        errors = {first: job.exception() for first, job in running.items()}
        left = [first for first, error in errors.items() if error]
        if not left:
            return
    reason = str(errors[left[-1]]).strip().splitlines()[-1]
    raise ServiceError(f"{len(left)} jobs failed; the logs are in {order.folder.path / 'jobs'}; the last: {reason}")
