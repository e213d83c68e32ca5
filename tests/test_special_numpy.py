"""Special functions on NumPy arrays: against stored values, PyTorch, and identities that hold between them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpugrad.ops import special_numpy, special_numpy_gamma

INF, NAN = float("inf"), float("nan")
DTYPES = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)
UNARY = [name for name in special_numpy.__all__ if name not in ("xlogy", "xlog1py")]
UNARY += [name for name in special_numpy_gamma.__all__ if name not in ("polygamma", "zeta")]

# Computed with 60 digits and rounded to float64.
REFERENCE = [
    ("erf", (1e-300,), 1.1283791670955126e-300),
    ("erf", (1e-05,), 1.1283791670579e-05),
    ("erf", (0.3,), 0.3286267594591274),
    ("erf", (0.999,), 0.8422852702064969),
    ("erf", (1.0,), 0.8427007929497149),
    ("erf", (2.5,), 0.999593047982555),
    ("erf", (-4.0,), -0.9999999845827421),
    ("erfc", (-3.0,), 1.9999779095030015),
    ("erfc", (0.5,), 0.4795001221869535),
    ("erfc", (1.0,), 0.15729920705028513),
    ("erfc", (5.0,), 1.537459794428035e-12),
    ("erfc", (10.3,), 4.5947618530992265e-48),
    ("erfc", (26.0,), 5.663192408856143e-296),
    ("erfcx", (-20.3,), 1.859700651326472e179),
    ("erfcx", (-1.0,), 5.008980080762283),
    ("erfcx", (0.1,), 0.8964569799691267),
    ("erfcx", (1.0,), 0.427583576155807),
    ("erfcx", (3.75,), 0.14558972127503855),
    ("erfcx", (50.0,), 0.011281536265323773),
    ("erfcx", (10000000000.0,), 5.641895835477563e-11),
    ("erfinv", (1e-10,), 8.862269254527581e-11),
    ("erfinv", (0.25,), 0.2253120550121781),
    ("erfinv", (0.5,), 0.4769362762044699),
    ("erfinv", (-0.75,), -0.8134198475976185),
    ("erfinv", (0.999,), 2.3267537655135246),
    ("erfinv", (0.9999999999999991,), 5.686128441310391),
    ("ndtr", (-37.3,), 8.205494844930773e-305),
    ("ndtr", (-10.1,), 2.762109471764517e-24),
    ("ndtr", (-1.0,), 0.15865525393145705),
    ("ndtr", (-0.3,), 0.3820885778110474),
    ("ndtr", (0.69,), 0.7549029063256906),
    ("ndtr", (2.0,), 0.9772498680518208),
    ("log_ndtr", (-100000.0,), -5000000012.431864),
    ("log_ndtr", (-30.7,), -475.5892594072293),
    ("log_ndtr", (-1.0,), -1.8410216450092636),
    ("log_ndtr", (-0.5,), -1.1759117615936185),
    ("log_ndtr", (0.7,), -0.2770239422771313),
    ("log_ndtr", (8.0,), -6.220960574271786e-16),
    ("ndtri", (1e-300,), -37.0470962993612),
    ("ndtri", (1e-20,), -9.262340089798407),
    ("ndtri", (0.01,), -2.326347874040841),
    ("ndtri", (0.25,), -0.6744897501960817),
    ("ndtri", (0.4,), -0.2533471031357997),
    ("ndtri", (0.75,), 0.6744897501960817),
    ("ndtri", (0.99,), 2.3263478740408408),
    ("lgamma", (1e-300,), 690.7755278982137),
    ("lgamma", (0.25,), 1.2880225246980774),
    ("lgamma", (1.001,), -0.0005763935982833062),
    ("lgamma", (1.999,), -0.0004224618006921073),
    ("lgamma", (2.3,), 0.15418945495963046),
    ("lgamma", (5.5,), 3.9578139676187165),
    ("lgamma", (100.5,), 361.4355404677776),
    ("lgamma", (10000000000.0,), 220258509288.81058),
    ("lgamma", (-0.3,), 1.4648400508576025),
    ("lgamma", (-10.25,), -14.20399790093109),
    ("lgamma", (-100.1,), -361.881352583709),
    ("digamma", (1e-10,), -10000000000.577215),
    ("digamma", (0.5,), -1.9635100260214235),
    ("digamma", (1.0,), -0.5772156649015329),
    ("digamma", (2.5,), 0.7031566406452432),
    ("digamma", (9.9,), 2.2411803166063815),
    ("digamma", (1000000.0,), 13.815510057964191),
    ("digamma", (-0.25,), 2.9141391202135276),
    ("digamma", (-3.7,), -0.8450768588704194),
    ("trigamma", (1e-10,), 1e20),
    ("trigamma", (0.5,), 4.934802200544679),
    ("trigamma", (1.0,), 1.6449340668482264),
    ("trigamma", (9.9,), 0.1062830416287406),
    ("trigamma", (1000000.0,), 1.0000005000001667e-06),
    ("trigamma", (-0.25,), 18.541879647671607),
    ("trigamma", (-3.7,), 14.84242186412428),
    ("i0", (1.0,), 1.2660658777520084),
    ("i0", (-7.9,), 389.406283282158),
    ("i0", (21.9,), 278147724.1383056),
    ("i0", (22.0,), 306692993.64036477),
    ("i0", (300.0,), 4.475847367935052e128),
    ("i0e", (0.1,), 0.9071009257823011),
    ("i0e", (12.5,), 0.1140219294622889),
    ("i0e", (21.9,), 0.08574846553893038),
    ("i0e", (22.0,), 0.08555103200662495),
    ("i0e", (300.0,), 0.02304255841508546),
    ("i1", (1e-05,), 5.0000000000625004e-06),
    ("i1", (1.0,), 0.565159103992485),
    ("i1", (-7.9,), -363.8539440845084),
    ("i1", (21.9,), 271721254.39152),
    ("i1", (22.0,), 299639606.877379),
    ("i1", (300.0,), 4.468381385036955e128),
    ("i1e", (0.1,), 0.045298446808809324),
    ("i1e", (-8.0,), -0.13414249329269817),
    ("i1e", (12.5,), 0.10936143099065089),
    ("i1e", (21.9,), 0.08376728837371579),
    ("i1e", (22.0,), 0.08358351227442368),
    ("i1e", (300.0,), 0.02300412204026895),
    ("sinc", (1e-05,), 0.9999999998355066),
    ("sinc", (0.25,), 0.9003163161571061),
    ("sinc", (1.5,), -0.2122065907891938),
    ("sinc", (-100.25,), 0.0022451778457783195),
    ("logit", (1e-300,), -690.7755278982137),
    ("logit", (0.1,), -2.197224577336219),
    ("logit", (0.25,), -1.0986122886681098),
    ("logit", (0.4999,), -0.0004000000053332894),
    ("logit", (0.6,), 0.4054651081081643),
    ("logit", (0.9,), 2.1972245773362196),
    ("entr", (1e-300,), 6.9077552789821376e-298),
    ("entr", (0.2,), 0.3218875824868201),
    ("entr", (3.0,), -3.295836866004329),
    ("xlog1py", (2.0, 1e-10), 1.9999999999000001e-10),
    ("polygamma", (2, 0.5), -16.82879664423432),
    ("polygamma", (2, -1.25), 123.72136678366236),
    ("polygamma", (3, 20.0), 0.0002693742213396389),
    ("polygamma", (5, -2.75), 492231.2077521004),
    ("polygamma", (20, 3.0), -233141556.11225682),
    ("zeta", (1.0001, 2.0), 9999.577222947539),
    ("zeta", (2.0, 1.0), 1.6449340668482264),
    ("zeta", (2.5, 0.01), 100001.31377370734),
    ("zeta", (3.0, 30.0), 0.0005743826018643),
    ("zeta", (50.0, 10.5), 8.814111345976541e-52),
    ("zeta", (2.0, -1.25), 19.181879647671607),
    ("zeta", (3.0, -5.25), -61.99754288445204),
]


# Limits, poles and signs of zero, as PyTorch has them.
EDGES = {
    "digamma": [(0.0, -INF), (-0.0, INF), (-3.0, NAN), (INF, INF), (-INF, NAN)],
    "entr": [(0.0, 0.0), (-1.0, -INF), (INF, -INF), (-INF, -INF)],
    "erf": [(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (6.0, 1.0)],
    "erfc": [(INF, 0.0), (-INF, 2.0), (100.0, 0.0)],
    "erfcx": [(INF, 0.0), (-INF, INF), (-100.0, INF)],
    "erfinv": [(-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN)],
    "i0": [(0.0, 1.0), (800.0, INF), (INF, NAN), (-INF, NAN)],
    "i0e": [(0.0, 1.0), (INF, 0.0), (-INF, 0.0)],
    "i1": [(0.0, 0.0), (800.0, INF), (-800.0, -INF), (INF, NAN)],
    "i1e": [(0.0, 0.0), (INF, 0.0), (-INF, -0.0)],
    "lgamma": [(0.0, INF), (-0.0, INF), (1.0, 0.0), (2.0, 0.0), (-2.0, INF), (INF, INF), (-INF, INF)],
    "log_ndtr": [(INF, -0.0), (-INF, -INF)],
    "logit": [(0.0, -INF), (0.5, 0.0), (1.0, INF), (-0.1, NAN), (1.1, NAN), (INF, NAN)],
    "ndtr": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0)],
    "ndtri": [(0.0, -INF), (0.5, 0.0), (1.0, INF), (-0.1, NAN), (1.1, NAN)],
    "sinc": [(0.0, 1.0), (-0.0, 1.0), (2.0, 0.0), (INF, NAN)],
    "trigamma": [(0.0, INF), (-0.0, INF), (-2.0, INF), (INF, 0.0), (-INF, NAN)],
}
ZETA_EDGES = [
    *((1.0, 3.0, INF), (0.5, 3.0, NAN), (2.0, 0.0, INF), (3.0, -2.0, INF), (2.5, -0.5, NAN), (2.0, INF, NAN)),
    *((INF, 0.5, INF), (INF, 1.0, 1.0), (INF, 2.0, NAN), (INF, -1.5, INF), (1000.0, 30.0, 0.0), (NAN, 1.0, NAN)),
    *((2.0, NAN, NAN), (1.0, NAN, INF), (2.0, -INF, INF)),
]


def function(name: str) -> Any:
    return getattr(special_numpy, name, None) or getattr(special_numpy_gamma, name)


def same(actual: Any, expected: Any) -> None:
    """Equal values, equal signs of zero, NaN at the same places."""
    np.testing.assert_array_equal(actual, expected)
    zero = np.asarray(expected) == 0
    np.testing.assert_array_equal(np.signbit(actual)[zero], np.signbit(expected)[zero])


def inputs(name: str, size: int = 400) -> np.ndarray:
    """Random arguments from the interesting part of the domain of `name`, its ends included."""
    low, high = {"erfinv": (-1.0, 1.0), "ndtri": (0.0, 1.0), "logit": (0.0, 1.0), "entr": (0.0, 3.0)}.get(
        name, (-8.0, 8.0)
    )
    return np.concatenate([np.random.default_rng(0).uniform(low, high, size - 2), [low, high]])


@pytest.mark.parametrize(("name", "args", "expected"), REFERENCE)
def test_reference(name: str, args: tuple[Any, ...], expected: float) -> None:
    f, order = function(name), args[:1] if name == "polygamma" else ()
    actual = f(*order, *(np.array(value) for value in args[len(order) :]))
    assert isinstance(actual, np.ndarray) and actual.shape == ()
    np.testing.assert_allclose(actual, expected, rtol=3e-15)


@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str) -> None:
    x, expected = np.array([*EDGES[name], (NAN, NAN)]).T
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            x_rounded, expected_rounded = x.astype(dtype), expected.astype(dtype)
        actual = function(name)(x_rounded)
        assert actual.dtype == dtype
        same(actual.astype(np.float64), expected_rounded.astype(np.float64))


def test_edges_of_two_arguments() -> None:
    s, q, expected = np.array(ZETA_EDGES).T
    same(special_numpy_gamma.zeta(s, q), expected)
    y = np.array([0.0, -2.0, INF, NAN])
    same(special_numpy.xlogy(np.zeros(4), y), [0.0, 0.0, 0.0, NAN])
    same(special_numpy.xlog1py(np.zeros(4), y), [0.0, 0.0, 0.0, NAN])
    same(special_numpy.xlogy(np.ones(4), y), [-INF, NAN, INF, NAN])
    same(special_numpy.xlog1py(np.array(INF), np.array([0.0, -1.0, 1.0])), [NAN, -INF, INF])
    x = np.array([0.0, -1.0, -INF, INF, NAN])
    same(special_numpy_gamma.polygamma(2, x), [-INF, -INF, -INF, NAN, NAN])
    same(special_numpy_gamma.polygamma(3, x), [INF, INF, INF, NAN, NAN])
    same(special_numpy_gamma.polygamma(200, np.array(2.0)), -INF)  # 200! is beyond float64


def test_erf_of_float32_is_good_to_2e_7() -> None:
    x = np.linspace(-7.0, 7.0, 200_001, dtype=np.float32)
    exact = special_numpy.erf(x.astype(np.float64))
    actual = special_numpy.erf(x)
    assert actual.dtype == np.float32
    assert np.abs(actual - exact).max() <= 2e-7
    assert np.abs(actual).max() == 1.0
    small = np.abs(x) < 0.5
    np.testing.assert_allclose(actual[small], exact[small], rtol=5e-7)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_narrow_dtypes_agree_with_float64(name: str, dtype: Any) -> None:
    x = inputs(name).astype(dtype)
    actual, exact = function(name)(x), function(name)(x.astype(np.float64))
    assert actual.dtype == dtype
    eps = float(ml_dtypes.finfo(dtype).eps)
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    with np.errstate(over="ignore"):
        expected = exact.astype(dtype).astype(np.float64)
    np.testing.assert_allclose(actual.astype(np.float64), expected, rtol=4 * eps, atol=2 * tiny)


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 20_000])
def test_every_element_of_any_size(size: int) -> None:
    x = np.linspace(-3.0, 3.0, size)
    actual = special_numpy.erf(x)
    assert actual.shape == (size,)
    same(actual[::97], [special_numpy.erf(value) for value in x[::97]])


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides(name: str, dtype: Any) -> None:
    x = inputs(name, 120).astype(dtype).reshape(10, 12)
    expected = function(name)(x)
    for view in (lambda a: a.T, lambda a: a[::-2, ::3], lambda a: np.broadcast_to(a[0], (3, 12)), lambda a: a[:, :0]):
        actual = function(name)(view(x))
        assert actual.shape == view(x).shape and actual.dtype == dtype and not np.shares_memory(actual, x)
        same(actual.astype(np.float64), view(expected).astype(np.float64))
    scalar = function(name)(x[0, 0:1].reshape(()))
    assert isinstance(scalar, np.ndarray) and scalar.shape == () and scalar.dtype == dtype


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "zeta"])
def test_two_arguments_broadcast_and_promote(name: str) -> None:
    x, y = np.linspace(1.5, 4.0, 3, dtype=np.float32)[:, None], np.linspace(0.5, 2.0, 4)
    actual = function(name)(x, y)
    assert actual.shape == (3, 4) and actual.dtype == np.float64
    expected = [[function(name)(np.float64(x[i, 0]), y[j]) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(actual, expected, rtol=1e-15)
    assert function(name)(2.0, x.astype(ml_dtypes.bfloat16)).dtype == ml_dtypes.bfloat16
    assert function(name)(x, np.empty((0, 1, 4), np.float32)).shape == (0, 3, 4)


def test_bad_input() -> None:
    with pytest.raises(TypeError, match=r"erf expects float16, bfloat16, float32 or float64 input, got int64"):
        special_numpy.erf(np.arange(3))
    with pytest.raises(TypeError, match=r"xlogy expects .* got bool"):
        special_numpy.xlogy(np.array(True), np.array(False))
    with pytest.raises(ValueError, match="broadcast"):
        special_numpy_gamma.zeta(np.ones(2), np.ones(3))
    with pytest.raises(RuntimeError, match="does not support negative n, got n = -1"):
        special_numpy_gamma.polygamma(-1, np.ones(2))


def test_input_and_error_state_are_left_alone() -> None:
    x = np.array([-INF, -1.0, 0.0, 1e300, NAN])
    before = x.copy()
    with np.errstate(all="raise"):
        state = np.geterr()
        for name in UNARY:
            function(name)(x)
        assert np.geterr() == state
    same(x, before)


# ---- against PyTorch ----


@pytest.mark.parametrize("name", [name for name in UNARY if name != "trigamma"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_unary_against_torch(torch: ModuleType, name: str, dtype: Any) -> None:
    specials = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 40.0, -40.0, 800.0, -800.5, 1e-30, -1e-30, 1e30, INF, -INF, NAN]
    x = np.concatenate([inputs(name), specials]).astype(dtype)
    expected = getattr(torch.special, {"lgamma": "gammaln"}.get(name, name))(torch.from_numpy(x)).numpy()
    rtol, atol = (1e-11, 1e-13) if dtype == np.float64 else (1e-5, 1e-6)
    np.testing.assert_allclose(function(name)(x), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6])
def test_polygamma_against_torch(torch: ModuleType, n: int) -> None:
    x = np.concatenate([inputs("polygamma")[:-2], [0.5, 10.0, 30.5, 1e10, -100.3]])  # without the pole at the end
    expected = torch.polygamma(n, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(special_numpy_gamma.polygamma(n, x), expected, rtol=1e-8 if n == 1 else 1e-11)


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "zeta"])
def test_two_arguments_against_torch(torch: ModuleType, name: str) -> None:
    specials = [0.0, 1.0, -1.0, 0.5, -1.5, 2.0, 3.0, 40.0, INF, -INF, NAN]
    values = np.concatenate([np.random.default_rng(1).uniform(-6.0, 12.0, 40), specials])
    x, y = np.meshgrid(values, values)
    expected = getattr(torch.special, name)(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(function(name)(x, y), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("eps", [None, 1e-8, 1e-3, 0.7])
def test_logit_with_eps_against_torch(torch: ModuleType, dtype: Any, eps: float | None) -> None:
    x = np.array([0.0, 1e-4, 0.25, 0.5, 0.9, 1.0, -1.0, 2.0, NAN], dtype)
    expected = torch.special.logit(torch.from_numpy(x), eps).numpy()
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(special_numpy.logit(x, eps), expected, rtol=tolerance, atol=tolerance)


# ---- identities ----

REAL = st.floats(-30.0, 30.0)
FRACTIONAL = REAL.filter(lambda x: abs(x - round(x)) > 1e-3)  # away from the poles, whose error would be amplified
POSITIVE = st.floats(1e-3, 60.0)


@given(REAL)
def test_odd_and_even(x: float) -> None:
    for name in ("erf", "i1", "i1e"):
        assert function(name)(-x) == -function(name)(x)
    for name in ("i0", "i0e", "sinc"):
        assert function(name)(-x) == function(name)(x)
    assert special_numpy.erf(np.float32(-x)) == -special_numpy.erf(np.float32(x))


@given(st.floats(-26.0, 30.0))  # erfcx overflows below
def test_erf_family(x: float) -> None:
    erfc = special_numpy.erfc(x)
    np.testing.assert_allclose(special_numpy.erf(x) + erfc, 1.0, rtol=1e-15)
    np.testing.assert_allclose(special_numpy.erfcx(x) * np.exp(-x * x), erfc, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(special_numpy.ndtr(x) + special_numpy.ndtr(-x), 1.0, rtol=1e-15)
    np.testing.assert_allclose(np.exp(special_numpy.log_ndtr(x)), special_numpy.ndtr(x), rtol=1e-12)


@given(st.floats(-1.0, 1.0, exclude_min=True, exclude_max=True))
def test_inverses(y: float) -> None:
    np.testing.assert_allclose(special_numpy.erf(special_numpy.erfinv(y)), y, rtol=2e-15)
    p = 0.5 * abs(y)
    if p > 1e-300:
        np.testing.assert_allclose(special_numpy.ndtr(special_numpy.ndtri(p)), p, rtol=1e-12)


@given(POSITIVE)
def test_recurrences(x: float) -> None:
    g = special_numpy_gamma
    np.testing.assert_allclose(g.lgamma(x + 1.0), g.lgamma(x) + np.log(x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(g.digamma(x + 1.0), g.digamma(x) + 1.0 / x, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(g.trigamma(x), g.zeta(2.0, x), rtol=1e-14)
    np.testing.assert_allclose(g.zeta(3.5, x), g.zeta(3.5, x + 1.0) + x**-3.5, rtol=1e-13)


@given(FRACTIONAL)
def test_reflections(x: float) -> None:
    g, sine = special_numpy_gamma, np.sin(np.pi * (x - round(x)))
    np.testing.assert_allclose(g.lgamma(x) + g.lgamma(1 - x), np.log(np.pi / abs(sine)), rtol=1e-11, atol=1e-12)
    cotangent = np.pi / np.tan(np.pi * (x - round(x)))
    np.testing.assert_allclose(g.digamma(1 - x) - g.digamma(x), cotangent, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(g.trigamma(x) + g.trigamma(1 - x), (np.pi / sine) ** 2, rtol=1e-11)
    even, odd = g.zeta(2.0, x) + g.zeta(2.0, 1 - x), g.zeta(3.0, x) - g.zeta(3.0, 1 - x)
    np.testing.assert_allclose(even, (np.pi / sine) ** 2, rtol=1e-11)
    np.testing.assert_allclose(odd, cotangent * (np.pi / sine) ** 2, rtol=1e-9, atol=1e-10)
