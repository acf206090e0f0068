# Distinct counts of columns, as verbs see them.

from libc.stdint cimport int64_t

cdef class Cells:
    cdef readonly object counts, begin
    cdef readonly Py_ssize_t n_columns
    cdef const double *count       # [n_cells], rising within a column
    cdef const int64_t *first      # [n_columns + 2]: the first cell of each column, and of the totals
