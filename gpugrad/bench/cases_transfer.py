"""`gpugrad bench transfer`: between host and device, until the values are there. A size is the elements that move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .case import Case, Step


@dataclass(frozen=True, kw_only=True)
class Transfer(Case):
    """One copy: `make(peer, n)` gives the function that does it."""

    make: Callable[[Any, int], Callable[[], Any]]

    def build(self, peer: Any, n: int) -> Step:
        copy = self.make(peer, n)

        def step() -> Sequence[Any]:
            return (copy(),)

        return step


def _to_device(peer: Any, n: int) -> Callable[[], Any]:
    x = peer.on_host(peer.normal(n))
    return lambda: x.to("cuda")


def _to_device_pinned(peer: Any, n: int) -> Callable[[], Any]:
    x = peer.on_host(peer.normal(n)).pin_memory()
    return lambda: x.to("cuda", non_blocking=True)


def _to_host(peer: Any, n: int) -> Callable[[], Any]:
    x = peer.normal(n)
    return lambda: x.to("cpu")


def _to_host_pinned(peer: Any, n: int) -> Callable[[], Any]:
    x = peer.normal(n)
    host = peer.on_host(x).pin_memory()
    return lambda: host.copy_(x, non_blocking=True)


def _within(peer: Any, n: int) -> Callable[[], Any]:
    source, target = peer.normal(n), peer.normal(n)
    return lambda: target.copy_(source)


def _transfer(name: str, make: Any, devices: tuple[str, ...] = ("cuda",), arrays: float = 1) -> Transfer:
    same_as = None if "cpu" in devices else "within-memory"
    return Transfer(
        name=name, group="transfer", arrays=arrays, make=make, devices=devices, by_wall_clock=True, same_as=same_as
    )


TRANSFER: tuple[Case, ...] = (
    _transfer("host-to-device", _to_device),
    _transfer("host-to-device-pinned", _to_device_pinned),
    _transfer("device-to-host", _to_host),
    _transfer("device-to-host-pinned", _to_host_pinned),
    _transfer("within-memory", _within, devices=("cpu", "cuda"), arrays=2),
)
