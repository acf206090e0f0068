from libc.stdint cimport uint32_t

from mixfast._family cimport chunk_t
from mixfast._pass cimport pass_t, workspace_t

cdef struct pruning_t:
    Py_ssize_t n_passes        # since the start
    Py_ssize_t dense_rows      # rows in a chunk of a dense pass
    bint is_on
    double densities_done      # shares of all pairs, in the last pass
    double statistics_done
    bint probes                # this pass
    # one block of memory
    void *memory
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
    double *last_weights
    double *last_params

cdef bint begin_pass(pruning_t *pruning, pass_t *p, double mean_weight) noexcept nogil
cdef bint lost_count(const pruning_t *pruning, const pass_t *p) noexcept nogil
cdef void end_pass(pruning_t *pruning, pass_t *p) noexcept nogil
cdef void reset(pruning_t *pruning, pass_t *p) noexcept nogil
cdef void release(pruning_t *pruning) noexcept nogil
cdef int add_statistics(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                        double *lane) noexcept nogil
