"""Rows as the engine sees them: a view of the user's array or sparse matrix, with what is known of each row."""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport llabs
from libc.string cimport memset

from mixfast.engine._kernels cimport rows_t
from mixfast.engine._reals cimport get

import numpy as np

cdef double value_of(const rows_t *rows, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    """X[row, column] of dense rows."""
    return get(rows.data + row * rows.row_stride + column * rows.column_stride, rows.real_bytes, 0)


cdef void copy_row(const rows_t *rows, Py_ssize_t row, double *out) noexcept nogil:
    """OUT out[n_features]: the values of a row, dense or sparse."""
    cdef Py_ssize_t j
    cdef int64_t t
    if rows.indptr == NULL:
        for j in range(rows.n_features):
            out[j] = value_of(rows, row, j)
        return
    memset(out, 0, rows.n_features * sizeof(double))
    for t in range(rows.indptr[row], rows.indptr[row + 1]):
        out[rows.indices[t]] = get(rows.data + t * rows.column_stride, rows.real_bytes, 0)


cdef bint are_equal(const rows_t *rows, Py_ssize_t row, Py_ssize_t other) noexcept nogil:
    cdef Py_ssize_t j
    cdef int64_t t, u
    if rows.indptr == NULL:
        for j in range(rows.n_features):
            if value_of(rows, row, j) != value_of(rows, other, j):
                return False
        return True
    t, u = rows.indptr[row], rows.indptr[other]
    if rows.indptr[row + 1] - t != rows.indptr[other + 1] - u:
        return False
    for j in range(rows.indptr[row + 1] - t):
        if rows.indices[t + j] != rows.indices[u + j] or (
                get(rows.data + (t + j) * rows.column_stride, rows.real_bytes, 0)
                != get(rows.data + (u + j) * rows.column_stride, rows.real_bytes, 0)):
            return False
    return True


cdef bint is_constant(const rows_t *rows) noexcept nogil:
    """Whether there are several rows, all equal."""
    cdef Py_ssize_t row
    for row in range(1, rows.n_rows):
        if not are_equal(rows, row, 0):
            return False
    return rows.n_rows > 1


cdef double total_of_base(const rows_t *rows) noexcept nogil:
    """The sum of weight * base, with Kahan's compensation as `sum_of_weights`."""
    cdef double total = 0, lost = 0, raised, term
    cdef Py_ssize_t i
    if rows.base == NULL:
        return 0
    for i in range(rows.n_rows):
        term = rows.base[i] if rows.weight == NULL else rows.weight[i] * rows.base[i]
        term -= lost
        raised = total + term
        lost = (raised - total) - term
        total = raised
    return total


cdef weighed_t weigh(const rows_t *rows) noexcept nogil:
    """The sum of the weights and the least one above zero, by one walk over the rows."""
    cdef weighed_t weighed
    cdef Py_ssize_t i
    if rows.weight == NULL:
        weighed.total, weighed.least = rows.n_rows, 1 if rows.n_rows > 0 else INFINITY
        return weighed
    weighed.total, weighed.least = sum_of_weights(rows.weight, rows.n_rows), INFINITY
    for i in range(rows.n_rows):
        if 0 < rows.weight[i] < weighed.least:
            weighed.least = rows.weight[i]
    return weighed


cdef double sum_of_weights(const double *weight, Py_ssize_t n) noexcept nogil:
    """With Kahan's compensation: millions of weights keep their digits."""
    cdef double total = 0, lost = 0, raised, term
    cdef Py_ssize_t i
    for i in range(n):
        term = weight[i] - lost
        raised = total + term
        lost = (raised - total) - term
        total = raised
    return total


cdef class Rows:
    """A view of X (n_samples, n_features), float32 or float64 with any strides, and of the weights of its rows.

    X may be sparse instead, in CSR form with rising indices and no zeros: a scipy.sparse matrix, or what has its
    attributes `shape`, `indptr`, `indices` and `data`. `sample_weight` and `base`, a term of the log density that no
    parameter enters, are None or float64 (n_samples,), contiguous. Nothing is copied but int64 indices; the arrays must
    not change or move. `groups`, int64 (n_samples,), are numbers of groups of rows that share a component, 0 for that
    of the first row, then 1 for the next that is another, and so on; None where rows are by themselves. `known` says
    what components rows are of: int64 (n_samples,), -1 where it is not known, or bool (n_samples, n_components), those
    that a row may be of; None where nothing is known. `trim` is the share of the weight that E-steps leave out, of the
    rows of the lowest density; such rows have neither groups nor base. `runs`, uint32 (n_samples,), contiguous, is the
    order that E-steps of a fit visit rows in; None is as they lie.
    """

    def __cinit__(self, X, sample_weight=None, base=None, groups=None, known=None, double trim=0,
                  const uint32_t[::1] runs=None):
        cdef const double[:, :] doubles
        cdef const float[:, :] floats
        cdef const double[::1] per_row
        if not isinstance(X, np.ndarray):
            self.view_sparse(X)
        elif X.dtype == np.float32:
            floats = X
            self.c.data = <const char *> &floats[0, 0]
            self.c.row_stride, self.c.column_stride = floats.strides[0], floats.strides[1]
            self.c.real_bytes = 4
        else:
            doubles = X
            self.c.data = <const char *> &doubles[0, 0]
            self.c.row_stride, self.c.column_stride = doubles.strides[0], doubles.strides[1]
            self.c.real_bytes = 8
        self.c.n_rows, self.c.n_features = X.shape
        self.X, self.sample_weight, self.base = X, sample_weight, base
        if sample_weight is not None:
            per_row = sample_weight
            if per_row.shape[0] != self.c.n_rows:
                raise ValueError(f"sample_weight has {per_row.shape[0]} values for {self.c.n_rows} rows")
            self.c.weight = &per_row[0]
        if base is not None:
            per_row = base
            if per_row.shape[0] != self.c.n_rows:
                raise ValueError(f"base has {per_row.shape[0]} values for {self.c.n_rows} rows")
            self.c.base = &per_row[0]
        if groups is not None:
            self.take_groups(groups)
        if known is not None:
            self.take_known(known)
        if trim > 0 and (groups is not None or base is not None):
            raise ValueError("rows that are trimmed have no groups, and no terms of their log densities beside")
        self.c.trim = trim
        if runs is not None:
            if runs.shape[0] != self.c.n_rows:
                raise ValueError(f"runs has {runs.shape[0]} values for {self.c.n_rows} rows")
            self.c.runs = &runs[0]
            self.runs = runs
        self.weighed = weigh(&self.c)
        self.total_weight, self.least_weight = self.weighed.total, self.weighed.least

    cdef int take_groups(self, groups) except -1:
        cdef const int64_t[::1] number = groups
        cdef const int64_t[::1] begin = np.concatenate([[0], np.cumsum(np.bincount(groups))])
        cdef const int64_t[::1] rows = np.argsort(groups, kind="stable").astype(np.int64, copy=False)
        if number.shape[0] != self.c.n_rows:
            raise ValueError(f"groups has {number.shape[0]} values for {self.c.n_rows} rows")
        self.kept = [number, begin, rows]
        self.of_groups.n_groups = begin.shape[0] - 1
        self.of_groups.number, self.of_groups.begin, self.of_groups.rows = &number[0], &begin[0], &rows[0]
        self.c.groups = &self.of_groups
        return 0

    cdef int take_known(self, known) except -1:
        """Store known labels (n_rows,) or distinct sets and each row's set number: rows share few sets, and labels are
        stored without reference to n_components."""
        cdef const int64_t[::1] numbers
        cdef const uint8_t[:, ::1] members
        if known.shape[0] != self.c.n_rows:
            raise ValueError(f"known has {known.shape[0]} values for {self.c.n_rows} rows")
        if known.ndim == 1:
            sets, which = np.eye(max(int(np.max(known, initial=0)) + 1, 1), dtype=np.uint8), known
        else:
            sets, which = np.unique(known, axis=0, return_inverse=True)
            which = np.where(np.all(known, axis=1), -1, which.reshape(-1))
            sets = np.ascontiguousarray(sets, dtype=np.uint8)
        numbers, members = np.ascontiguousarray(which, dtype=np.int64), sets
        self.kept = [self.kept, numbers, members]
        self.c.known, self.c.members, self.c.n_members = &numbers[0], &members[0, 0], members.shape[1]
        return 0

    cdef int view_sparse(self, X) except -1:
        """View a CSR matrix. A values array of stride 0, one number for all values, is not expanded."""
        cdef const int64_t[::1] indptr = X.indptr.astype(np.int64, copy=False)
        cdef const int32_t[::1] indices = X.indices.astype(np.int32, copy=False)
        if len(indptr) != X.shape[0] + 1 or indptr[0] != 0 or indptr[len(indptr) - 1] != len(indices):
            raise ValueError("sparse rows should be a scipy.sparse matrix in CSR form")
        if X.data.dtype not in (np.float32, np.float64):
            raise ValueError(f"sparse rows should hold float32 or float64, got {X.data.dtype}")
        if len(X.data) not in (1, len(indices)) or not X.data.flags.c_contiguous:
            raise ValueError(f"{len(X.data)} values for {len(indices)} indices of sparse rows")
        self.indptr, self.indices = indptr, indices
        self.c.indptr = &indptr[0]
        self.c.indices = &indices[0] if len(indices) else NULL
        self.c.data = <const char *> <uintptr_t> X.data.ctypes.data
        self.c.real_bytes = X.data.itemsize
        self.c.column_stride = 0 if len(X.data) == 1 else X.data.itemsize
        return 0

    def n_values_of(self, const int64_t[::1] offsets not None):
        """Number of stored values in each slice of sparse rows, offsets[i] to offsets[i + 1]; 0 for dense rows."""
        if self.indptr is None:
            return np.zeros(offsets.shape[0] - 1, dtype=np.int64)
        return np.diff(np.asarray(self.indptr)[np.asarray(offsets)])

    def is_constant(self):
        """Whether there are several rows, all equal."""
        return bool(is_constant(&self.c))


cdef bint are_finite(const real *values, Py_ssize_t n, Py_ssize_t stride) noexcept nogil:
    """Whether n numbers, `stride` bytes apart, are finite. x - x is 0 for a finite x and NaN for others, and so is a
    sum of such differences; there are 16 partial sums so that the compiler can use vectors."""
    cdef Py_ssize_t i = 0, k
    cdef real lost[16]
    cdef real total = 0
    if stride == sizeof(real) and n >= 64:
        for k in range(16):
            lost[k] = 0
        for i in range(0, n - 15, 16):
            for k in range(16):
                lost[k] += values[i + k] - values[i + k]
        for k in range(16):
            total += lost[k]
        i = n // 16 * 16
    for i in range(i, n):
        total += ((<const real *> (<const char *> values + i * stride))[0]
                  - (<const real *> (<const char *> values + i * stride))[0])
    return total == 0


cdef bint all_of_view(const real[:, :] X) noexcept nogil:
    """As `are_finite`, for a matrix of any strides; the inner loop is along the axis of the smaller stride."""
    cdef Py_ssize_t i, n = X.shape[0], d = X.shape[1], down = X.strides[0], along = X.strides[1]
    if n == 0 or d == 0:
        return True
    if (along == sizeof(real) and down == d * along) or (down == sizeof(real) and along == n * down):
        return are_finite(&X[0, 0], n * d, sizeof(real))
    if llabs(along) <= llabs(down):
        for i in range(n):
            if not are_finite(&X[i, 0], d, along):
                return False
    else:
        for i in range(d):
            if not are_finite(&X[0, i], n, down):
                return False
    return True


def all_finite(X):
    """Whether all numbers of an array, float32 or float64, are finite."""
    cdef const double[:, :] doubles
    cdef const float[:, :] floats
    cdef bint found
    if X.ndim != 2:
        X = X.reshape(1, -1)
    if X.dtype == np.float32:
        floats = X
        with nogil:
            found = all_of_view(floats)
    else:
        doubles = X
        with nogil:
            found = all_of_view(doubles)
    return found


def is_mapped(X):
    """Whether X is a memory map."""
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = getattr(X, "base", None)
    return False
