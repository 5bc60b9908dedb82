"""Ray, started on this machine or reached where it runs; nothing is reported to anyone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

from instdiff.errors import ServiceError

LOCAL = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}


def check_package() -> None:
    """Raise ServiceError if Ray is not installed."""
    if find_spec("ray") is None:
        raise ServiceError('Ray is not installed; run pip install -e ".[ray]"')


@contextmanager
def ray_running(workers: int, address: str | None = None) -> Iterator[ModuleType]:
    """The package, with Ray running; a Ray that runs already is used and left.

    Args:
        workers: processes of this machine.
        address: of a cluster that is there; None starts Ray on this machine alone.

    Raises:
        ServiceError: Ray is not installed, or cannot be reached or started.
    """
    check_package()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the package is imported
    import ray

    if ray.is_initialized():
        yield ray
        return
    place = {"address": address} if address else {"address": "local", **LOCAL, "num_cpus": workers}
    try:
        ray.init(log_to_driver=False, logging_level="error", **place)
    except Exception as error:  # of no kind of its own, where the machine is too slow or has no memory left
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"Ray cannot be reached at {address or 'this machine'}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
