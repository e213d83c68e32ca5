"""`SummaryWriter`: writes what TensorBoard shows, with PyTorch's interface, through the library tensorboardX."""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np

from ..core import Tensor
from ..dtypes import LOW_PRECISION
from .event_file import EventFile, library

__all__ = ["SummaryWriter"]

Step = int | None
Walltime = float | None  # seconds since 1970; None: now


def plain(x: Any) -> Any:
    """A NumPy array in the place of a Tensor, also in lists, tuples and dicts; half precision becomes float32."""
    if isinstance(x, Tensor):
        array = x.detach().cpu().numpy()
        return array.astype(np.float32) if array.dtype in LOW_PRECISION else array
    if type(x) in (list, tuple):
        return type(x)(map(plain, x))
    return {key: plain(value) for key, value in x.items()} if type(x) is dict else x


def _setting(key: str, x: Any) -> Any:
    """A hyperparameter as it is written; TypeError for what is none."""
    value = x.item() if isinstance(x, (Tensor, np.generic)) else x
    if not isinstance(value, (bool, int, float, str, type(None))):
        raise TypeError(
            f"add_hparams(): {key!r} should be a bool, int, float, str or None, and is a {type(value).__name__}"
        )
    return value


class SummaryWriter:
    """Writes event files to the folder `log_dir`, by default `runs/<time>_<host><comment>`.

    Tensors, on any device and of any dtype, are taken wherever arrays are. `purge_step`: hide what an interrupted run
    wrote of this step and later ones. At most `max_queue` events wait to be brought to the disk, for about `flush_secs`
    seconds at most. ImportError, naming the extra that has it, without tensorboardX.
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        self._summary = library("summary")
        if not log_dir:
            log_dir = os.path.join("runs", f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}")
        self.log_dir = str(log_dir)
        self._options = max_queue, flush_secs, filename_suffix
        self._files: dict[str, EventFile] = {}
        file = self._file()
        if purge_step is not None:
            file.begin_again(purge_step)
        file.flush()

    def _file(self, *below: str) -> EventFile:
        """The file of a folder below `log_dir`, opened when it is first needed and again after `close`."""
        folder = os.path.join(self.log_dir, *below)
        if folder not in self._files:
            self._files[folder] = EventFile(folder, *self._options)
        return self._files[folder]

    def get_logdir(self) -> str:
        """The folder that is written to."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Step = None,
        walltime: Walltime = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A point of a curve: a number, or a Tensor or array of one element. AssertionError for more.

        It is stored as a float32; `new_style` and `double_precision` are taken for PyTorch's sake and change nothing.
        """
        self._file().add(self._summary.scalar(tag, plain(scalar_value)), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Step = None, walltime: Walltime = None
    ) -> None:
        """Points of several curves in one plot, each in a folder of its own below `log_dir`."""
        walltime = time.time() if walltime is None else walltime
        for tag, value in tag_scalar_dict.items():
            file = self._file(f"{main_tag.replace('/', '_')}_{tag}")
            file.add(self._summary.scalar(main_tag, plain(value)), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Step = None,
        bins: str | Iterable[float] = "tensorflow",
        walltime: Walltime = None,
        max_bins: int | None = None,
    ) -> None:
        """How often which values occur. ValueError if there are none, or if one is not finite."""
        edges = _default_bins() if isinstance(bins, str) and bins == "tensorflow" else plain(bins)
        self._file().add(self._summary.histogram(tag, plain(values), edges, max_bins), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Step = None,
        walltime: Walltime = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture of 1, 3 or 4 channels: floats from 0 to 1, or uint8. `dataformats` names its dimensions."""
        made = self._summary.image(tag, plain(img_tensor), dataformats=dataformats)
        self._file().add(made, global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Step = None,
        walltime: Walltime = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Several pictures of one size side by side; a list of them, each as `dataformats` says without its N."""
        if isinstance(img_tensor, list):
            img_tensor, dataformats = np.stack(plain(img_tensor)), f"N{dataformats.upper().removeprefix('N')}"
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Step = None,
        close: bool = True,
        walltime: Walltime = None,
    ) -> None:
        """A figure of matplotlib, or a list of them, as a picture; `close` closes it in pyplot."""
        dataformats = "NCHW" if isinstance(figure, list) else "CHW"
        pixels = library("utils").figure_to_image(figure, close)
        self.add_image(tag, pixels, global_step, walltime, dataformats)

    def add_text(self, tag: str, text_string: str, global_step: Step = None, walltime: Walltime = None) -> None:
        """A text, shown as Markdown."""
        self._file().add(self._summary.text(tag, text_string), global_step, walltime)

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: Step = None, sample_rate: int = 44100, walltime: Walltime = None
    ) -> None:
        """A sound: numbers from -1 to 1, of shape (1, samples). It takes the package soundfile."""
        self._file().add(self._summary.audio(tag, plain(snd_tensor), sample_rate), global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Step = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: Walltime = None,
    ) -> None:
        """Precision against recall: `labels` are 0 or 1, `predictions` how likely each is to be 1."""
        made = self._summary.pr_curve(tag, plain(labels), plain(predictions), num_thresholds, plain(weights))
        self._file().add(made, global_step, walltime)

    def add_custom_scalars(self, layout: dict[str, dict[str, list[Any]]]) -> None:
        """Which curves stand in one plot: `{category: {plot: ["Multiline", [tag, ...]]}}`."""
        self._file().add(self._summary.custom_scalars(layout))

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: dict[str, Any] | None = None,
        global_step: Step = None,
        walltime: Walltime = None,
    ) -> None:
        """Points in space and the triangles between them, each of shape (batch, count, 3)."""
        made = self._summary.mesh(tag, *map(plain, (vertices, colors, faces)), config_dict)
        self._file().add(made, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: Step = None,
    ) -> None:
        """What a run was set to (bool, int, float, str or None) and what came of it, in the folder `run_name`.

        TypeError for other values; NotImplementedError for `hparam_domain_discrete`, which tensorboardX cannot write.
        """
        if hparam_domain_discrete is not None:
            raise NotImplementedError("add_hparams(hparam_domain_discrete=...) is not supported: leave it out")
        for name, given in (("hparam_dict", hparam_dict), ("metric_dict", metric_dict)):
            if not isinstance(given, dict):
                raise TypeError(f"add_hparams(): {name} must be a dict, not {type(given).__name__}")
        settings = {key: _setting(key, value) for key, value in hparam_dict.items()}
        metrics = [self._summary.scalar(key, plain(value)) for key, value in metric_dict.items()]
        file = EventFile(os.path.join(self.log_dir, run_name or str(time.time())), *self._options)
        for made in (*self._summary.hparams(settings, metric_dict), *metrics):
            file.add(made, global_step)
        file.close()

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False, **options: Any) -> None:
        """NotImplementedError: gpugrad has no traced graph of a model to draw."""
        raise NotImplementedError("add_graph() is not supported: gpugrad has no traced graph of a model to draw")

    def flush(self) -> None:
        """Bring what waits to the disk."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Bring what waits to the disk and close the files; a method called after this opens new ones."""
        while self._files:
            self._files.popitem()[1].close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@functools.cache
def _default_bins() -> list[float]:
    """TensorFlow's edges: from 1e-12 to 1e20 in steps of a tenth, and their negatives."""
    edges = [1e-12]
    while edges[-1] * 1.1 < 1e20:
        edges.append(edges[-1] * 1.1)
    return [*(-edge for edge in reversed(edges)), 0.0, *edges]
