"""`record_function`: a range with a name of the user's."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Any

from . import recorder
from .events import Kind


class record_function(ContextDecorator):
    """`with record_function("name"): ...`, or `@record_function("name")`: an event around what runs inside.

    Without a profile that is on it does nothing. `args` is a string that is kept with the trace, if given.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"record_function(): name must be a str, not {type(name).__name__}")
        self.name, self.args = name, args
        self._entered: Any = None

    def _recreate_cm(self) -> record_function:
        """A new one for each decorated call, so that recursive and threaded calls do not share an event."""
        return record_function(self.name, self.args)

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
