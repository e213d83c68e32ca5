"""Where autocast gets to see calls: at the functions that have a policy, and only while some thread autocasts.

A function keeps its identity, so that whoever imported it calls what it has become; its code is exchanged when the first
thread begins to autocast, and put back when the last one ends. Nothing is left to ask for in a call in between.
"""

from __future__ import annotations

import threading
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from ..callpath import specialise
from .policies import Policy, through
from .table import POLICIES

_lock = threading.Lock()
_holders = 0
_doors: list[_Door] = []


class _Door:
    """The two codes of a function: its own, and the one that looks at the arguments first."""

    def __init__(self, function: FunctionType, policies: dict[str, Policy]) -> None:
        self._function = function
        self._shut = function.__code__
        plain = FunctionType(self._shut, function.__globals__, function.__name__, function.__defaults__)
        plain.__kwdefaults__ = function.__kwdefaults__
        self._open = _code_that_calls(through(plain, policies), self._shut)

    def open(self) -> None:
        self._function.__code__ = self._open

    def shut(self) -> None:
        self._function.__code__ = self._shut


def _template(*args: Any, **kwargs: Any) -> Any:
    call: Any = "what is called"
    return call(*args, **kwargs)


def _code_that_calls(call: Any, like: CodeType) -> CodeType:
    """Code that hands its arguments to `call`. That is a constant of it: a name would be looked up where the function lies."""
    code = _template.__code__
    constants = tuple(call if c == "what is called" else c for c in code.co_consts)
    return code.replace(co_consts=constants, co_name=like.co_name, co_filename=like.co_filename)


def _function(place: str) -> FunctionType:
    """The function at a place such as `ops.matmul.mm`, without what decorates it; an op with its own call path made.

    It may not have free variables: code can be exchanged only for code with the same.
    """
    module, _, name = place.rpartition(".")
    found = getattr(import_module(f"gpugrad.{module}"), name)
    if hasattr(found, "op") and found.__code__.co_name == "_stub":
        specialise(found.op)
    return getattr(found, "__wrapped__", found)


def hold() -> None:
    """Have the doors open until `release` is called as often."""
    global _holders
    with _lock:
        if not _doors:
            _doors.extend([_Door(_function(place), policies) for place, policies in POLICIES.items()])
        _holders += 1
        if _holders == 1:
            for door in _doors:
                door.open()


def release() -> None:
    """Shut the doors, if nobody else holds them."""
    global _holders
    with _lock:
        _holders -= 1
        if _holders == 0:
            for door in _doors:
                door.shut()
