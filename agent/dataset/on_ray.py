"""Batches on Ray: a pool of actors paints, while this process plans ahead. A laptop and a cluster run the same code."""

from __future__ import annotations

from agent.dataset.folder import FailedCandidate
from agent.dataset.making import Order, UsageCallback
from agent.dataset.planning import PlannedCandidate
from agent.dataset.worker import Worker
from evaluators.ray_cluster import check_package, ray_running
from instdiff.errors import InstDiffError, ServiceError


class Pool:
    """The actors, and the batches that they work on. An actor that dies is replaced, and its batch is begun anew.

    Args:
        order: what is made; its folder must be the same on every machine of the cluster.
        workers: how many actors; each takes a CPU, and its share of the GPUs that there are.
    """

    def __init__(self, order: Order, workers: int):
        import ray

        self.order = order
        self.idle: list = []  # handles of actors
        share = min(1.0, ray.cluster_resources().get("GPU", 0) / workers)
        self.actor = ray.remote(num_cpus=1, num_gpus=share, max_restarts=0)(Worker)
        self.running: dict = {}  # reference -> actor, batch, how many actors it has cost
        for _ in range(workers):
            self._hire()

    def start(self, batch: list[PlannedCandidate], deaths: int = 0) -> None:
        """Give a batch to an actor that is idle."""
        actor = self.idle.pop()
        self.running[actor.run.remote(batch)] = (actor, batch, deaths)

    def wait(self, on_usage: UsageCallback) -> None:
        """Wait until a batch is done, or its actor is dead.

        Raises:
            InstDiffError: what the actor raised, such as a model that cannot be loaded.
        """
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        (reference,), _ = ray.wait(list(self.running))
        actor, batch, deaths = self.running.pop(reference)
        try:
            on_usage(ray.get(reference))
            self.idle.append(actor)
        except RayActorError:
            self._hire()
            if deaths < self.order.retries:
                self.start(batch, deaths + 1)
            else:
                self._give_up(batch, deaths + 1)
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, InstDiffError) else ServiceError(f"a worker failed: {cause!r}") from error

    def _hire(self) -> None:
        self.idle.append(self.actor.remote(self.order.folder, self.order.recipe, self.order.retries))

    def _give_up(self, batch: list[PlannedCandidate], deaths: int) -> None:
        decided = self.order.folder.decided()
        error = f"{deaths} workers died while they painted its batch"
        for candidate in batch:
            if candidate.index not in decided:
                self.order.folder.fail(FailedCandidate(index=candidate.index, prompt=candidate.prompt, error=error))


def make_on_ray(order: Order, on_usage: UsageCallback, workers: int, address: str | None = None) -> None:
    """Make all batches on ``workers`` actors.

    Raises:
        ServiceError: Ray cannot be reached, the planner failed several times in a row, or a model cannot be loaded.
    """
    check_package()
    with ray_running(workers, address):
        pool = Pool(order, workers)
        planning = order.planning()
        for number, batch in planning.ahead(order.to_do(), workers):
            while not pool.idle:
                pool.wait(on_usage)
            if order.needs(number):
                pool.start(batch)
            on_usage(planning.take_usage())
        while pool.running:
            pool.wait(on_usage)
