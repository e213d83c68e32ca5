"""What was found, as Markdown: failures, what is wanted and reached, training, products, kernels by family, and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import verdict

Found = dict[str, Any]

# Tests of a family of kernels: those in tests/test_cuda_<family>.py, and these.
MORE_TESTS = {"rows": ["test_kernel_softmax"], "copy": ["test_cuda_strided"], "gemm": ["test_cuda_products"]}
OF_NO_FAMILY = ("device", "op_table", "sizes", "seeds", "user_kernel", "strided", "products")


def failures(found: Found) -> dict[str, str]:
    """Everything that failed, and why."""
    failed = dict(_failed_tests(found.get("tests", {})))
    timings = found.get("timings", {})
    for name, part in timings.items():
        if isinstance(part, dict) and "error" in part:
            failed[f"timings: {name}"] = part["error"]
    for row in (row for part in KERNELS for row in timings.get(part, {}).get("cases", [])):
        if "error" in row["gpugrad"]:
            failed[f"kernel: {row['case']}"] = row["gpugrad"]["error"].strip().splitlines()[-1][:300]
        elif "wrong" in row:
            failed[f"kernel: {row['case']}"] = row["wrong"]
    for row in step_rows(found):
        if row["peer"].startswith("gpugrad") and row["status"] in ("wrong", "failed"):
            failed[f"step: {row['case']}, {row['peer']}"] = _why(row)
    for name, row in timings.get("training", {}).items():
        if isinstance(row, dict) and "error" in row:
            failed[f"training: {name}"] = row["error"]
    for tool, row in found.get("sanitizer", {}).get("tools", {}).items():
        failed |= {f"{tool}: {test}": ", ".join(kinds) for test, kinds in row["faults"].items()}
        failed |= {f"{tool}: {test}": why for test, why in row["failed"].items() if test not in row["faults"]}
        if "error" in row:
            failed[tool] = row["error"]
    return failed


KERNELS = ("products", "kernels", "more kernels")
STEPS = {
    "steps": "Steps of training (forward, backward, Adam)",
    "compiled steps": "Steps beside torch.compile",
    "more steps": "Steps of other models",
    "small ops": "Ops on few elements, where the host is what takes time",
}


def step_rows(found: Found) -> list[Found]:
    """Those of steps of training, of all parts."""
    return [row for part in STEPS for row in found.get("timings", {}).get(part, {}).get("rows", [])]


def _why(row: Found) -> str:
    return row.get("error") or f"differs from the reference by {row['difference']:.1e}"


def _failed_tests(tests: Found) -> Iterator[tuple[str, str]]:
    if "error" in tests:
        yield "tests", tests["error"]
    if "in one process because" in tests:
        yield "tests in many processes", tests["in one process because"]
    for file, row in tests.get("files", {}).items():
        for name, why in row["failed"].items():
            yield f"{file}::{name}", why


def unfinished(found: Found) -> list[str]:
    """What there was no time for."""
    left = []
    files = found.get("tests", {}).get("files", {})
    missing = sum(row["not run"] for row in files.values())
    if missing:
        left.append(f"{missing} tests were not run, of {', '.join(f for f, row in files.items() if row['not run'])}")
    parts = {name: part for name, part in found.get("timings", {}).items() if isinstance(part, dict)}
    left += [f"timings: {name}: {part['not begun']}" for name, part in parts.items() if "not begun" in part]
    left += [
        f"{phase} did not end in time"
        for phase in ("timings", "sanitizer")
        if not found.get(phase, {}).get("complete", True)
    ]
    return left


def markdown(found: Found) -> str:
    """All of it."""
    parts = [*_heading(found), *_failures(found), *verdict.table(verdict.lines(found), _cell), *_steps(found)]
    parts += [*_products(found), *_families(found), *_sanitizer(found), *_files(found)]
    return "\n".join(parts) + "\n"


def _heading(found: Found) -> Iterator[str]:
    about = found["about"]
    device = about["CUDA"]["devices"][0]
    yield f"# {device['name']}"
    yield ""
    if about["CUDA"]["simulated"]:
        yield "**Simulated: times say nothing of a GPU.**\n"
    versions = [
        f"gpugrad {about['gpugrad']['version'] or 'checkout'} ({about['gpugrad'].get('commit') or found['code']})",
        about["Python"]["version"],
    ]
    for name in ("numpy", "cupy", "nvmath", "torch"):
        version = about["libraries"].get(name, {}).get("version")
        versions.append(f"{name} {version or 'missing'}")
    cuda = about["CUDA"]
    yield f"{', '.join(versions)}; CUDA runtime {cuda['runtime']}, driver for {cuda['driver supports']}, sm_{device['compute capability'].replace('.', '')}."
    seconds = ", ".join(
        f"{phase} {found[phase]['seconds']:.0f} s" for phase in PHASES if "seconds" in found.get(phase, {})
    )
    yield f"Took: {seconds}."
    yield ""


PHASES = ("tests", "timings", "sanitizer")


def _failures(found: Found) -> Iterator[str]:
    failed, left = failures(found), unfinished(found)
    yield f"**{len(failed)} failed.**" if failed else "Nothing failed."
    yield ""
    for name, why in failed.items():
        yield f"* `{name}`: {_cell(why)}"
    for text in left:
        yield f"* Not done: {text}"
    if failed or left:
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def family_tests(found: Found) -> dict[str, tuple[int, int, int]]:
    """By family of kernels its tests: passed, failed, not run."""
    counts: dict[str, tuple[int, int, int]] = {}
    of = {file: family for family, more in MORE_TESTS.items() for file in more}
    for file, row in found.get("tests", {}).get("files", {}).items():
        stem = PurePath(file).stem
        family = of.get(stem) or stem.removeprefix("test_cuda_")
        if stem in of or (family != stem and family not in OF_NO_FAMILY):
            old = counts.get(family, (0, 0, 0))
            counts[family] = tuple(a + b for a, b in zip(old, (row["passed"], len(row["failed"]), row["not run"])))  # type: ignore[assignment]
    return counts


def _families(found: Found) -> Iterator[str]:
    timings = found.get("timings", {})
    tests, copy = family_tests(found), timings.get("kernels", {}).get("copy GB/s", 0)
    cases = [row for part in KERNELS for row in timings.get(part, {}).get("cases", [])]
    if copy:
        yield f"A copy within the device moves {copy:.0f} GB/s; `of copy` is a kernel's rate beside it. `error` is how far a"
        yield "result is from the CPU's in float64, of its largest value."
        yield ""
    yield "| family | tests passed | failed | not run | case | error | time | GB/s | of copy | PyTorch / gpugrad |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for family in dict.fromkeys([*(row["family"] for row in cases), *tests]):
        counted = [str(n) for n in tests[family]] if family in tests else ["", "", ""]
        mine = [row for row in cases if row["family"] == family and family != "gemm"] or [None]
        for k, row in enumerate(mine):
            start = [family, *counted] if k == 0 else [""] * 4
            yield f"| {' | '.join([*start, *_case(row, copy)])} |"
    yield ""


def _case(row: Found | None, copy: float) -> list[str]:
    if row is None:
        return [""] * 6
    mine = row["gpugrad"]
    if "error" in mine:
        return [row["case"], "FAILED", *[""] * 4]
    rate = mine.get("GB/s")
    return [
        row["case"],
        _error(row),
        _time(mine["seconds"]),
        f"{rate:.0f}" if rate else f"{mine['TFLOP/s']:.1f} TFLOP/s" if "TFLOP/s" in mine else "",
        f"{rate / copy:.2f}" if rate and copy else "",
        _ratio(row),
    ]


def _ratio(row: Found) -> str:
    return "FAILED" if "error" in row.get("torch", {}) else f"{row['ratio']:.2f}" if "ratio" in row else ""


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def _products(found: Found) -> Iterator[str]:
    rows = found.get("timings", {}).get("products", {}).get("cases", [])
    if not rows:
        return
    yield "| product | computed by | error | time | TFLOP/s | torch.matmul's TFLOP/s | gpugrad's of it |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        mine, peer = row["gpugrad"], row.get("torch", {})
        if "error" in mine:
            yield f"| {row['case']} | FAILED | | | | | |"
            continue
        theirs = f"{peer['TFLOP/s']:.1f}" if "TFLOP/s" in peer else "FAILED" if "error" in peer else ""
        rate = f"{mine['TFLOP/s']:.1f}"
        cells = [row["case"], row["path"], _error(row), _time(mine["seconds"]), rate, theirs, _ratio(row)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _error(row: Found) -> str:
    return f"{max(row['error'], row.get('error here', 0)):.1e}" + (" WRONG" if "wrong" in row else "")


def _steps(found: Found) -> Iterator[str]:
    for name, title in STEPS.items():
        part = found.get("timings", {}).get(name, {})
        rows = part.get("rows", [])
        if not rows:
            continue
        peers = list(dict.fromkeys(row["peer"] for row in rows))
        yield f"{title}; in brackets a time divided by gpugrad's. {'; '.join(part.get('left_out', []))}"
        yield ""
        yield f"| what, size | {' | '.join(peers)} |"
        yield "|---" * (len(peers) + 1) + "|"
        for case, n in dict.fromkeys((row["case"], row["n"]) for row in rows):
            of = {row["peer"]: row for row in rows if (row["case"], row["n"]) == (case, n)}
            yield f"| {case}, {n} | {' | '.join(_step(of.get(peer)) for peer in peers)} |"
        yield ""
        for row in rows:
            if row["status"] in ("failed", "wrong"):
                yield f"* {row['case']}, {row['peer']}: {row['status']}: {_cell(_why(row))}"
        yield ""


def _step(row: Found | None) -> str:
    if row is None:
        return ""
    if row["status"] != "ok":
        return row["status"]
    ratio = f" ({row['ratio']['median']:.2f})" if "ratio" in row else ""
    return _time(row["seconds"]["median"]) + ratio


def _sanitizer(found: Found) -> Iterator[str]:
    if "sanitizer" not in found:
        return
    if "missing" in found["sanitizer"]:
        yield found["sanitizer"]["missing"]
        yield ""
        return
    yield "| compute-sanitizer | tests passed | failed | with faults | kernels met | summaries |"
    yield "|---|---|---|---|---|---|"
    for tool, row in found["sanitizer"]["tools"].items():
        said = "; ".join(row["said"]) or row.get("error", "")
        counts = [row["passed"], len(row["failed"]), len(row["faults"]), verdict.met(row["kernels"])]
        yield f"| {tool} | {' | '.join(map(str, counts))} | {_cell(said)} |"
    yield ""


def _files(found: Found) -> Iterator[str]:
    if "tests" not in found:
        return
    yield "| tests | passed | skipped | failed | not run | seconds |"
    yield "|---|---|---|---|---|---|"
    for file, row in found["tests"]["files"].items():
        counts = [row["passed"], row["skipped"], len(row["failed"]), row["not run"], f"{row['seconds']:.1f}"]
        yield f"| {file} | {' | '.join(map(str, counts))} |"
    yield ""
    for why, count in found["tests"].get("skipped because", {}).items():
        yield f"* {count} skipped: {_cell(why)}"
