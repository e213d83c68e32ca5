"""Datasets, samplers and loaders: the order and the batches against PyTorch's, and what holds without it."""

from __future__ import annotations

import os
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import gpugrad
import gpugrad.random
from gpugrad.core import Tensor
from gpugrad.utils import data

Point = namedtuple("Point", "x y")
forked = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def plain(batch):
    """Batches of either library as nested lists of numbers, to compare them."""
    if hasattr(batch, "tolist"):
        return [str(batch.dtype).split(".")[-1], batch.tolist()]
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [type(batch).__name__, *map(plain, batch)]
    return batch


class Squares(data.Dataset):
    def __init__(self, count: int = 10, bad: int | None = None) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int):
        if i == self.bad:
            raise IndexError(f"nothing at {i}")
        return i, float(i * i)


class Stream(data.IterableDataset):
    """Counts; in worker processes each counts its share."""

    def __iter__(self):
        info = data.get_worker_info()
        return iter(range(7) if info is None else range(info.id, 7, info.num_workers))

    def __len__(self) -> int:
        return 7


def rows(loader) -> list:
    return [batch.tolist() if isinstance(batch, Tensor) else [part.tolist() for part in batch] for batch in loader]


ORDERS = [
    {"shuffle": True},
    {"shuffle": True, "batch_size": 4, "drop_last": True},
    {"shuffle": False, "batch_size": 3},
    {"batch_size": None},
    {"batch_size": None, "shuffle": True},
]


@pytest.mark.parametrize("options", ORDERS)
@pytest.mark.parametrize("own_generator", [False, True])
def test_order_of_pytorch(torch, options, own_generator):
    """The same batches over several epochs, and the same stream of random numbers afterwards."""
    found = []
    for module, tools, manual_seed in (
        (gpugrad, data, gpugrad.random.manual_seed),
        (torch, torch.utils.data, torch.manual_seed),
    ):
        manual_seed(7)
        generator_type = gpugrad.random.Generator if module is gpugrad else torch.Generator
        generator = generator_type().manual_seed(3) if own_generator else None
        dataset = tools.TensorDataset(module.arange(22.0).reshape(11, 2), module.arange(11))
        loader = tools.DataLoader(dataset, generator=generator, **options)
        batches = [[plain(batch) for batch in loader] for _ in range(3)]
        found.append((batches, len(loader), list(tools.RandomSampler(range(5)))))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda tools: tools.RandomSampler(range(7), num_samples=17),
        lambda tools: tools.RandomSampler(range(7), replacement=True),
        lambda tools: tools.RandomSampler(range(7), replacement=True, num_samples=100),
        lambda tools: tools.SubsetRandomSampler([5, 3, 1, 0, 9]),
        lambda tools: tools.WeightedRandomSampler([0.1, 0.5, 3.0, 0.0, 1.0], 12),
        lambda tools: tools.WeightedRandomSampler([0.1, 0.5, 3.0, 0.2, 1.0], 4, replacement=False),
        lambda tools: tools.BatchSampler(tools.RandomSampler(range(7)), 3, False),
        lambda tools: [part.indices for part in tools.random_split(range(10), [3, 7])],
        lambda tools: [part.indices for part in tools.random_split(range(10), [0.5, 0.3, 0.2])],
        lambda tools: [part.indices for part in tools.random_split(range(11), [0.35, 0.3, 0.35])],
    ],
)
def test_draws_of_pytorch(torch, make):
    found = []
    for tools, manual_seed in ((data, gpugrad.random.manual_seed), (torch.utils.data, torch.manual_seed)):
        manual_seed(11)
        made = make(tools)
        found.append([list(made), list(made), len(made)])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda module: [module.tensor([1.0, 2.0]), module.tensor([3.0, 4.0])],
        lambda module: [1, 2, 3],
        lambda module: [1.5, 2.0],
        lambda module: [True, False],
        lambda module: ["a", "b"],
        lambda module: [np.arange(3, dtype=np.int16), np.ones(3, np.int16)],
        lambda module: [np.float32(1), np.float32(2)],
        lambda module: [(1, np.zeros((2, 2), np.uint8)), (2, np.ones((2, 2), np.uint8))],
        lambda module: [[1, "x"], [2, "y"]],
        lambda module: [{"a": 1, "b": [1.0, module.tensor(2)]}, {"a": 2, "b": [3.0, module.tensor(4)]}],
        lambda module: [Point(1, 2.0), Point(3, 4.0)],
        lambda module: [OrderedDict(a=1), OrderedDict(a=2)],
    ],
)
def test_collate_of_pytorch(torch, make):
    mine, theirs = data.default_collate(make(gpugrad)), torch.utils.data.default_collate(make(torch))
    assert plain(mine) == plain(theirs)
    assert type(mine).__name__ == type(theirs).__name__


def test_order_by_stored_numbers():
    gpugrad.random.manual_seed(0)
    loader = data.DataLoader(list(range(6)), batch_size=4, shuffle=True)
    assert [rows(loader), rows(loader)] == [[[0, 4, 3, 5], [2, 1]], [[2, 3, 1, 5], [4, 0]]]  # PyTorch's


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_tensor_dataset_is_indexed_as_it_would_be_collated(batch_size):
    dataset = data.TensorDataset(gpugrad.arange(14.0).reshape(7, 2), gpugrad.arange(7))

    def slow(batch):
        return data.default_collate(batch)

    quick = list(data.DataLoader(dataset, batch_size))
    assert [plain(b) for b in quick] == [plain(b) for b in data.DataLoader(dataset, batch_size, collate_fn=slow)]
    quick[0][0].zero_()
    assert dataset.tensors[0][0].tolist() == [0.0, 1.0]  # a batch is a copy


def test_datasets():
    first = data.TensorDataset(gpugrad.arange(3), gpugrad.arange(3) * 10)
    assert [part.item() for part in first[2]] == [2, 20]
    both = first + data.Subset(first, [2, 0])
    assert len(both) == 5
    assert [int(both[i][0]) for i in (0, 3, 4, -1)] == [0, 2, 0, 0]
    assert rows(data.DataLoader(data.Subset(first, [2, 0]), 2)) == [[[2, 0], [20, 0]]]
    assert list(Stream() + Stream()) == [*range(7), *range(7)]


def test_a_batch_fetched_at_once():
    class Batched(Squares):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert rows(data.DataLoader(Batched(4), 2)) == [[0, -1], [-2, -3]]
    assert rows(data.DataLoader(data.Subset(Batched(4), [3, 2]), 2)) == [[-3, -2]]


def test_iterable_datasets():
    assert rows(data.DataLoader(Stream(), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert rows(data.DataLoader(Stream(), 3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    assert len(data.DataLoader(Stream(), 3)) == 3
    assert len(data.DataLoader(Stream(), 3, drop_last=True)) == 2
    assert list(data.DataLoader(Stream(), None)) == list(range(7))


@forked
def test_workers_give_the_same_batches_in_order():
    def batches(**options):
        gpugrad.random.manual_seed(5)
        loader = data.DataLoader(Squares(23), 3, shuffle=True, **options)
        return [rows(loader) for _ in range(2)]

    alone = batches()
    assert batches(num_workers=2) == alone
    assert batches(num_workers=3, prefetch_factor=1) == alone


@forked
def test_workers_share_an_iterable_dataset():
    loader = data.DataLoader(Stream(), 2, num_workers=2, persistent_workers=True)
    expected = [[0, 2], [1, 3], [4, 6], [5]]
    assert [rows(loader), rows(loader)] == [expected, expected]


@forked
def test_persistent_workers_stay_and_an_abandoned_pass_leaves_no_trace():
    loader = data.DataLoader(WhoAmI(), 1, num_workers=2, persistent_workers=True)
    first = rows(loader)
    next(iter(loader))
    assert rows(loader) == first
    fresh = data.DataLoader(WhoAmI(), 1, num_workers=2)
    assert rows(fresh) != rows(fresh)


class WhoAmI(data.Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> int:
        return os.getpid()


@forked
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_arrives_with_its_traceback(workers):
    loader = data.DataLoader(Squares(8, bad=5), 2, num_workers=workers)
    seen = []
    with pytest.raises(IndexError, match="nothing at 5") as caught:
        for indices, _ in loader:
            seen.append(indices.tolist())
    assert seen == [[0, 1], [2, 3]]
    if workers:
        assert "in DataLoader worker process" in str(caught.value)
        assert "__getitem__" in str(caught.value)


@forked
def test_an_error_of_the_init_function_arrives():
    def init(worker_id):
        raise ValueError(f"worker {worker_id} will not")

    with pytest.raises(ValueError, match="worker 0 will not"):
        list(data.DataLoader(Squares(), num_workers=1, worker_init_fn=init))


class Draws(data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int):
        import random

        info = data.get_worker_info()
        ours = gpugrad.random.initial_seed()
        return info.id, info.num_workers, ours - info.seed, info.seed, random.random(), np.random.rand()


@forked
def test_workers_have_streams_of_their_own():
    def draw():
        gpugrad.random.manual_seed(9)
        return [[part.item() for part in batch] for batch in data.DataLoader(Draws(), 1, num_workers=2)]

    first = draw()
    assert first == draw()
    assert [batch[0] for batch in first] == [0, 1, 0, 1]
    assert {(batch[1], batch[2]) for batch in first} == {(2, 0)}
    assert first[1][3] == first[0][3] + 1
    assert len({batch[4] for batch in first}) == len({batch[5] for batch in first}) == 4
    assert data.get_worker_info() is None


class Stuck(Squares):
    def __getitem__(self, i: int):
        if i == 1:
            os._exit(3)
        import time

        time.sleep(30)


@forked
def test_a_worker_that_dies_or_hangs():
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(data.DataLoader(Stuck(), sampler=[1], num_workers=1))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
        list(data.DataLoader(Stuck(), sampler=[0], num_workers=1, timeout=0.2))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: data.DataLoader([1], num_workers=-1), ValueError, "should be non-negative"),
        (lambda: data.DataLoader([1], timeout=-1), ValueError, "timeout option"),
        (lambda: data.DataLoader([1], prefetch_factor=2), ValueError, "prefetch_factor option"),
        (lambda: data.DataLoader([1], persistent_workers=True), ValueError, "needs num_workers > 0"),
        (lambda: data.DataLoader([1], multiprocessing_context="fork"), ValueError, "multi-process loading"),
        (lambda: data.DataLoader([1], num_workers=1, multiprocessing_context="x"), ValueError, "valid start method"),
        (lambda: data.DataLoader([1], sampler=[0], shuffle=True), ValueError, "mutually exclusive with shuffle"),
        (lambda: data.DataLoader([1], batch_sampler=[[0]], batch_size=2), ValueError, "batch_sampler option"),
        (lambda: data.DataLoader([1], batch_size=None, drop_last=True), ValueError, "disables auto-batching"),
        (lambda: data.DataLoader(Stream(), shuffle=True), ValueError, "expected unspecified shuffle"),
        (lambda: data.DataLoader(Stream(), sampler=[0]), ValueError, "expected unspecified sampler"),
        (lambda: data.DataLoader([], shuffle=True), ValueError, "num_samples should be a positive integer"),
        (lambda: setattr(data.DataLoader([1]), "batch_size", 2), ValueError, "should not be set after"),
        (lambda: data.BatchSampler([0], 0, False), ValueError, "batch_size should be a positive integer"),
        (lambda: data.BatchSampler([0], 1, 1), ValueError, "drop_last should be a boolean"),
        (lambda: data.RandomSampler([0], replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: data.WeightedRandomSampler([[0.5]], 1), ValueError, "weights should be a 1d sequence"),
        (lambda: data.WeightedRandomSampler([0.5], 0), ValueError, "num_samples should be a positive integer"),
        (lambda: data.TensorDataset(gpugrad.ones(2), gpugrad.ones(3)), AssertionError, "Size mismatch"),
        (lambda: data.ConcatDataset([]), ValueError, "should not be an empty iterable"),
        (lambda: data.ConcatDataset([Stream()]), TypeError, "does not support IterableDataset"),
        (lambda: data.ConcatDataset([[1, 2]])[2], IndexError, "index 2 is out of range"),
        (lambda: data.random_split([1, 2], [1, 2]), ValueError, "Sum of input lengths"),
        (lambda: data.random_split([1, 2], [1.5, -0.5]), ValueError, "Fraction at index 0"),
        (lambda: data.default_collate([{1}, {2}]), TypeError, "found <class 'set'>"),
        (lambda: data.default_collate([[1], [1, 2]]), RuntimeError, "equal size"),
    ],
)
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_an_empty_part_is_warned_of():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split([1], [0.5, 0.5])
