"""What `gpugrad bench` may be told."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ..arguments import positive
from .cases import CASES


def add_bench_command(commands: Any) -> None:
    """Add `bench` to the command line."""
    p = commands.add_parser(
        "bench",
        help="time gpugrad beside PyTorch",
        description="Time gpugrad beside PyTorch on the CPU, each in processes of its own.",
        epilog=f"Cases: {', '.join(CASES)}.",
    )
    p.add_argument("cases", metavar="CASE", nargs="*", help="a case, or what its name begins with (default: all)")
    p.add_argument("--against", choices=("torch", "none"), default="torch", help="none: time gpugrad alone")
    p.add_argument("--rounds", type=positive(int), default=5, help="measurements of each peer, in turn (default: 5)")
    p.add_argument("--seconds", type=positive(float), default=0.5, help="how long one takes (default: 0.5)")
    p.add_argument("--threads", type=positive(int), default=_cores(), help="threads of each (default: one a core)")
    p.add_argument("--json", metavar="FILE", help="write all measurements there too")
    p.set_defaults(run=_run)


def _cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(arguments: argparse.Namespace) -> int:
    from .job import bench

    bench(arguments)
    return 0
