"""Gradient modes, per thread: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

Each works as a context manager and as a decorator, as in PyTorch.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any


class _State(threading.local):
    """What recording looks at. `grad` is False, True, or a truthy `Anomaly` while anomalies are being traced."""

    grad: Any = True
    inference = False


state = _State()


class _Mode:
    """A context manager that is also a decorator; every entry keeps its own previous value, so it nests."""

    def __init__(self) -> None:
        self._previous: list[Any] = []

    def __enter__(self) -> Any:
        self._previous.append(self._enter())
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave(self._previous.pop())

    def _enter(self) -> Any:
        raise NotImplementedError

    def _leave(self, previous: Any) -> None:
        state.grad = previous

    def _fresh(self) -> _Mode:
        """A new one for each decorated call, so that recursive and threaded calls do not share `_previous`."""
        return type(self)()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The mode holds while the generator's own code runs, not while its consumer's does."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            step, sent = generator.send, None
            while True:
                try:
                    with self._fresh():
                        value = step(sent)
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield value
                    step = generator.send
                except GeneratorExit:
                    with self._fresh():
                        generator.close()
                    raise
                except BaseException as error:
                    sent, step = error, generator.throw

        return wrapped


class no_grad(_Mode):
    """Nothing inside is recorded on the tape."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()  # type: ignore[misc]  # `@no_grad` without parentheses: decorate at once
        return self(function)

    def _enter(self) -> Any:
        previous, state.grad = state.grad, False
        return previous


class enable_grad(no_grad):
    """Recording is on inside, also within `no_grad`."""

    def _enter(self) -> Any:
        previous = state.grad
        state.grad = previous or True
        return previous


class set_grad_enabled(_Mode):
    """Recording on or off: takes effect when called, and is undone at the end of a `with` block."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self._mode = mode
        self._before = state.grad
        state.grad = self._mode

    def _enter(self) -> Any:
        before, state.grad = self._before, self._mode
        return before

    def _fresh(self) -> _Mode:
        return set_grad_enabled(self._mode)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        state.grad = self._before  # used as a decorator: it acts inside the function only
        return super().__call__(function)


class inference_mode(_Mode):
    """Like `no_grad`. Tensors made inside are plain constants: using them in a recorded step later is allowed."""

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if callable(mode):
            self.__init__()  # type: ignore[misc]
            return self(mode)
        return self

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = bool(mode)

    def _fresh(self) -> _Mode:
        return inference_mode(self._mode)

    def _enter(self) -> Any:
        previous = (state.grad, state.inference)
        if self._mode:
            state.grad, state.inference = False, True
        else:
            state.grad, state.inference = True, False
        return previous

    def _leave(self, previous: Any) -> None:
        state.grad, state.inference = previous


def is_grad_enabled() -> bool:
    """True while operations on this thread are recorded."""
    return bool(state.grad)


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode` on this thread."""
    return state.inference
