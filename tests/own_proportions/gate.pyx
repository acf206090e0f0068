"""A kind of proportions that depends on the row, for tests: a gate with given coefficients,

p(k | x) = exp(a_k + b_k x_0) / sum over l of exp(a_l + b_l x_0). `mixing` is a_0, b_0, a_1, b_1, ..., 2 K numbers.
"""

from libc.math cimport INFINITY, exp, log
from libc.string cimport memcpy

from mixfast.engine._family cimport chunk_t, selection_t
from mixfast.engine._reals cimport add, get
from mixfast.proportions._proportions cimport Proportions, of_rows_t, one_for_each, proportions_t

import numpy as np


cdef Py_ssize_t two_for_each(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return 2 * n


cdef void begin(const proportions_t *proportions, Py_ssize_t n, double *mixing) noexcept nogil:
    memcpy(mixing, proportions.context, 2 * n * sizeof(double))


cdef void maximise(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                   double *mixing) noexcept nogil:
    begin(proportions, n, mixing)


cdef void log_weights(const proportions_t *proportions, Py_ssize_t n, const double *mixing,
                      double *out) noexcept nogil:
    """Zeros: `add_terms` adds log p(k | x) for each row."""
    cdef Py_ssize_t k
    for k in range(n):
        out[k] = 0


cdef Py_ssize_t nothing(const proportions_t *proportions, Py_ssize_t n) noexcept nogil:
    return 0


cdef void add_terms(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const double *pivot,
                    const chunk_t *chunk, const selection_t *selection, int real_bytes, void *scratch,
                    void *log_prob) noexcept nogil:
    cdef Py_ssize_t r, k, a
    cdef double x, largest, total
    for r in range(chunk.n_rows):
        x = get(chunk.columns, real_bytes, r) + pivot[0]
        largest, total = -INFINITY, 0
        for k in range(n):
            largest = max(largest, mixing[2 * k] + mixing[2 * k + 1] * x)
        for k in range(n):
            total += exp(mixing[2 * k] + mixing[2 * k + 1] * x - largest)
        for a in range(selection.n):
            k = selection.component[a]
            add(log_prob, real_bytes, a * chunk.stride + r,
                mixing[2 * k] + mixing[2 * k + 1] * x - largest - log(total))


cdef void accumulate(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const double *pivot,
                     const chunk_t *chunk, const selection_t *selection, int real_bytes, const void *resp,
                     void *scratch, double *stats) noexcept nogil:
    """Nothing: the coefficients are given."""


cdef int maximise_by_rows(const proportions_t *proportions, Py_ssize_t n, const double *counts, double total,
                          const double *stats, const double *pivot, bint is_first, double *work,
                          double *mixing) noexcept nogil:
    begin(proportions, n, mixing)
    return 0


cdef of_rows_t OF_ROWS
OF_ROWS.n_scratch_columns = OF_ROWS.n_stats = OF_ROWS.n_work = nothing
OF_ROWS.add_terms, OF_ROWS.accumulate, OF_ROWS.maximise = add_terms, accumulate, maximise_by_rows
OF_ROWS.further_start_passes, OF_ROWS.may_overshoot = 0, False


cdef class Gate(Proportions):
    """coefficients (n_components, 2): a and b of each."""

    cdef double[:, ::1] coefficients

    def __cinit__(self, coefficients):
        self.coefficients = np.array(coefficients, dtype=np.float64)
        self.c = one_for_each(maximise)
        self.c.n_numbers, self.c.begin, self.c.log_weights = two_for_each, begin, log_weights
        self.c.of_rows, self.c.context = &OF_ROWS, &self.coefficients[0, 0]

    def n_parameters(self, n_components):
        return 0
