"""For all tests."""

import os
import sys

# Threads that wait for each other sleep instead of spinning: a worker of pytest-xdist has a processor, and threads that
# spin take those of the other workers. Of test_a_problem_of_a_batch_has_the_bits_of_its_fit_alone[kmeans] on two busy
# cores 10.2 s of processor time became 5.9. Read when the OpenMP of scikit-learn or mixfast is loaded, so before these.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Pictures are drawn without a screen.
os.environ["MPLBACKEND"] = "Agg"

import numpy as np  # noqa: F401, that its BLAS is there
import pytest
import scipy.linalg  # noqa: F401, and SciPy's
from compiled import build
from threadpoolctl import threadpool_limits

# The twins multiply small matrices, and threads of BLAS wait for each other where several tests run at once: 1.8 s
# instead of 0.03 s for a pass of 720 x 67 and 33 components on two busy cores. mixfast itself calls no BLAS in fits.
threadpool_limits(1, user_api="blas")


@pytest.fixture(scope="session")
def doors(tmp_path_factory):
    """`engine_doors/doors.pyx`, compiled: functions of the engine that have no face in Python."""
    return build("engine_doors", "doors", tmp_path_factory)


@pytest.fixture(autouse=True)
def _close_figures():
    """No test sees the figures of another."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
