# Kinds of proportions whose numbers are the counts of the components: a posterior follows from these.

from libc.string cimport memcpy

from mixfast.proportions._proportions cimport proportions_t


cdef inline void take_counts(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                             double *mixing) noexcept nogil:
    memcpy(mixing, counts, n * sizeof(double))
