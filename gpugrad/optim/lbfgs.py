"""L-BFGS: a quasi-Newton method for losses of the whole data."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..modes import enable_grad, no_grad
from ..ops import cat, zeros_like
from .line_search import Point, strong_wolfe
from .optimizer import Closure, Optimizer, Params, check_lr, number


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal 1989): `step` calls the closure, which computes loss and gradients, several times.

    `line_search_fn` is None (steps of size `lr`) or "strong_wolfe". ValueError for options out of range, or for more
    than one group of parameters.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _flat_grad(self) -> Tensor:
        """All gradients in one vector, zeros where there is none."""
        given = [zeros_like(p) if p.grad is None else p.grad for p in self._params]
        return cat([g.reshape(-1) for g in given])

    def _move(self, size: float, direction: Tensor) -> None:
        """Add `size * direction` to the parameters."""
        start = 0
        for p in self._params:
            end = start + p.numel()
            p.add_(direction[start:end].reshape(p.shape), alpha=size)
            start = end

    @no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Up to `max_iter` iterations. Returns the loss before them. TypeError without a closure."""
        if closure is None:
            raise TypeError("LBFGS.step() needs a closure that clears the gradients, computes the loss, and returns it")
        group = self.param_groups[0]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        self._take_along(self._params[:1])
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        run = enable_grad()(closure)
        first = run()
        state["func_evals"] += 1
        grad = self._flat_grad()
        if grad.abs().max().item() <= group["tolerance_grad"]:
            return first
        self._iterate(run, group, state, float(first), grad)
        return first

    def _iterate(self, run: Closure, group: dict[str, Any], state: dict[str, Any], loss: float, grad: Tensor) -> None:
        calls = 1
        for n in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, grad, group["history_size"])
            before, state["prev_loss"] = loss, loss
            t = number(group["lr"])
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / grad.abs().sum().item())
            state.update(d=direction, t=t, prev_flat_grad=grad.clone())
            slope = grad.dot(direction).item()
            if slope > -group["tolerance_change"]:
                return
            more = 0
            if group["line_search_fn"] is not None:
                loss, grad, t, more = self._search(run, Point(0.0, loss, grad, slope), direction, t, group, calls)
                state["t"] = t
                self._move(t, direction)
            else:
                self._move(t, direction)
                if n != group["max_iter"]:  # a gradient that nobody uses is not worth a call
                    loss, grad, more = float(run()), self._flat_grad(), 1
            calls += more
            state["func_evals"] += more
            still = direction.mul(t).abs().max().item() <= group["tolerance_change"]
            done = grad.abs().max().item() <= group["tolerance_grad"]
            if calls >= group["max_eval"] or done or still or abs(loss - before) < group["tolerance_change"]:
                return

    def _direction(self, state: dict[str, Any], grad: Tensor, history_size: int) -> Tensor:
        """The negative gradient times the approximate inverse Hessian, after what the last step taught is added."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return grad.neg()
        old_y, old_s, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y = grad.sub(state["prev_flat_grad"])
        s = state["d"].mul(state["t"])
        ys = y.dot(s).item()
        if ys > 1e-10:
            if len(old_y) == history_size:
                for kept in (old_y, old_s, ro):
                    kept.pop(0)
            old_y.append(y)
            old_s.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / y.dot(y).item()
        r = grad.neg()
        al = []
        for y, s, rho in zip(reversed(old_y), reversed(old_s), reversed(ro)):
            al.append(s.dot(r).item() * rho)
            r.add_(y, alpha=-al[-1])
        r.mul_(state["H_diag"])
        for y, s, rho, a in zip(old_y, old_s, ro, reversed(al)):
            r.add_(s, alpha=a - y.dot(r).item() * rho)
        return r

    def _search(
        self, run: Closure, start: Point, direction: Tensor, t: float, group: dict[str, Any], calls: int
    ) -> tuple[float, Tensor, float, int]:
        """Loss, gradient and size of the step that a line search finds, and its calls; parameters are put back."""
        origin = [p.clone() for p in self._params]

        def evaluate(t: float) -> tuple[float, Tensor]:
            self._move(t, direction)
            loss = float(run())
            grad = self._flat_grad()
            for p, value in zip(self._params, origin):
                p.copy_(value)
            return loss, grad

        limits = {"max_steps": group["max_eval"] - calls, "tolerance": group["tolerance_change"]}
        found, more = strong_wolfe(evaluate, direction, start, t, **limits)
        return found.loss, found.grad, found.t, more
