"""The call path of an op, written out once per op: the one place in gpugrad where code is generated.

A call of a small op costs as much in Python as in NumPy, so the path unrolls what `op.run` says in general: no loops
over arguments, no dicts, and nothing saved that no rule will read. `op.function` keeps its identity; its code is
swapped for the specialised one, once. (While a thread autocasts, `amp` puts a door before some functions in the same way.)

For a binary op that saves both inputs (multiplication) the text generated is, in short:

    def mul(input, other):
        if isinstance(input, Tensor): a0, v0, p0 = its array, version cell, place on the tape
        ...                                          # Python scalars pass where they are weak; all else: general()
        out = impls[type(a0)](a0, a1)
        t = new(Tensor); t._array = out; ...
        if (p0 is not None or p1 is not None) and state.grad:
            node = new(Node); node.parents = (p0, p1); node.saved = (a1 if p0 is not None else None, ...)
        return t
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .core import Node, Tensor, last_write, new, tick
from .device import FUSED_RULES
from .dtypes import FLOATS, WEAK
from .errors import explain
from .fp_errors import SILENT, quiet, restore
from .inplace import into, result_into
from .modes import state
from .op import Op, general, pick, shows
from .views import resync

# Local names of generated code, and what a rule means by `out`.
_RESERVED = frozenset(("dtype_of", "hidden", "kind", "node", "out", "recording", "result", "t", "token"))
_GIVEN = frozenset(("g", "needs", "total"))  # to a rule, besides what was saved
NUMBERS = frozenset((bool, int, float))
PLAIN = NUMBERS | {type(None)}  # what may stand beside arrays in a call that records nothing
_SHARED = {
    "FLOATS": FLOATS,
    "NUMBERS": NUMBERS,
    "Node": Node,
    "PLAIN": PLAIN,
    "SILENT": SILENT,
    "Tensor": Tensor,
    "WEAK": WEAK,
    "asarray": np.asarray,
    "ascontiguousarray": np.ascontiguousarray,
    "ndarray": np.ndarray,
    "explain": explain,
    "general": general,
    "into": into,
    "last_write": last_write,
    "new": new,
    "pick": pick,
    "quiet": quiet,
    "restore": restore,
    "result_into": result_into,
    "shows": shows,
    "resync": resync,
    "state": state,
    "tick": tick,
}


def specialise(op: Op) -> None:
    """Read the rules of `op`, then give `op.pull` and `op.function` their own code."""
    if op.formula and op.cuda is None and not op.rules and op.joint is None:
        from .expr import derive

        derive(op)
    taken = _RESERVED.intersection((*op.params, *op.names, *op.inputs))
    if taken:
        raise TypeError(f"{op.name}: {sorted(taken)} are names the call path uses; call these arguments something else")
    plan = _plan_saved(op)
    op.pull = _compile(
        _pull_source(op, plan),
        "pull",
        {f"rule_{k}": v for k, v in op.rules.items()} | {"joint": op.joint, "op": op, "fused": FUSED_RULES},
    )
    if op.adding is not None:
        call = _rule_call(op, op.adding, "adding", plan)
        op.add_into = _compile(
            f"def add_into(total, saved, params, g): return {call}", "add_into", {"adding": op.adding}
        )
    generic = (op.outputs != 1 and op.variadic) or op.outputs == 0 or op.writes is not None
    source = _generic_source(op) if generic else _call_source(op)
    function = op.function
    function.__globals__.update(_SHARED, op=op, impls=op.impls)
    for name, default in op.params.items():
        if default is not inspect.Parameter.empty:
            function.__globals__[f"default_{name}"] = default
    made = _compile(source, op.name, function.__globals__)
    function.__code__ = made.__code__
    function.__defaults__ = made.__defaults__
    function.__kwdefaults__ = made.__kwdefaults__


def _compile(source: str, name: str, namespace: dict[str, Any]) -> Any:
    scope = namespace
    code = compile(source, f"<gpugrad {name}>", "exec")
    exec(code, scope)
    return scope[name]


# ----------------------------------------------------------------------------------------------- what rules save


def _plan_saved(op: Op) -> dict[str, int]:
    """Fill `op.saved` from the names the rules ask for; returns name -> slot."""
    slots: dict[str, int] = {}
    needed: dict[str, set[int]] = {}
    everyone = set(range(len(op.inputs)))
    rules = [(everyone, op.joint)] if op.joint else [({op.inputs.index(k)}, rule) for k, rule in op.rules.items()]
    for who, rule in rules:
        for name in rule_names(rule)[0]:
            if name not in ("g", "needs"):
                slots.setdefault(name, len(slots))
                needed.setdefault(name, set()).update(who)
    op.saved = [(*_source(op, name), frozenset(needed[name])) for name in slots]
    return slots


def rule_names(rule: Any) -> tuple[list[str], list[str]]:
    """The positional names and the keyword-only names of a rule. If it is an op, its first input is the cotangent."""
    if hasattr(rule, "op"):
        return ["g", *rule.op.inputs[1:]], list(rule.op.params)
    parameters = inspect.signature(rule).parameters.values()
    return (
        [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY],
        [p.name for p in parameters if p.kind is p.KEYWORD_ONLY],
    )


def _source(op: Op, name: str) -> tuple[str, int]:
    if name == "out" or (name == "hidden" and op.hidden):
        return name, -1
    base = name.removesuffix("_shape")
    if op.variadic and base == op.inputs[0]:
        return ("ins" if base == name else "shapes"), 0
    if name in op.inputs:
        return "in", op.inputs.index(name)
    if base in op.inputs:
        return "shape", op.inputs.index(base)
    raise TypeError(
        f"a rule of {op.name} asks for {name!r}; it may ask for g, out, {', '.join(op.inputs)}, <input>_shape, and "
        f"after * for {', '.join(op.params) or 'nothing: there are no parameters'}"
    )


# ------------------------------------------------------------------------------------------------ applying rules


def _rule_call(op: Op, rule: Any, name: str, slots: dict[str, int]) -> str:
    positional, keywords = rule_names(rule)
    order = list(op.params)
    for k in keywords:
        if k not in op.params:
            raise TypeError(f"a rule of {op.name} asks for parameter {k!r}; it has {order}")
    given = [p if p in _GIVEN else f"saved[{slots[p]}]" for p in positional]
    given += [f"{k}=params[{order.index(k)}]" for k in keywords]
    return f"{name}({', '.join(given)})"


def _pull_source(op: Op, slots: dict[str, int]) -> str:
    """`pull(parents, saved, params, g)`: the gradients of the inputs that have a parent, None for the others."""
    lines = ["def pull(parents, saved, params, g):"]
    if op.hidden:
        lines.append("    if type(g) is not tuple: g = (g, None)")
    if op.joins and (not op.formula or all(source in ("in", "out") for source, _, _ in op.saved)):
        g = "g[0]" if op.hidden else "g"
        lines.append(f"    if type({g}) in fused:")
        lines.append(f"        made = fused[type({g})](op, parents, saved, params, {g})")
        lines.append("        if made is not NotImplemented: return made")
    if op.joint:
        lines.append("    needs = tuple([p is not None for p in parents])")
        lines.append(f"    return {_rule_call(op, op.joint, 'joint', slots)}")
        return "\n".join(lines)
    terms = []
    for i, name in enumerate(op.inputs):
        rule = op.rules.get(name)
        call = _rule_call(op, rule, f"rule_{name}", slots) if rule else "None"
        terms.append(f"{call} if parents[{i}] is not None else None" if rule else "None")
    lines.append(f"    return ({', '.join(terms)},)")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ the forward call


def _signature(op: Op) -> str:
    parts = [
        f"*{op.names[0]}" if op.variadic else name + ("=None" if _optional(op, i) else "")
        for i, name in enumerate(op.names)
    ]
    if (op.params or op.takes_out) and not op.variadic:
        parts.append("*")
    for name, default in op.params.items():
        parts.append(name if default is inspect.Parameter.empty else f"{name}=default_{name}")
    if op.takes_out:
        parts.append("out=None")
    return ", ".join(parts)


def _optional(op: Op, index: int) -> bool:
    if isinstance(op.body, np.ufunc):
        return False
    parameter = list(inspect.signature(op.body).parameters.values())[index]
    return parameter.default is None


def _dict_of_params(op: Op) -> str:
    return "{" + ", ".join(f"{name!r}: {name}" for name in op.params) + "}"


def _general_call(op: Op) -> str:
    args = op.names[0] if op.variadic else "(" + ", ".join(op.names) + ",)"
    return f"general(op, {args}, {_dict_of_params(op)})"


def _generic_source(op: Op) -> str:
    lines = [f"def {op.name}({_signature(op)}):", *_out_lines(op)]
    if op.writes is not None:  # such an op is called with arrays only
        first = f"{op.names[0]}[0]" if op.variadic else op.names[0]
        given = f"*{op.names[0]}" if op.variadic else ", ".join(op.names)
        lines.append(f"    if type({first}) in impls: return impls[type({first})]({given}{_keywords(op)})")
    return "\n".join([*lines, f"    return {_general_call(op)}"])


def _keywords(op: Op, recorded: str = "False") -> str:
    """The parameters in a call of an implementation; `recorded`: whether the call is, for a body that wants to know."""
    return "".join(f", {name}={name}" for name in op.params) + f", recorded={recorded}" * op.told


def _out_lines(op: Op) -> list[str]:
    if not op.takes_out:
        return []
    if op.formula:
        return [f"    if out is not None: return result_into(out, op, ({', '.join(op.names)},), {_dict_of_params(op)})"]
    given = f"*{op.names[0]}" if op.variadic else ", ".join(op.names)
    given += "".join(f", {name}={name}" for name in op.params)
    return [f"    if out is not None: return into(out, {op.name}({given}), {op.name!r})"]


def _call_source(op: Op) -> str:
    arity = len(op.names)
    lines = [f"def {op.name}({_signature(op)}):", *_out_lines(op)]
    if op.variadic:
        lines += _unpack_list(op)
    elif arity == 2 and len(op.promotes) == 2:
        lines += _unpack_binary(op)
    else:
        lines += _unpack_each(op)
    arrays = "*_arrays" if op.variadic else ", ".join(f"a{i}" for i in range(arity))
    args = op.names[0] if op.variadic else f"({', '.join(op.names)},)"
    records = bool(op.rules or op.joint)
    if op.told:
        lines.append(f"    recording = {_wanted(op)}")
    lines += [
        "    token = quiet(SILENT)",
        "    try:",
        f"        result{', hidden' * op.hidden} = impls[kind]({arrays}{_keywords(op, 'bool(recording)')})",
        "    except Exception as error:",
        f"        raise explain(op, error, {args}, {_dict_of_params(op)}) from error",
        "    finally:",
        "        restore(token)",
    ]
    if op.outputs > 1:
        return "\n".join([*lines, *_several_outputs(op, records)])
    lines += _new_tensor(op, "t", "result")[op.moves :]  # the first line says of what type the result is
    if op.view:
        lines += [
            f"    t._base = {op.names[0]}",
            f"    t._view = (op, {_dict_of_params(op)}) if state.grad else None",
            "    t._written = v0",
            "    t._synced = v0[0]",
        ]
    else:
        lines += ["    t._base = None", "    t._written = [0, 0]"]
    if records:
        lines += _record(op)
    else:
        lines += ["    t._node = None", "    t._requires_grad = False"]
    lines.append("    return t")
    return "\n".join(lines)


def _new_tensor(op: Op, t: str, result: str) -> list[str]:
    unordered = f"kind is ndarray and not {result}.flags.c_contiguous"
    return [
        f"    if type({result}) is not kind: {result} = asarray({result})",
        *([f"    if {unordered}: {result} = ascontiguousarray({result})"] if op.ordered else []),
        f"    {t} = new(Tensor)",
        f"    {t}._array = {result}",
        f"    {t}._grad = {t}._hooks = None",
    ]


def _several_outputs(op: Op, records: bool) -> list[str]:
    """Wrap each output; if the call is recorded, each floating one gets a node of its own that picks it."""
    tensors, results = [f"t{k}" for k in range(op.outputs)], [f"r{k}" for k in range(op.outputs)]
    lines = [f"    {', '.join(results)} = result"]
    for t, r in zip(tensors, results, strict=True):
        lines += [*_new_tensor(op, t, r), f"    {t}._base = {t}._node = None", f"    {t}._written = [0, 0]"]
        lines += [f"    {t}._requires_grad = False"]
    if records:
        lines.append(f"    result = ({', '.join(results)},)")
        lines += _record_node(op, "result", f"({', '.join(f'{t}._written' for t in tensors)},)")
        lines.append(f"        node.shape = ({', '.join(f'{r}.shape' for r in results)},)")
        lines.append(f"        node.dtype = ({', '.join(f'{r}.dtype' for r in results)},)")
        for k, (t, r) in enumerate(zip(tensors, results, strict=True)):
            lines.append(f"        if {r}.dtype in FLOATS: {t}._node = pick(node, {k}); {t}._requires_grad = True")
        lines.append("        if recording is not True: recording.note(node)")
    return [*lines, f"    return {', '.join(tensors)}"]


def _take(op: Op, i: int, indent: str) -> list[str]:
    """Read array, version cell and place on the tape from input `i`, a Tensor."""
    name = op.names[i]
    lines = [
        f"{indent}if {name}._base is not None and {name}._written[0] > {name}._synced: resync({name})",
        f"{indent}a{i} = {name}._array",
        f"{indent}v{i} = {name}._written",
    ]
    if op.differentiates(i):
        lines.append(f"{indent}p{i} = ({name}._node or {name}) if {name}._requires_grad else None")
    return lines


def _without(op: Op, i: int, value: str, indent: str) -> list[str]:
    """Input `i` is a scalar or None: it has no cell and no place on the tape."""
    lines = [f"{indent}a{i} = {value}", f"{indent}v{i} = None"]
    return [*lines, f"{indent}p{i} = None"] if op.differentiates(i) else lines


def _unpack_binary(op: Op) -> list[str]:
    x, y = op.names
    otherwise = f"return {_general_call(op)}"
    float_check = " or a0.dtype not in FLOATS" if op.to_float else ""
    scalar_check = " and a{0}.dtype in FLOATS" if op.to_float else ""
    return [
        f"    if isinstance({x}, Tensor):",
        *_take(op, 0, "        "),
        "        kind = type(a0)",
        f"        if isinstance({y}, Tensor):",
        *_take(op, 1, "            "),
        f"            if a0.dtype is not a1.dtype or type(a1) is not kind{float_check}: {otherwise}",
        f"        elif type({y}) in WEAK[a0.dtype]{scalar_check.format(0)}:",
        *_without(op, 1, y, "            "),
        f"        else: {otherwise}",
        f"    elif (kind := type({x})) in impls and (type({y}) in impls or type({y}) in PLAIN):",
        f"        return impls[kind]({x}, {y}{_keywords(op)})",
        f"    elif isinstance({y}, Tensor) and kind in WEAK[{y}._array.dtype]:",
        *_take(op, 1, "        "),
        "        kind = type(a1)",
        *([f"        if a1.dtype not in FLOATS: {otherwise}"] if op.to_float else []),
        *_without(op, 0, x, "        "),
        f"    else: {otherwise}",
    ]


def _unpack_each(op: Op) -> list[str]:
    otherwise = f"return {_general_call(op)}"
    promoted = [i for i, name in enumerate(op.inputs) if name in op.promotes]
    mixes = len(promoted) > 1  # tensors and numbers
    lines = _arrays_only(op)
    kind = "kind = type(a0)"
    for i, name in enumerate(op.names):
        first = i == 0
        lines += [f"    {'elif' if first else 'if'} isinstance({name}, Tensor):", *_take(op, i, "        ")]
        lines.append(f"        {kind}" if first else f"        if type(a{i}) is not kind: {otherwise}")
        if not first and (_optional(op, i) or (mixes and i in promoted)):
            accepted = "PLAIN" if _optional(op, i) and mixes and i in promoted else "NUMBERS"
            test = f"type({name}) in {accepted}" if mixes and i in promoted else f"{name} is None"
            lines += [f"    elif {test}:", *_without(op, i, name, "        ")]
        lines.append(f"    else: {otherwise}")
    if not promoted:
        return lines
    if not mixes:
        return [*lines, f"    if a{promoted[0]}.dtype not in FLOATS: {otherwise}"] if op.to_float else lines
    known = " else ".join(f"a{i}.dtype if v{i} is not None" for i in promoted)
    lines += [f"    dtype_of = {known} else None"]
    lines += [f"    if dtype_of {'not in FLOATS' if op.to_float else 'is None'}: {otherwise}"]
    for i in promoted:
        fits = f"a{i}.dtype is dtype_of if v{i} is not None else a{i} is None or type(a{i}) in WEAK[dtype_of]"
        lines.append(f"    if not ({fits}): {otherwise}")
    return lines


def _unpack_list(op: Op) -> list[str]:
    """Read what `_take` reads from a `*list` of Tensors of one array type and, where they are promoted, of one dtype."""
    name, otherwise = op.names[0], f"return {_general_call(op)}"
    differs = "type(_a) is not kind" + (" or _a.dtype is not dtype_of" if op.promotes else "")
    records = bool(op.joint)
    return [
        f"    if not {name} or not isinstance({name}[0], Tensor): {otherwise}",
        f"    kind, dtype_of = type({name}[0]._array), {name}[0]._array.dtype",
        *([f"    if dtype_of not in FLOATS: {otherwise}"] if op.to_float else []),
        "    _arrays, _places, _cells, _wanted = [], [], [], False",
        f"    for _x in {name}:",
        f"        if not isinstance(_x, Tensor): {otherwise}",
        "        if _x._base is not None and _x._written[0] > _x._synced: resync(_x)",
        "        _a = _x._array",
        f"        if {differs}: {otherwise}",
        "        _arrays.append(_a)",
        *(["        _cells.append(_x._written)"] if records else []),
        *(["        if _x._requires_grad: _places.append(_x._node or _x); _wanted = True"] if records else []),
        *(["        else: _places.append(None)"] if records else []),
    ]


def _arrays_only(op: Op) -> list[str]:
    """Arrays in, arrays out: nothing to record, the implementation is called as it is."""
    first, *others = op.names
    alone = "".join(f" and (type({y}) in impls or type({y}) in PLAIN)" for y in others)
    made = f"impls[kind]({', '.join(op.names)}{_keywords(op)}){'[0]' * op.hidden}"
    return [f"    if (kind := type({first})) in impls{alone}: return {made}"]


def _record(op: Op) -> list[str]:
    return [
        *_record_node(op, "result", "t._written"),
        "        node.shape = result.shape",
        "        node.dtype = result.dtype",
        "        t._node = node",
        "        t._requires_grad = True",
        "        if recording is not True: recording.note(node)",
        "    else:",
        "        t._node = None",
        "        t._requires_grad = False",
    ]


def _record_node(op: Op, out: str, out_cell: str) -> list[str]:
    """Make the node, if an input wants a gradient; all but its `shape` and `dtype`."""
    if op.variadic:
        return _record_node_of_list(op, out, out_cell)
    places = [f"p{i}" if op.differentiates(i) else "None" for i in range(len(op.names))]
    real = [p for p in places if p != "None"]
    saved, cells = [], []
    for source, index, needed_by in op.saved:
        value, cell = {
            "in": (f"a{index}", f"v{index}"),
            "shape": (f"a{index}.shape", "None"),
            "hidden": ("hidden", "t._written if shows(hidden, result) else None"),
        }.get(source, (out, out_cell))
        needed = " or ".join(f"p{i} is not None" for i in sorted(needed_by) if op.differentiates(i))
        everything = set(real) == {f"p{i}" for i in needed_by if op.differentiates(i)}
        saved.append(value if everything else f"{value} if {needed} else None")
        cells.append(cell if everything or cell == "None" else f"{cell} if {needed} else None")
    return _new_node(op, f"({', '.join(places)},)", saved, cells)


def _record_node_of_list(op: Op, out: str, out_cell: str) -> list[str]:
    """The same for a `*list`: all that any rule needs is saved, if any gradient is wanted."""
    sources = {
        "ins": ("tuple(_arrays)", "tuple(_cells)"),
        "shapes": ("tuple([_a.shape for _a in _arrays])", "None"),
        "hidden": ("hidden", "t._written if shows(hidden, result) else None"),
    }
    saved, cells = zip(*[sources.get(source, (out, out_cell)) for source, _, _ in op.saved]) if op.saved else ((), ())
    return _new_node(op, "tuple(_places)", list(saved), list(cells))


def _wanted(op: Op) -> str:
    """What is true if the call is to be recorded."""
    places = [f"p{i} is not None" for i in range(len(op.names)) if op.differentiates(i)]
    return f"{'_wanted' if op.variadic else '(' + ' or '.join(places) + ')'} and state.grad"


def _new_node(op: Op, places: str, saved: list[str], cells: list[str]) -> list[str]:
    return [
        "    if recording:" if op.told else f"    if recording := {_wanted(op)}:",
        "        node = new(Node)",
        "        node.op = op",
        "        node.seq = tick()",
        f"        node.parents = {places}",
        f"        node.saved = {_tuple(saved)}",
        f"        node.cells = {_tuple(cells)}",
        f"        node.params = {_tuple(list(op.params))}",
        "        node.extra = None",
    ]


def _tuple(parts: list[str]) -> str:
    return f"({', '.join(parts)},)" if parts else "()"
