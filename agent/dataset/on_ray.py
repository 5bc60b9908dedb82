"""Batches on Ray: a pool of actors paints, while this process plans ahead. A laptop and a cluster run the same code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from agent.dataset.folder import Failure
from agent.dataset.making import Order, Told
from agent.dataset.planning import Planned, together
from agent.dataset.worker import Worker
from instdiff.errors import InstDiffError, ServiceError

LOCAL = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}


def check_package() -> None:
    """Raise ServiceError if Ray is not installed."""
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise ServiceError('Ray is not installed; run pip install -e ".[ray]"')


@contextmanager
def ray_running(workers: int, address: str | None) -> Iterator[None]:
    """Ray on this machine, or a cluster that is there; nothing is reported to anyone. A Ray that runs already is used
    and left.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    where = {"address": address} if address else {"address": "local", **LOCAL, "num_cpus": workers}
    try:
        ray.init(log_to_driver=False, logging_level="error", **where)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ServiceError(f"Ray cannot be reached at {address or 'this machine'}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


class Pool:
    """The actors, and the batches that they work on. An actor that dies is replaced, and its batch is begun anew.

    Args:
        order: what is made; its folder must be the same on every machine of the cluster.
        workers: how many actors; each takes a CPU, and its share of the GPUs that there are.
    """

    def __init__(self, order: Order, workers: int):
        import ray

        self.order = order
        self.idle = []
        share = min(1.0, ray.cluster_resources().get("GPU", 0) / workers)
        self.actor = ray.remote(num_cpus=1, num_gpus=share, max_restarts=0)(Worker)
        self.running: dict = {}  # reference -> actor, planned batch, how many actors it has cost
        for _ in range(workers):
            self._hire()

    def start(self, planned: list[Planned], deaths: int = 0) -> None:
        """Give a batch to an actor that is idle."""
        actor = self.idle.pop()
        self.running[actor.run.remote(planned)] = (actor, planned, deaths)

    def wait(self, told: Told) -> None:
        """Wait until a batch is done, or its actor is dead.

        Raises:
            InstDiffError: what the actor raised, such as a model that cannot be loaded.
        """
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        (reference,), _ = ray.wait(list(self.running))
        actor, planned, deaths = self.running.pop(reference)
        try:
            told(ray.get(reference))
            self.idle.append(actor)
        except RayActorError:
            self._hire()
            if deaths < self.order.retries:
                self.start(planned, deaths + 1)
            else:
                self._give_up(planned, deaths + 1)
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, InstDiffError) else ServiceError(f"a worker failed: {cause!r}") from error

    def _hire(self) -> None:
        self.idle.append(self.actor.remote(self.order.folder, self.order.recipe, self.order.retries))

    def _give_up(self, planned: list[Planned], deaths: int) -> None:
        decided = self.order.folder.decided()
        for one in planned:
            if one.index not in decided:
                error = f"{deaths} workers died while they painted its batch"
                self.order.folder.fail(Failure(index=one.index, prompt=one.prompt, error=error))


def make_on_ray(order: Order, told: Told, workers: int, address: str | None = None) -> None:
    """Make all batches on ``workers`` actors.

    Raises:
        ServiceError: Ray cannot be reached, the planner failed several times in a row, or a model cannot be loaded.
    """
    check_package()
    with ray_running(workers, address):
        pool = Pool(order, workers)
        planning = order.planning()
        for number, planned in planning.ahead(order.to_do(), workers):
            while not pool.idle:
                pool.wait(told)
            if order.needs(number):
                pool.start(planned)
            told(planning.take())
        while pool.running:
            pool.wait(lambda revising: told(together([planning.take(), revising])))
