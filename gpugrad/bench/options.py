"""What `gpugrad bench` may be told."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..arguments import positive
from .machine import cores
from .peer import ALIASES, PEERS
from .plan import DEVICES

_PEERS = tuple(peer for peer in (*PEERS, *ALIASES) if peer != "gpugrad")
_DESCRIPTION = """\
Time gpugrad on the CPU and on the GPU, and beside PyTorch and JAX, each in a process of its own.

  gpugrad bench ops|layers|train|transfer|all    or cases, or what their names begin with
  gpugrad bench core                             what the README's table is made of
  gpugrad bench diff A.json B.json               what changed between two results
"""


def add_bench_command(commands: Any) -> None:
    """Add `bench` to the command line."""
    p = commands.add_parser(
        "bench",
        help="time gpugrad on its devices, and beside PyTorch and JAX",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("cases", metavar="WHAT", nargs="+", help="groups or cases (an unknown one lists them all), or diff")
    p.add_argument("--devices", type=_names(DEVICES), help="cpu, cuda or both, with a comma (default: what is there)")
    p.add_argument(
        "--against",
        type=_names((*_PEERS, "none")),
        default=["torch"],
        help=f"peers, with commas: {', '.join(_PEERS)}; torch and gpugrad run op by op, .compile is torch.compile, "
        ".reduce-overhead the same in that mode, .graph a CUDA graph, jax.jit (jax) compiled by jax.jit; none: gpugrad alone (default: torch)",
    )
    p.add_argument("--sizes", type=_sizes, help="elements of the main input, for train rows of a batch; with commas")
    p.add_argument(
        "--dtype", choices=("float32", "float64", "float16", "bfloat16"), default="float32", help="default: float32"
    )
    p.add_argument("--threads", type=positive(int), default=cores(), help="threads of each peer (default: one a core)")
    p.add_argument(
        "--rounds",
        type=positive(int),
        help="measurements of each, in turn (default: 6 to 15, until 95%% sure within 5%%)",
    )
    p.add_argument("--seconds", type=positive(float), default=0.1, help="how long one takes (default: 0.1)")
    p.add_argument(
        "--patience",
        type=positive(float),
        help="seconds that a peer may take for an answer, compiling included; then it is ended (default: no limit)",
    )
    p.add_argument(
        "--no-ceilings", action="store_true", help="do not measure first what a copy and a large product reach"
    )
    p.add_argument("--no-report", action="store_true", help="write results.json alone: no report.html, no plots")
    p.add_argument(
        "--out",
        metavar="DIR",
        default="runs/bench",
        help="for results.json, report.html and plots/ (default: runs/bench)",
    )
    p.set_defaults(run=_run)


def _names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return [] if names == ["none"] else names

    return parse


def _sizes(text: str) -> list[int]:
    return [positive(int)(part) for part in text.split(",")]


def _run(arguments: argparse.Namespace) -> int:
    if arguments.cases[0] == "diff":
        if len(arguments.cases) != 3:
            raise ValueError("diff takes two files: gpugrad bench diff A.json B.json")
        from .diff import diff

        print(diff(*arguments.cases[1:]))
        return 0
    from .job import bench
    from .report import write_report

    results = bench(arguments)
    if not arguments.no_report:
        write_report(results, arguments.out)
    return int(any(row["status"] in ("wrong", "failed") for row in results["rows"]))
