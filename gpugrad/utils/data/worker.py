"""The worker processes of a loader: what they do, and how the loader talks to them.

A worker takes `(number, indices)` from its own queue and puts `(number, batch)` into the common one. Tensors travel as
bytes. An exception is sent as its type and its traceback's text, and raised again by the loader.
"""

from __future__ import annotations

import pickle
import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ... import random as gpugrad_random
from ...core import wrap
from .dataset import Dataset, IterableDataset, TensorDataset

_info: WorkerInfo | None = None


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows of itself: its number, how many there are, its seed and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Dataset[Any]


@dataclass(frozen=True)
class Failure:
    """An exception on its way to the loader."""

    kind: type[BaseException]
    text: str
    where: str

    def reraise(self) -> None:
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        try:
            error = self.kind(message)
        except Exception:  # an exception of several arguments: its type cannot be kept
            raise RuntimeError(message) from None
        raise error


class Exhausted:
    """Sent in the place of a batch by a worker whose iterable dataset has no more."""


def get_worker_info() -> WorkerInfo | None:
    """In a worker process, the `WorkerInfo`; elsewhere None."""
    return _info


class Fetcher:
    """Makes batches of a dataset: of the indices given, or for an iterable dataset of what comes next."""

    def __init__(
        self, dataset: Any, batched: bool, collate: Callable[[Any], Any], whole: bool, drop_last: bool
    ) -> None:
        """`whole`: a batch of a TensorDataset is one index per tensor, which is what collating its rows gives."""
        self.dataset = dataset
        self.batched = batched
        self.collate = collate
        self.whole = whole and type(dataset) is TensorDataset
        self.drop_last = drop_last
        self.rows: Iterator[Any] | None = iter(dataset) if isinstance(dataset, IterableDataset) else None

    def __call__(self, indices: Any) -> Any:
        """The batch, or `Exhausted`."""
        if self.rows is not None:
            return self._next(indices)
        if not self.batched:
            return self.collate(self.dataset[indices])
        if self.whole:
            chosen = wrap(np.array(indices, np.int64))
            return [tensor[chosen] for tensor in self.dataset.tensors]
        fetch = getattr(self.dataset, "__getitems__", None)
        return self.collate(fetch(indices) if callable(fetch) else [self.dataset[i] for i in indices])

    def _next(self, indices: Any) -> Any:
        assert self.rows is not None
        if not self.batched:
            return next((self.collate(row) for row in self.rows), Exhausted)
        batch = list(islice(self.rows, len(indices)))
        if not batch or (len(batch) < len(indices) and self.drop_last):
            return Exhausted
        return self.collate(batch)


def seed_everything(seed: int, worker_id: int, base_seed: int) -> None:
    """Give gpugrad, `random` and NumPy's legacy generator streams of this worker's own."""
    gpugrad_random.manual_seed(seed)
    random.seed(seed)
    np.random.seed(np.random.SeedSequence([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32]).generate_state(4))


@dataclass(frozen=True)
class Job:
    """What a worker is started with."""

    worker_id: int
    num_workers: int
    base_seed: int
    fetcher: tuple[Any, ...]  # the arguments of `Fetcher`
    init: Callable[[int], None] | None


def work(job: Job, tasks: Any, results: Any) -> None:
    """The life of a worker: serve `tasks`, each (number, indices, whether a pass begins), until None comes."""
    global _info
    seed = job.base_seed + job.worker_id
    seed_everything(seed, job.worker_id, job.base_seed)
    _info = WorkerInfo(job.worker_id, job.num_workers, seed, job.fetcher[0])
    fetch: Fetcher | None = None
    failed: Failure | None = None
    try:
        if job.init is not None:
            job.init(job.worker_id)
    except Exception as error:
        failed = _failure(error, job.worker_id)
    while (task := tasks.get()) is not None:
        number, indices, begins = task
        try:
            if failed is None and (begins or fetch is None):
                fetch = Fetcher(*job.fetcher)
            message = pickle.dumps(failed or fetch(indices))  # type: ignore[misc]  # one of them is there
        except Exception as error:
            message = pickle.dumps(_failure(error, job.worker_id))
        results.put((number, message))
    results.cancel_join_thread()


def _failure(error: Exception, worker_id: int) -> Failure:
    return Failure(type(error), traceback.format_exc(), f"in DataLoader worker process {worker_id}")
