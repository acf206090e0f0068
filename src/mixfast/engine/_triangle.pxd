# Where the entries of a symmetric matrix lie of which the lower triangle is kept, packed by rows: (0, 0), (1, 0),
# (1, 1), (2, 0) ...

cdef inline Py_ssize_t triangle(Py_ssize_t n) noexcept nogil:
    """How many they are in n rows."""
    return n * (n + 1) // 2


cdef inline Py_ssize_t in_triangle(Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """The place of (i, j), j <= i."""
    return triangle(i) + j


cdef inline Py_ssize_t in_symmetric(Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """That of (i, j) or (j, i)."""
    return in_triangle(i, j) if i >= j else in_triangle(j, i)
