"""Kernels timed on a CUDA device, against the bandwidth of a copy measured first: `python -m gpugrad.bench.device`.

Each case runs for gpugrad and, where PyTorch sees the device, for PyTorch. On few elements its result is held to the
CPU's in float64; on many it is timed: the median of several rounds, between CUDA events. A case that fails is a row that
says so, and the others go on: in another process, where the fault has left the device unusable, ended the process or hung
it. `--worker` is one process; `gpugrad bench` is the one to compare libraries with. On the simulator it runs too
(`--small`), and its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..atomic import atomic_write
from .clock import between_events
from .kernel_cases import CASES, TILE, TOLERANCES, Case, Place, Work
from .machine import version

MANY, FEW = 2**26, 2**16  # elements: to be timed, to be compared with the CPU
START, CASE = 90, 30  # seconds that a process has to start, and for each case
ITEM = {"float64": 8, "float16": 2, "bfloat16": 2}  # bytes of an element; 4 for others


def copy_bandwidth(torch: Any, n: int) -> float:
    """Bytes a second, read and written, of a copy from device memory to device memory."""
    place = Place(torch, "cuda")
    source, target = place.random(n), place.random(n)

    def work() -> None:
        target.copy_(source)

    work()
    return 8 * n / _seconds(torch, work, n)


def _seconds(torch: Any, work: Work, n: int) -> float:
    """The median time of one piece of work, between events around several of them; of few elements it is done once."""
    rounds, each = (7, 10) if n > FEW else (1, 1)
    for _ in range(3 if n > FEW else 0):
        work()
    clock = between_events(torch)
    return statistics.median(clock(work, each)[0] for _ in range(rounds)) / each


def measure(case: Case, n: int, peers: Sequence[str]) -> dict[str, Any]:
    """A case's row: by peer seconds and rate, or "error"; how far results are from the CPU's and each other's."""
    row: dict[str, Any] = {"family": case.family, "case": case.name, "elements": n}
    samples = []
    for peer in peers:
        torch = importlib.import_module(peer)
        try:
            if peer == "gpugrad":
                row["error"] = _error(case, torch, min(n, FEW))
            work = case.build_for(Place(torch, "cuda"), n)
            samples.append(_sample(work()))
            seconds = _seconds(torch, work, n)
        except Exception:  # one failing kernel hides no other
            row[peer] = {"error": traceback.format_exc(limit=-4)}
            continue
        row[peer] = {"seconds": seconds}
        if case.arrays:
            row[peer]["GB/s"] = ITEM.get(case.dtype, 4) * n * case.arrays / seconds / 1e9
        if case.flops is not None:
            row[peer]["TFLOP/s"] = case.flops(n) / seconds / 1e12
    if len(samples) == 2:
        row["difference"] = _distance(*samples)
    for what, other in (("error", "the CPU's result in float64"), ("difference", "PyTorch's result")):
        if not row.get(what, 0) <= TOLERANCES[case.dtype]:  # NaN is wrong too
            row["wrong"] = f"{row[what]:.1e} of the largest value from {other}"
    return row


def _error(case: Case, torch: Any, n: int) -> float:
    """How far the device's result is from the CPU's in float64."""
    found, exact = (case.build_for(place, n)() for place in (Place(torch, "cuda"), Place(torch, "cpu", exact=True)))
    return _distance(found.detach().double().cpu().numpy(), exact.detach().numpy())


def _distance(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest value; NaN if either has one."""
    return float(abs(found - expected).max() / (abs(expected).max() or 1.0))


def _sample(out: Any) -> Any:
    """Some of the results, evenly spread."""
    flat = out.detach().reshape(-1)
    return flat[:: max(1, flat.shape[0] // TILE)].double().cpu().numpy()


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
    cells = [row["family"], row["case"], error, f"{mine['seconds'] * 1e6:.1f} us", _rate(mine)]
    cells.append(f"{mine['GB/s'] / copy:.2f}" if "GB/s" in mine else "")
    cells.append("FAILED" if "error" in peer else _rate(peer))
    cells.append(f"{peer['seconds'] / mine['seconds']:.2f}" if "seconds" in peer else "")
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
    parser.add_argument("cases", nargs="*", help="cases, or what their names begin with")
    options = parser.parse_args(arguments)
    n = 2**12 if options.small else MANY
    cases = [c for c in CASES if not options.cases or any(c.name.startswith(name) for name in options.cases)]
    if options.worker:
        return _work(cases, n)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"cases": []}
    for new in measured(cases, n, ["--small"] if options.small else []):
        if "case" in new:
            found["cases"].append(new)
            print(line(new, found["copy GB/s"]), flush=True)
        else:
            found |= new
        if options.out is not None:
            _write(options.out, found)
    print(table(found))
    return sum("error" in row["gpugrad"] or "wrong" in row for row in found["cases"])


def _write(folder: Path, found: dict[str, Any]) -> None:
    for name, text in (("kernels.json", json.dumps(found, indent=1) + "\n"), ("kernels.md", table(found))):
        with atomic_write(folder / name) as file:
            file.write(text.encode())


def measured(cases: Sequence[Case], n: int, options: list[str]) -> Iterator[dict[str, Any]]:
    """The device and its figures, then a row for each case. RuntimeError if not even a copy could be measured."""
    left, started = list(cases), False
    while left:
        worker = _Worker([*options, *(case.name for case in left)])
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
            yield {"family": case.family, "case": case.name, "elements": n, "gpugrad": error}


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


def _work(cases: Sequence[Case], n: int) -> int:
    import gpugrad
    from gpugrad.cuda import backend

    peers = ["gpugrad"] + (["torch"] if _torch_sees_the_device(backend.simulated()) else [])
    about = {
        "device": gpugrad.cuda.get_device_name(),
        "gpugrad": version("gpugrad"),
        "cupy": getattr(backend.cupy(), "__version__", "simulated"),
        "torch": version("torch") if len(peers) > 1 else "not compared",
        "python": platform.python_version(),
        "copy GB/s": copy_bandwidth(gpugrad, n) / 1e9,
    }
    print(json.dumps(about), flush=True)
    for case in cases:
        row = measure(case, n, peers)
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
