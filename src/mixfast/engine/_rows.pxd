from mixfast.engine._kernels cimport groups_t, rows_t

ctypedef fused real:
    float
    double

# The sum of the weights of rows, and the least above zero.
ctypedef struct weighed_t:
    double total
    double least

cdef double value_of(const rows_t *rows, Py_ssize_t row, Py_ssize_t column) noexcept nogil
cdef void copy_row(const rows_t *rows, Py_ssize_t row, double *out) noexcept nogil
cdef bint are_equal(const rows_t *rows, Py_ssize_t row, Py_ssize_t other) noexcept nogil
cdef bint is_constant(const rows_t *rows) noexcept nogil
cdef double total_of_base(const rows_t *rows) noexcept nogil
cdef weighed_t weigh(const rows_t *rows) noexcept nogil
cdef bint are_finite(const real *values, Py_ssize_t n, Py_ssize_t stride) noexcept nogil

cdef class Rows:
    cdef rows_t c
    cdef readonly object X, sample_weight, base
    cdef object indptr, indices    # of sparse rows
    cdef groups_t of_groups        # where c.groups points to
    cdef object kept               # its arrays, and those of what is known
    cdef object runs
    cdef weighed_t weighed
    cdef readonly double total_weight, least_weight
    cdef int view_sparse(self, X) except -1
    cdef int take_groups(self, groups) except -1
    cdef int take_known(self, known) except -1
