"""The worker processes of a loader, seen from the loader: hand out tasks, put the batches in order."""

from __future__ import annotations

import pickle
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

from .worker import Exhausted, Failure, Job, work

_POLL = 1.0  # seconds between looks at whether the workers still live


class Pool:
    """Worker processes that make batches ahead of time. They end with the pool."""

    def __init__(
        self,
        context: Any,
        num_workers: int,
        seed: int,
        fetcher: tuple[Any, ...],
        init: Callable[[int], None] | None,
        prefetch: int,
        timeout: float,
    ) -> None:
        self.prefetch = prefetch
        self.timeout = timeout
        self.passes = 0
        self.results = context.Queue()
        self.tasks = [context.SimpleQueue() for _ in range(num_workers)]
        self.workers = [
            context.Process(
                target=work, args=(Job(i, num_workers, seed, fetcher, init), tasks, self.results), daemon=True
            )
            for i, tasks in enumerate(self.tasks)
        ]
        for worker in self.workers:
            worker.start()

    def batches(self, indices: Iterator[Any]) -> Iterator[Any]:
        """The batches of these indices, in their order; the first ones are begun at once."""
        self.passes += 1
        return _Pass(self, self.passes, indices)

    def receive(self) -> tuple[Any, Any]:
        """The next result of any worker. RuntimeError after `timeout` seconds, or if a worker has died."""
        start = time.monotonic()
        while True:
            try:
                number, message = self.results.get(timeout=min(_POLL, self.timeout) if self.timeout else _POLL)
                return number, pickle.loads(message)
            except queue.Empty:
                dead = [worker.pid for worker in self.workers if not worker.is_alive()]
                if dead:
                    raise RuntimeError(
                        f"DataLoader worker (pid(s) {', '.join(map(str, dead))}) exited unexpectedly"
                    ) from None
                if self.timeout and time.monotonic() - start >= self.timeout:
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None

    def __del__(self) -> None:
        for tasks, worker in zip(self.tasks, getattr(self, "workers", [])):
            if worker.is_alive():
                tasks.put(None)
        for worker in getattr(self, "workers", []):
            worker.join(timeout=_POLL)
            if worker.is_alive():
                worker.terminate()
                worker.join()


class _Pass:
    """One pass over the data: tasks go round the workers that have something left, results are put in order."""

    def __init__(self, pool: Pool, number: int, indices: Iterator[Any]) -> None:
        self.pool = pool
        self.number = number
        self.indices = indices
        self.active = list(range(len(pool.workers)))
        self.begun: set[int] = set()
        self.turn = 0
        self.sent = self.given = 0
        self.owner: dict[int, int] = {}
        self.ready: dict[int, Any] = {}
        self._send()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self.given < self.sent:
            batch = self._take()
            if batch is Exhausted:
                self._retire(self.owner.pop(self.given))
            else:
                del self.owner[self.given]
            self.given += 1
            self._send()
            if isinstance(batch, Failure):
                batch.reraise()
            if batch is not Exhausted:
                return batch
        raise StopIteration

    def _take(self) -> Any:
        """The result that is next in order; those that come before their turn wait, those of other passes are lost."""
        while self.given not in self.ready:
            (number, place), batch = self.pool.receive()
            if number == self.number:
                self.ready[place] = batch
        return self.ready.pop(self.given)

    def _retire(self, worker: int) -> None:
        if worker in self.active:
            self.turn -= self.active.index(worker) < self.turn
            self.active.remove(worker)

    def _send(self) -> None:
        """Keep `prefetch` tasks for each worker on their way."""
        while self.active and self.sent - self.given < self.pool.prefetch * len(self.active):
            try:
                chosen = next(self.indices)
            except StopIteration:
                return
            self.turn %= len(self.active)
            worker = self.active[self.turn]
            self.turn += 1
            self.pool.tasks[worker].put(((self.number, self.sent), chosen, worker not in self.begun))
            self.begun.add(worker)
            self.owner[self.sent] = worker
            self.sent += 1
