"""`record_function`: a range with a name of the user's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import recorder
from .events import Kind


class record_function:
    """`with record_function("name"): ...`, or `@record_function("name")`: an event around what runs inside.

    Without a profile that is on it does nothing. `args` is a string that is kept with the trace, if given.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"record_function(): name must be a str, not {type(name).__name__}")
        self.name, self.args = name, args
        self._entered: Any = None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):  # each call has its own: calls may be recursive or threaded
                return function(*args, **kwargs)

        return wrapped

    def __enter__(self) -> record_function:
        on = recorder.current
        if on is not None:
            name = self.name if self.args is None else f"{self.name}({self.args})"
            self._entered = on, on.enter(name, Kind.RANGE)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._entered is not None:
            (on, event), self._entered = self._entered, None
            on.exit(event)
