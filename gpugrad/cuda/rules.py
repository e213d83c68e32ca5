"""The backward of a formula as one kernel: its rules are formulas too, so they are traced and printed together.

A kernel gives the gradients of all inputs that want one, each of the result's shape: the walk sums back what was
broadcast. Gradients of gradients are made of ops and take the same way one op at a time.
"""

from __future__ import annotations

import functools
from typing import Any

from ..core import Node
from ..device import FUSED_RULES
from ..expr import Expr
from . import several
from .array import DeviceArray
from .elementwise import MAX_OUTPUTS, MOST_PLANS, NUMBERS, Plan, execute, place, plan_for
from .module import current_device
from .printing import Formula, backward_formula


class Rules:
    """How the rules of an op are applied together. `formula`: of the gradients that take arithmetic, None if none do."""

    def __init__(self, op: Any, wanted: tuple[bool, ...], absent: tuple[bool, ...], params: tuple[Any, ...]) -> None:
        names = ["out" if source == "out" else op.inputs[index] for source, index, _ in op.saved]
        chosen = [name for name, yes in zip(op.inputs, wanted) if yes]
        values = [name for name, none in zip(names, absent) if not none]
        whole = backward_formula(op, values, [n for n, none in zip(names, absent) if none], chosen, params)
        outs = [out for out in whole.outs if isinstance(out, Expr) and out.op is not None]
        used = {id(a) for e in Formula("", (), outs).steps for a in e.args}
        kept = [s for s in whole.symbols if id(s) in used or s is whole.symbols[0]]
        self.formula = Formula(whole.name, kept, outs) if outs else None
        self.inputs = [i for i, name in enumerate(names) if any(s.name == name for s in kept)]  # of what is saved
        # For each input of the op: the place of its gradient among the outputs, -1 if it is g itself, None without one
        places = iter(range(len(outs)))
        made = iter(whole.outs)
        self.places = [self._place(next(made), whole.symbols[0], places) if yes else None for yes in wanted]

    @staticmethod
    def _place(out: Any, g: Expr, places: Any) -> int | None:
        if out is None:
            return None
        if out is g:
            return -1
        if not isinstance(out, Expr) or out.op is None:
            raise TypeError("a gradient that is a number, or one of the inputs")
        return int(next(places))


@functools.cache
def _rules(op: Any, wanted: tuple[bool, ...], absent: tuple[bool, ...], params: tuple[Any, ...]) -> Rules | None:
    """None if the rules are not formulas, or give more gradients than a kernel has outputs."""
    try:
        rules = Rules(op, wanted, absent, params)
    except (TypeError, AttributeError):
        return None
    return rules if rules.formula is None or len(rules.formula.outs) <= MAX_OUTPUTS else None


_ready: dict[Any, tuple[Rules, Plan | None]] = {}  # by op, parameters, where arrays lie, and the gradients wanted


def apply_rules(op: Any, parents: Any, saved: Any, params: tuple[Any, ...], g: Any) -> Any:
    """The gradients of the inputs that have a parent, or NotImplemented; see FUSED_RULES."""
    if not op.formula:
        return NotImplemented if op.rules_launcher is None else op.rules_launcher(parents, saved, g)
    wanted = [None if p is None else p.dtype if type(p) is Node else p._array.dtype for p in parents]
    key = (op, current_device(), *wanted, place(g), *[place(x) for x in saved], *params)
    found = _ready.get(key)
    if found is None:
        found = _make_ready(op, wanted, saved, params, g)
        if found is None:
            return NotImplemented
        if len(_ready) < 8 * MOST_PLANS:
            _ready[key] = found
    rules, plan = found
    outs = () if plan is None else execute(plan, [g, *[saved[i] for i in rules.inputs]])
    return tuple([None if at is None else g if at < 0 else outs[at] for at in rules.places])


def _make_ready(op: Any, wanted: list[Any], saved: Any, params: tuple[Any, ...], g: Any) -> Any:
    """The rules and the plan of a call like this; None where they do not go into a kernel."""
    having = tuple([dtype is not None and name in op.rules for dtype, name in zip(wanted, op.inputs)])
    rules = _rules(op, having, tuple([x is None for x in saved]), params)
    if rules is None or rules.formula is None:
        return rules and (rules, None)
    inputs = [g, *[saved[i] for i in rules.inputs]]
    if not all([type(x) is DeviceArray or type(x) in NUMBERS for x in inputs]):
        return None
    made = tuple([dtype for dtype, at in zip(wanted, rules.places) if at is not None and at >= 0])
    plan = plan_for(rules.formula, inputs, made)
    return None if plan is NotImplemented else (rules, plan)


FUSED_RULES[DeviceArray] = several.where_arrays_lie(apply_rules, "backward")
