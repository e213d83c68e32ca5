"""What programs ask for is there, and at the top level nothing is that PyTorch has not."""

from __future__ import annotations

import importlib
import importlib.metadata
import types
from typing import Any

import pytest
from names_data import NAMES

import gpugrad
from gpugrad import lazy_names

OWN = {"elementwise", "from_cupy"}  # public at the top level and not PyTorch's


def find(path: str) -> Any:
    """What `gpugrad.<path>` is; modules on the way are imported."""
    found: Any = gpugrad
    for part in path.split("."):
        if isinstance(found, types.ModuleType) and not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
        else:
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("where", NAMES)
def test_names_that_programs_use_are_there(where: str) -> None:
    missing = []
    for name in NAMES[where].split():
        try:
            find(f"{where}.{name}" if where else name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert not missing


def test_a_name_that_is_missing_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gpugrad' has no attribute 'sparse_coo_tensor'"):
        _ = gpugrad.sparse_coo_tensor


def public(module: types.ModuleType) -> set[str]:
    names = {name for name in dir(module) if not name.startswith("_") and name != "annotations"}
    return {name for name in names if not isinstance(getattr(module, name), types.ModuleType)}


def test_the_top_level_has_only_pytorchs_names(torch: types.ModuleType) -> None:
    assert {name for name in public(gpugrad) if not hasattr(torch, name)} == OWN


@pytest.mark.parametrize("where", ["linalg", "special", "nn.functional", "optim", "nn.utils.rnn", "accelerator"])
def test_namespaces_export_only_pytorchs_names(torch: types.ModuleType, where: str) -> None:
    ours, theirs = find(where), importlib.import_module(f"torch.{where}")
    exported = getattr(ours, "__all__", None) or [
        n
        for n in public(ours)
        if getattr(getattr(ours, n), "__module__", "").startswith(("gpugrad.ops", ours.__name__))
    ]
    assert sorted(name for name in exported if not hasattr(theirs, name)) == []


@pytest.mark.parametrize(
    "name", ["nn.functional", "optim.lr_scheduler", "utils.data", "autograd.functional", "autograd.function"]
)
def test_namespaces_are_modules_that_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"gpugrad.{name}") is find(name)


def test_what_out_of_memory_is(torch: types.ModuleType) -> None:
    assert gpugrad.OutOfMemoryError is gpugrad.cuda.OutOfMemoryError
    assert [c.__name__ for c in gpugrad.OutOfMemoryError.__mro__] == [
        c.__name__ for c in torch.OutOfMemoryError.__mro__
    ]


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpugrad.__version__ == gpugrad.version.__version__ == importlib.metadata.version("gpugrad")
    assert gpugrad.version.hip is None
    monkeypatch.setattr(gpugrad.cuda, "is_available", lambda: False)
    assert gpugrad.version.cuda is None
    with pytest.raises(AttributeError):
        _ = gpugrad.version.rocket


def test_dir_names_what_is_loaded_later() -> None:
    assert {"nn", "save", "FloatTensor", "sin_"} <= set(dir(gpugrad))


def test_dir_and_all_leave_out_what_is_behind_the_names() -> None:
    names = [name for name in dir(gpugrad) if not name.startswith("__")]
    modules = {name for name in names if isinstance(getattr(gpugrad, name), types.ModuleType)}
    assert modules == set(lazy_names.MODULES)
    assert {*names} == {*gpugrad.__all__, *lazy_names.MODULES}
    assert not {name for name in gpugrad.__all__ if isinstance(getattr(gpugrad, name), types.ModuleType)}


def test_keyword_names_of_functions() -> None:
    """Arguments by the names that PyTorch's documentation has for them."""
    eye = gpugrad.eye(2) * 2
    assert gpugrad.promote_types(type1=gpugrad.int8, type2=gpugrad.float16) is gpugrad.float16
    assert gpugrad.vdot(input=eye[0], other=eye[0]).item() == 4
    assert eye[0].dot(tensor=eye[0]).item() == 4
    assert gpugrad.linalg.det(A=eye).item() == 4
    assert gpugrad.linalg.slogdet(A=eye).sign.item() == 1
    assert eye.reshape(1, 2, 2).bmm(mat2=eye.reshape(1, 2, 2)).shape == (1, 2, 2)
    assert gpugrad.ones(2, 3).swapaxes_(axis0=0, axis1=1).shape == (3, 2)
    gpugrad.set_default_device(device="cpu")


@pytest.mark.parametrize("name", ["uniform", "normal", "constant", "eye", "dirac", "xavier_normal", "sparse"])
def test_old_names_of_initialisers(name: str) -> None:
    options: dict[str, Any] = {"constant": {"val": 3.0}, "sparse": {"sparsity": 0.5}}.get(name, {})
    shape = (2, 2, 3) if name == "dirac" else (2, 2)
    old, new = gpugrad.zeros(shape), gpugrad.zeros(shape)
    gpugrad.manual_seed(1)
    with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"):
        assert getattr(gpugrad.nn.init, name)(old, **options) is old
    gpugrad.manual_seed(1)
    getattr(gpugrad.nn.init, f"{name}_")(new, **options)
    assert old.tolist() == new.tolist()
