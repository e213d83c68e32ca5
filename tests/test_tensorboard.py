"""`utils.tensorboard.SummaryWriter`: what it writes is read back from the event files."""

from __future__ import annotations

import inspect
import io
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import nn
from gpugrad.utils.tensorboard import SummaryWriter

pytest.importorskip("tensorboardX", reason='needs tensorboardX: pip install "gpugrad[tensorboard]"')


def events(folder: Path) -> Iterator[Any]:
    """What the event files of a folder hold: records of protocol buffers, a length before each and checksums around."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.glob("events.out.tfevents.*")):
        content = file.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]


def read(folder: Path) -> dict[str, list[Any]]:
    """Tag -> (step, value) of everything in the event files of a folder."""
    found: dict[str, list[Any]] = {}
    for event in events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value))
    return found


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, value.simple_value) for step, value in read(folder)[tag]]


def picture(value: Any) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))


def test_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step, value in enumerate(
            [1.5, gpugrad.tensor(2.5), gpugrad.tensor([3.5], requires_grad=True), np.float32(4.5), gpugrad.tensor(5)]
        ):
            writer.add_scalar("loss", value, step)
        writer.add_scalar("half", gpugrad.tensor(0.25, dtype=gpugrad.bfloat16), global_step=7, new_style=True)
    assert scalars(tmp_path, "loss") == [(0, 1.5), (1, 2.5), (2, 3.5), (3, 4.5), (4, 5.0)]
    assert scalars(tmp_path, "half") == [(7, 0.25)]
    with SummaryWriter(tmp_path) as writer, pytest.raises(AssertionError, match="scalar should be 0D"):
        writer.add_scalar("loss", gpugrad.ones(2))


def test_several_scalars_in_one_plot(tmp_path: Path) -> None:
    with SummaryWriter(log_dir=tmp_path) as writer:
        writer.add_scalars("loss", {"train": gpugrad.tensor(1.0, requires_grad=True), "test": 2}, 3)
    assert scalars(tmp_path / "loss_train", "loss") == [(3, 1.0)]
    assert scalars(tmp_path / "loss_test", "loss") == [(3, 2.0)]


@pytest.mark.parametrize("dtype", [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16, gpugrad.int64])
def test_histograms(tmp_path: Path, dtype: Any) -> None:
    values = gpugrad.tensor([1, 1, 2, 3]).to(dtype)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weights", values.requires_grad_(dtype.is_floating_point), 5)
        writer.add_histogram("binned", [1.0, 2.0], bins="auto")
    ((step, value),) = read(tmp_path)["weights"]
    assert (step, value.histo.num, value.histo.sum, value.histo.sum_squares) == (5, 4, 7, 15)
    assert (value.histo.min, value.histo.max) == (1, 3)
    assert sum(read(tmp_path)["binned"][0][1].histo.bucket) == 2


def test_the_parameters_of_a_model(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    model(gpugrad.ones(1, 3)).sum().backward()
    with SummaryWriter(tmp_path) as writer:
        for name, parameter in model.named_parameters():
            writer.add_histogram(name, parameter)
            writer.add_histogram(f"{name}.grad", parameter.grad)
    assert {*read(tmp_path)} == {"weight", "bias", "weight.grad", "bias.grad"}


def test_pictures(tmp_path: Path) -> None:
    ramp = gpugrad.arange(12, dtype=gpugrad.float32).reshape(3, 2, 2) / 11
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("floats", ramp.requires_grad_(), 1)
        writer.add_image("last", (ramp * 255).to(gpugrad.uint8).permute(1, 2, 0), dataformats="HWC")
        writer.add_image("half", ramp.to(gpugrad.bfloat16))
        writer.add_images("several", gpugrad.stack([ramp, 1 - ramp]))
        writer.add_images("list", [ramp.detach(), 1 - ramp.detach()], dataformats="CHW")
    found = read(tmp_path)
    expected = (ramp.detach().numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    assert found["floats"][0][0] == 1
    for tag in ("floats", "last"):
        assert np.array_equal(picture(found[tag][0][1]), expected), tag
    assert np.abs(picture(found["half"][0][1]).astype(int) - expected).max() <= 1
    beside = picture(found["several"][0][1])
    assert beside.shape[1] == 4
    assert np.array_equal(beside[:, :2], expected)
    assert np.array_equal(picture(found["list"][0][1]), beside)


def test_figures(tmp_path: Path) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    pytest.importorskip("matplotlib").use("agg")
    figure = figures.Figure(figsize=(1, 1), dpi=50)
    figure.subplots().plot([0, 1], [1, 0])
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("curve", figure, 2)
    ((step, value),) = read(tmp_path)["curve"]
    assert step == 2
    assert picture(value).shape[:2] == (50, 50)


def test_texts(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "a *text*", 4)
    ((step, value),) = next(found for tag, found in read(tmp_path).items() if tag.startswith("note"))
    assert step == 4
    assert list(value.tensor.string_val) == [b"a *text*"]


def test_what_a_run_was_set_to(tmp_path: Path) -> None:
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    given = {"lr": gpugrad.tensor(0.5), "layers": 3, "bias": True, "name": "net", "none": None, "eps": np.float32(0.25)}
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams(given, {"accuracy": gpugrad.tensor(0.75, requires_grad=True)}, run_name="one", global_step=2)
        with pytest.raises(TypeError, match=r"'size' should be a bool, int, float, str or None, and is a list"):
            writer.add_hparams({"size": [1, 2]}, {})
        with pytest.raises(TypeError, match="metric_dict must be a dict, not float"):
            writer.add_hparams({}, 0.5)  # type: ignore[arg-type]
        with pytest.raises(NotImplementedError, match="hparam_domain_discrete"):
            writer.add_hparams({"lr": 1}, {}, {"lr": [1, 2]})
    assert scalars(tmp_path / "one", "accuracy") == [(2, 0.75)]
    ((_, value),) = read(tmp_path / "one")["_hparams_/session_start_info"]
    stored = HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info.hparams
    assert {name: getattr(v, v.WhichOneof("kind")) for name, v in stored.items()} == {
        "lr": 0.5,
        "layers": 3,
        "bias": True,
        "name": "net",
        "eps": 0.25,
    }


def test_curves_meshes_and_layouts(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        labels, predictions = gpugrad.tensor([0, 1, 1]), gpugrad.tensor([0.1, 0.8, 0.4], requires_grad=True)
        writer.add_pr_curve("curve", labels, predictions, 1, num_thresholds=3)
        writer.add_mesh("mesh", gpugrad.zeros(1, 3, 3), faces=gpugrad.tensor([[[0, 1, 2]]]))
        writer.add_custom_scalars({"all": {"both": ["Multiline", ["train", "test"]]}})
        with pytest.raises(NotImplementedError, match="add_graph"):
            writer.add_graph(nn.Linear(1, 1))
    found = read(tmp_path)
    ((step, value),) = found["curve"]
    assert step == 1
    assert [d.size for d in value.tensor.tensor_shape.dim] == [6, 3]
    assert list(value.tensor.float_val[:3]) == [2, 1, 0]  # true positives above 0, 0.5 and 1
    assert "custom_scalars__config__" in found
    assert any(tag.startswith("mesh_") for tag in found)


def test_what_is_flushed_can_be_read_before_the_end(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path, max_queue=1000, flush_secs=1000, filename_suffix=".own")
    for step in range(50):
        writer.add_scalar("a", step, step)
    writer.flush()
    assert scalars(tmp_path, "a") == [(step, float(step)) for step in range(50)]
    assert all(file.name.endswith(".own") for file in tmp_path.iterdir())
    writer.close()


def test_events_wait_as_long_as_is_said(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path, max_queue=3) as writer:
        counts = []
        for step in range(4):
            writer.add_scalar("a", step, step)
            counts.append(len(read(tmp_path).get("a", [])))
    assert counts == [0, 0, 3, 3]
    with SummaryWriter(tmp_path, max_queue=1000, flush_secs=0) as writer:
        writer.add_scalar("b", 1)
        assert scalars(tmp_path, "b") == [(0, 1.0)]


def test_a_closed_writer_opens_again_and_overwrites_nothing(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for step in range(3):  # within a second, which file names tell the time in
        writer.add_scalar("a", step, step)
        writer.close()
    writer.close()
    writer.flush()
    SummaryWriter(tmp_path).close()
    assert sorted(scalars(tmp_path, "a")) == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert writer.get_logdir() == writer.log_dir == str(tmp_path)


def test_steps_of_an_interrupted_run_are_hidden(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import SessionLog

    with SummaryWriter(tmp_path, purge_step=7):
        pass
    starts = [e for e in events(tmp_path) if e.session_log.status == SessionLog.START]
    assert [e.step for e in starts] == [7]


def test_a_time_of_ones_own(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1, np.int64(2), walltime=12.5)
    assert [(e.step, e.wall_time) for e in events(tmp_path) if e.summary.value] == [(2, 12.5)]


def test_a_folder_is_chosen_if_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_own") as writer:
        writer.add_scalar("a", 1)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("_own")
    assert writer.get_logdir() == str(Path("runs") / folder.name)


@pytest.mark.cuda
def test_tensors_on_the_device(tmp_path: Path, device: str) -> None:
    x = gpugrad.tensor([1.0, 2.0, 3.0], requires_grad=True).to(device)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("sum", x.sum())
        writer.add_histogram("values", x)
        writer.add_hparams({"lr": x[0]}, {"last": x[2]}, run_name="one")
    assert scalars(tmp_path, "sum") == [(0, 6.0)]
    assert read(tmp_path)["values"][0][1].histo.sum == 6
    assert scalars(tmp_path / "one", "last") == [(0, 3.0)]


def test_without_the_library_making_one_says_what_to_install() -> None:
    code = """
import sys
sys.modules["tensorboardX"] = None
from gpugrad.utils.tensorboard import SummaryWriter
try: SummaryWriter("nowhere")
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "gpugrad[tensorboard]"' in done.stdout


def test_it_takes_no_pytorch(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
import gpugrad
from gpugrad.utils.tensorboard import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    writer.add_images("list", [gpugrad.zeros(3, 2, 2), gpugrad.ones(3, 2, 2)], dataformats="CHW")
    writer.add_histogram("values", gpugrad.ones(3))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=True)
    assert picture(read(tmp_path)["list"][0][1]).shape == (2, 4, 3)


def test_signatures_are_pytorchs(torch: ModuleType) -> None:
    """PyTorch's writer imports only where TensorBoard is installed, so its source is read instead."""
    import ast

    source = Path(torch.__file__).parent / "utils" / "tensorboard" / "writer.py"
    (theirs,) = [n for n in ast.parse(source.read_text()).body if getattr(n, "name", "") == "SummaryWriter"]
    arguments = {f.name: [a.arg for a in f.args.args] for f in theirs.body if isinstance(f, ast.FunctionDef)}
    own = [name for name in vars(SummaryWriter) if name.startswith("add_") and name != "add_graph"]
    assert len(own) == 12
    for name in ("__init__", "get_logdir", "flush", "close", *own):
        assert [*inspect.signature(getattr(SummaryWriter, name)).parameters] == arguments[name], name
