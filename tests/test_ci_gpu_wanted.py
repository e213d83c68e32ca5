"""ci/gpu's verdicts and parts: each figure that is wanted is met, missed, or not measured with a reason."""

from __future__ import annotations

import argparse
import copy
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
from ci_tools import kernel_row, on_a_gpu, step_row

from gpugrad.bench.cases import CASES, choose
from gpugrad.bench.kernel_cases import ITEM, KERNELS, MORE_KERNELS
from gpugrad.bench.options import add_bench_command
from gpugrad.bench.peer import PEERS
from gpugrad.bench.products import PRODUCTS

ROOT = Path(__file__).parents[1]


# ---- what is wanted, and whether it is reached ----


def lines(ci_code: Any, found: dict[str, Any]) -> dict[str, Any]:
    return {line.what: line for line in ci_code("verdict").lines(found)}


def test_every_figure_that_is_reached_is_met(ci_code: Any) -> None:
    found = on_a_gpu()
    assert {line.verdict for line in lines(ci_code, found).values()} == {"met"} and len(lines(ci_code, found)) == 30
    written = ci_code("report").markdown(found)
    assert "What is wanted here: 30 met, 0 missed, 0 not measured." in written and "Nothing failed." in written


def test_the_cases_that_decide_are_all_timed(ci_code: Any) -> None:
    verdict = ci_code("verdict")
    deciding = {case for _, cases in verdict.COPY.values() for case in cases}
    assert deciding <= {case.name for case in KERNELS} and verdict.MLP in CASES
    kinds = [verdict.kind_of_product(case.name) for case in PRODUCTS]
    assert set(verdict.PRODUCTS) <= set(kinds) and kinds.count("transposed") == 7 and kinds.count("batched") == 4
    assert all(case.size(small=False) * ITEM.get(case.dtype, 4) >= 256 * 2**20 for case in (*KERNELS, *MORE_KERNELS))


def test_every_file_of_kernels_has_a_case_that_is_timed() -> None:
    """By the launcher that launches it; the combined norms and rows are one family."""
    family = {
        "layer_norm": "rows",
        "batch_norm": "rows",
        "softmax": "rows",
        "cross_entropy": "rows",
        "optimizer": "optim",
    }
    family["pool"] = "conv"
    files = {path.stem for path in (ROOT / "kernels").glob("*.cu")} - {"within"}  # included by what a user writes
    assert {family.get(stem, stem) for stem in files} <= {case.family for case in (*KERNELS, *MORE_KERNELS)}


@pytest.mark.parametrize(
    ("spoil", "what", "measured", "verdict", "why"),
    [
        (lambda t: t["kernels"]["cases"].__setitem__(*slow("layer norm, rows of 768", 0.5)), "layer norm, of", "0.50", "missed", "rows of 4096: 0.97"),
        (lambda t: t["kernels"].update(cases=[]), "AdamW", "", "not measured", "AdamW: it was not run"),
        (lambda t: t["kernels"].update(cases=[], error="its time was over after 9 s"), "sum", "", "not measured", "its time was over"),
        (lambda t: row(t["kernels"], "gelu").update(wrong="1.0 of the largest"), "GELU", "0.97", "not measured", "wrong by 1.0"),
        (lambda t: row(t["kernels"], "AdamW").update(gpugrad={"error": "x\nKernelError: no"}), "AdamW", "", "not measured", "KernelError: no"),
        (lambda t: t["steps"]["rows"].__setitem__(3, step_row("torch.graph", 4e-5)), "a CUDA graph", "0.80", "missed", ""),
        (lambda t: t["steps"]["rows"][4].update(status="failed", error="no jaxlib"), "JAX", "", "not measured", "no jaxlib"),
        (lambda t: t["steps"].update(rows=t["steps"]["rows"][:4], left_out=["jax.jit: jax is not installed"]), "JAX", "", "not measured", "not installed"),
        (lambda t: row(t["products"], "matmul, TF32, 8192").update(ratio=0.5), "products, TF32", "0.50", "missed", "TF32, 8192: 0.50"),
        (lambda t: [r.pop("torch") for r in t["products"]["cases"]], "products, batched", "", "not measured", "torch was not there"),
        (lambda t: t["training"].update({"curve mlp": t["training"]["curve mlp"] | {"apart": [1e-6, 5e-3]}}), "model mlp", "5.0e-03", "missed", "up to 1.0e-07, 1.0e-03"),
        (lambda t: t["training"].update({"curve cnn": t["training"]["curve cnn"] | {"apart": [2e-3, 2e-3]}}), "model cnn", "2.0e-03", "missed", "12 runs on the CPU"),
        (lambda t: t["training"]["transfers captured"]["found"].update({"copies to host": 10}), "step, captured", "1 a step", "missed", "10 copies to host"),
        (lambda t: t["training"].update({"transfers captured": {"error": "no capture"}}), "step, captured", "", "not measured", "no capture"),
    ],
)  # fmt: skip
def test_a_figure_that_is_missed_or_missing_says_so(
    ci_code: Any, spoil: Any, what: str, measured: str, verdict: str, why: str
) -> None:
    found = copy.deepcopy(on_a_gpu())
    spoil(found["timings"])
    (line,) = (line for name, line in lines(ci_code, found).items() if what in name)
    assert (line.measured, line.verdict) == (measured, verdict) and why in line.why
    others = [other for other in lines(ci_code, found).values() if other.verdict != "met"]
    assert line in others and line.what in ci_code("report").markdown(found)


def row(part: dict[str, Any], case: str) -> dict[str, Any]:
    return next(r for r in part["cases"] if r["case"] == case)


def slow(name: str, of_copy: float) -> tuple[int, dict[str, Any]]:
    place, case = next((k, case) for k, case in enumerate(KERNELS) if case.name == name)
    return place, kernel_row(case, of_copy)


def test_figures_of_a_simulated_device_reach_nothing(ci_code: Any) -> None:
    found = on_a_gpu()
    found["about"]["CUDA"]["simulated"] = True
    assert {(line.measured, line.verdict, line.why) for line in lines(ci_code, found).values()} == {
        ("", "not measured", "simulated")
    }


def test_before_anything_was_measured_every_line_says_so(ci_code: Any) -> None:
    found = {"about": on_a_gpu()["about"], "code": "0123abcd"}
    assert {line.verdict for line in lines(ci_code, found).values()} == {"not measured"}
    assert all(line.why for line in lines(ci_code, found).values())
    assert "30 not measured" in ci_code("report").markdown(found)


def test_tests_and_faults_count_too(ci_code: Any) -> None:
    found = copy.deepcopy(on_a_gpu())
    found["tests"]["files"]["tests/test_cuda_rows.py"]["failed"] = {"test_a": "assert 0"}
    found["sanitizer"]["tools"]["racecheck"] = found["sanitizer"]["tools"]["memcheck"] | {"faults": {"a": {"Race": 3}}}
    missed = {line.what: line.measured for line in lines(ci_code, found).values() if line.verdict == "missed"}
    assert missed == {"tests of the device that fail": "1", "faults that racecheck finds": "3"}
    why = lines(ci_code, found)["faults that memcheck finds"].why
    assert why == "9 tests passed, 0 failed; 6 of 7 kernels (3 of 4 of sort.cu)"


def test_the_sanitizer_is_given_tests_that_are_there_and_knows_every_kernel(ci_code: Any) -> None:
    sanitizer = ci_code("sanitizer")
    for test in sanitizer.SELECTION:
        file, _, name = test.removeprefix("--deselect=").partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(), test
    for file, row in sanitizer.kernels_met([]).items():
        assert row == {"met": 0, "of": (ROOT / "kernels" / f"{file}.cu").read_text().count("__global__")}, file


def test_kernels_that_were_met_are_counted_once(ci_code: Any, tmp_path: Path) -> None:
    for k, name in enumerate(("float, 1", "double, 2")):
        (tmp_path / f"kernels-{k}").write_text(f"random: gpugrad::fill<{name}>\nothers: mine\n")
    rows = ci_code("sanitizer").kernels_met([tmp_path])
    assert sum(row["met"] for row in rows.values()) == rows["random"]["met"] == 1


def test_a_peer_that_fails_is_named_and_costs_no_other_its_figure(ci_code: Any) -> None:
    found = copy.deepcopy(on_a_gpu())
    failed = step_row("torch.compile", 1.0) | {
        "status": "failed",
        "error": "TritonMissing: Cannot find a working triton",
    }
    found["timings"]["compiled steps"] = {"rows": [step_row("gpugrad", 4e-4), failed]}
    report = ci_code("report")
    assert "mlp-medium, torch.compile: failed: TritonMissing" in report.markdown(found) and not report.failures(found)


def test_a_part_that_hangs_costs_its_share_alone(ci_code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it found before that is kept."""
    timings = ci_code("timings")
    (tmp_path / "planted.py").write_text(
        "import json, pathlib, sys, time\nfolder = pathlib.Path(sys.argv[-1])\nfolder.mkdir(parents=True)\n"
        "(folder / sys.argv[1]).write_text(json.dumps({sys.argv[2]: [sys.argv[3]]}))\ntime.sleep(float(sys.argv[3]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def planted(part: str, seconds: float, simulated: bool) -> list[str]:
        needs = timings.NEEDS[part]
        return ["planted", timings.FILES[needs], needs, "60" if part == "steps" else "0"]

    monkeypatch.setattr(timings, "command", planted)
    monkeypatch.setattr(timings, "SHARES", dict.fromkeys(timings.SHARES, 0.2))
    monkeypatch.setattr(timings, "LEAST", 1.0)
    saved: list[Any] = []
    found = timings.run(False, time.monotonic() + 25, tmp_path, saved.append)
    assert found["steps"]["error"] == "its time was over after 5 s" and found["steps"]["rows"] == ["60"]
    assert all("error" not in found[name] for name in timings.NEEDS if name != "steps") and not found["complete"]
    assert saved[0]["steps"]["rows"] == ["60"]


def test_a_part_that_there_is_no_time_for_is_not_begun(ci_code: Any, tmp_path: Path) -> None:
    timings = ci_code("timings")
    found = timings.run(False, time.monotonic() + timings.LEAST / 3, tmp_path, lambda known: None)
    assert {found[name]["not begun"] for name in timings.SHARES} == {"there was no time for it: 4 s"}
    assert not found["complete"] and not list(tmp_path.iterdir())
    results, report = {"timings": found}, ci_code("report")
    assert not report.failures(results)
    assert "timings: more steps: there was no time for it: 4 s" in report.unfinished(results)
    whys = {line.why for line in ci_code("verdict").lines(on_a_gpu() | results) if "AdamW" in line.what}
    assert whys == {"AdamW: there was no time for it: 4 s"}


def test_every_part_is_a_program_that_runs(ci_code: Any) -> None:
    """Its module is there, and takes its arguments."""
    timings = ci_code("timings")
    known = {"products": PRODUCTS, "kernels": KERNELS, "more-kernels": MORE_KERNELS}
    for part in timings.SHARES:
        for simulated in (False, True):
            module, *arguments = timings.command(part, 100.0, simulated)
            if module == "gpugrad":
                options = parser().parse_args(arguments)
                assert choose(options.cases) and options.patience == 80 and set(options.against) <= set(PEERS)
            else:
                assert importlib.util.find_spec(module) is not None
                assert "--only" not in arguments or known[arguments[arguments.index("--only") + 1]]
    assert timings.MLP in timings.command("steps", 100.0, False)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_bench_command(made.add_subparsers())
    return made
