"""Tensors in nested tuples, lists and dicts, as functions take and return them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leaves(tree: Any) -> list[Any]:
    """What is in `tree`, in order: of dicts the values."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [] if tree is None else [tree]


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A tree like `tree` of what `function` gives for its leaves, and those of `others`, which are like it."""
    if isinstance(tree, dict):
        made = {key: map_leaves(function, value, *(o[key] for o in others)) for key, value in tree.items()}
        return made if type(tree) is dict else type(tree)(made)
    if isinstance(tree, (tuple, list)):
        parts = [map_leaves(function, *values) for values in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return None if tree is None else function(tree, *others)
