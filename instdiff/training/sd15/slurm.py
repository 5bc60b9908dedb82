"""A training as one SLURM job of many processes, by submitit; out of time, it is put back into the queue."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from instdiff.errors import BadInput, ServiceError
from instdiff.training.sd15.recipe import TrainingRecipe

CPUS_A_PROCESS = 8
NOTICE_S = 120  # before the time is over
MOST_TURNS = 1000  # how often a job whose time is over is put back


@dataclass(frozen=True)
class SlurmOrder:
    """What the job asks of the cluster. ``extra`` are further options of sbatch, ``NAME=VALUE``."""

    nodes: int = 1
    gpus: int = 8
    hours: float = 24.0
    partition: str | None = None
    extra: tuple[str, ...] = ()

    def parameters(self) -> dict:
        """As submitit calls them.

        Raises:
            BadInput: a number makes no sense, or an option is not NAME=VALUE.
        """
        for name, value, least in (("nodes", self.nodes, 1), ("gpus", self.gpus, 0), ("time", self.hours, 1 / 60)):
            if value < least:
                raise BadInput(name, f"{value:g} is too few")
        further = dict(option.partition("=")[::2] for option in self.extra)
        if not all(name and value for name, value in further.items()):
            raise BadInput("sbatch", f"{' '.join(self.extra)}: options are NAME=VALUE, such as account=vision")
        return {
            "name": "instdiff",
            "nodes": self.nodes,
            "gpus_per_node": self.gpus,
            "tasks_per_node": max(self.gpus, 1),
            "cpus_per_task": CPUS_A_PROCESS,
            "timeout_min": round(self.hours * 60),
            "slurm_partition": self.partition,
            "slurm_signal_delay_s": NOTICE_S,
            "slurm_additional_parameters": further,
        }


@dataclass(frozen=True)
class TrainingProcess:
    """What each process of the job does; submitit carries it there."""

    recipe: TrainingRecipe

    def __call__(self) -> int:
        """Train together with the others; returns the last step."""
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
        from instdiff.training.sd15.training import train

        train(self.recipe)
        return self.recipe.steps

    def checkpoint(self):
        """Submitit asks for this when the job's time is over: the same, from the last state on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(TrainingProcess(TrainingRecipe.parse({**dict(self.recipe), "resume": True})))


def submit(recipe: TrainingRecipe, order: SlurmOrder, cluster: str = "slurm"):
    """Submit the training; the working folder must be the same on every node.

    Args:
        cluster: ``local`` runs it in processes of this machine.

    Returns:
        submitit's job.

    Raises:
        ServiceError: submitit or SLURM is not here, or refuses the job.
    """
    submitit = _submitit()
    recipe = _absolute(recipe)
    try:
        executor = submitit.AutoExecutor(folder=recipe.out / "jobs", cluster=cluster, slurm_max_num_timeout=MOST_TURNS)
        executor.update_parameters(**_set_parameters(order))
        return executor.submit(TrainingProcess(recipe))
    except RuntimeError as error:  # there is no SLURM, or it refuses
        raise ServiceError(f"the job cannot be submitted: {str(error).strip().splitlines()[0]}") from error


def job_script(recipe: TrainingRecipe, order: SlurmOrder) -> str:
    """The script that sbatch would be given; needs submitit, but no SLURM.

    Raises:
        ServiceError: submitit is not installed.
    """
    submitit = _submitit()

    class ScriptWriter(submitit.SlurmExecutor):  # type: ignore[name-defined]  # of a module that need not be there
        """Makes scripts where there is no SLURM."""

        @classmethod
        def affinity(cls) -> int:
            return 1

        def text(self, parameters: dict) -> str:
            names = {name.removeprefix("slurm_"): value for name, value in parameters.items()}
            self.update_parameters(**self._convert_parameters(names))
            return self._make_submission_file_text(self._submitit_command_str, uid="")

    return ScriptWriter(folder=_absolute(recipe).out / "jobs").text(_set_parameters(order))


def _set_parameters(order: SlurmOrder) -> dict:
    """The parameters that are given."""
    return {name: value for name, value in order.parameters().items() if value not in (None, {})}


def _absolute(recipe: TrainingRecipe) -> TrainingRecipe:
    """Jobs begin in another folder."""
    values = {name: value.absolute() if isinstance(value, Path) else value for name, value in recipe}
    return TrainingRecipe.parse(values)


def _submitit():
    if find_spec("submitit") is None:
        raise ServiceError('submitit is not installed; run pip install -e ".[slurm]"')
    import submitit

    return submitit
