"""A kind of proportions that looks at the row, as tests want one: a gate with given coefficients.

p(k | x) = exp(a_k + b_k x_0) / sum over l of exp(a_l + b_l x_0). Its numbers are a_0, b_0, a_1, b_1, ...: twice as many
as there are components.
"""

from libc.math cimport INFINITY, exp, log
from libc.string cimport memcpy

from mixfast.engine._family cimport selection_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._reals cimport add
from mixfast.engine._rows cimport value_of
from mixfast.proportions._proportions cimport Proportions, one_for_each, proportions_t

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
    """All is said row by row."""
    cdef Py_ssize_t k
    for k in range(n):
        out[k] = 0


cdef void add_row_terms(const proportions_t *proportions, Py_ssize_t n, const double *mixing, const rows_t *rows,
                        Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t stride, const selection_t *selection,
                        int real_bytes, void *log_prob) noexcept nogil:
    cdef Py_ssize_t r, k, a, row
    cdef double x, largest, total
    for r in range(n_rows):
        row = start + r if rows.order == NULL else <Py_ssize_t> rows.order[start + r]
        x = value_of(rows, row, 0)
        largest, total = -INFINITY, 0
        for k in range(n):
            largest = max(largest, mixing[2 * k] + mixing[2 * k + 1] * x)
        for k in range(n):
            total += exp(mixing[2 * k] + mixing[2 * k + 1] * x - largest)
        for a in range(selection.n):
            k = selection.component[a]
            add(log_prob, real_bytes, a * stride + r, mixing[2 * k] + mixing[2 * k + 1] * x - largest - log(total))


cdef class Gate(Proportions):
    """coefficients (n_components, 2): a and b of each."""

    cdef double[:, ::1] coefficients

    def __cinit__(self, coefficients):
        self.coefficients = np.array(coefficients, dtype=np.float64)
        self.c = one_for_each(maximise)
        self.c.n_numbers, self.c.begin, self.c.log_weights = two_for_each, begin, log_weights
        self.c.add_row_terms, self.c.context = add_row_terms, &self.coefficients[0, 0]

    def n_parameters(self, n_components):
        return 0
