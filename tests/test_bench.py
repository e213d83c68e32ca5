"""`gpugrad bench`: what it measures, prints, leaves out and refuses. How long anything takes is not tested."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bench_tools import QUICK, InProcess, row
from device_tools import need

from gpugrad.__main__ import main
from gpugrad.bench import ceilings, job, kernels, table
from gpugrad.bench import device as device_bench
from gpugrad.bench.case import Op
from gpugrad.bench.cases import CASES, GROUPS, choose
from gpugrad.bench.digest import TOLERANCES, difference
from gpugrad.bench.kernels import measure
from gpugrad.bench.peer import PEERS
from gpugrad.bench.plan import Plan
from gpugrad.bench.products import Product
from gpugrad.bench.worker import Worker
from gpugrad.bench.workers import PeerError, WorkerProcess


@pytest.fixture(autouse=True)
def small_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ceilings that take no time, and mean nothing."""
    monkeypatch.setattr(ceilings, "COPY", {"cpu": 2**12})
    monkeypatch.setattr(ceilings, "SIDE", {"cpu": 64})


FACTS = {"gpugrad": {"version": "0", "devices": {"cpu": "CPU"}}}
CPU_CASES = [name for name, case in CASES.items() if "cpu" in case.devices and not case.imports]


def measured(folder: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What a run writes to `results.json`."""
    assert main(["bench", *arguments, *QUICK, "--out", str(folder)]) == status
    return json.loads((folder / "results.json").read_text())


def test_a_run_on_the_cpu_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = ["add", "softmax", "LayerNorm", "Dropout", "within-memory"]
    found = measured(tmp_path, *cases, "--against", "none", "--sizes", "100,2000", "--devices", "cpu")
    assert list(dict.fromkeys(r["case"] for r in found["rows"])) == ["add", "add-bias", *cases[1:]]
    for r in found["rows"]:
        low, high = r["seconds"]["quartiles"]
        assert r["status"] == "ok" and r["peer"] == "gpugrad" and r["device"] == "cpu" and not r["simulated"]
        assert 0 < low <= r["seconds"]["median"] <= high and len(r["seconds"]["rounds"]) == 2
        assert r["difference"] < 1e-3 and r["of_ceiling"] > 0 and "ratio" not in r
    assert [r["n"] for r in found["rows"] if r["case"] in ("add", "LayerNorm")] == [100, 2000, 768, 2304]
    assert set(found["ceilings"]["cpu"]) == {"copy", "matmul"} and found["machine"]["cores"] >= 1
    assert set(found["versions"]) == {"gpugrad", "numpy"} and found["threads"] == 1 and len(found["load"]) == 2
    printed = capsys.readouterr().out
    assert "hold" in printed and "50%" in printed  # two rounds say the median with a probability of a half
    assert [line.split()[0] for line in printed.splitlines() if " cpu " in line].count("softmax") == 2
    assert (tmp_path / "report.html").stat().st_size > 20_000
    assert (tmp_path / "plots" / "times-add.png").exists()


def test_training_is_timed_and_its_losses_drawn(tmp_path: Path) -> None:
    found = measured(tmp_path, "mlp-small", "--against", "none", "--sizes", "8", "--devices", "cpu")
    assert [(r["case"], r["n"], r["unit"]) for r in found["rows"]] == [("mlp-small", 8, "rows")]
    (curve,) = found["curves"]
    assert len(curve["losses"]) == job.CURVE_STEPS and curve["losses"][-1] < curve["losses"][0] / 2
    assert (tmp_path / "plots" / "curves-mlp-small.png").exists()


def test_import_is_compared_with_numpy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(tmp_path, "import")
    ours, theirs = found["rows"]
    assert (ours["peer"], theirs["peer"], theirs["target"]) == ("gpugrad", "numpy", 1 / 1.6)
    rounds = [r["seconds"]["rounds"] for r in (ours, theirs)]
    assert theirs["ratio"]["rounds"] == [b / a for a, b in zip(*rounds)]
    assert "target >= 0.62" in capsys.readouterr().out


def test_peers_are_timed_side_by_side(torch: ModuleType, tmp_path: Path) -> None:
    found = measured(tmp_path, "multiply", "gelu", "--sizes", "64", "--against", "torch", "--devices", "cpu")
    assert torch.__version__.startswith(found["versions"]["torch"].split("+")[0]) and found["reference"] == "torch"
    for case in ("multiply", "gelu"):
        ours, theirs = (r for r in found["rows"] if r["case"] == case)
        assert (ours["peer"], theirs["peer"]) == ("gpugrad", "torch") and "ratio" in theirs
        assert ours["difference"] < 1e-3 and theirs["difference"] < 1e-3


@pytest.mark.parametrize("name", CPU_CASES)
def test_gpugrad_and_torch_compute_the_same(torch: ModuleType, name: str) -> None:
    case = CASES[name]
    n = case.sizes_on("cpu", [64], False)[0]
    answers = [Worker(peer, "float32").prepare(name, n, "cpu", past=0) for peer in ("gpugrad", "torch")]
    assert answers[0]["digest"] and difference(*(a["digest"] for a in answers)) < TOLERANCES["float32"]


def need_jax() -> None:
    if importlib.util.find_spec("jax") is None:
        if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
            pytest.fail("needs JAX: ci/test --peers installs it")
        pytest.skip("needs JAX: ci/test --peers installs it")


def test_jax_computes_the_same_and_is_timed(torch: ModuleType, tmp_path: Path) -> None:
    need_jax()
    worker, reference = WorkerProcess("jax.jit", "float32", 1), Worker("torch", "float32")
    for name in ("formula-backward", "CrossEntropyLoss", "embedding-layernorm"):
        n = CASES[name].sizes_on("cpu", [64], False)[0]
        found, right = (
            ask(case=name, n=n, device="cpu", past=0)["digest"]
            for ask in (lambda **request: worker.ask("prepare", **request), reference.prepare)
        )
        assert difference(found, right) < TOLERANCES["float32"], name
    worker.close()
    results = measured(tmp_path, "add", "Dropout", "--sizes", "64", "--against", "jax", "--devices", "cpu")
    peers = {(r["case"], r["peer"]): r["status"] for r in results["rows"]}
    assert peers["add", "jax.jit"] == "ok" and peers["Dropout", "jax.jit"] == "left out"


@pytest.mark.parametrize("wrong", ["gpugrad", "torch"])
def test_a_fast_wrong_answer_is_reported_as_wrong(
    torch: ModuleType,
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One element in a thousand is wrong in the library that is planted, in float32; the reference is in float64."""
    monkeypatch.setattr(job, "WorkerProcess", InProcess)

    def double(library: Any, x: Any) -> Any:
        y = x + x
        if library.__name__ == wrong and x.dtype == library.float32:
            y[700] = 0.0
        return y

    case = Op(name="planted", group="ops", inputs=lambda peer, n: (peer.normal(n),), function=double, arrays=2)
    monkeypatch.setitem(CASES, "planted", case)
    found = measured(tmp_path, "planted", "--sizes", "1000", "--devices", "cpu", status=1)
    rows = {r["peer"]: r for r in found["rows"]}
    right = ({"gpugrad", "torch"} - {wrong}).pop()
    assert rows[wrong]["status"] == "wrong" and "seconds" not in rows[wrong] and "ratio" not in rows[right]
    assert rows[right]["status"] == "ok" and rows[right]["seconds"]["median"] > 0
    assert "WRONG: differs from the reference" in capsys.readouterr().out


def test_a_case_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(job, "WorkerProcess", InProcess)

    def fail(torch: Any, x: Any) -> Any:
        raise ValueError("no luck")

    case = Op(name="add-fails", group="ops", inputs=lambda peer, n: (peer.normal(n),), function=fail)
    monkeypatch.setitem(CASES, "add-fails", case)
    cases = ["add-fails", "copy", "--sizes", "64", "--devices", "cpu", "--against", "none"]
    failed, ok = measured(tmp_path, *cases, status=1)["rows"]
    assert (failed["status"], failed["error"], ok["status"]) == ("failed", "ValueError: no luck", "ok")


def test_inputs_are_rotated_until_they_exceed_the_cache() -> None:
    worker = Worker("gpugrad", "float32")
    one = worker.prepare("add", 1000, "cpu", past=0)
    assert (one["sets"], one["bytes"]) == (1, 8000)
    several = worker.prepare("add", 1000, "cpu", past=60_000)
    assert (several["sets"], several["bytes"]) == (8, 64_000)
    assert worker.prepare("add", 10, "cpu", past=60_000)["sets"] == 64  # and no more
    assert worker.prepare("mlp-small", 4, "cpu", past=60_000)["sets"] == 1


def test_groups_and_beginnings_of_names() -> None:
    assert [case.name for case in choose(["train-8-", "conv2d"])] == [
        "train-8-8-8-4-adam",
        "train-8-8-8-4-sgd",
        "conv2d",
    ]
    assert choose(["train"]) == list(GROUPS["train"]) and choose(["core"]) == list(GROUPS["core"])
    assert {case.group for case in choose(["all"])} == {"ops", "layers", "train", "transfer"}
    assert len(CASES) == sum(map(len, GROUPS.values()))  # no two of a name


def test_what_is_not_there_is_left_out_with_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = measured(tmp_path, "copy", "host-to-device", "--sizes", "64", "--against", "torch")
    left_out = "\n".join(found["left_out"])
    assert "cuda: no CUDA device is available" in left_out and "gpugrad[cuda13]" in left_out
    assert "torch: torch is not installed (pip install torch)" in left_out
    assert "host-to-device: runs on cuda only" in left_out
    assert found["reference"] == "gpugrad" and [r["peer"] for r in found["rows"]] == ["gpugrad"]
    assert "left out: cuda" in capsys.readouterr().out


def test_no_device_at_all_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["bench", "add", "--devices", "cuda", "--against", "none", "--out", str(tmp_path)]) == 1
    assert "nothing to measure on: cuda: no CUDA device is available" in capsys.readouterr().err


def test_a_simulated_device_stands_alone_and_is_labelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("g++", "clang++")
    monkeypatch.setenv("GPUGRAD_SIMULATE", "1")
    cases = ["gelu", "mlp-small", "host-to-device"]
    found = measured(tmp_path, *cases, "--against", "gpugrad.graph")
    assert found["simulated"] and found["ceilings"] == {} and list(found["devices"]) == ["cuda"]
    assert all(r["simulated"] and r["device"] == "cuda" and r["status"] == "ok" for r in found["rows"])
    assert {(r["case"], r["peer"]) for r in found["rows"]} >= {(c, "gpugrad") for c in cases} | {
        ("gelu", "gpugrad.graph"),
        ("mlp-small", "gpugrad.graph"),  # a captured step trains as an eager one
    }
    assert not any("device_ratio" in r or "of_ceiling" in r for r in found["rows"])
    assert any(text.startswith("cpu: figures of a simulated device do not stand beside") for text in found["left_out"])
    cpu, cuda = (next(c["losses"] for c in found["curves"] if c["device"] == d) for d in ("cpu", "cuda"))
    assert cuda == pytest.approx(cpu, rel=1e-3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SIMULATED")
    assert all("simulated" in line for line in lines if " cuda " in line and "us " in line)
    assert "Simulated" in (tmp_path / "report.html").read_text()


def test_the_cpu_is_no_simulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE", "1")
    found = measured(tmp_path, "copy", "--sizes", "64", "--devices", "cpu", "--against", "none")
    assert not found["simulated"] and [(r["device"], r["simulated"]) for r in found["rows"]] == [("cpu", False)]


def test_kernels_are_timed_in_one_process_too(
    device: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m gpugrad.bench.device`, which `ci/gpu` runs."""
    from gpugrad.bench.device import main as measure_kernels

    assert measure_kernels(["--small", "--out", str(tmp_path), "add", "softmax, rows of 33"]) == 0
    found = json.loads((tmp_path / "kernels.json").read_text())
    assert {case["case"] for case in found["cases"]} == {"add", "softmax, rows of 33"}
    assert all(case["gpugrad"]["seconds"] > 0 for case in found["cases"])
    assert "| add |" in capsys.readouterr().out


@pytest.mark.parametrize("case", device_bench.CASES, ids=lambda case: case.name)
def test_a_kernel_s_case_computes_the_same_for_gpugrad_and_torch(torch: ModuleType, case: Any) -> None:
    """On the CPU, by the code that times it on a GPU."""
    found = measure(case, ["gpugrad", "torch"], small=True, device="cpu")
    assert "wrong" not in found and found["ratio"] > 0, found
    assert {"error", "difference"} <= found.keys() and ("error here" in found) == (case.family == "gemm")


def test_a_wrong_product_is_found_at_the_size_that_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the small one that is compared with the CPU's is right."""
    (case,) = (case for case in device_bench.CASES if case.name == "matmul, float32, 1024")
    right = Product.__call__

    def wrong_in_the_last_row(work: Product) -> Any:
        out = right(work)
        if out.shape[0] == 1024:
            out[-1] += 1.0
        return out

    monkeypatch.setattr(Product, "__call__", wrong_in_the_last_row)
    monkeypatch.setattr(kernels, "ROUNDS", 1)
    found = measure(case, ["gpugrad"], small=False, device="cpu")
    assert found["error"] < 1e-5 and "from float64" in found["wrong"]


@pytest.mark.parametrize("peer", ["torch.compile", "torch.reduce-overhead", "jax.jit"])
def test_compiled_peers_train_as_gpugrad_does(peer: str, torch: ModuleType) -> None:
    if peer == "jax.jit":
        need_jax()
    worker = WorkerProcess(peer, "float32", 1, patience=100)
    ours = Worker("gpugrad", "float32").prepare("mlp-small", 8, "cpu", past=0)["digest"]
    found = worker.ask("prepare", case="mlp-small", n=8, device="cpu", past=0)["digest"]
    assert len(found) == 3 and difference(found, ours) < TOLERANCES["float32"]
    assert worker.ask("time", device="cpu", seconds=0.001)["times"]
    worker.close()


def test_jax_multiplies_float32_as_float32() -> None:
    """Its default on a GPU is TF32, which would not be the work that the others do."""
    need_jax()
    program = (
        "import jax, jax.numpy as jnp; from gpugrad.bench.peer import make_peer; make_peer('jax.jit', 'cpu', 'float32');"
        "print(jax.make_jaxpr(lambda x: x @ x)(jnp.ones((2, 2))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Precision.HIGHEST" in done.stdout


def test_a_peer_that_does_not_answer_costs_its_patience_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(peer: str, *arguments: Any, **options: Any) -> WorkerProcess:
        made = WorkerProcess(peer, *arguments, **options)
        if peer == "jax.jit":
            made.command = [sys.executable, "-c", "import time; time.sleep(60)"]
        return made

    monkeypatch.setattr(job, "WorkerProcess", start)
    monkeypatch.setattr(job, "make_plan", lambda *_: Plan({"cpu": ["gpugrad", "jax.jit"]}, FACTS))
    options = ["--against", "none", "--sizes", "8", "--devices", "cpu", "--patience", "3"]
    began = time.monotonic()
    found = measured(tmp_path, "add", "copy", *options, status=1)
    assert time.monotonic() - began < 20
    rows = [(r["case"], r["peer"], r["status"], r.get("error")) for r in found["rows"]]
    silent = ("jax.jit", "failed", "no answer came in 3 s")
    ours = ("gpugrad", "ok", None)
    assert rows == [(c, *row) for c in ("add", "add-bias", "copy") for row in (ours, silent)]


def test_a_checkout_that_is_not_installed_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert Worker("gpugrad", "float32").facts()["version"] == "of this checkout"


def test_a_worker_that_dies_says_so_and_is_started_again() -> None:
    worker = WorkerProcess("gpugrad", "float32", 1)
    assert worker.ask("facts")["devices"]["cpu"] == "CPU"
    assert worker.process is not None
    worker.process.kill()
    with pytest.raises(PeerError, match="the process ended with status -9"):
        worker.ask("facts")
    assert worker.ask("facts")["version"]
    with pytest.raises(PeerError, match="KeyError: 'nothing'"):
        worker.ask("prepare", case="nothing", n=1, device="cpu", past=0)
    worker.close()
    worker = WorkerProcess("nothing", "float32", 1)
    with pytest.raises(PeerError, match="No module named 'nothing'"):
        worker.ask("facts")
    worker.close()


def test_a_worker_that_cannot_start_shows_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WorkerProcess("gpugrad", "float32", 1)
    worker.command.append("one argument too many")
    with pytest.raises(PeerError, match=r"ended with status 1: TypeError: .*positional arguments"):
        worker.ask("facts")


@pytest.mark.parametrize(("times", "rounds"), [([1.0], job.FEWEST), ([1.0, 2.0, 3.0], job.MOST)])
def test_rounds_go_on_until_the_median_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, times: list[float], rounds: int
) -> None:
    """Without --rounds: as few as make it sure where times agree, and not for ever where they do not."""
    taken = itertools.cycle(times)

    class Peer(InProcess):
        def ask(self, do: str, **request: Any) -> dict[str, Any]:
            if do != "time":
                return super().ask(do, **request)
            seconds = [next(taken)]
            return {"times": seconds, "host": seconds}

    monkeypatch.setattr(job, "WorkerProcess", Peer)
    assert main(["bench", "multiply", "--against", "none", "--devices", "cpu", "--out", str(tmp_path)]) == 0
    (found,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert len(found["seconds"]["rounds"]) == rounds and found["seconds"]["confidence"] >= 0.95


def test_an_unknown_case_is_named_and_the_known_ones_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "multiply", "nothing"]) == 1
    error = capsys.readouterr().err
    assert "'nothing'" in error and "train-8-8-8-4-adam" in error and "ops: copy" in error


def test_sizes_of_one_kind_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "all", "--sizes", "64"]) == 1
    assert "rows of a batch for train" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rounds", "0"],
        ["--seconds", "-1"],
        ["--threads", "x"],
        ["--against", "numpy"],
        ["--devices", "tpu"],
        ["--sizes", "10,0"],
        ["--dtype", "int64"],
    ],
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "ops", *wrong])
    assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err


def test_the_help_names_every_peer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    text = capsys.readouterr().out
    assert all(peer in text for peer in PEERS)


def test_lines_of_the_table() -> None:
    ratio = row("", 1, "cpu", "", 2.0)["seconds"]
    line = table.line(row("add", 1000, "cpu", "torch", 2.5e-4, ratio=ratio, target=2.5, device_ratio=ratio))
    cells = [cell for cell in line.split("  ") if cell]
    assert line.split()[:6] == ["add", "1,000", "cpu", "torch", "250.00", "us"]
    assert "[245.62 254.38]" in line and "3.0%" in line and "32 MB/s" in line and "50%" in line
    assert "2.00 [1.96 2.04]" in line and cells[-1].strip().endswith("target >= 2.50 missed")
    met = table.line(row("add", 1000, "cpu", "torch", 1.0, ratio=ratio, target=2.0))
    assert met.endswith("target >= 2.00 met")
    assert "from cache" in table.line(row("add", 1000, "cpu", "torch", 1.0, of_ceiling=1.5))
    assert table.line(row("add", 1000, "cpu", "x", 1.0) | {"status": "failed", "error": "E: no"}).endswith(
        "failed: E: no"
    )


def test_the_module_is_a_program() -> None:
    """Peers are started as one; what they print otherwise is no answer."""
    command = [sys.executable, "-m", "gpugrad.bench.worker", "gpugrad", "float32"]
    request = json.dumps({"do": "prepare", "case": "multiply", "n": 1, "device": "cpu", "past": 0}) + "\n"
    done = subprocess.run(command, input=request * 2, capture_output=True, text=True, check=True)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == second and len(first["digest"]) == 9


def test_the_host_does_little_for_an_op_on_the_device() -> None:
    """At most four times what it does on the CPU: allocation and launch left out, the processor's time alone."""
    done = subprocess.run([sys.executable, "-m", "gpugrad.bench.host"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 7
    assert [(row[0], row[3], row[6]) for row in rows if max(float(row[3]), float(row[6])) > 4] == []
