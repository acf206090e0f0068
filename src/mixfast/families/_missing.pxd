# What families of rows with missing entries have in common, around a family of complete rows.

from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport family_t

cdef enum:
    LINE = 64                      # bytes: kernels want their arrays aligned

# The first member of the context of such a family.
ctypedef struct around_t:
    const family_t *complete


cdef inline const family_t *complete_of(const family_t *f) noexcept nogil:
    return (<const around_t *> f.context).complete


cdef inline Py_ssize_t in_cache_lines(Py_ssize_t n) noexcept nogil:
    """n doubles rounded up to whole cache lines, since kernels need aligned tables."""
    return (n + 7) // 8 * 8


# A family of rows with one more column, which has the sizes, the M-step, the prior and the free numbers of that in
# `bound`, an elliptical one of float64: what is made of rows is left to say. kept_bytes: of the reals that parameters
# will be rounded to, those of the user's rows.
cdef family_t *new_around(BoundFamily bound, int kept_bytes, size_t context_bytes) except NULL
