"""`gpugrad info`: what it says, that no broken part of an installation stops it, and that it loads little."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import threads
from gpugrad.__main__ import main
from gpugrad.cuda import backend
from gpugrad.info import libraries, machine, report


def found(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["info", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_section_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    answers = found(capsys)
    assert [*answers] == [*report.SECTIONS]
    assert not [name for name, answer in answers.items() if "error" in answer]
    assert answers["libraries"]["numpy"]["version"] == np.__version__
    assert answers["gpugrad"]["version"] == importlib.metadata.version("gpugrad")
    assert Path(answers["gpugrad"]["kernels"], "common.cuh").is_file()
    assert answers["Python"]["executable"] == sys.executable
    assert 1 <= answers["processor"]["cores usable"] <= answers["processor"]["cores"]


def test_the_text_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    answers = found(capsys)
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if not line.startswith(" ")] == [*report.SECTIONS]
    assert f"{np.__version__} (numpy)" in said
    assert answers["gpugrad"]["package"] in said
    assert re.search(r"\n  memory +[\d,]+\.\d MiB\n", said)


@pytest.mark.parametrize("broken", report.SECTIONS)
def test_a_part_that_fails_stops_no_other(
    broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> Any:
        raise OSError("out of order")

    sections = {name: (lambda: {"well": True}) for name in report.SECTIONS}
    monkeypatch.setattr(report, "SECTIONS", {**sections, broken: fail})
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "  error  OSError: out of order" in said
    assert said.count("well  yes") == len(report.SECTIONS) - 1


def test_what_is_missing_is_named_with_what_supplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "version_of", lambda name: None)
    monkeypatch.setattr(libraries, "_in_folders", lambda file: [])
    monkeypatch.setattr(libraries, "_known_to_the_loader", lambda: {"libnvrtc.so.13": "/lib/libnvrtc.so.13"})
    said = report.text({"libraries": libraries.packages(), "CUDA libraries": libraries.shared_libraries()})
    assert 'missing (for arrays on the GPU): pip install "gpugrad[cuda13]", or [cuda12] by the driver' in said
    assert "  driver    missing: the NVIDIA driver" in said
    assert "  nvrtc     /lib/libnvrtc.so.13" in said


def test_two_distributions_of_one_library_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"cupy-cuda13x": "14.0", "cupy-cuda12x": "13.6"}
    monkeypatch.setattr(libraries, "version_of", versions.get)
    assert "14.0 (cupy-cuda13x; also installed: cupy-cuda12x)" in report.text({"libraries": libraries.packages()})


def test_what_supplies_a_library_exists() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    suppliers = [library.supplied_by for library in libraries.PACKAGES.values()]
    extras = {extra for text in suppliers for extra in re.findall(r"\[(\w+)\]", text)}
    assert extras == {"cuda12", "cuda13", "train", "tensorboard"}
    assert all(re.search(rf"^{extra} = \[$", project, re.MULTILINE) for extra in extras)


def test_threads_of_the_blas_are_what_it_says(tmp_path: Path) -> None:
    if not threads.loaded_blas():
        pytest.skip("needs a NumPy whose BLAS is a file of its own")
    code = "import json; from gpugrad.info import machine; print(json.dumps(machine.blas()))"
    environment = {**os.environ, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["threads"] == 1


def test_caches_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "simulator" / "kernel-1").mkdir(parents=True)
    (tmp_path / "simulator" / "kernel-1" / "a.so").write_bytes(bytes(1500))
    (tmp_path / "simulator" / "b").write_bytes(bytes(500))
    monkeypatch.setenv("GPUGRAD_CACHE", str(tmp_path))
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "none"))
    assert report.caches() == {
        "simulator": {"folder": str(tmp_path / "simulator"), "files": 2, "bytes": 2000},
        "device": {"folder": str(tmp_path / "cubins"), "files": 0, "bytes": 0},
        "CuPy": {"folder": str(tmp_path / "none"), "files": 0, "bytes": 0},
    }


def test_without_a_device_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "device_count", lambda: 0)
    cuda = report.cuda()
    assert cuda["available"] is False
    cupy = importlib.util.find_spec("cupy") is not None
    assert cuda["why"] == ("no NVIDIA GPU with its driver was found" if cupy else "CuPy is not installed")


@pytest.mark.cuda
def test_devices_are_described(device: str) -> None:
    cuda = report.cuda()
    assert cuda["simulated"] == backend.simulated()
    assert cuda["devices"][0]["memory"] > 0
    assert ("simulator" in cuda["devices"][0]["name"]) == backend.simulated()
    assert "multiprocessors" in report.text({"CUDA": cuda})


def test_without_a_compiler_the_simulator_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda.simulator import build

    build.find_compiler.cache_clear()
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    try:
        assert "cannot run" in report.simulator()
    finally:
        build.find_compiler.cache_clear()
    assert set(machine.compilers().values()) == {"missing"}


def test_it_loads_no_large_library() -> None:
    code = "import sys; from gpugrad.__main__ import main; main(['info']); print([*sys.modules])"
    environment = {k: v for k, v in os.environ.items() if k != "GPUGRAD_SIMULATE"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "'gpugrad.info.report'" in loaded
    assert not [name for name in ("torch", "matplotlib", "rich", "tensorboardX") if f"'{name}'" in loaded]


def test_matrix_products_can_be_told_how_many_threads_to_use() -> None:
    if not threads.loaded_blas():
        pytest.skip("needs a NumPy whose BLAS is a file of its own")
    before = gpugrad.get_num_threads()
    try:
        gpugrad.set_num_threads(1)
        assert gpugrad.get_num_threads() == 1
    finally:
        gpugrad.set_num_threads(before)
    assert gpugrad.get_num_threads() == before
    for wrong, error in ((0, RuntimeError), ("2", TypeError)):
        with pytest.raises(error, match="set_num_threads expects"):
            gpugrad.set_num_threads(wrong)
