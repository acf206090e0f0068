# Partial labels in the E-step: known components of rows, and sets of allowed ones.

from libc.stdint cimport int64_t

from mixfast.engine._family cimport chunk_t, selection_t
from mixfast.engine._kernels cimport rows_t

cdef inline bint is_allowed(const rows_t *rows, Py_ssize_t row, Py_ssize_t k) noexcept nogil:
    """Whether component k is allowed for the row, its group not considered."""
    cdef int64_t known = -1 if rows.known == NULL else rows.known[row]
    return known < 0 or (k < rows.n_members and rows.members[known * rows.n_members + k] != 0)


cdef inline Py_ssize_t visited(const rows_t *rows, Py_ssize_t place) noexcept nogil:
    """The number of the row that the pass visits at this position."""
    return place if rows.order == NULL else <Py_ssize_t> rows.order[place]


cdef Py_ssize_t own_component(const rows_t *rows, Py_ssize_t row, Py_ssize_t n_components) noexcept nogil
cdef void leave_out_forbidden(const rows_t *rows, Py_ssize_t start, const chunk_t *chunk, const selection_t *selection,
                              int real_bytes, void *log_prob) noexcept nogil
cdef void begin_at_known(const rows_t *rows, Py_ssize_t n_components, int64_t *seeds, double *counts, double *centres,
                         double *places) noexcept nogil
cdef void label_seeds(const rows_t *rows, Py_ssize_t n_components, const int64_t *seeds,
                      int64_t *labels) noexcept nogil
cdef void keep_groups_together(const rows_t *rows, Py_ssize_t n_components, double *counts,
                               int64_t *labels) noexcept nogil
cdef void share_among_allowed(const rows_t *rows, Py_ssize_t start, const chunk_t *chunk, const selection_t *selection,
                              int real_bytes, const void *weight, const void *log_norm, void *resp,
                              double *counts) noexcept nogil
