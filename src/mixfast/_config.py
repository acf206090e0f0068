"""What this build is and what it runs on."""

from __future__ import annotations

from pathlib import Path


def show_config() -> None:
    """Print version, instruction set, OpenMP, threads, and the BLAS libraries in the process."""
    import numpy as np
    import scipy
    import scipy.linalg
    import sklearn
    from threadpoolctl import threadpool_info

    from mixfast._threads import allowed_threads
    from mixfast._version import __version__
    from mixfast.engine._isa import CHOSEN_ISA, available_isas
    from mixfast.engine._pass import HAS_OPENMP

    print(f"mixfast {__version__}")
    print(f"  instruction set: {CHOSEN_ISA} (available: {', '.join(available_isas())}; MIXFAST_ISA forces one)")
    print(f"  OpenMP: {'yes' if HAS_OPENMP else 'no: built without it, everything runs on one thread'}")
    print(f"  threads: {allowed_threads()}")
    for library in threadpool_info():
        print(f"  {library['user_api']}: {library['internal_api']} {library['version'] or ''} {library['filepath']}")
    print(f"  numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}")


def get_include() -> str:
    """The directory of the C headers.

    `mixfast.h` is the C interface, `family.h` the contract that a family compiled outside mixfast keeps.

    Returns
    -------
    path : str
        For the compiler's search path; docs/capi.md and docs/extending.md have examples.
    """
    return str(Path(__file__).parent / "_kernels")
