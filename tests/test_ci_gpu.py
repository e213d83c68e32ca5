"""ci/gpu: a failure, a crash or a hang of one part is reported, and hides no other. The whole runs on a GPU, or by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from gpugrad.bench import device as bench

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(device: str) -> Any:
    found = importlib.util.spec_from_file_location("on_device", ROOT / "ci" / "on_device.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


PLANTED = {
    "good": "def test_a(): pass\n@pytest.mark.cuda\ndef test_b(): pass\n@pytest.mark.cuda\ndef test_c(): pass\n",
    "fails": "@pytest.mark.cuda\ndef test_a(): pass\n@pytest.mark.cuda\ndef test_b(): assert 1 + 1 == 3\n",
    "dies": "import os\n@pytest.mark.cuda\ndef test_a(): os._exit(7)\n",
    "hangs": "import time\n@pytest.mark.cuda\ndef test_a(): time.sleep(60)\n",
    "does_not_load": "import nothing_of_this_name\n@pytest.mark.cuda\ndef test_a(): pass\n",
}


def plant(folder: Path, name: str) -> str:
    path = folder / f"test_{name}.py"
    path.write_text(f"import pytest\n{PLANTED[name]}")
    return str(path)


def test_what_a_file_of_tests_comes_to(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = script.test(plant(tmp_path, "good"))
    assert (good["passed"], good["skipped"], good["failed"], good["status"]) == (2, 0, {}, 0)
    failing = script.test(plant(tmp_path, "fails"))
    assert failing["passed"] == 1 and failing["failed"] == {"test_b": "assert (1 + 1) == 3"}
    for name, why in (("dies", "exit status 7"), ("does_not_load", "nothing_of_this_name")):
        file = plant(tmp_path, name)
        found = script.test(file)
        assert found["passed"] == 0 and len(found["failed"]) == 1 and why in str(found["failed"])
    assert "test_b: assert (1 + 1) == 3" in capsys.readouterr().out


def test_a_file_that_hangs_is_ended(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "TESTS_END", script.time.monotonic() - script.BEGAN + 8)
    assert "ended after" in str(script.test(plant(tmp_path, "hangs"))["failed"])
    monkeypatch.setattr(script, "TESTS_END", 0)
    assert "no time was left" in str(script.test(plant(tmp_path, "good"))["failed"])


def test_all_is_written_and_fails_if_anything_did(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = {"case": "gelu", "elements": 1, "gpugrad": {"error": "Traceback\nRuntimeError: a planted fault"}}
    figures = {"cases": [case, {"case": "add", "elements": 1, "gpugrad": {"seconds": 1.0, "GB/s": 2.0}}]}
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "bench", lambda folder, simulated: figures)
    monkeypatch.setattr(
        script, "sanitize", lambda: {"racecheck": "exit status 9: 1 hazard", "memcheck": "exit status 0: none"}
    )
    assert script.main([plant(tmp_path, "fails"), plant(tmp_path, "good")]) == 1
    (folder,) = (tmp_path / "ci" / "results").iterdir()
    found = json.loads((folder / "results.json").read_text())
    assert list(found["failed"].values()) == [
        "assert (1 + 1) == 3",
        "RuntimeError: a planted fault",
        "exit status 9: 1 hazard",
    ]
    assert [row["passed"] for row in found["tests"].values()] == [1, 2] and found["kernels"] == figures
    written = (folder / "results.md").read_text()
    assert all(why in written and why in capsys.readouterr().out + written for why in found["failed"].values())
    figures["cases"] = figures["cases"][1:]
    monkeypatch.setattr(script, "sanitize", dict)
    assert script.main([plant(tmp_path, "good")]) == 0


def test_every_file_with_tests_of_the_device_is_run(script: Any) -> None:
    files = script.test_files()
    assert {"tests/test_cuda_rows.py", "tests/test_kernel_softmax.py", "tests/test_train.py"} <= set(files)


def test_a_case_that_ends_its_process_is_a_row_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [case.name for case in bench.CASES[:4]]
    asked: list[list[str]] = []

    def answer(arguments: list[str]) -> Any:
        asked.append(arguments)
        rows = [{"case": name, "gpugrad": {"seconds": 1.0}} for name in arguments if name != names[1]]
        if names[1] in arguments:
            return [{"device": "a GPU"}, *rows[: arguments.index(names[1])]], "exit status -11: a planted fault"
        return [{"device": "a GPU"}, rows[0]], ""  # a fault that the process saw: it ended itself

    monkeypatch.setattr(bench, "_ask_worker", answer)
    found = bench._in_workers(bench.CASES[:4], 8, [])
    assert [row["case"] for row in found["cases"]] == names and found["device"] == "a GPU"
    assert [row["gpugrad"].get("error") for row in found["cases"]] == [
        None,
        "exit status -11: a planted fault",
        None,
        None,
    ]
    assert asked == [names, names[2:], names[3:]]
