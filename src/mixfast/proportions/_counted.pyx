"""What kinds of proportions share whose numbers `mixing` are the counts of the components themselves, such as
posteriors: the M-step copies the counts, and free numbers are their logarithms."""

from libc.math cimport exp, isfinite
from libc.string cimport memcpy

from mixfast.proportions._proportions cimport free_mixing_t, one_each, one_for_each, proportions_t, take_logarithms


cdef void take_counts(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                      double *mixing) noexcept nogil:
    memcpy(mixing, counts, n * sizeof(double))


cdef int take_exponentials(const proportions_t *proportions, Py_ssize_t n, const double *numbers,
                           double *counts) noexcept nogil:
    cdef Py_ssize_t k
    cdef bint fails = False
    for k in range(n):
        counts[k] = exp(numbers[k])
        fails |= not isfinite(counts[k])
    return fails


cdef free_mixing_t LOGARITHMS
LOGARITHMS.n_free, LOGARITHMS.unconstrain, LOGARITHMS.constrain = one_each, take_logarithms, take_exponentials


cdef proportions_t made_of_counts() noexcept nogil:
    cdef proportions_t kind = one_for_each(take_counts)
    kind.free_numbers = &LOGARITHMS
    return kind
