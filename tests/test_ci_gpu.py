"""ci/gpu: a failure, a crash or a hang of one part is reported, and hides no other. The whole runs on a GPU, or by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from device_tools import need

from gpugrad.bench import device as bench

ROOT = Path(__file__).parents[1]
CODE = ROOT / "ci" / "on_device"
HANGS = 5  # seconds that a planted test may take

PLANTED = {
    "good": "def test_a(): pass\n@cuda\ndef test_b(): pass\n@cuda\ndef test_c(): pass\n",
    "fails": "@cuda\ndef test_a(): pass\n@cuda\ndef test_b(): assert 1 + 1 == 3\n",
    "aborts": "@cuda\ndef test_a(): os.abort()\n@cuda\ndef test_b(): pass\n",
    "adds": "import gpugrad\n@cuda\ndef test_a(): gpugrad.ones(3, device='cuda').exp()\n",
    "hangs": "@cuda\ndef test_a(): time.sleep(60)\n@cuda\ndef test_b(): pass\n",
    "does_not_load": "import nothing_of_this_name\n@cuda\ndef test_a(): pass\n",
    "skips": "@cuda\ndef test_a(): pytest.importorskip('nothing_of_this_name', reason='needs it')\n",
    # An illegal address ends all work of the process: every later call fails, in this test and in those after it
    "loses_the_device": """
def fault(): raise RuntimeError("cudaErrorIllegalAddress")
@cuda
def test_a():
    from gpugrad.cuda import backend
    backend.cupy().cuda.runtime.deviceSynchronize = fault
@pytest.mark.parametrize("n", range(20))
@cuda
def test_b(n):
    from gpugrad.cuda import backend
    backend.cupy().cuda.runtime.deviceSynchronize()
""",
    "does_not_compile": """
import gpugrad
@cuda
def test_a():
    @gpugrad.cuda.kernel("__global__ void f(const float* x, float* out, long long n) { out[0] = nothing; }", forward="f")
    def f(x): return x
    f(gpugrad.ones(2, device="cuda"))
@cuda
def test_b(): assert (gpugrad.ones(2, device="cuda") + 1).tolist() == [2, 2]
""",
}


def plant(folder: Path, *names: str) -> list[str]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = cuda: runs on the device\n")
    start = "import os, time\nimport pytest\ncuda = pytest.mark.cuda\n"
    for name in names:
        (folder / f"test_{name}.py").write_text(start + PLANTED[name])
    return [str(folder / f"test_{name}.py") for name in names]


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, results and output of ci/gpu on the simulated device."""
    need("g++", "clang++")
    given = {"PYTHON": sys.executable, "GPUGRAD_SIMULATE": "1", "GPUGRAD_TEST_LIMIT": str(HANGS), **environment}
    command = [str(ROOT / "ci" / "gpu"), "--results", str(folder / "results"), *arguments]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True)
    (results,) = (folder / "results").glob("*/results.json")
    found = json.loads(results.read_text())
    assert results.with_name("results.md").read_text().startswith(f"# {found['about']['CUDA']['devices'][0]['name']}\n")
    return done.returncode, found, done.stdout + done.stderr


def test_no_failure_hides_another(tmp_path: Path) -> None:
    status, found, said = run(tmp_path, "tests", *plant(tmp_path, *PLANTED))
    rows = {Path(file).stem.removeprefix("test_"): row for file, row in found["tests"]["files"].items()}
    failed = {name: row["failed"] for name, row in rows.items() if row["failed"]}
    assert failed.keys() == {"fails", "aborts", "hangs", "does_not_load", "loses_the_device", "does_not_compile"}, said
    assert failed["fails"] == {"test_b": "assert (1 + 1) == 3"}
    assert failed["aborts"] == {"test_a": "its process ended"}
    assert failed["hangs"] == {"test_a": f"it hung: ended after {HANGS} s"}
    assert "nothing_of_this_name" in str(failed["does_not_load"])
    assert failed["loses_the_device"].keys() == {"test_a"} and "IllegalAddress" in failed["loses_the_device"]["test_a"]
    assert failed["does_not_compile"].keys() == {"test_a"} and "does not compile" in str(failed["does_not_compile"])
    passed = {name: row["passed"] for name, row in rows.items() if row["passed"]}
    assert passed == {
        "good": 2,
        "fails": 1,
        "aborts": 1,
        "hangs": 1,
        "adds": 1,
        "loses_the_device": 20,
        "does_not_compile": 1,
    }
    assert rows["skips"]["skipped"] == 1 and found["tests"]["skipped because"] == {"needs it": 1}
    assert status == 1 and found["tests"]["complete"] and not found["not done"] and len(found["failed"]) == 6
    assert all(f"FAILED {name}: {why}" in said for name, why in found["failed"].items())
    assert str(ROOT) not in json.dumps(found["about"]) and found["about"]["Python"]["version"].startswith("CPython")
    (log,) = (tmp_path / "results").glob("*/tests.log")
    assert "in test_b\n    def test_b(): assert 1 + 1 == 3" in log.read_text()


WARNS = """
import pytest, warnings
@pytest.hookimpl
def pytest_configure(config): warnings.warn("a plugin that happens to be there")
"""


@pytest.mark.parametrize("missing", ["", "xdist", "timeout", "hypothesispytest"])
def test_plugins_of_somebody_s_machine_do_not_matter(
    ci_code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Neither one that warns when it is loaded, nor one of ours that is missing."""
    need("g++", "clang++")
    monkeypatch.setenv("GPUGRAD_SIMULATE", "1")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    (tmp_path / "warns.py").write_text(WARNS)
    (tmp_path / "warns-1.dist-info").mkdir()
    (tmp_path / "warns-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: warns\nVersion: 1\n")
    (tmp_path / "warns-1.dist-info" / "entry_points.txt").write_text("[pytest11]\nwarns = warns\n")
    tests = ci_code("tests")
    there = tests.available
    assert there(*tests.PLUGINS) == list(tests.PLUGINS)
    monkeypatch.setattr(tests, "available", lambda *names: there(*(name for name in names if name != missing)))
    file = plant(tmp_path, "good")[0]
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers = cuda: of the device\ntimeout = 9\naddopts = --strict-config\n"
    )
    found = tests.run([file], time.monotonic() + 60, tmp_path, lambda known: None)
    assert found["complete"] and "error" not in found and "in one process because" not in found
    assert [(row["passed"], row["failed"]) for row in found["files"].values()] == [(2, {})]


def test_what_there_is_no_time_for_is_said(tmp_path: Path) -> None:
    files = plant(tmp_path, "good", "hangs")
    status, found, said = run(tmp_path, "--limit", "20", "tests", *files, GPUGRAD_TEST_LIMIT="100")
    assert status == 1 and not found["tests"]["complete"], said
    assert sum(row["passed"] for row in found["tests"]["files"].values()) >= 1
    assert "tests were not run" in found["not done"][0] and "NOT DONE" in said


def test_killed_at_any_moment_it_leaves_what_it_knew_and_no_process(tmp_path: Path) -> None:
    need("g++", "clang++")
    marker = tmp_path / "pid"
    plant(tmp_path)
    (tmp_path / "test_long.py").write_text(
        "import os, pathlib, time\nimport pytest\n@pytest.mark.cuda\ndef test_a():\n"
        f"    pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    )
    command = [str(ROOT / "ci" / "gpu"), "--results", str(tmp_path), "tests", str(tmp_path / "test_long.py")]
    given = os.environ | {"PYTHON": sys.executable, "GPUGRAD_SIMULATE": "1"}
    process = subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(marker.is_file, 60)
    finally:
        process.terminate()
        process.wait(30)
    (results,) = tmp_path.glob("*/results.json")
    assert not json.loads(results.read_text())["tests"]["complete"]
    test = int(marker.read_text())
    wait_for(lambda: not Path(f"/proc/{test}/stat").exists() or " Z " in Path(f"/proc/{test}/stat").read_text(), 10)


def wait_for(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_every_file_with_tests_of_the_device_is_run_those_of_kernels_first(ci_code: Any) -> None:
    files = ci_code("tests").files()
    assert files[:2] == ["tests/test_cuda_sizes.py", "tests/test_kernel_softmax.py"]
    assert {"tests/test_cuda_rows.py", "tests/test_cuda_op_table.py", "tests/test_train.py"} <= set(files)


def test_a_copy_without_its_history_is_named_by_its_code(ci_code: Any) -> None:
    about = {
        "gpugrad": {"version": None},
        "Python": {"version": "CPython 3.12.3"},
        "libraries": {},
        "CUDA": {
            "devices": [{"name": "a GPU", "compute capability": "9.0"}],
            "simulated": False,
            "runtime": 13000,
            "driver supports": 13000,
        },
    }
    written = ci_code("report").markdown({"about": about, "code": "0123abcd"})
    assert written.startswith("# a GPU\n") and "gpugrad checkout (0123abcd)" in written


SANITIZER = """#!/usr/bin/env python3
import os, subprocess, sys
tool, rest = sys.argv[2], sys.argv[sys.argv.index("20") + 1:]
status = subprocess.run(rest).returncode
if tool == "racecheck":
    print("========= Error: Race reported between Write access at 0x7f00 and Read access at 0x7f10")
    print("=========     at void gpugrad::softmax<float>(const float *)+0x1230")
print(f"========= {'RACECHECK' if tool == 'racecheck' else 'ERROR'} SUMMARY: {int(tool == 'racecheck')} errors")
raise SystemExit(status)
"""


def test_faults_that_the_sanitizer_finds_stand_by_their_tests(
    ci_code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in that runs what it is given, and says what the real one does."""
    need("g++", "clang++")
    monkeypatch.setenv("GPUGRAD_SIMULATE", "1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "compute-sanitizer").write_text(SANITIZER)
    (tmp_path / "compute-sanitizer").chmod(0o755)
    sanitizer, report = ci_code("sanitizer"), ci_code("report")
    monkeypatch.setattr(sanitizer, "TOOLS", {tool: sanitizer.TOOLS[tool] for tool in ("memcheck", "racecheck")})
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert sanitizer.available()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = plant(tmp_path, "good", "adds", "loses_the_device")
    found = sanitizer.run(files, time.monotonic() + 100, scratch, lambda known: None)
    memcheck, racecheck = found["tools"]["memcheck"], found["tools"]["racecheck"]
    assert memcheck["kernels"]["elementwise"] == {"met": 1, "of": 6} and memcheck["kernels"]["sort"]["met"] == 0
    assert found["complete"] and memcheck["passed"] == 23 and len(memcheck["failed"]) == 1 and not memcheck["faults"]
    fault = "Error: Race reported between Write access at 0x... and Read access at 0x... at void gpugrad::softmax<float>(const float *)"
    last = [f"test_loses_the_device.py::{name}" for name in ("test_a", "test_b[19]")]  # of each of two processes
    assert racecheck["faults"] == {test: {fault: 1} for test in last} and racecheck["said"] == ["2 x 1 errors"]
    failed = report.failures({"sanitizer": found})
    assert [failed[f"racecheck: {test}"] for test in last] == [fault, fault]
    assert "IllegalAddress" in failed[f"memcheck: {last[0]}"]


def test_a_case_that_ends_or_hangs_its_process_is_a_row_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = bench.CASES[:4]
    names = [case.name for case in cases]
    program = f"""
import json, sys, time
names = {names!r}
print(json.dumps({{"device": "a GPU", "copy GB/s": 1}}), flush=True)
for name in sys.argv[1:]:
    if name == names[1]: sys.exit("a planted fault")
    if name == names[2]: time.sleep(60)
    print(json.dumps({{"case": name, "gpugrad": {{"seconds": 1.0}}}}), flush=True)
"""
    real = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        assert command[-len(names) :][-1] == names[-1]
        return real([sys.executable, "-c", program, *command[command.index("--worker") + 1 :]], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(bench, "CASE", 1)
    about, *rows = bench.measured(cases, small=False)
    assert about["device"] == "a GPU" and [row["case"] for row in rows] == names
    errors = [row["gpugrad"].get("error") for row in rows]
    assert errors == [None, "exit status 1: a planted fault", "it hung: ended after 1 s", None]
