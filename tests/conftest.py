"""For all tests."""

import numpy as np  # noqa: F401, that its BLAS is there
import scipy.linalg  # noqa: F401, and SciPy's
from threadpoolctl import threadpool_limits

# The twins multiply small matrices, and threads of BLAS wait for each other where several tests run at once: 1.8 s
# instead of 0.03 s for a pass of 720 x 67 and 33 components on two busy cores. mixfast itself calls no BLAS in fits.
threadpool_limits(1, user_api="blas")
