"""The kernels' own exp and logs against mpmath, in units in the last place, over the whole range."""

import mpmath
import numpy as np
import pytest
from twins import DTYPES, ISAS

from mixfast.engine._elementary import exp_nonpositive, log_above_one, log_one_plus

# Largest errors measured over these grids: exp 0.9 ulp, log 0.9 ulp (float64), 0.9 and 0.9 (float32); without fused
# multiply-add (base, v2) exp reaches 1.2 and 1.3.
MAX_ULP = 1.5
LOWEST = {np.float64: -708.0, np.float32: -87.0}


def error_in_ulp(values, x, function):
    """The largest |value - exact| in units in the last place of the exact one."""
    worst = 0.0
    with mpmath.workdps(40):
        for value, argument in zip(values, x, strict=True):
            exact = function(mpmath.mpf(float(argument)))
            ulp = float(np.spacing(np.abs(values.dtype.type(float(exact)))))
            worst = max(worst, abs(float(mpmath.mpf(float(value)) - exact)) / ulp)
    return worst


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_right_to_one_and_a_half_ulp(dtype, isa):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            [0.0, -0.0],
            LOWEST[dtype] * rng.uniform(size=3000),
            -rng.exponential(0.5, 3000),
            -(10.0 ** -rng.uniform(0, 20, 500)),
        ]
    ).astype(dtype)
    assert error_in_ulp(exp_nonpositive(x, isa), x, mpmath.exp) <= MAX_ULP


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_is_right_to_one_and_a_half_ulp(dtype, isa):
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [1 + rng.exponential(1e-3, 1000), 1 + rng.exponential(1, 3000), 2.0 ** rng.uniform(0, 60, 2000), [2.0, 4.0]]
    ).astype(dtype)
    x = np.maximum(x, dtype(1) + np.finfo(dtype).eps)
    assert error_in_ulp(log_above_one(x, isa), x, mpmath.log) <= MAX_ULP


# Measured: 1.6 ulp without fused multiply-add, 1.4 with it (float64), 1.3 and 1.2 (float32).
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_of_one_plus_a_number_is_right_to_two_ulp_however_small_it_is(dtype, isa):
    rng = np.random.default_rng(0)
    largest = 2.0 ** (1022 if dtype == np.float64 else 126)
    x = np.concatenate(
        [
            10.0 ** -rng.uniform(0, 30, 2000),
            rng.exponential(1, 3000),
            2.0 ** rng.uniform(0, np.log2(largest), 2000),
            [0.0, largest, 1.0, np.sqrt(2) - 1],
        ]
    ).astype(dtype)
    assert error_in_ulp(log_one_plus(x, isa), x, mpmath.log1p) <= 2


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_of_exp_and_log(dtype, isa):
    x = np.array([0, -np.inf, np.nan, LOWEST[dtype] - 1, -1e30], dtype)
    np.testing.assert_array_equal(exp_nonpositive(x, isa), np.array([1, 0, np.nan, 0, 0], dtype))
    np.testing.assert_array_equal(log_above_one(np.array([1, np.nan, 1], dtype), isa), np.array([0, np.nan, 0], dtype))
    np.testing.assert_array_equal(log_one_plus(np.array([0, np.nan, 0], dtype), isa), np.array([0, np.nan, 0], dtype))
