from libc.stdint cimport int32_t, uint32_t

from mixfast.engine._family cimport chunk_t
from mixfast.engine._pass cimport arena_t, deliver_fn, pass_t, strategy_t, workspace_t

cdef struct pruning_t:
    Py_ssize_t n_passes        # since the start
    Py_ssize_t dense_rows      # rows in a chunk of a dense pass
    bint is_on
    Py_ssize_t next_trial      # no sooner are rows put in order again
    double densities_done      # shares of all pairs, in the last pass
    double statistics_done
    # this pass
    bint probes
    bint leaves_out            # statistics of pairs that hold nothing
    deliver_fn add             # what a probe ends with
    # one block of memory, or a place in another
    void *memory
    bint is_placed
    uint32_t *order            # the row at each place
    uint32_t *next_order       # shares its memory with log_norms: the one is used up when the other is written
    float *log_norms           # of the row at each place
    uint32_t *keys             # what rows are sorted by: their most likely component, then how well it explains them
    float *ceilings            # [n_chunks][n_components]
    float *next_ceilings
    Py_ssize_t *next_place     # [n_components * N_LEVELS + 1]
    Py_ssize_t *last_pair      # [n_components * N_LEVELS]
    float *best                # [n_components], of the log_norms of a component's rows
    float *worst
    double *limits             # [n_components], a responsibility that is nothing
    double *log_limits         # its logarithm, per unit of row weight
    double *carry
    double *last_log_weights
    double *last_params
    # a basket for each [n_lanes][n_components]
    Py_ssize_t basket_stride   # rows that one has room for
    int32_t *n_in_basket
    uint32_t *basket_rows      # as they lie in memory
    char *basket_resp          # reals

cdef void place_pruning(pruning_t *pruning, const pass_t *p, arena_t *arena) noexcept nogil
cdef void begin_pass(pruning_t *pruning, pass_t *p, double mean_weight, strategy_t *strategy) noexcept nogil
cdef bint lost_count(const pruning_t *pruning, const pass_t *p) noexcept nogil
cdef void end_pass(pruning_t *pruning, pass_t *p) noexcept nogil
cdef void reset(pruning_t *pruning, pass_t *p) noexcept nogil
cdef void release(pruning_t *pruning) noexcept nogil
cdef void note_work(pruning_t *pruning, const pass_t *p) noexcept nogil
