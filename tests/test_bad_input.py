"""What is refused: PyTorch's class of error, a message with op and values, and nothing half changed afterwards."""

from __future__ import annotations

import copy
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bad_calls import Bad, tensors
from bad_calls.arguments import ARGUMENTS, GRAPH
from bad_calls.dtypes import DTYPES
from bad_calls.indices import INDICES
from bad_calls.shapes import SHAPES

import gpugrad
from gpugrad import nn, optim
from gpugrad.__main__ import main
from gpugrad.data import load_image_folder, write_idx
from gpugrad.nn import functional as F

CASES = [
    pytest.param(bad, id=f"{what}: {name}")
    for what, table in {
        "shapes": SHAPES,
        "dtypes": DTYPES,
        "indices": INDICES,
        "graph": GRAPH,
        "other": ARGUMENTS,
    }.items()
    for name, bad in table.items()
]


def state_of(t: ModuleType, given: list[Any]) -> list[Any]:
    """Whatever a call could have changed: tensors, the generator, the modes."""
    per_tensor = [(x.tolist(), x.dtype, tuple(x.shape), x.stride(), x._version, x.grad, x.is_leaf) for x in given]
    return [per_tensor, t.get_rng_state().tolist(), t.is_grad_enabled(), t.get_default_dtype()]


@pytest.mark.parametrize("bad", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch warns of some before it refuses them
def test_a_bad_call_is_refused_and_changes_nothing(bad: Bad) -> None:
    given = tensors(gpugrad, bad.given)
    before = state_of(gpugrad, given)
    with pytest.raises(Exception, match=f"(?s){bad.said}"):
        bad.call(gpugrad, *given)
    assert state_of(gpugrad, given) == before


@pytest.mark.parametrize("bad", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_bad_call_is_refused_as_pytorch_refuses_it(bad: Bad, torch: ModuleType) -> None:
    raised = []
    for library in (gpugrad, torch):
        given = tensors(library, bad.given)
        with pytest.raises(Exception) as error:
            bad.call(library, *given)
        raised.append(error.type)
    assert raised[0] is raised[1]


@pytest.mark.cuda
@pytest.mark.parametrize("bad", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_bad_call_is_refused_on_the_device(bad: Bad, device: str) -> None:
    """In the words of the CPU, and before anything is launched; an index that lies in memory when it is next waited for."""
    in_memory = bad in INDICES.values()
    given = [x.to(device) for x in tensors(gpugrad, bad.given)]
    before = state_of(gpugrad, given)
    with pytest.raises(Exception) as error, gpugrad.device(device):
        bad.call(gpugrad, *given)
        gpugrad.cuda.synchronize()
    if in_memory and "found by its CUDA kernel" in str(error.value):
        assert error.type is IndexError
        return
    with pytest.raises(error.type, match=f"(?s){bad.said}"):
        bad.call(gpugrad, *tensors(gpugrad, bad.given))
    assert re.search(f"(?s){bad.said}", str(error.value))
    assert state_of(gpugrad, given) == before


@pytest.mark.parametrize("name", ["sin_", "add_", "mul_", "copy_", "masked_fill_", "clamp_"])
def test_a_refused_write_through_a_view_leaves_base_and_view(name: str) -> None:
    base = gpugrad.arange(6).reshape(2, 3)
    view = base[1]
    arguments = {"sin_": (), "copy_": (gpugrad.ones(2),), "masked_fill_": (gpugrad.ones(3), 0), "clamp_": ()}
    with pytest.raises(RuntimeError):
        getattr(view, name)(*arguments.get(name, (gpugrad.ones(2, 3),)))
    assert base.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert base._version == 0


# ---- backward ----


def test_a_second_backward_names_the_op_and_leaves_gradients_alone() -> None:
    x = gpugrad.arange(3.0).requires_grad_()
    loss = (x * x).sum()
    loss.backward()
    assert x.grad is not None
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*retain_graph=True"):
        loss.backward()
    assert x.grad.tolist() == [0.0, 2.0, 4.0]


def test_a_freed_part_of_a_graph_is_refused_and_the_rest_goes_on() -> None:
    x = gpugrad.arange(3.0).requires_grad_()
    shared = x * x
    shared.sum().backward()
    x.grad = None
    with pytest.raises(RuntimeError, match="second time"):
        (shared * shared).sum().backward()
    assert x.grad is None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


SAVED: dict[str, Callable[[Any], Any]] = {
    "mul": lambda x: x * x,
    "exp": lambda x: x.exp(),
    "mm": lambda x: x @ x,
    "pow": lambda x: x**3,
    "sigmoid": lambda x: x.sigmoid(),
    "softmax": lambda x: x.softmax(-1),
    "layer_norm": lambda x: F.layer_norm(x, (2,)),
    "prod": lambda x: x.prod(),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_input_or_output_changed_in_place_is_an_error_that_names_the_op(name: str) -> None:
    leaf = gpugrad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = leaf * 1
    y = SAVED[name](x)
    changed = y if name in ("exp", "sigmoid", "softmax") else x
    changed.mul_(2)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation") as error:
        y.sum().backward()
    assert name.rsplit("_", maxsplit=1)[-1] in str(error.value).lower()
    assert leaf.grad is None


def test_a_rule_that_fails_gives_no_leaf_a_gradient() -> None:
    class Broken(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            raise ArithmeticError("broken")

    x, y = gpugrad.ones(3, requires_grad=True), gpugrad.ones(3, requires_grad=True)
    y.grad = gpugrad.ones(3)
    with pytest.raises(ArithmeticError, match="broken"):
        (Broken.apply(x * 1) + x + y).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [1.0, 1.0, 1.0]


# ---- state dicts ----


def model() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def everything(module: Any) -> dict[str, Any]:
    return {name: (id(value), value.tolist()) for name, value in module.state_dict(keep_vars=True).items()}


STATES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda s: s.pop("2.bias"), r'Missing key\(s\) in state_dict: "2.bias"'),
    "unexpected": (lambda s: s.update(extra=gpugrad.ones(1)), r'Unexpected key\(s\) in state_dict: "extra"'),
    "shape": (lambda s: s.update({"2.weight": gpugrad.ones(2, 5)}), r"size mismatch for 2.weight.*\[2, 5\].*\[2, 4\]"),
    "no tensor": (lambda s: s.update({"2.bias": 1.0}), r"2\.bias.*float"),
    "buffer": (lambda s: s.pop("1.running_var"), r'Missing key\(s\) in state_dict: "1.running_var"'),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_dict_that_does_not_fit_changes_nothing(name: str, torch: ModuleType) -> None:
    spoil, said = STATES[name]
    ours = model()
    state = {key: value.clone() + 1 for key, value in ours.state_dict().items()}
    spoil(state)
    before = everything(ours)
    with pytest.raises(RuntimeError, match=f"(?s){said}"):
        ours.load_state_dict(state)
    assert everything(ours) == before
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    converted = {k: torch.tensor(v.numpy()) if isinstance(v, gpugrad.Tensor) else v for k, v in state.items()}
    with pytest.raises(RuntimeError):
        theirs.load_state_dict(converted)


def trained() -> tuple[Any, Any]:
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    net(gpugrad.randn(5, 3)).sum().backward()
    optimizer.step()
    return net, optimizer


OPTIMIZER_STATES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "groups": lambda s: s["param_groups"].append(s["param_groups"][0]),
    "parameters": lambda s: s["param_groups"][0]["params"].pop(),
    "no groups": lambda s: s.pop("param_groups"),
    "no state": lambda s: s.pop("state"),
}


@pytest.mark.parametrize("name", OPTIMIZER_STATES)
def test_an_optimizer_state_that_does_not_fit_changes_nothing(name: str) -> None:
    _, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    OPTIMIZER_STATES[name](state)
    before = repr(optimizer.state_dict())
    with pytest.raises((ValueError, KeyError)):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == before


# ---- files ----


def checkpoint(path: Path) -> bytes:
    net, optimizer = trained()
    gpugrad.save({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    return path.read_bytes()


def test_every_truncation_of_a_checkpoint_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    whole = checkpoint(path)
    for size in [*range(0, len(whole), 97), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(RuntimeError, match=r"checkpoint\.pt.*(cut short|damaged)"):
            gpugrad.load(path)


def test_a_changed_byte_of_a_checkpoint_never_changes_a_number(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    whole = checkpoint(path)
    expected = repr(gpugrad.load(path))
    refused = 0
    for at in range(0, len(whole), 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        try:
            assert repr(gpugrad.load(path)) == expected, f"byte {at}"
        except RuntimeError as error:
            assert "checkpoint.pt" in str(error)
            refused += 1
    assert refused > len(whole) // 41 * 0.8  # the rest are dates and the like


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a checkpoint", bytes(1000), b"\x80\x04N.", gzip.compress(b"text", mtime=0)]
)
def test_a_foreign_file_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=rf"foreign\.pt: .*{len(content)} bytes"):
        gpugrad.load(path)


def test_a_file_of_pytorch_is_no_checkpoint(tmp_path: Path, torch: ModuleType) -> None:
    torch.save({"weight": torch.ones(3)}, tmp_path / "torch.pt")
    with pytest.raises(RuntimeError, match=r"torch\.pt: not a file written by gpugrad\.save"):
        gpugrad.load(tmp_path / "torch.pt")


def test_a_missing_or_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        gpugrad.load(tmp_path / "absent.pt")
    with pytest.raises(FileNotFoundError, match="absent"):
        gpugrad.save(gpugrad.ones(1), tmp_path / "absent" / "x.pt")
    with pytest.raises(IsADirectoryError):
        gpugrad.load(tmp_path)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_image_file_is_named_in_one_line(ending: str, tmp_path: Path, capsys: Any) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4, dtype=np.uint8)
    for split in ("train", "t10k"):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte{ending}", images)
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte{ending}", labels)
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=rf"{path.name}: found .* expected"):
            load_image_folder(tmp_path)
    out = tmp_path / "out"
    assert main(["train", "--data", str(tmp_path), "--out", str(out)]) == 1
    assert capsys.readouterr().err.startswith(f"gpugrad train: {path}: found ")
    assert not out.exists()


# ---- the command line ----


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("GPUGRAD_SIMULATE", None)
    command = [sys.executable, "-m", "gpugrad", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_cuda_without_a_gpu_is_said_in_one_line(tmp_path: Path) -> None:
    done = run("train", "--device", "cuda", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1  # no traceback
    assert done.stderr.startswith("gpugrad train: ")
    for word in ("CUDA", "GPU", "cpu"):
        assert word in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--epoch-count", "3"), "--epoch-count"),
        (("train", "--device", "tpu"), "'tpu' (choose from"),
        (("train", "--optimizer", "lion"), "'lion' (choose from"),
        (("train", "--lr", "fast"), "'fast'"),
        (("train", "--lr", "-1"), "must be positive, got -1"),
        (("train", "--batch-size", "0"), "must be positive, got 0"),
        (("train", "--seed", "one"), "'one'"),
        (("fly",), "'fly' (choose from"),
        ((), "command"),
    ],
)
def test_unknown_options_are_said_with_the_usage(arguments: tuple[str, ...], said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: gpugrad")
    assert said in err


@pytest.mark.parametrize("make", [gpugrad.zeros, gpugrad.rand, gpugrad.full])
def test_a_device_that_is_not_there_draws_and_makes_nothing(make: Any) -> None:
    if gpugrad.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    before = gpugrad.get_rng_state().tolist()
    with pytest.raises(RuntimeError, match="CUDA device is not available"):
        make(*((2,), 0.0) if make is gpugrad.full else (2,), device="cuda:3")
    assert gpugrad.get_rng_state().tolist() == before


def test_a_model_that_cannot_move_stays_whole() -> None:
    if gpugrad.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    net = model()
    before = everything(net)
    with pytest.raises((RuntimeError, AssertionError), match="CUDA"):
        net.to("cuda")
    assert everything(net) == before
