"""How a model is put on a machine follows from the memory that is free there."""

import json
import os
import struct

import pytest

from instdiff import device
from instdiff.device import GB, Device, Placement, numbers_in, place, processor, this_device

SD15 = int(1.4 * GB)  # numbers in the published model


@pytest.mark.parametrize(
    ("kind", "free_gb", "expected"),
    [
        ("cuda", 80, Placement("float16")),
        ("cuda", 7.5, Placement("float16", max_batch=9)),
        ("cuda", 5, Placement("float16", max_batch=2)),
        ("cuda", 4, Placement("float16", offload=True, max_batch=2)),
        ("cpu", 32, Placement("float32")),
        ("cpu", 6, Placement("bfloat16", max_batch=2)),
    ],
)
def test_a_model_is_put_where_it_fits(kind, free_gb, expected):
    assert place(Device(kind, "any", 100 * GB, int(free_gb * GB)), SD15) == expected


def test_less_memory_never_asks_for_more():
    sizes = [place(Device("cuda", "any", 80 * GB, free * GB // 4), SD15) for free in range(1, 320)]
    assert [one.offload for one in sizes] == sorted((one.offload for one in sizes), reverse=True)
    whole = [one.max_batch for one in sizes if not one.offload]
    assert whole == sorted(whole) and sizes[0].max_batch == 1


def test_numbers_are_counted_from_headers(tmp_path):
    header = json.dumps({"__metadata__": {}, "a": {"shape": [3, 5]}, "b": {"shape": []}}).encode()
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    assert numbers_in(tmp_path) == 16


def test_this_machine_is_named():
    assert processor().kind == "cpu" and 0 < processor().free < processor().memory
    assert "GB of memory" in str(this_device())


@pytest.mark.parametrize(
    ("answer", "build", "expected"),
    [
        ("echo 'NVIDIA GeForce RTX 3070, 8192, 7800'", "2.13.0", ("cuda", "NVIDIA GeForce RTX 3070", 8192 * 2**20)),
        ("echo 'NVIDIA GeForce RTX 3070, 8192, 7800'", "2.13.0+cpu", None),  # torch cannot use it
        ("echo 'No devices were found'; exit 6", "2.13.0", None),
        ("echo 'No devices were found'", "2.13.0", None),
    ],
)
def test_a_card_is_asked_of_its_driver(answer, build, expected, tmp_path, monkeypatch):
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\n{answer}\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(device, "version", lambda package: build)
    device._card.cache_clear()
    try:
        assert this_device()[:3] == (expected or processor()[:3])
    finally:
        device._card.cache_clear()
