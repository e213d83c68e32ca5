"""What ci/gpu would have found on a GPU: made-up figures, at which every line of what is wanted is met."""

from __future__ import annotations

from typing import Any

from gpugrad.bench.kernel_cases import BYTES, KERNELS
from gpugrad.bench.products import PRODUCTS

COPY = 4000.0  # GB/s


def kernel_row(case: Any, of_copy: float = 0.97) -> dict[str, Any]:
    mine = {"seconds": 1e-3, "rounds": [1e-3], "GB/s": of_copy * COPY}
    return {"family": case.family, "case": case.name, "elements": BYTES // 4, "error": 0.0, "gpugrad": mine}


def product_row(case: Any, ratio: float = 1.0) -> dict[str, Any]:
    mine, peer = ({"seconds": s, "rounds": [s], "TFLOP/s": 1.0 / s} for s in (1e-3, ratio * 1e-3))
    row = {"family": "gemm", "case": case.name, "elements": 2**26, "error": 0.0, "path": "cuBLASLt", "ratio": ratio}
    return row | {"gpugrad": mine, "torch": peer}


def step_row(peer: str, seconds: float) -> dict[str, Any]:
    times = {"median": seconds, "rounds": [seconds] * 3}
    return {"case": "mlp-medium", "n": 128, "peer": peer, "status": "ok", "seconds": times, "difference": 0.0}


def on_a_gpu() -> dict[str, Any]:
    """A whole result."""
    about = {
        "gpugrad": {"version": "0"},
        "Python": {"version": "CPython 3.12.3"},
        "libraries": {},
        "CUDA": {
            "devices": [{"name": "a GPU", "compute capability": "9.0"}],
            "simulated": False,
            "runtime": 13000,
            "driver supports": 13000,
        },
    }
    seconds = {"gpugrad": 4e-4, "gpugrad.graph": 5e-5, "torch": 4e-4, "torch.graph": 5.5e-5, "jax.jit": 7e-5}
    traffic = {
        "copies to device": 20,
        "bytes to device": 4024320,
        "copies to host": 0,
        "bytes to host": 0,
        "kernels": 9,
    }
    moved = {"steps": 10, "found": traffic, "batches": {"copies": 20, "bytes": 4024320}}
    curve = {"optimizer": "adam", "epochs": 2, "losses": {}, "apart": [1e-6, 2e-3], "rounded": [1e-7, 1e-3]}
    curve |= {"runs rounded": 12, "difference": 2e-3}
    timings = {
        "complete": True,
        "steps": {"rows": [step_row(peer, s) for peer, s in seconds.items()], "left_out": []},
        "products": {"cases": [product_row(case) for case in PRODUCTS]},
        "kernels": {"copy GB/s": COPY, "cases": [kernel_row(case) for case in KERNELS]},
        "training": {f"curve {m}": curve for m in ("mlp", "cnn")}
        | {f"transfers {how}": moved for how in ("eager", "captured")},
    }
    tools = ("memcheck", "racecheck", "initcheck", "synccheck")
    kernels = {"copy": {"met": 3, "of": 3}, "sort": {"met": 3, "of": 4}}
    of_tool = {"passed": 9, "failed": {}, "faults": {}, "said": [], "kernels": kernels}
    files = {"tests/test_cuda_rows.py": {"passed": 9, "skipped": 0, "failed": {}, "not run": 0, "seconds": 1.0}}
    return {
        "about": about,
        "code": "0123abcd",
        "tests": {"complete": True, "files": files, "seconds": 1.0},
        "timings": timings | {"seconds": 2.0},
        "sanitizer": {"complete": True, "tools": dict.fromkeys(tools, of_tool), "seconds": 3.0},
    }
