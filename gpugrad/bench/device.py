"""Kernels timed on a CUDA device, against the bandwidth of a copy measured first: `python -m gpugrad.bench.device`.

Each case runs for gpugrad and, where PyTorch sees the device, for PyTorch. Before anything is timed, its result on few
elements is held to the CPU's in float64, and that on the many that are timed to PyTorch's. Then both take turns: the
median of several rounds, between CUDA events. A case that fails is a row that says so, and the others go on: in another
process, where the fault has left the device unusable, ended the process or hung it. `--worker` is one process; `gpugrad
bench` is the one to compare libraries with. On the simulator it runs too (`--small`), and its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..atomic import atomic_write
from .kernel_cases import KERNELS, MORE_KERNELS, Case
from .kernels import copy_bandwidth, measure
from .machine import version
from .products import PRODUCTS

GROUPS = {"products": PRODUCTS, "kernels": KERNELS, "more-kernels": MORE_KERNELS}
CASES = (*PRODUCTS, *KERNELS, *MORE_KERNELS)
START, CASE = 90, 45  # seconds that a process has to start, and for each case


def table(found: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    copy = found["copy GB/s"]
    lines = [
        f"# {found['device']}",
        "",
        f"gpugrad {found['gpugrad']}, CuPy {found['cupy']}, PyTorch {found['torch']}, Python {found['python']}. A copy "
        f"within the device moves {copy:.0f} GB/s; `of copy` is a kernel's rate beside it; `error` is how far the result is "
        "from the CPU's in float64, of the largest value. `python -m gpugrad.bench.device`",
        "",
        "| family | case | error | gpugrad | rate | of copy | PyTorch | PyTorch / gpugrad |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line(row, copy) for row in found["cases"]), ""])


def line(row: dict[str, Any], copy: float) -> str:
    """A case's line of the table; `copy` in GB/s."""
    mine, peer = row["gpugrad"], row.get("torch", {})
    if "error" in mine:
        why = mine["error"].strip().splitlines()[-1][:120].replace("|", "/")
        return f"| {row['family']} | {row['case']} | FAILED: {why} | | | | | |"
    error = f"{row['error']:.1e}" + (" WRONG" if "wrong" in row else "")
    name = row["case"] + (f" ({row['path']})" if "path" in row else "")
    cells = [row["family"], name, error, f"{mine['seconds'] * 1e6:.1f} us", _rate(mine)]
    cells.append(f"{mine['GB/s'] / copy:.2f}" if "GB/s" in mine else "")
    cells.append("FAILED" if "error" in peer else _rate(peer))
    cells.append(f"{row['ratio']:.2f}" if "ratio" in row else "")
    return f"| {' | '.join(cells)} |"


def _rate(found: dict[str, Any]) -> str:
    if "TFLOP/s" in found:
        return f"{found['TFLOP/s']:.3g} TFLOP/s"
    return f"{found['GB/s']:.3g} GB/s" if "GB/s" in found else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it and the figures to a folder as they are known. The number of cases that failed."""
    parser = argparse.ArgumentParser(prog="python -m gpugrad.bench.device", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, help="folder for kernels.json and kernels.md")
    parser.add_argument("--small", action="store_true", help="few elements: to see that every case runs")
    parser.add_argument(
        "--worker", action="store_true", help="print a line of JSON for each case, and end after a fault"
    )
    parser.add_argument("--only", choices=GROUPS, help="one group of cases")
    parser.add_argument("cases", nargs="*", help="cases, or what their names begin with")
    options = parser.parse_args(arguments)
    if options.worker:
        return _work([case for case in CASES if case.name in options.cases], options.small)
    cases = chosen(options.cases, options.only)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"cases": []}
    for new in measured(cases, options.small):
        if "case" in new:
            found["cases"].append(new)
            print(line(new, found["copy GB/s"]), flush=True)
        else:
            found |= new
        if options.out is not None:
            _write(options.out, found)
    print(table(found))
    return sum("error" in row["gpugrad"] or "wrong" in row for row in found["cases"])


def chosen(names: Sequence[str], group: str | None) -> list[Case]:
    """The cases whose names begin so, all without names; of one group, or of both."""
    cases = CASES if group is None else GROUPS[group]
    return [case for case in cases if not names or any(case.name.startswith(name) for name in names)]


def _write(folder: Path, found: dict[str, Any]) -> None:
    for name, text in (("kernels.json", json.dumps(found, indent=1) + "\n"), ("kernels.md", table(found))):
        with atomic_write(folder / name) as file:
            file.write(text.encode())


def measured(cases: Sequence[Case], small: bool) -> Iterator[dict[str, Any]]:
    """The device and its figures, then a row for each case. RuntimeError if not even a copy could be measured."""
    left, started = list(cases), False
    while left:
        worker = _Worker([*["--small"] * small, *(case.name for case in left)])
        for new in worker.lines():
            if "case" in new:
                left.pop(0)
                yield new
            elif not started:
                started = True
                yield new
        if not started:
            raise RuntimeError(f"a copy within the device could not be measured: {worker.died or 'no figures came'}")
        if worker.died and left:
            case = left.pop(0)
            error = {"error": worker.died}
            yield {"family": case.family, "case": case.name, "elements": case.size(small), "gpugrad": error}


class _Worker:
    """A process that prints the device and its figures, then a row for each case; `died` says why it did, "" if not."""

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, *(f"-W{w}" for w in sys.warnoptions), "-m", "gpugrad.bench.device", "--worker"]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  it lives as long as the process
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.died = ""

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it prints, as it does. A process that says nothing for too long is ended."""
        assert self.process.stdout is not None
        guard = self._guard(START)
        for line in self.process.stdout:
            guard.cancel()
            if line.startswith("{"):
                yield json.loads(line)
            guard = self._guard(CASE)
        guard.cancel()
        status = self.process.wait()
        if status and not self.died:
            self.errors.seek(0)
            self.died = f"exit status {status}: {self.errors.read().strip()[-2000:]}"
        self.process.stdout.close()
        self.errors.close()

    def _guard(self, seconds: float) -> threading.Timer:
        def end() -> None:
            self.died = f"it hung: ended after {seconds:.0f} s"
            self.process.kill()

        guard = threading.Timer(seconds, end)
        guard.start()
        return guard


def _work(cases: Sequence[Case], small: bool) -> int:
    import gpugrad
    from gpugrad.cuda import backend

    peers = ["gpugrad"] + (["torch"] if _torch_sees_the_device(backend.simulated()) else [])
    copies = {peer: rate / 1e9 for peer, rate in copy_bandwidth(peers, small).items()}
    about = {
        "device": gpugrad.cuda.get_device_name(),
        "gpugrad": version("gpugrad"),
        "cupy": getattr(backend.cupy(), "__version__", "simulated"),
        "torch": version("torch") if len(peers) > 1 else "not compared",
        "python": platform.python_version(),
        "copy GB/s": max(copies.values()),  # the faster of the two is what the device can do
        "copies GB/s": copies,
    }
    print(json.dumps(about), flush=True)
    for case in cases:
        row = measure(case, peers, small)
        print(json.dumps(row), flush=True)
        if "error" in row["gpugrad"] and not _usable(gpugrad):
            return 0  # who asked for the cases starts another process for those that are left
        for peer in peers:
            importlib.import_module(peer).cuda.empty_cache()
    return 0


def _usable(gpugrad: Any) -> bool:
    """Whether the device still works: some faults end all work of a process on it."""
    try:
        gpugrad.cuda.synchronize()
        return bool((gpugrad.ones(8).to("cuda") + 1).sum().item() == 16)
    except Exception:
        return False


def _torch_sees_the_device(simulated: bool) -> bool:
    if simulated or importlib.util.find_spec("torch") is None:
        return False
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return False
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32, for both
    return True


if __name__ == "__main__":
    raise SystemExit(min(main(), 100))
