# Axes on which symmetric matrices are diagonal, or as nearly so as they get.

cdef void diagonalise(Py_ssize_t n, Py_ssize_t d, double *matrices, double *axes) noexcept nogil
cdef void sort_axes(Py_ssize_t d, double *matrix, double *axes) noexcept nogil
cdef void turn(Py_ssize_t d, const double *matrix, const double *axes, double *work, double *out) noexcept nogil
cdef void make_most_diagonal(Py_ssize_t n, Py_ssize_t d, const double *weights, bint takes_logarithms, bint looks_about,
                             double *matrices, double *axes, double *work) noexcept nogil
