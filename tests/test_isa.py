"""The instruction set is chosen once, at import; MIXFAST_ISA forces one and never falls back."""

import os
import platform
import subprocess
import sys

import pytest

from mixfast.engine import _isa

FIT = """
import numpy as np
from mixfast import GaussianMixture
from mixfast.engine import _isa
X = np.random.default_rng(0).normal(size=(500, 3))
print(_isa.CHOSEN_ISA, GaussianMixture(2, random_state=0).fit(X).lower_bound_)
"""


def run(isa):
    return subprocess.run(
        [sys.executable, "-c", FIT], env={**os.environ, "MIXFAST_ISA": isa}, capture_output=True, text=True, check=False
    )


def test_an_available_set_can_be_forced():
    bounds = {}
    for isa in _isa.available_isas():
        result = run(isa)
        assert result.returncode == 0, result.stderr
        chosen, bound = result.stdout.split()
        assert chosen == isa
        bounds[isa] = float(bound)
    assert list(bounds.values()) == pytest.approx([bounds["base"]] * len(bounds), rel=1e-9)
    assert bounds.get("v2", bounds["base"]) == bounds["base"]  # test_agnosticism says why


def test_the_best_available_set_is_the_default():
    if os.environ.get("MIXFAST_ISA"):
        assert os.environ["MIXFAST_ISA"] == _isa.CHOSEN_ISA
    else:
        assert _isa.available_isas()[-1] == _isa.CHOSEN_ISA


def test_an_unavailable_set_is_an_error_that_names_the_others():
    result = run("v9")
    assert result.returncode != 0
    assert "MIXFAST_ISA='v9' is not available" in result.stderr
    assert "base" in result.stderr


#: What Linux calls the features that code of each level has to have.
FLAGS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


@pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"), reason="/proc/cpuinfo of an x86-64 machine"
)
def test_the_sets_are_those_that_the_system_says_the_processor_has():
    with open("/proc/cpuinfo") as lines:
        found = set(next(line for line in lines if line.startswith("flags")).split()[2:])
    expected = ["base"]
    for level, flags in FLAGS.items():  # each level has the ones before
        if not flags <= found:
            break
        expected.append(level)
    assert list(_isa.available_isas()) == expected  # of a build with all levels, as builds are unless told otherwise
