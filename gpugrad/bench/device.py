"""Kernels timed on a CUDA device, against the bandwidth of a copy measured first: `python -m gpugrad.bench.device`.

Each case is written once, for gpugrad or PyTorch, and run for both where PyTorch sees the device; results are compared.
A case that fails is a row that says so, and the others go on: in a process of their own, where the fault has left the
device unusable. Times are the median of several rounds, between CUDA events. `--worker` is one process, which
compute-sanitizer can watch; `gpugrad bench` is the one to compare libraries with. On the simulator it runs too
(`--small`), and its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clock import between_events

Work = Callable[[], Any]  # launches the work to be timed; returns a tensor of results


@dataclass(frozen=True)
class Case:
    """`build(torch, n)` makes the work on about n elements; it moves `arrays` times their 4 bytes."""

    name: str
    arrays: float
    build: Callable[[Any, int], Work]


def _elementwise(function: Callable[..., Any], inputs: int) -> Callable[[Any, int], Work]:
    def build(torch: Any, n: int) -> Work:
        xs = [_random(torch, n) for _ in range(inputs)]
        return lambda: function(torch, *xs)

    return build


def _random(torch: Any, *shape: int, **options: Any) -> Any:
    torch.manual_seed(0)
    return torch.randn(*shape).to("cuda").requires_grad_(options.get("requires_grad", False))


def _rows(function: Callable[..., Any], cols: int, backward: bool = False) -> Callable[[Any, int], Work]:
    def build(torch: Any, n: int) -> Work:
        x = _random(torch, max(1, n // cols), cols, requires_grad=backward)
        if not backward:
            return lambda: function(torch, x)
        y = function(torch, x)
        g = y.detach() * 0 + 1

        def step() -> Any:
            x.grad = None
            y.backward(g, retain_graph=True)
            return x.grad

        return step

    return build


def _layer_norm(torch: Any, x: Any) -> Any:
    return torch.nn.functional.layer_norm(x, x.shape[1:])


def _bias(torch: Any, n: int) -> Work:
    x, b = _random(torch, max(1, n // 1024), 1024), _random(torch, 1024)
    return lambda: x + b


def _cross_entropy(torch: Any, n: int) -> Work:
    x = _random(torch, max(1, n // 8192), 8192, requires_grad=True)
    target = (torch.arange(x.shape[0]) * 7 % 8192).to("cuda")

    def step() -> Any:
        x.grad = None
        torch.nn.functional.cross_entropy(x, target).backward()
        return x.grad

    return step


def _embedding(torch: Any, n: int) -> Work:
    table = _random(torch, 10000, 256)
    index = (torch.arange(max(1, n // 256)) * 7919 % 10000).to("cuda")
    return lambda: torch.nn.functional.embedding(index, table)


def _adam(torch: Any, n: int) -> Work:
    p = torch.nn.Parameter(_random(torch, n).detach())
    p.grad = _random(torch, n)
    optimizer = torch.optim.Adam([p], lr=1e-3)

    def step() -> Any:
        optimizer.step()
        return p

    return step


def _matmul(dtype: str) -> Callable[[Any, int], Work]:
    def build(torch: Any, n: int) -> Work:
        side = max(8, int((n / 4) ** 0.5) // 8 * 8)
        x, y = (_random(torch, side, side).to(getattr(torch, dtype)) for _ in range(2))
        return lambda: x @ y

    return build


def _conv(torch: Any, n: int) -> Work:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(32, 64, 3, padding=1).to("cuda")
    x = _random(torch, max(1, n // (32 * 32 * 32)), 32, 32, 32)
    return lambda: layer(x)


CASES = (
    Case("add", 3, _elementwise(lambda torch, x, y: x + y, 2)),
    Case("gelu", 2, _elementwise(lambda torch, x: torch.nn.functional.gelu(x), 1)),
    Case("x * y + z", 4, _elementwise(lambda torch, x, y, z: torch.addcmul(z, x, y), 3)),
    Case("bias add, 1024 columns", 2, _bias),
    Case("transposed copy", 2, _rows(lambda torch, x: x.t().contiguous(), 1000)),
    Case("sum", 1, _elementwise(lambda torch, x: x.sum(), 1)),
    Case("sum of rows of 1024", 1, _rows(lambda torch, x: x.sum(1), 1024)),
    Case("sum of columns, 1024", 1, _rows(lambda torch, x: x.sum(0), 1024)),
    Case("cumsum of rows of 1024", 2, _rows(lambda torch, x: x.cumsum(1), 1024)),
    *(Case(f"softmax, rows of {c}", 2, _rows(lambda torch, x: torch.softmax(x, 1), c)) for c in (33, 1024, 8192)),
    Case("softmax backward, rows of 1024", 3, _rows(lambda torch, x: torch.softmax(x, 1), 1024, backward=True)),
    *(Case(f"layer norm, rows of {c}", 2, _rows(_layer_norm, c)) for c in (768, 4096)),
    Case("layer norm backward, rows of 768", 3, _rows(_layer_norm, 768, backward=True)),
    Case("cross-entropy with gradient, 8192 classes", 3, _cross_entropy),
    Case("embedding, rows of 256", 2, _embedding),
    Case("Adam", 7, _adam),
    *(Case(f"matmul, {d}", 0, _matmul(d)) for d in ("float32", "float16", "bfloat16")),
    Case("conv2d 3x3, 32 to 64 channels", 0, _conv),
)


def copy_bandwidth(torch: Any, n: int) -> float:
    """Bytes a second, read and written, of a copy from device memory to device memory."""
    source, target = _random(torch, n), _random(torch, n)

    def work() -> None:
        target.copy_(source)

    return 8 * n / _seconds(torch, work)


def _seconds(torch: Any, work: Work, rounds: int = 7, each: int = 10) -> float:
    """The median time of one piece of work, between events around `each` of them."""
    for _ in range(3):
        work()
    clock = between_events(torch)
    return statistics.median(clock(work, each)[0] for _ in range(rounds)) / each


def measure(case: Case, n: int, peers: Sequence[str]) -> dict[str, Any]:
    """Seconds and gigabytes a second of each peer, and how far their results differ; "error" where one failed."""
    row: dict[str, Any] = {"case": case.name, "elements": n}
    results = []
    for peer in peers:
        torch = importlib.import_module(peer)
        try:
            work = case.build(torch, n)
            results.append(work().detach().double().cpu().numpy())
            seconds = _seconds(torch, work)
        except Exception:  # one failing kernel hides no other
            row[peer] = {"error": traceback.format_exc(limit=-4)}
            continue
        row[peer] = {"seconds": seconds, "GB/s": 4 * n * case.arrays / seconds / 1e9 if case.arrays else None}
    if len(results) == 2:
        scale = abs(results[1]).max() or 1.0
        row["difference"] = float(abs(results[0] - results[1]).max() / scale)
    return row


def table(found: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    copy = found["copy GB/s"]
    lines = [
        f"# {found['device']}",
        "",
        f"gpugrad {found['gpugrad']}, CuPy {found['cupy']}, PyTorch {found['torch']}, Python {found['python']}. A copy "
        f"within the device moves {copy:.0f} GB/s; `of copy` is a kernel's rate beside it. `python -m gpugrad.bench.device`",
        "",
        "| case | gpugrad | GB/s | of copy | PyTorch / gpugrad | difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["cases"]:
        mine, peer = row["gpugrad"], row.get("torch", {})
        if "error" in mine:
            lines.append(f"| {row['case']} | FAILED: {mine['error'].strip().splitlines()[-1][:120]} | | | | |")
            continue
        rate = mine["GB/s"]
        cells = [row["case"], f"{mine['seconds'] * 1e6:.1f} us"]
        cells += ["", ""] if rate is None else [f"{rate:.0f}", f"{rate / copy:.2f}"]
        cells.append(f"{peer['seconds'] / mine['seconds']:.2f}" if "seconds" in peer else "")
        cells.append(f"{row['difference']:.1e}" if "difference" in row else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it and the figures to a folder. The number of cases that failed."""
    parser = argparse.ArgumentParser(prog="python -m gpugrad.bench.device", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, help="folder for kernels.json and kernels.md")
    parser.add_argument("--small", action="store_true", help="few elements: to see that every case runs")
    parser.add_argument(
        "--worker", action="store_true", help="print a line of JSON for each case, and end after a fault"
    )
    parser.add_argument("cases", nargs="*", help="cases, or what their names begin with")
    options = parser.parse_args(arguments)
    n = 2**12 if options.small else 2**26
    cases = [c for c in CASES if not options.cases or any(c.name.startswith(name) for name in options.cases)]
    if options.worker:
        return _work(cases, n)
    found = _in_workers(cases, n, ["--small"] if options.small else [])
    print(table(found))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "kernels.json").write_text(json.dumps(found, indent=1) + "\n")
        (options.out / "kernels.md").write_text(table(found))
    return sum("error" in row["gpugrad"] for row in found["cases"])


def _in_workers(cases: Sequence[Case], n: int, options: list[str]) -> dict[str, Any]:
    """The device, its figures and a row for each case. RuntimeError if not even a copy could be measured."""
    found: dict[str, Any] = {"cases": []}
    while left := [c.name for c in cases[len(found["cases"]) :]]:
        (about, *rows), died = _ask_worker([*options, *left])
        if died and len(rows) < len(left):
            rows.append({"case": left[len(rows)], "elements": n, "gpugrad": {"error": died}})
        found |= about
        found["cases"] += rows
    return found


def _ask_worker(arguments: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """What a process of its own prints: the device and its figures, then a row for each case; and, if it died, why."""
    command = [sys.executable, *(f"-W{w}" for w in sys.warnoptions), "-m", "gpugrad.bench.device", "--worker"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"a copy within the device could not be measured: {done.stderr}")
    return lines, f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}" if done.returncode else ""


def _work(cases: Sequence[Case], n: int) -> int:
    import gpugrad
    from gpugrad.cuda import backend

    peers = ["gpugrad"] + (["torch"] if _torch_sees_the_device(backend.simulated()) else [])
    about = {
        "device": gpugrad.cuda.get_device_name(),
        "gpugrad": _version("gpugrad"),
        "cupy": getattr(backend.cupy(), "__version__", "simulated"),
        "torch": _version("torch") if len(peers) > 1 else "not compared",
        "python": platform.python_version(),
        "copy GB/s": copy_bandwidth(gpugrad, n) / 1e9,
    }
    print(json.dumps(about), flush=True)
    for case in cases:
        row = measure(case, n, peers)
        print(json.dumps(row), flush=True)
        if "error" in row["gpugrad"] and not _usable(gpugrad):
            return 0  # who asked for the cases starts another process for those that are left
        gpugrad.cuda.empty_cache()
    return 0


def _usable(gpugrad: Any) -> bool:
    """Whether the device still works: some faults end all work of a process on it."""
    try:
        gpugrad.cuda.synchronize()
        return bool((gpugrad.ones(8).to("cuda") + 1).sum().item() == 16)
    except Exception:
        return False


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of this checkout"


def _torch_sees_the_device(simulated: bool) -> bool:
    if simulated or importlib.util.find_spec("torch") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())


if __name__ == "__main__":
    raise SystemExit(min(main(), 100))
