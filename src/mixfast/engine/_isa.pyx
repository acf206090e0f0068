"""Which compiled kernels run: the best set of instructions that both the build and the machine have.

The environment variable MIXFAST_ISA (base, v2, v3 or v4; read once, at import) forces one and never falls back.
"""

import os

from mixfast.engine._family cimport MIXFAST_ISA_BASE, MIXFAST_ISA_END
from mixfast.engine._kernels cimport mixfast_isa_is_available

_NAMES = ("chosen", "base", "v2", "v3", "v4")  # in the order of the enum in _kernels/family.h


#: Asked once: a virtual machine takes 30 us to answer each of the processor's instructions for it.
_AVAILABLE = tuple(_NAMES[isa] for isa in range(MIXFAST_ISA_BASE, MIXFAST_ISA_END) if mixfast_isa_is_available(isa))


def available_isas():
    """Names of the instruction sets that this build has kernels for and this machine can run, least capable first."""
    return _AVAILABLE


def _chosen_isa():
    forced = os.environ.get("MIXFAST_ISA", "")
    available = available_isas()
    if not forced:
        return available[len(available) - 1]
    if forced not in available:
        raise ImportError(
            f"MIXFAST_ISA={forced!r} is not available: this build on this machine has {', '.join(available)}. "
            "Unset MIXFAST_ISA, or set it to one of these."
        )
    return forced


CHOSEN_ISA = _chosen_isa()


cdef int _CHOSEN = _NAMES.index(CHOSEN_ISA)


cdef int resolve_isa(object name) except -1:
    """The number of an instruction set; None is the one chosen at import."""
    if name is None:
        return _CHOSEN
    if name not in _AVAILABLE:
        raise ValueError(f"isa={name!r} is not available: this build on this machine has {_AVAILABLE}")
    return _NAMES.index(name)
