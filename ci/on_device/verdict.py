"""What is wanted on a GPU, line by line, and whether what was measured reaches it.

A line is met, missed, or not measured, with why. Figures of a simulated device reach nothing: there, none is measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from timings import MLP

Found = dict[str, Any]

COPY = {  # of the bandwidth of a copy: how much, and by which cases, of which the slowest counts
    "softmax": (0.90, ("softmax, rows of 33", "softmax, rows of 1024", "softmax, rows of 8192")),
    "log_softmax": (0.90, ("log_softmax, rows of 1024",)),
    "layer norm": (0.90, ("layer norm, rows of 768", "layer norm, rows of 4096")),
    "rms norm": (0.90, ("rms norm, rows of 4096",)),
    "GELU": (0.90, ("gelu", "gelu, bfloat16", "gelu backward")),
    "other formulas": (0.90, ("add", "x * y + z", "silu", "exp", "gelu as a formula of one's own")),
    "AdamW": (0.90, ("AdamW",)),
    "sum": (0.95, ("sum", "sum of rows of 1024", "sum of columns, 1024")),
    "norm backward": (
        0.70,
        ("layer norm backward, rows of 768", "layer norm backward, rows of 4096", "rms norm backward, rows of 4096"),
    ),
    "cross-entropy forward and backward": (0.85, ("cross-entropy with gradient, 8192 classes",)),
    "bias add": (0.85, ("bias add, 1024 columns",)),
}
STEPS = (  # how many times as fast the first is to be as the second
    ("gpugrad.graph", "torch", 5.0),
    ("gpugrad.graph", "jax.jit", 1.2),
    ("gpugrad.graph", "torch.graph", 1.0),
    ("gpugrad", "torch", 0.6),
)
NAMES = {
    "gpugrad": "gpugrad op by op",
    "gpugrad.graph": "captured by cuda.graph",
    "torch": "PyTorch eager",
    "torch.graph": "PyTorch's step as a CUDA graph",
    "jax.jit": "JAX jit",
}
PRODUCTS = ("float32", "TF32", "bfloat16", "batched", "transposed", "small")  # the kinds that are looked at
SMALL = ("256", "1024", "128x784 by 784x512")
OF_MATMUL = 0.97
APART = 1e-4  # of a loss on the CPU,
ROUNDED = 4  # or so many times what a rounding makes of it there: see gpugrad/bench/curves.py


class Line(NamedTuple):
    """`wanted` and `measured` as they are read; `why` it was not measured, or what the figure is made of."""

    what: str
    wanted: str
    measured: str
    verdict: str
    why: str = ""


def lines(found: Found) -> list[Line]:
    """All of them."""
    made = [*_tests(found), *_sanitizer(found), *_kernels(found), *_steps(found), *_products(found), *_training(found)]
    if found["about"]["CUDA"]["simulated"]:
        return [Line(line.what, line.wanted, "", "not measured", "simulated") for line in made]
    return made


def _part(found: Found, name: str) -> Found:
    part: Found = found.get("timings", {}).get(name, {})
    return part


def _absent(part: Found, what: str) -> str:
    return part.get("error") or part.get("not begun") or f"{what} was not run"


def _least(what: str, wanted: float, figures: Mapping[str, float], missing: Iterable[str], unit: str = "") -> Line:
    """The lowest of the figures decides; one that is missing can only be made up for by none."""
    each, missing = ", ".join(f"{name}: {figure:.2f}" for name, figure in figures.items()), "; ".join(missing)
    least = min(figures.values(), default=None)
    text = "" if least is None else f"{least:.2f}{unit}"
    why = "; ".join(filter(None, (each if len(figures) > 1 else "", missing)))
    if least is not None and not least >= wanted:
        return Line(what, f"{wanted:.2f}{unit}", text, "missed", why)
    return Line(what, f"{wanted:.2f}{unit}", text, "not measured" if missing else "met", why)


def _kernels(found: Found) -> Iterable[Line]:
    part = _part(found, "kernels")  # all of these are there; others are in "more kernels"
    rows = {row["case"]: row for row in part.get("cases", [])}
    for what, (wanted, cases) in COPY.items():
        figures, missing = {}, []
        for case in cases:
            why = _not_timed(rows.get(case), case, part)
            if why:
                missing.append(why)
            else:
                figures[case] = rows[case]["gpugrad"]["GB/s"] / part["copy GB/s"]
        yield _least(f"{what}, of a copy's bandwidth", wanted, figures, missing)


def _not_timed(row: Found | None, case: str, part: Found, peer: str = "gpugrad") -> str:
    """Why a case has no figure that counts; "" if it has."""
    if row is None:
        return f"{case}: {_absent(part, 'it')}"
    if "error" in row.get(peer, {}):
        return f"{case}: {peer} failed: {row[peer]['error'].strip().splitlines()[-1][:200]}"
    if "wrong" in row:
        return f"{case}: wrong by {row['wrong']}"
    return "" if peer in row else f"{case}: {peer} was not there"


def _steps(found: Found) -> Iterable[Line]:
    part = _part(found, "steps")
    rows = {row["peer"]: row for row in part.get("rows", []) if row["case"] == MLP}
    for ours, theirs, wanted in STEPS:
        what = f"MLP 784-512-512-10, {NAMES[ours]}: times as fast as {NAMES[theirs]}"
        missing = []
        for peer in (ours, theirs):
            row = rows.get(peer)
            if row is None:
                said = [text for text in part.get("left_out", []) if text.startswith((f"{peer} ", f"{peer}:"))]
                missing += said or [f"{peer}: {_absent(part, 'it')}"]
            elif row["status"] != "ok":
                missing.append(f"{peer} is {row['status']}: {row.get('error', 'another result')}")
        figures = {} if missing else {"": _times_as_fast(rows[ours], rows[theirs])}
        yield _least(what, wanted, figures, missing)


def _times_as_fast(ours: Found, theirs: Found) -> float:
    pairs = zip(theirs["seconds"]["rounds"], ours["seconds"]["rounds"])
    return statistics.median(theirs / ours for theirs, ours in pairs)


def _products(found: Found) -> Iterable[Line]:
    part = _part(found, "products")
    for what in PRODUCTS:
        chosen = [row for row in part.get("cases", []) if kind_of_product(row["case"]) == what]
        figures, missing, paths = {}, [], dict[str, None]()
        for row in chosen:
            why = _not_timed(row, row["case"], part) or _not_timed(row, row["case"], part, "torch")
            if why:
                missing.append(why)
            else:
                figures[row["case"].removeprefix("matmul, ")] = row["ratio"]
                paths[row["path"]] = None
        if not chosen or "error" in part:
            missing.append(_absent(part, "it"))
        bound = ", bound by the host's time of a call" if what == "small" else ""
        line = _least(f"matrix products, {what}{bound}: of torch.matmul's rate", OF_MATMUL, figures, missing)
        yield line._replace(why="; ".join(filter(None, (f"by {' and '.join(paths)}" if paths else "", line.why))))


def kind_of_product(case: str) -> str:
    """Which of PRODUCTS, if any, a case is of, by its name: "matmul, dtype, size, operand transposed"."""
    dtype, size, *transposed = case.removeprefix("matmul, ").split(", ")
    if size in SMALL:
        return "small"
    return "batched" if size.startswith("64 of") else "transposed" if transposed else dtype


def _training(found: Found) -> Iterable[Line]:
    part = _part(found, "training")
    for model in ("mlp", "cnn"):
        what = f"`gpugrad train --model {model}`: loss on the device apart from the CPU's"
        row = part.get(f"curve {model}", part)
        yield (
            _curve(what, row)
            if "apart" in row
            else Line(what, f"at most {APART:g}", "", "not measured", _absent(row, "it"))
        )
    for how in ("eager", "captured"):
        what = f"copies between host and device in a step, {how}, besides the batch"
        row = part.get(f"transfers {how}", part)
        yield _copies(what, row) if "found" in row else Line(what, "0", "", "not measured", _absent(row, "it"))


def _curve(what: str, row: Found) -> Line:
    limits = [max(APART, ROUNDED * rounded) for rounded in row["rounded"]]
    near = all(apart <= limit for apart, limit in zip(row["apart"], limits))
    wanted = f"at most {APART:g} in each epoch, or {ROUNDED} times what a rounding does on the CPU"
    why = f"by epoch {_list(row['apart'])}; {row['runs rounded']} runs on the CPU whose first weights are a rounding away: "
    why += f"up to {_list(row['rounded'])}"
    return Line(what, wanted, f"{max(row['apart']):.1e}", "met" if near else "missed", why)


def _list(distances: Sequence[float]) -> str:
    return ", ".join(f"{distance:.1e}" for distance in distances)


def _copies(what: str, row: Found) -> Line:
    moved, batches = row["found"], row["batches"]
    more = moved["copies to device"] - batches["copies"] + moved["copies to host"]
    exact = more == 0 and moved["bytes to device"] == batches["bytes"]
    said = ", ".join(f"{number} {name}" for name, number in moved.items())
    why = f"in {row['steps']} steps: {said}; batches: {batches['copies']} copies of {batches['bytes']} bytes together"
    return Line(what, "0", f"{more / row['steps']:g} a step", "met" if exact else "missed", why)


def _tests(found: Found) -> Iterable[Line]:
    what, phase = "tests of the device that fail", found.get("tests", {})
    files = phase.get("files", {}).values()
    failed, passed = sum(len(row["failed"]) for row in files), sum(row["passed"] for row in files)
    left = sum(row["not run"] for row in files)
    if not passed + failed:
        yield Line(what, "0", "", "not measured", phase.get("error", "they were not run"))
        return
    verdict = "missed" if failed else "not measured" if left else "met"
    yield Line(what, "0", str(failed), verdict, f"{passed} passed, {left} were not run")


def _sanitizer(found: Found) -> Iterable[Line]:
    phase = found.get("sanitizer", {})
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        what, row = f"faults that {tool} finds", phase.get("tools", {}).get(tool)
        if row is None or not row["passed"] + len(row["failed"]):
            why = (row or {}).get("error") or phase.get("missing", "it was not run")
            yield Line(what, "0", "", "not measured", why)
            continue
        faults = sum(sum(kinds.values()) for kinds in row["faults"].values())
        verdict = "missed" if faults or row["failed"] else "met" if phase["complete"] else "not measured"
        why = f"{row['passed']} tests passed, {len(row['failed'])} failed" + ("" if phase["complete"] else ", not all")
        yield Line(what, "0", str(faults), verdict, f"{why}; {met(row['kernels'])}")


def met(kernels: Mapping[str, Mapping[str, int]]) -> str:
    """How many kernels tests launched, and where not all of a file."""
    some = [f"{row['met']} of {row['of']} of {file}.cu" for file, row in kernels.items() if row["met"] < row["of"]]
    launched, all_of = (sum(row[what] for row in kernels.values()) for what in ("met", "of"))
    return f"{launched} of {all_of} kernels" + (f" ({', '.join(some)})" if some else "")


def table(of: Sequence[Line], cell: Callable[[str], str]) -> Iterable[str]:
    """Them as Markdown; `cell` makes text fit one."""
    count = {verdict: sum(line.verdict == verdict for line in of) for verdict in ("met", "missed", "not measured")}
    yield f"What is wanted here: {', '.join(f'{number} {verdict}' for verdict, number in count.items())}."
    yield ""
    yield "| what | wanted | measured | | |"
    yield "|---|---|---|---|---|"
    for line in of:
        verdict = line.verdict if line.verdict == "met" else f"**{line.verdict}**"
        yield f"| {line.what} | {line.wanted} | {line.measured} | {verdict} | {cell(line.why)} |"
    yield ""
