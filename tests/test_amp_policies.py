"""Every op of the table inside autocast has results of PyTorch's dtypes, on the CPU and on CUDA.

PyTorch is asked about CUDA without a GPU: a fake tensor has a device and a dtype, and no data. Ours is the table of CUDA
applied to arrays on the CPU.
"""

from __future__ import annotations

import logging
import warnings
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from op_table import Row, all_rows
from test_op_table import flat, in_torch, tensors

import gpugrad
from gpugrad.amp import doors, table

# Rows that differ, and why. What PyTorch refuses is not compared, nor what we refuse in low precision also elsewhere.
DIFFERENT = {
    "cpu": {
        "linalg.pinv": "one op here, products that are cast there",
        "lstm_packed": "computed like one that is not packed, in low precision",
    },
    "cuda": {
        "heaviside": "takes one dtype, as in PyTorch; its fake does not look",
        "index_add": "the same",
        "index_add_inner": "the same",
        "linalg.cond nuc": "refuses low precision, as it does outside autocast",
        "linalg.cross": "of two dtypes has the wider one",
    },
}


def lowered(arrays: list[np.ndarray], which: str) -> list[np.ndarray]:
    """`arrays`, of which none, the first or all are bfloat16 where they are floating."""
    chosen = {"none": [], "first": arrays[:1], "all": arrays}[which]
    return [a.astype(ml_dtypes.bfloat16) if a.dtype.kind == "f" and any(a is c for c in chosen) else a for a in arrays]


def dtypes(results: Any) -> list[str]:
    return [str(t.dtype).split(".")[-1] if hasattr(t, "dtype") else type(t).__name__ for t in flat(results)]


def ours(row: Row, arrays: list[np.ndarray]) -> Any:
    try:
        with gpugrad.autocast("cpu"):
            return dtypes(row.call(gpugrad, *tensors(arrays)))
    except (RuntimeError, NotImplementedError) as error:
        return str(error)


def theirs(torch: ModuleType, device: str, row: Row, arrays: list[np.ndarray], fake: Any) -> Any:
    """PyTorch's dtypes, or None if it refuses or its fake tensors cannot tell."""
    peers = [in_torch(torch, a) for a in arrays]
    try:
        if device == "cpu":
            with torch.autocast("cpu"):
                return dtypes(row.call(torch, *peers))
        with fake:
            there = [torch.empty_strided(p.shape, p.stride(), dtype=p.dtype, device="cuda") for p in peers]
            return dtypes(row.call(torch, *there))
    except Exception:
        return None


@pytest.fixture
def fake(torch: ModuleType) -> Any:
    """Tensors without data, on a "cuda" on which PyTorch autocasts to bfloat16."""
    module = pytest.importorskip("torch._subclasses")
    logging.getLogger("torch").setLevel(logging.CRITICAL)  # what fake tensors cannot do is written there
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    yield module.FakeTensorMode()
    torch.set_autocast_enabled("cuda", False)
    torch.set_autocast_dtype("cuda", torch.float16)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_results_have_pytorchs_dtypes(
    device: str, torch: ModuleType, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "_doors", [])
    monkeypatch.setattr(
        doors, "POLICIES", {place: {"cpu": by[device]} for place, by in table.POLICIES.items() if device in by}
    )
    warnings.simplefilter("ignore")
    different: dict[str, Any] = {}
    compared = 0
    for row in all_rows():
        arrays = row.inputs(row.samples[0], row.dtypes[0])
        if not row.like_torch or not any(a.dtype.kind == "f" for a in arrays):
            continue
        for which in ("none", "first", "all"):
            given = lowered(arrays, which)
            expected = theirs(torch, device, row, given, fake)
            if expected is None:
                continue
            compared += 1
            made = ours(row, given)
            if made != expected and not (isinstance(made, str) and "Low precision" in made and "bfloat16" in expected):
                different[row.name] = (which, made, expected)
    assert compared > 1000
    assert set(different) == set(DIFFERENT[device]), {
        name: different.get(name) for name in set(different) ^ set(DIFFERENT[device])
    }


def test_every_place_in_the_table_is_a_function() -> None:
    for place in table.POLICIES:
        assert doors._function(place).__closure__ is None, place
