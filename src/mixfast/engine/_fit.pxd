# One fit: starts, EM from each, the best of them, criteria. What a thread needs for it is a worker, made, used for any
# number of problems and closed without Python. An estimator's fit is a problem on all threads; a batch deals problems
# to workers of one thread each.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from mixfast._em cimport course_t, em_t, held_t, loop_fn, swings_t
from mixfast.engine._acceleration cimport acceleration_t
from mixfast.engine._family cimport family_t
from mixfast.engine._kernels cimport rows_t
from mixfast.engine._many cimport many_t
from mixfast.engine._pass cimport arena_t, look_fn, pass_t
from mixfast.engine._rows cimport weighed_t
from mixfast.engine._views cimport views_t
from mixfast.proportions._proportions cimport proportions_t

# Return codes of a fit's functions, in addition to 0, MIXFAST_FAILED and STOPPED.
cdef enum:
    NO_MEMORY = -3
    NO_START = -4                  # of `find`: a view whose groups have too few rows

# One model that rows are fitted with.
ctypedef struct model_t:
    const family_t *family
    const proportions_t *proportions
    const family_t *centres        # family of k-means: a centre for each component that has parameters
    const family_t *candidates     # family of k-means++: the last centre and the candidates for the next
    # truncated posteriors: a family of n_seeds components, equal but for their means, that finds the first clusters
    const family_t *alike
    const double *alike_blank      # their parameters
    const double *blank            # [n_params], parameters at which statistics of a start are gathered
    const int64_t *located         # places in params that take the centres of k-means; NULL: none do
    Py_ssize_t n_located
    const double *given_mixing     # [n_mixing], NaN where a start has to find them; NULL: nothing is given
    const double *given_params     # [n_params]
    bint has_start                 # none of them is NaN
    const held_t *held             # NULL: nothing is held
    double n_free                  # parameters that a criterion counts
    Py_ssize_t n_rows_needed       # see _spurious.pyx

# The objectives of the accepted passes of a fit, where they are asked for.
ctypedef struct trace_t:
    double *values
    Py_ssize_t n, room

# How far a start has come.
ctypedef struct fit_t:
    uint32_t start
    double before                  # the objective that the first pass is compared with
    double lower_bound             # -INFINITY before the first accepted pass
    Py_ssize_t n_iter              # passes
    bint converged
    swings_t swings
    bint cycles                    # the objective rises and falls in turn (`note_change`)
    int status
    double *mixing
    double *params
    # where M-steps may overshoot and starts are put aside: the state before the last M-step, and its objective
    double *base                   # mixing and parameters
    double base_objective
    bint has_base
    trace_t trace
    double promise                 # of a start beside views: see `weigh_up`

# What came of a model.
ctypedef struct trial_t:
    fit_t fit                      # the best so far
    fit_t *starts                  # [n_started], where starts are compared before they are done
    Py_ssize_t n_started
    int code                       # of the start that ended all
    bint fails                     # there are no parameters; fit.status says why
    double criterion

# Who is told how a fit goes: before a start, after each pass, when a start has converged or used up its iterations. The
# bound of a pass that was not kept is NaN. Nonzero stops the fit.
cdef struct observer_t:
    int (*begin_start)(void *data, uint32_t start) noexcept nogil
    int (*end_pass)(void *data, Py_ssize_t n_iter, double change, double bound) noexcept nogil
    int (*end_start)(void *data, double lower_bound, bint converged) noexcept nogil
    void *data

cdef struct worker_t
cdef struct plan_t

# A start in two functions. `find` searches once for all models of the problem (labels, centres or rows); `begin` makes
# each model's parameters of what was found.
ctypedef int (*start_fn)(worker_t *, const plan_t *, const model_t *, uint64_t seed, uint32_t start) noexcept nogil
ctypedef struct start_t:
    start_fn find
    start_fn begin

# How the best of several starts is found: `take` is called for each start, with the engine's state set to it;
# `conclude` once after the last.
ctypedef struct search_t:
    bint compares                  # starts are compared before they have converged
    int (*take)(worker_t *, const plan_t *, const model_t *, trial_t *, uint32_t start) noexcept nogil
    int (*conclude)(worker_t *, const plan_t *, const model_t *, trial_t *) noexcept nogil

ctypedef double (*criterion_fn)(worker_t *, double n_free) noexcept nogil

# How fits are made, whatever the problem.
cdef struct plan_t:
    Py_ssize_t n_init, max_iter
    double tol
    int stop_on                    # statuses that end a fit without parameters
    bint prunes
    Py_ssize_t n_active            # components that each row keeps; 0: all
    bint keeps_to_room             # nothing is allocated beside the worker's block
    bint traces                    # whether objectives are kept
    loop_fn loop
    search_t search
    bint halves                    # of starts that are compared the worse half is dropped again and again
    start_t start
    bint looks_about               # starts from views of the rows beside the n_init, see _views.pyx
    const void *given              # labels (n_rows,) or responsibilities (n_rows, n_components) of all starts
    double before                  # see fit_t
    double lloyd_tol
    Py_ssize_t lloyd_max_iter
    criterion_fn criterion         # the lower the better; NULL where there is nothing to choose
    const observer_t *observer     # or NULL

# Workspace for one problem at a time: of one thread in a batch, of all threads in a single fit.
cdef struct worker_t:
    look_fn look
    void *look_data
    int n_threads
    void *block
    arena_t arena
    rows_t rows
    rows_t seeding_rows            # the rows that k-means and k-means++ run on
    weighed_t weighed
    double n_effective             # number of rows that criteria count
    double *mixing                 # memory for the first model's best fit, params as well; NULL: in the arena
    double *params
    # a start
    int64_t *labels
    int64_t *indices
    double *arrivals
    double *centres
    uint32_t *order
    Py_ssize_t *places
    trial_t *trials                # [n_trials], a model each
    Py_ssize_t n_trials
    Py_ssize_t n_compared          # starts of each that are compared before they are done, at most
    views_t views
    size_t after_starts            # how much of the arena that takes; passes use what is beyond, one after the other
    pass_t fit
    em_t em
    pass_t search                  # truncated posteriors: a pass of equal components at the means
    many_t many
    acceleration_t acceleration
    Py_ssize_t *found              # distinct rows of each component: see _spurious.pyx

cdef size_t room_for(const plan_t *plan, const model_t *models, Py_ssize_t n_models, const rows_t *rows,
                     const rows_t *seeding_rows, int n_threads) noexcept nogil
cdef int open_worker(worker_t *w, int n_threads, look_fn look, void *look_data, size_t room) noexcept nogil
cdef void close_worker(worker_t *w) noexcept nogil
cdef inline Py_ssize_t n_mixing_of(const model_t *m) noexcept nogil:
    return m.proportions.n_numbers(m.proportions, m.family.n_components)

cdef void place_beyond_starts(worker_t *w, const family_t *family, const proportions_t *proportions,
                              const rows_t *rows) noexcept nogil
cdef int fit_models(worker_t *w, const plan_t *plan, const model_t *models, Py_ssize_t n_models, const rows_t *rows,
                    const rows_t *seeding_rows, weighed_t weighed, const double *n_effective,
                    uint64_t seed) noexcept nogil

cdef class Model:
    cdef model_t c
    cdef object kept, blank, alike_blank

cdef class Plan:
    cdef plan_t c
    cdef object kept
