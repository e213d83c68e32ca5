"""Clipping of gradients, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ... import ops
from ...core import Tensor
from ...device import Device
from ...modes import no_grad
from ...ops.gradient_norm import scale_to_norm, total_norm


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p._grad for p in given if p._grad is not None]


def _norm(tensors: list[Tensor], norm_type: float) -> Tensor:
    """The norm of all together, on the device of the first."""
    by_device: dict[Device, list[Tensor]] = {}
    for t in tensors:
        by_device.setdefault(t.device, []).append(t)
    totals = [total_norm(*group, norm_type=norm_type) for group in by_device.values()]
    if len(totals) == 1:
        return totals[0]
    return ops.norm(ops.stack([t.to(tensors[0].device) for t in totals]), norm_type)


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The `norm_type` norm of all elements of `tensors` together, as a 0-d tensor."""
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return ops.tensor(0.0)
    total = _norm(given, float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their norm together is at most `max_norm`; returns the norm before."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_grads(given), float(norm_type), error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients by `max_norm / total_norm` where that is less than 1."""
    grads = _grads(parameters)
    if grads:
        scale_to_norm(grads, float(max_norm), total_norm)


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clamp every gradient to [-clip_value, clip_value]."""
    for g in _grads(parameters):
        g.clamp_(-float(clip_value), float(clip_value))
