"""`detect_anomaly`: every node remembers where it was recorded, and a rule that makes a NaN is an error that says so."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np

from .core import Node, Tensor
from .device import ARRAY_TYPES
from .modes import state


class Anomaly:
    """Takes the place of True in `state.grad` while anomalies are traced."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan

    def note(self, node: Node) -> None:
        """Remember the stack at which `node` is recorded."""
        frames = [f for f in traceback.extract_stack()[:-2] if not f.filename.startswith("<gpugrad")]
        node.extra = {"trace": "".join(traceback.format_list(frames))}

    def check(self, node: Node, result: Any) -> None:
        """RuntimeError if a rule of `node` returned a NaN."""
        array = result._array if isinstance(result, Tensor) else result
        if self.check_nan and np.isnan(ARRAY_TYPES[type(array)].to_numpy(array)).any():
            where = (node.extra or {}).get("trace", "no trace: it was recorded before anomalies were traced\n")
            raise RuntimeError(
                f"Function '{node.name()}' returned nan values in its gradients. It was recorded at:\n{where}"
            )


class set_detect_anomaly:
    """Trace anomalies on this thread, or stop; as a context manager, for a block."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = state.grad
        state.grad = Anomaly(check_nan) if mode else True

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        state.grad = self._before


class detect_anomaly(set_detect_anomaly):
    """`with detect_anomaly(): ...` traces anomalies inside."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomalies are being traced on this thread."""
    return isinstance(state.grad, Anomaly)
