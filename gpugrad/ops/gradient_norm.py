"""The norm of many arrays together, and scaling them down by it in place: what gradient clipping is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor, mark_written, wrap
from ..op import op
from .join import stack
from .linalg_norm import norm

__all__: list[str] = []


@op
def total_norm(*arrays: Any, norm_type: float) -> Any:
    """The `norm_type` norm of all elements of `arrays` together, 0-d: the norm of their norms."""
    return norm(stack([norm(wrap(x), norm_type) for x in arrays]), norm_type)._array


@op(writes="arrays")
def scale_down(*arrays: Any, max_norm: float) -> None:
    """Multiply all but the last of `arrays`, which is the norm of the others, by `max_norm / norm` if that is below 1."""
    *given, total = arrays
    with np.errstate(all="ignore"):  # an infinite norm makes NaN of infinite elements
        scale = np.minimum(max_norm / (total + 1e-6), 1.0)
        for x in given:
            np.multiply(x, scale.astype(x.dtype), out=x)


def scale_to_norm(tensors: list[Tensor], max_norm: float, total: Tensor) -> None:
    """`scale_down` for tensors of any devices."""
    for kind in {type(t._array) for t in tensors}:
        mine = [t for t in tensors if type(t._array) is kind]
        beside = total.to(mine[0].device)
        scale_down(*[t._array for t in mine], beside._array, max_norm=max_norm)
    mark_written(*tensors)
