from libc.stdint cimport int64_t, uint64_t

from mixfast.engine._kernels cimport centres_kernels_t, rows_t
from mixfast.engine._pass cimport arena_t, pass_t
from mixfast.engine._ward cimport ward_t

cdef enum:
    N_VIEWS = 2

# How some of the rows fall into groups in one view of them, as linear forms of standardised columns: a row is of the
# group whose constant less form is least.
cdef struct view_t:
    double *constants          # [n_groups], and behind them, as the kernel wants them,
    double *forms              # [n_groups][n_features]
    double *means              # [n_groups][n_features]
    int64_t *labels            # [n_drawn]

# Some rows, and the views of them that see other groups than k-means does.
cdef struct views_t:
    Py_ssize_t n_drawn, n_features, n_groups
    Py_ssize_t n_found
    view_t[N_VIEWS] found
    # workspace
    const centres_kernels_t *centres
    ward_t ward
    Py_ssize_t n_judges        # rows that starts are compared on
    int64_t *judges            # [n_judges], row numbers, of strata of equal weight; nothing where these are all rows
    int64_t *drawn             # [n_drawn], row numbers
    double *weight             # [n_drawn]
    Py_ssize_t stride          # a multiple of a strip
    double *rows               # [n_features][stride], standardised
    double *mean               # [n_features]
    double *unit               # [n_features], 0 for columns that do not vary
    double *covariance         # [n_features][n_features]
    double *axes               # [n_features][n_features]
    double *scales             # [n_features]
    double *sizes              # [n_groups]
    int64_t *by_kmeans         # [n_drawn], labels
    double *shared             # [n_groups][n_groups]

cdef Py_ssize_t n_drawn_of(Py_ssize_t n_rows, Py_ssize_t n_groups) noexcept nogil
cdef void place_views(views_t *v, Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_groups, int isa,
                      arena_t *arena) noexcept nogil
cdef void draw_judges(views_t *v, const rows_t *rows, uint64_t seed) noexcept nogil
cdef void look_about(views_t *v, const rows_t *rows, const int64_t *labels, uint64_t seed) noexcept nogil
cdef int label_rows(const views_t *v, Py_ssize_t which, pass_t *p, int64_t *labels) noexcept nogil
