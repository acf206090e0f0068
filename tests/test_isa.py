"""The instruction set is chosen once, at import; MIXFAST_ISA forces one and never falls back."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mixfast.engine import _isa

needs_cc = pytest.mark.skipif(sys.platform == "win32", reason="a library is compiled as on POSIX")

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


# ---- the level that a processor has ---------------------------------------------------------------------------------

#: Bits of CPUID 1 ECX, CPUID 7.0 EBX, CPUID 0x80000001 ECX and XCR0, by what Intel's and AMD's manuals call them.
PLACES = {
    "leaf1_ecx": {
        "sse3": 0, "ssse3": 9, "fma": 12, "cx16": 13, "sse4.1": 19, "sse4.2": 20, "movbe": 22, "popcnt": 23,
        "osxsave": 27, "avx": 28, "f16c": 29,
    },
    "leaf7_ebx": {
        "bmi1": 3, "avx2": 5, "bmi2": 8, "avx512f": 16, "avx512dq": 17, "avx512cd": 28, "avx512bw": 30, "avx512vl": 31,
    },
    "extended_ecx": {"lahf": 0, "lzcnt": 5},
    "saved": {"xmm": 1, "ymm": 2, "masks": 5, "upper zmm": 6, "more zmm": 7},
}  # fmt: skip
LEVEL2 = {"sse3", "ssse3", "cx16", "sse4.1", "sse4.2", "popcnt", "lahf"}
LEVEL3 = LEVEL2 | {"fma", "movbe", "osxsave", "avx", "f16c", "bmi1", "avx2", "bmi2", "lzcnt", "xmm", "ymm"}
LEVEL4 = LEVEL3 | {
    "avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl", "masks", "upper zmm", "more zmm",
}  # fmt: skip
NEEDED = {"v2": LEVEL2, "v3": LEVEL3, "v4": LEVEL4}

#: What some processors and operating systems say.
MACHINES = {
    "Opteron of 2003": (set(), "base"),
    "Core 2 of 2006": ({"sse3", "ssse3", "cx16", "lahf"}, "base"),
    "Nehalem of 2008": (LEVEL2, "v2"),
    "Sandy Bridge of 2011": (LEVEL2 | {"osxsave", "avx", "xmm", "ymm"}, "v2"),
    "Bulldozer of 2011, FMA4 but not FMA": (LEVEL2 | {"osxsave", "avx", "lzcnt", "xmm", "ymm"}, "v2"),
    "Haswell of 2013": (LEVEL3, "v3"),
    "Haswell whose system keeps no AVX registers": (LEVEL3 - {"ymm"}, "v2"),
    "Haswell whose virtual machine hides XSAVE": (LEVEL3 - {"osxsave", "xmm", "ymm"}, "v2"),
    "Knights Landing of 2016": (LEVEL4 - {"avx512dq", "avx512bw", "avx512vl"}, "v3"),
    "Skylake server of 2017": (LEVEL4, "v4"),
    "Skylake server whose system keeps no AVX-512 registers": (LEVEL4 - {"masks", "upper zmm", "more zmm"}, "v3"),
    "Alder Lake of 2021, AVX-512 switched off": (LEVEL3 | {"masks", "upper zmm", "more zmm"}, "v3"),
}


@pytest.fixture(scope="module")
def level_of(tmp_path_factory):
    """The level of a set of features, by the function that the kernels are chosen by."""
    kernels = Path(__file__).parent.parent / "src" / "mixfast" / "_kernels"
    library = tmp_path_factory.mktemp("processor") / "processor.so"
    subprocess.run(["cc", "-shared", "-fPIC", str(kernels / "processor.c"), "-o", str(library)], check=True)

    class Features(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint) for name in PLACES]

    def level(features):
        words = {name: sum(1 << bit for key, bit in own.items() if key in features) for name, own in PLACES.items()}
        found = ctypes.CDLL(library).mixfast_level_of(ctypes.byref(Features(**words)))
        return ("chosen", "base", "v2", "v3", "v4")[found]

    return level


@needs_cc
@pytest.mark.parametrize("machine", MACHINES)
def test_the_level_of_a_processor(level_of, machine):
    features, level = MACHINES[machine]
    assert features <= LEVEL4
    assert level_of(features) == level


@needs_cc
@pytest.mark.parametrize(("level", "below"), [("v2", "base"), ("v3", "v2"), ("v4", "v3")])
def test_a_level_needs_each_of_its_features(level_of, level, below):
    assert level_of(NEEDED[level]) == level
    for feature in NEEDED[level] - NEEDED.get(below, set()):
        assert level_of(LEVEL4 - {feature}) == below, feature
