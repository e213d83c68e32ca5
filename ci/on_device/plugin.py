"""Plugin of pytest: results are written down as they come, and no test takes its process's other tests along.

A test that hangs, in a kernel or anywhere, ends its process, as does one after which the device does not answer any more
(an illegal address ends all of a process's work); pytest-xdist goes on with the others in a new one.

GPUGRAD_TEST_REPORT names the file, of a line of JSON for each result; GPUGRAD_TEST_LIMIT is how many seconds a test may
take; GPUGRAD_TEST_SHARD=k/n leaves every n-th test alone, and GPUGRAD_TEST_DONE the tests that a file of that kind holds.
GPUGRAD_TEST_KERNELS names a folder, in which a file for each process says which kernels its tests met.
GPUGRAD_TEST_NO_POOL=1 takes every array from the driver, so that compute-sanitizer knows where each one ends.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

LIMIT = float(os.environ.get("GPUGRAD_TEST_LIMIT", "90"))
LOST = 86  # exit status of a process whose device does not answer
_output = os.dup(1)  # pytest has not put its own in their place yet
_errors = os.dup(2)


def pytest_configure(config: pytest.Config) -> None:
    """Reports are written where they come together, and tests watched where they run."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        config.pluginmanager.register(Reporter(os.environ["GPUGRAD_TEST_REPORT"]))
    if is_worker or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Guard(says=not is_worker))


def finished(report: str | Path) -> set[str]:
    """The tests that a report file has results of."""
    if not Path(report).is_file():
        return set()
    return {row["test"] for row in map(json.loads, Path(report).read_text().splitlines()) if "test" in row}


class Reporter:
    """Writes results down."""

    def __init__(self, path: str) -> None:
        self.file = Path(path).open("a", buffering=1)  # noqa: SIM115  of lines, until the process ends
        self.began: dict[str, float] = {}
        self.collected = False

    def _write(self, **row: Any) -> None:
        self.file.write(json.dumps(row) + "\n")

    def _count(self, ids: Sequence[str]) -> None:
        if not self.collected:  # each process collects all of them
            self._write(collected=Counter(test.partition("::")[0] for test in ids))
        self.collected = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self._count(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._count([item.nodeid for item in session.items])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(test=report.nodeid, outcome="failed", why=reason(report.longreprtext), seconds=0)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.began[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            why = "" if report.passed else reason(report.longreprtext)
            if report.when not in ("setup", "call", "teardown"):  # xdist's, of a process that ended
                taken = time.monotonic() - self.began.get(report.nodeid, time.monotonic())
                why = f"it hung: ended after {LIMIT:.0f} s" if taken >= LIMIT else "its process ended"
            if report.skipped:
                why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            self._write(test=report.nodeid, outcome=report.outcome, why=why, seconds=round(report.duration, 2))


def reason(text: str) -> str:
    """The first line of why, in what pytest shows of a failure."""
    lines = re.findall(r"^E\s+(.*\S)", text, re.MULTILINE) or text.strip().splitlines()[-1:] or ["no message"]
    return lines[0][:300]


def record_kernels(report: Path) -> None:
    """Write "file of kernels/: kernel" to the report for each kernel that is loaded to be launched."""
    from gpugrad.cuda import module

    load, file = module._load, report.open("a", buffering=1)

    def recording(source: str, names: tuple[str, ...], device: int) -> Any:
        place = re.search(r"kernels/(\w+)\.cu\b|(\w+)\.cu\b", source)
        file.writelines(f"{(place[1] or place[2]) if place else 'others'}: {name}\n" for name in names)
        return load(source, names, device)

    module._load = recording


class Guard:
    """Watches tests run; `says` which is, for whoever reads the output."""

    def __init__(self, says: bool) -> None:
        self.says, self.lost = says, False

    def pytest_sessionstart(self) -> None:
        from gpugrad.cuda import backend

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, whose versions are not ours to choose
            backend.require()  # the tests would simulate a device that could not be opened
        self.cupy = backend.cupy()
        if os.environ.get("GPUGRAD_TEST_NO_POOL") == "1" and not backend.simulated():
            self.cupy.cuda.set_allocator(None)
        if folder := os.environ.get("GPUGRAD_TEST_KERNELS"):
            record_kernels(Path(folder) / f"kernels-{os.getpid()}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        shard, _, shards = os.environ.get("GPUGRAD_TEST_SHARD", "0/1").partition("/")
        done = finished(os.environ.get("GPUGRAD_TEST_DONE", ""))
        items[:] = [item for item in items[int(shard) :: int(shards)] if item.nodeid not in done]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self.says:
            os.write(_output, f"\n@ {item.nodeid}\n".encode())  # pytest leaves its lines open
        faulthandler.dump_traceback_later(LIMIT, exit=True, file=_errors)
        try:
            result = yield
        finally:
            faulthandler.cancel_dump_traceback_later()
        if self.lost:
            os._exit(LOST)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        try:
            result = yield
        except BaseException:
            self.lost = not self._answers()
            raise
        try:
            self.cupy.cuda.runtime.deviceSynchronize()
        except Exception as error:
            self.lost = not self._answers()
            raise RuntimeError(f"the device reports a fault in this test: {error}") from None
        return result

    def _answers(self) -> bool:
        try:
            self.cupy.cuda.runtime.deviceSynchronize()
        except Exception as error:
            print(f"the device does not answer any more: {error}", file=sys.stderr)
            return False
        return True
