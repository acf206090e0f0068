# What families of components with a mean and a covariance have in common.

from mixfast.engine._family cimport constrain_fn, family_t, totals_t, unconstrain_fn
from mixfast.engine._kernels cimport accumulate_observed_fn, gaussian_kernels_t, rows_kernels_t
from mixfast.families._shapes cimport shape_t

# Moves moments from the means that they are about to other means.
ctypedef struct move_t:
    const double *last_pivot
    const double *last_params
    const double *pivot
    const double *params

# The verbs of a structure of covariances. Parameters begin with means[K][d], covariances and factors, as _gaussian.pyx
# lays them out, and statistics with first[K][d] and second moments, as _kernels/gaussian.h does.
ctypedef struct structure_t:
    # OUT out[k]: log-determinant of component k's factor of the precision
    void (*log_determinants)(const family_t *, const double *params, double *out) noexcept nogil
    # IN work: constant[K] | mean[K][d] less the pivot; OUT work: these, followed by the tables of the structure
    void (*fill_tables)(const family_t *, const double *params, double *work, void *tables) noexcept nogil
    # masses[k]: divisor of component k's moments; totals.counts[k]: its weight relative to other components
    int (*maximise)(const family_t *, const totals_t *totals, const double *masses, double *work,
                    double *params) noexcept nogil
    Py_ssize_t n_free
    unconstrain_fn unconstrain
    constrain_fn constrain
    # moves second moments to other means; masses[k] is the sum of weights in component k's moments
    void (*recentre)(const family_t *, const double *masses, const move_t *move, double *stats) noexcept nogil
    # INOUT row[d]: of mean 0 and unit covariance; then of component k
    void (*unwhiten)(const family_t *, Py_ssize_t k, const double *params, double *row) noexcept nogil

# A row of which n_there columns are observed, beside the same row with missing entries imputed by conditional means in
# component k, whose distance is that of what is observed (`_missing.pyx`). Of Gaussians share = spread = 1, and lost =
# log_lost = 0.
ctypedef struct observed_t:
    double rise      # log density of what is observed: rise + share * (log density of the imputed row)
    double share     # what the row weighs in moments, relative to a complete one
    double lost      # 1 - share, with all its digits
    double log_lost  # what is added to the logarithm of a row's distance, see `_kernels/student_t.h`
    double spread    # what the conditional covariance of the missing entries weighs in second moments

# Verbs for rows with missing entries. Families begin with those of components whose rows weigh the same, complete or
# not. accumulate may be NULL: imputed rows are then accumulated as complete ones.
ctypedef struct missing_verbs_t:
    # log_root, log_root_left: half of the log-determinants of the precision of the observed columns, and of that of the
    # others given these
    void (*observe)(const family_t *, Py_ssize_t k, Py_ssize_t n_there, double log_weight, const double *params,
                    double log_root, double log_root_left, observed_t *out) noexcept nogil
    accumulate_observed_fn accumulate

# The context of such a family, or the first member of it.
ctypedef struct covariances_t:
    double reg_covar
    int kept_bytes             # of the reals that parameters will be rounded to: repairs last there
    const rows_kernels_t *rows
    const gaussian_kernels_t *gaussian
    structure_t structure
    missing_verbs_t missing
    shape_t shape              # of `make_shaped`
    double eigenvalue_ratio    # upper limit of the ratio of any two eigenvalues; 0: no limit
    const double *prior        # of a shape: shrinkage | degrees of freedom | mean[d] | scale[d][d]; NULL: none


cdef inline const covariances_t *context_of(const family_t *f) noexcept nogil:
    return <const covariances_t *> f.context


cdef inline structure_t *structure_of(family_t *f) noexcept nogil:
    """The structure in the context of a family that is being made."""
    return &(<covariances_t *> f.context).structure


cdef inline void *real_at(const family_t *f, void *tables, Py_ssize_t i) noexcept nogil:
    return <char *> tables + i * f.real_bytes


cdef family_t *new_family(Py_ssize_t n_components, Py_ssize_t n_features, int real_bytes, object isa, double reg_covar,
                          size_t context_bytes) except NULL
cdef void size_moments(family_t *f) noexcept
cdef void make_full(family_t *f, structure_t *structure) noexcept
cdef void make_diagonal(family_t *f, structure_t *structure) noexcept
cdef void make_spherical(family_t *f, structure_t *structure) noexcept
cdef void make_shaped(family_t *f, structure_t *structure, shape_t shape) noexcept

# Functions for structures that only one family has.
cdef double SPURIOUS_TIMES
cdef double rounding_of(const family_t *f, double mean, double offset) noexcept nogil
cdef double about_the_mean(const family_t *f, double square, double delta) noexcept nogil
cdef double root_mean_square(Py_ssize_t d, const double *mean, const double *pivot) noexcept nogil
cdef int repair_floors(const family_t *f, Py_ssize_t d, const double *mean, const double *offset, const double *pooled,
                       double *floors) noexcept nogil
cdef void factor_tables(const family_t *f, const double *factors, Py_ssize_t step, double *work,
                        void *tables) noexcept nogil
cdef void pooled_moments(const family_t *f, const double *counts, const double *means, const double *variances,
                         Py_ssize_t row_step, Py_ssize_t column_step, double *mean, double *variance) noexcept nogil
cdef void recentre_matrices(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil
cdef void recentre_pooled(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil
cdef void recentre_squares(const family_t *f, const double *masses, const move_t *move, double *stats) noexcept nogil
cdef double shift_of(const family_t *f, const move_t *move, Py_ssize_t k, Py_ssize_t j) noexcept nogil
cdef void move_mean(const family_t *f, double mass, const double *pivot, const double *first, double *mean,
                    double *delta) noexcept nogil
cdef double shape_log_prior(const family_t *f, const double *params) noexcept nogil
cdef int maximise_shape(const family_t *f, const totals_t *totals, const double *masses, const double *divisors,
                        double *work, double *params) noexcept nogil
cdef int finish_tied(const family_t *f, const totals_t *totals, double *work, double *params) noexcept nogil
cdef int tied_unconstrain(const family_t *f, const double *params, double *numbers) noexcept nogil
cdef void tied_unwhiten(const family_t *f, Py_ssize_t k, const double *params, double *row) noexcept nogil
cdef int tied_constrain(const family_t *f, const double *numbers, double *work, double *params) noexcept nogil
