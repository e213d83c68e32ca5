"""The phase `sanitizer`: kernels under each tool of compute-sanitizer, where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jobs
import plugin

import tests

TOOLS = {
    # What a test provokes of the driver on purpose is no fault. Without a pool an array ends where its memory does.
    "memcheck": (["--report-api-errors", "no"], {"GPUGRAD_TEST_NO_POOL": "1"}),
    "racecheck": ([], {}),
    "initcheck": ([], {"GPUGRAD_TEST_NO_POOL": "1"}),
    "synccheck": ([], {}),
}
# Tests of few elements that between them launch every kernel, of the rest of the files first.
REST = {
    "histogram": (
        "counts_between_given_edges",
        "how_often_each_index_occurs",
        "the_same_sums_in_any_order_where_that_is_asked_for",
    ),
    "optim": (
        "all_parameters_are_updated_in_one_launch",
        "clipping_takes_three_launches_and_leaves_what_is_small",
        "a_gradient_in_another_order_of_memory_accumulates",
    ),
    "dropout": ("elements_and_gradients_are_dropped_by_the_words_of_philox",),
    "embedding": ("rows_that_are_named_often_among_others",),
    "poisson": ("numbers_depend_on_seed_and_place_alone",),
    "random": (
        "tensors_like_others",
        "bernoulli_of_each_element_s_probability",
        "what_cannot_be_drawn_is_refused_by_the_next_wait",
    ),
    "topk": ("of_more_passes_than_two", "along_any_dimension_and_of_views"),
    "recurrent": ("one_output_used", "views_as_inputs"),
    "select": ("one_of_each_value_in_views", "places_of_views", "values_that_lie_in_what_is_written", "masks_of_views"),
    "sort": ("choices", "places_in_rows_of_several_dtypes_and_strides", "membership_in_views_and_among_other_dtypes"),
    "index": (
        "masks",
        "writing_in_place",
        "picked_along_a_dimension",
        "rows_of_every_width",
        "sums_and_writes_both_ways",
    ),
    "rows": (
        "norms_of_views_and_without_parameters",
        "norms_of_long_rows",
        "softmax_of_long_rows",
        "group_norm",
    ),
    "cross_entropy": (
        "all_targets_ignored",
        "losses_of_many_targets_views_and_other_ignored_ones",
        "cross_entropy_of_long_rows",
        "cross_entropy_of_pixels",
    ),
    "conv": ("unfold_and_fold", "conv_transpose", "max_unpool2d", "products_of_views", "conv2d[depthwise]"),
    "scan": ("more_parts_than_one_pass_over_them_takes",),
    "elementwise": ("a_user_s_formula_to_second_order",),
}
SELECTION = [f"tests/test_cuda_{file}.py::test_{name}" for file, names in REST.items() for name in names]
SIZES = "tests/test_cuda_sizes.py"
SELECTION += [SIZES, f"--deselect={SIZES}::test_every_size[every other"]  # launches what a transpose does
SELECTION += ["tests/test_grad_scaler.py::test_a_step_on_the_device_is_not_read_back"]
KERNELS = tests.ROOT / "kernels"
LIMIT = 45  # seconds for a test
DEFINED = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(")
FAULTS = (
    "Invalid",
    "Misaligned",
    "Out-of-range",
    "Uninitialized",
    "Barrier error",
    "Divergent",
    r"(?:Error|Warning): (?:Potential )?Race",
    "Internal Sanitizer Error",
    "Device not supported",
)
FOUND = re.compile(rf"=========\s+((?:{'|'.join(FAULTS)})\b.*)")
PLACE = re.compile(r"=========\s+at (.*?)(?:\+0x.*)?$")  # the line after the first
SUMMED = re.compile(r"=========\s+(?:ERROR|RACECHECK) SUMMARY: (.*)")


def available() -> bool:
    """Whether the machine has it."""
    return shutil.which("compute-sanitizer") is not None


def run(selection: Sequence[str], deadline: float, scratch: Path, save: Callable[[Any], None]) -> dict[str, Any]:
    """By tool: tests that ran and failed, faults by the test that they were found in."""
    shards = max(1, (os.cpu_count() or 1) // len(TOOLS))
    parts = [(tool, k) for k in range(shards) for tool in TOOLS]
    folder = {part: scratch / f"{part[0]}-{part[1]}" for part in parts}

    def known() -> dict[str, Any]:
        return {tool: summary([folder[tool, k] for k in range(shards)]) for tool in TOOLS}

    def one(part: tuple[str, int]) -> bool:
        return run_shard(part, shards, list(selection or SELECTION), deadline, folder[part])

    for made in folder.values():
        made.mkdir()
    with ThreadPoolExecutor(len(parts)) as pool:
        complete = all(pool.map(one, parts))
    found = {"complete": complete, "tools": known()}
    save(found)
    return found


def run_shard(part: tuple[str, int], shards: int, selection: list[str], deadline: float, folder: Path) -> bool:
    """Run a part of the tests under a tool, in a new process after each fault that ends one; whether all were run."""
    tool, k = part
    options, settings = TOOLS[tool]
    report = folder / "tests.jsonl"
    settings = settings | {"GPUGRAD_TEST_SHARD": f"{k}/{shards}", "GPUGRAD_TEST_LIMIT": str(LIMIT)}
    settings |= {"GPUGRAD_TEST_DONE": str(report), "GPUGRAD_TEST_KERNELS": str(folder)}
    sanitizer = ["compute-sanitizer", "--tool", tool, *options, "--print-limit", "20"]
    while jobs.seconds_left(deadline) > 5:
        before = len(plugin.finished(report))
        status = jobs.run(
            [*sanitizer, *tests.command(selection, plugins=tests.IN_ONE_PROCESS)],
            deadline,
            folder / "log",
            tests.environment(report, **settings),
        )
        if status in (0, 1, 5):  # 1: tests failed; 5: none are left
            return True
        if status is None:
            return False
        ended = running(folder / "log")
        if ended and ended not in plugin.finished(report):
            why = f"it hung, or ended its process: status {status}"
            row = {"test": ended, "outcome": "failed", "why": why, "seconds": 0}
            with report.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if len(plugin.finished(report)) == before:
            return False
    return False


def running(log: Path) -> str:
    """The test that ran last, by a log."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("@ ")]
    return lines[-1][2:] if lines else ""


def summary(folders: Sequence[Path]) -> dict[str, Any]:
    """Of a tool's parts together: tests passed, tests failed and why, and faults by test, each kind with its number."""
    found: dict[str, Any] = {"passed": 0, "failed": {}, "faults": {}, "said": []}
    for folder in folders:
        rows = tests.read(folder / "tests.jsonl")
        for test, row in tests.outcomes(rows).items():
            if row["outcome"] == "failed":
                found["failed"][test] = row["why"]
            elif row["outcome"] == "passed":
                found["passed"] += 1
        faults, said = faults_in(folder / "log")
        found["faults"] |= faults
        found["said"] += said
    if not found["passed"] and not found["failed"]:
        found["error"] = f"no test ran: {jobs.last_line(folders[0] / 'log')}"
    found["kernels"] = kernels_met(folders)
    found["said"] = [f"{count} x {text}" for text, count in Counter(found["said"]).items()]
    return found


def kernels_met(folders: Sequence[Path]) -> dict[str, dict[str, int]]:
    """By file of kernels/ how many kernels there are, instances of a template as one, and how many of them tests met."""
    lines = {line for folder in folders for file in folder.glob("kernels-*") for line in file.read_text().splitlines()}
    met: dict[str, set[str]] = {}
    for file, kernel in (line.partition(": ")[::2] for line in lines):
        met.setdefault(file, set()).add(kernel.partition("<")[0].removeprefix("gpugrad::"))
    there = {path.stem: set(DEFINED.findall(path.read_text())) for path in sorted(KERNELS.glob("*.cu"))}
    return {
        file: {"met": len(met.get(file, set()) & names), "of": len(names)} for file, names in there.items() if names
    }


def faults_in(log: Path) -> tuple[dict[str, dict[str, int]], list[str]]:
    """What a tool wrote down, by the test that ran, each kind with its place and number; and its summaries."""
    test, faults, said = "before any test", dict[str, Counter[str]](), list[str]()
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.startswith("@ "):
            test = line[2:]
        elif found := FOUND.search(line):
            place = PLACE.match(following)
            text = re.sub(r"0x[0-9a-f]+", "0x...", found[1]) + (f" at {place[1]}" if place else "")
            faults.setdefault(test, Counter())[text[:300]] += 1
        elif summed := SUMMED.search(line):
            said.append(summed[1])
    return {test: dict(kinds) for test, kinds in faults.items()}, said
