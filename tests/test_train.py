"""`gpugrad train`: accuracy, the same losses from the same seed, interruption, bad input."""

from __future__ import annotations

import csv
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.__main__ import main
from gpugrad.data import load_digits, write_idx


def losses(folder: Path) -> list[str]:
    with (folder / "metrics.csv").open() as file:
        return [row["train_loss"] + " " + row["test_loss"] for row in csv.DictReader(file)]


def weights(folder: Path) -> dict[str, Any]:
    return {k: v.numpy() for k, v in gpugrad.load(folder / "checkpoint.pt")["model"].items()}


def test_the_default_model_reaches_97_percent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", str(tmp_path)]) == 0
    with (tmp_path / "metrics.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["test_accuracy"]) >= 0.97
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "test accuracy 9" in capsys.readouterr().out


def test_the_convolutional_model_trains(tmp_path: Path) -> None:
    assert main(["train", "--model", "cnn", "--epochs", "2", "--out", str(tmp_path)]) == 0
    with (tmp_path / "metrics.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["test_accuracy"]) >= 0.93


def test_one_seed_gives_the_same_losses_to_the_last_bit(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(["train", "--epochs", "2", "--out", str(tmp_path / name)]) == 0
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert main(["train", "--epochs", "2", "--seed", "1", "--out", str(tmp_path / "c")]) == 0
    assert losses(tmp_path / "c") != losses(tmp_path / "a")


@pytest.mark.parametrize("common", [["--optimizer", "adam"], ["--optimizer", "sgd"], ["--amp", "fp16"]])
def test_a_run_resumed_ends_as_one_never_stopped(tmp_path: Path, common: list[str]) -> None:
    assert main(["train", "--epochs", "4", "--out", str(tmp_path / "whole"), *common]) == 0
    for epochs in ("2", "4"):
        assert main(["train", "--resume", "--epochs", epochs, "--out", str(tmp_path / "parts"), *common]) == 0
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(np.array_equal(whole[k], parts[k]) for k in whole)
    whole, parts = (gpugrad.load(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert whole.get("scaler") == parts.get("scaler") and ("scaler" in whole) == ("fp16" in common)


def test_a_run_killed_and_resumed_ends_as_one_never_killed(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "gpugrad", "train", "--epochs", "6", "--out", str(out), "--resume"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    gpugrad.load(out / "checkpoint.pt")  # whole, whenever the run was killed
    assert main(["train", "--epochs", "6", "--out", str(out), "--resume"]) == 0
    assert main(["train", "--epochs", "6", "--out", str(tmp_path / "whole")]) == 0
    whole, killed = weights(tmp_path / "whole"), weights(out)
    assert all(np.array_equal(whole[k], killed[k]) for k in whole)


def test_a_folder_of_idx_files(tmp_path: Path) -> None:
    train_x, train_y, test_x, test_y = load_digits()
    data = tmp_path / "data"
    data.mkdir()
    for name, array in (("train-images-idx3-ubyte.gz", train_x), ("t10k-images-idx3-ubyte", test_x)):
        write_idx(data / name, array)
    for name, array in (("train-labels-idx1-ubyte.gz", train_y), ("t10k-labels-idx1-ubyte", test_y)):
        write_idx(data / name, array)
    assert main(["train", "--data", str(data), "--epochs", "1", "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "cuda"], "CUDA device is not available"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--model", "rnn"], "invalid choice"),
        (["--epochs", "0"], "must be positive"),
    ],
)
def test_bad_input_is_said(options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["train", "--out", str(tmp_path / "out"), *options])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    assert status in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_checkpoint_is_said_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    assert main(["train", "--epochs", "1", "--out", str(tmp_path)]) == 0
    cut = checkpoint.read_bytes()[:500]
    checkpoint.write_bytes(cut)
    assert main(["train", "--resume", "--epochs", "2", "--out", str(tmp_path)]) == 1
    assert "cut short" in capsys.readouterr().err
    assert checkpoint.read_bytes() == cut


def test_resuming_with_other_options_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert main(["train", "--resume", "--lr", "0.5", "--out", str(tmp_path)]) == 1
    assert "--lr 0.002 (now 0.5)" in capsys.readouterr().err


@pytest.mark.parametrize("other", [{"a": 1}, [1, 2]])
def test_another_file_is_no_checkpoint(other: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpugrad.save(other, tmp_path / "checkpoint.pt")
    assert main(["train", "--resume", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert "no checkpoint of `gpugrad train`" in capsys.readouterr().err
    assert gpugrad.load(tmp_path / "checkpoint.pt") == other


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    gpugrad.save({"a": 1}, tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.cuda
# A bias before a batch norm has no gradient but rounding errors, which Adam would make steps of
@pytest.mark.parametrize(("model", "optimizer"), [("mlp", "adam"), ("cnn", "sgd")])
def test_the_device_s_loss_curve_is_the_cpu_s(model: str, optimizer: str, device: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    images, labels, *_ = load_digits()
    for part, number in (("train", 160), ("t10k", 40)):
        write_idx(data / f"{part}-images-idx3-ubyte", images[:number])
        write_idx(data / f"{part}-labels-idx1-ubyte", labels[:number])
    curves = []
    for where in ("cpu", device):
        out = tmp_path / where
        options = ["--model", model, "--optimizer", optimizer, "--data", str(data), "--epochs", "2", "--out", str(out)]
        assert main(["train", "--device", where, *options]) == 0
        curves.append([[float(x) for x in row.split()] for row in losses(out)])
    assert len(curves[0]) == 2
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize(("model", "amp"), [("mlp", []), ("cnn", []), ("mlp", ["--amp", "fp16"])])
def test_a_step_on_the_device_waits_for_nothing(
    model: str, amp: list[str], device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images and their order are there: ten steps more copy nothing more, and the host waits no more often."""
    from gpugrad.cuda import backend

    if not backend.simulated():
        pytest.skip("a GPU counts no transfers")
    counters = importlib.import_module("gpugrad.cuda.simulator.device").counters
    monkeypatch.setitem(sys.modules, "rich.progress", None)  # a bar shows figures every tenth of a second
    images, labels, *_ = load_digits()
    found = []
    for number in (160, 320):
        data = tmp_path / f"data{number}"
        data.mkdir()
        for part, of in (("train", number), ("t10k", 40)):
            write_idx(data / f"{part}-images-idx3-ubyte", images[:of])
            write_idx(data / f"{part}-labels-idx1-ubyte", labels[:of])
        options = ["--model", model, "--data", str(data), "--epochs", "1", "--batch-size", "16", *amp]
        for run in range(2):  # what is made once and kept is there in the second
            counters.reset()
            assert main(["train", "--device", device, *options, "--out", str(tmp_path / f"{number} {run}")]) == 0
        found.append((counters.host_to_device, counters.device_to_host, counters.synchronizations))
    assert found[0] == found[1]
