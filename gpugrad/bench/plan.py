"""Who is to be measured where: devices and peers that are there, and in words what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .case import Case
from .peer import ALIASES, missing
from .workers import PeerError, WorkerProcess

DEVICES = ("cpu", "cuda")


@dataclass
class Plan:
    """Devices, the peers on each, the libraries' facts (see `Peer.facts`), whether it is the simulator that is measured,
    and what is left out.
    """

    peers: dict[str, list[str]]  # device -> peers
    facts: dict[str, dict[str, Any]]  # library -> facts
    simulated: bool = False
    left_out: list[str] = field(default_factory=list)

    def runners(self, case: Case, sizes: Mapping[str, Sequence[int]], n: int) -> list[tuple[str, str]]:
        """The (device, peer) pairs that run a case at a size."""
        return [
            (device, peer)
            for device, peers in self.peers.items()
            if device in case.devices and n in sizes.get(device, ())
            for peer in self._peers_of(case, peers)
        ]

    def _peers_of(self, case: Case, peers: Sequence[str]) -> list[str]:
        if case.peer is not None:
            return ["gpugrad"] + [case.peer] * (case.peer in self.facts)
        if case.group == "transfer":
            return [peer for peer in peers if peer in ("gpugrad", "torch", "jax.jit")]
        return list(peers)

    @property
    def reference(self) -> str:
        """The library whose results in float64, on the CPU, the others are compared with."""
        return "torch" if "torch" in self.facts else "gpugrad"


def make_plan(
    cases: Sequence[Case],
    devices: Sequence[str] | None,
    against: Sequence[str],
    workers: Mapping[str, WorkerProcess],
    simulated: bool,
) -> Plan:
    """Ask every peer what it has. `devices` None: all. RuntimeError if no device that was asked for is there.

    Figures of a simulated device never stand beside real ones: with the simulator nothing else is measured.
    """
    plan = Plan({}, {})
    plan.facts["gpugrad"] = workers["gpugrad"].ask("facts")
    asked = list(devices or DEVICES)
    wanted = [device for device in asked if _is_there(plan, device)]
    if simulated and "cuda" in wanted:
        if "cpu" in wanted:
            plan.left_out.append(
                "cpu: figures of a simulated device do not stand beside real ones (GPUGRAD_SIMULATE is set)"
            )
        wanted = ["cuda"]
    plan.simulated = simulated and "cuda" in wanted
    if not wanted:
        raise RuntimeError("nothing to measure on: " + "; ".join(plan.left_out))
    peers = [ALIASES.get(peer, peer) for peer in against]
    for peer in sorted({case.peer for case in cases if case.peer and peers and case.peer not in peers}):
        _ask(plan, peer, workers)
    plan.peers = {device: ["gpugrad"] for device in wanted}
    for peer in dict.fromkeys(peers):
        if any(case.peer is None for case in cases) or any(case.peer == peer for case in cases):
            _place(plan, peer, workers)
    for case in cases:
        if not any(device in case.devices for device in wanted):
            plan.left_out.append(f"{case.name}: runs on {' and '.join(case.devices)} only")
    return plan


def _is_there(plan: Plan, device: str) -> bool:
    if device in plan.facts["gpugrad"]["devices"]:
        return True
    plan.left_out.append(
        "cuda: no CUDA device is available (gpugrad[cuda13] or [cuda12] and an NVIDIA driver make one so; GPUGRAD_SIMULATE=1 simulates one)"
    )
    return False


def _ask(plan: Plan, peer: str, workers: Mapping[str, WorkerProcess]) -> dict[str, Any] | None:
    """The facts of a peer's library, None, with a word in `left_out`, if it cannot be run."""
    library = peer.partition(".")[0]
    if library not in plan.facts:
        reason = missing(peer)
        if reason is None:
            try:
                plan.facts[library] = workers[peer].ask("facts")
            except PeerError as error:
                reason = str(error)
        if reason is not None:
            plan.left_out.append(f"{peer}: {reason}")
            return None
    return plan.facts[library]


def _place(plan: Plan, peer: str, workers: Mapping[str, WorkerProcess]) -> None:
    """Enter a peer on the devices where it runs."""
    facts = _ask(plan, peer, workers)
    if facts is None:
        return
    for device, peers in plan.peers.items():
        if plan.simulated and not peer.startswith("gpugrad"):
            plan.left_out.append(f"{peer} on {device}: the simulated device is gpugrad's alone")
        elif device not in facts["devices"]:
            plan.left_out.append(f"{peer} on {device}: this build of it sees no such device")
        elif peer.endswith(".graph") and device != "cuda":
            plan.left_out.append(f"{peer} on {device}: CUDA graphs are a GPU's")
        elif peer not in peers:
            peers.append(peer)
