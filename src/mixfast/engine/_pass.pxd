# The structs of a pass: lanes, workspace, strategy, arena.

from libc.stdint cimport int32_t, int64_t, uint32_t, uintptr_t

from mixfast.engine._capsule cimport BoundFamily
from mixfast.engine._family cimport chunk_t, family_t, selection_t, totals_t
from mixfast.engine._kernels cimport groups_t, rows_kernels_t, rows_t
from mixfast.engine._rows cimport Rows, weighed_t
from mixfast.proportions._proportions cimport proportions_t

# A lane is one slot of the reduction: [log evidence, entropy of the responsibilities, impossible rows, work, counts[K],
# the family's statistics, statistics of proportions that look at rows, counts[K] of groups if there are any]. Work is
# counted in pairs of a row and a component: densities computed, statistics computed, and pairs that a pass with rows in
# order would still have to compute.
cdef enum:
    # Rows in a chunk at most where components are chosen: the fewer, the more alike, but the sums of shorter columns
    # cost more. Full, 100,000 x 16, 256 components at 17 standard deviations: 7.6 times as fast as dense with 96, 7.2
    # with 48, 6.5 with 144.
    CHOOSING_ROWS = 96
    LANE_EVIDENCE = 0
    LANE_ENTROPY = 1           # directly after the evidence, as kernels expect; 0 if the family is no posterior
    LANE_IMPOSSIBLE = 2
    LANE_DENSITIES = 3
    LANE_STATISTICS = 4
    LANE_NEEDED = 5
    LANE_COUNTS = 6

# The workspace of one thread, cut from one block of memory. A column is `stride` reals.
cdef struct workspace_t:
    void *columns
    void *weight
    void *log_norm
    void *resp
    void *softmax_scratch      # two columns
    void *places               # a column
    void *family_scratch
    selection_t selection      # the subset of components that resp has rows for; all of them unless `assign` prunes
    # workspace of pruning, [n_components] each
    Py_ssize_t *chosen
    double *floors
    double *counts
    float *ceilings
    int32_t *index             # of a chunk's rows
    char *gathered             # columns and weight of rows of several chunks, CHOOSING_ROWS long

cdef struct pass_t

# Responsibilities from log densities, with what kernels add up of them: see softmax in _kernels/rows.h.
ctypedef Py_ssize_t (*share_fn)(
    Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *weight, void *log_prob, void *log_norm,
    void *scratch, double *counts, double *evidence) noexcept nogil
# Computes responsibilities of a chunk. OUT space.resp [selection.n][stride], times the rows' weights; space.log_norm
# [stride]; adds counts and evidence to the lane. Nonzero if a verb failed.
ctypedef int (*assign_fn)(const pass_t *, Py_ssize_t start, const chunk_t *, workspace_t *,
                          double *lane) noexcept nogil
# Uses a chunk's responsibilities. IN space as `assign` left it; OUT the lane's statistics, or arrays of deliver_data.
ctypedef int (*deliver_fn)(const pass_t *, Py_ssize_t start, const chunk_t *, const workspace_t *,
                           double *lane) noexcept nogil
# Does what `deliver` left pending, once the lane has no more chunks.
ctypedef int (*finish_fn)(const pass_t *, const workspace_t *, double *lane) noexcept nogil

# What a pass does with each chunk: an argument of `run_pass`, never a state of the pass.
cdef struct strategy_t:
    assign_fn assign
    const void *assign_data
    deliver_fn deliver
    finish_fn finish
    const void *deliver_data       # of `finish` too

# Asked between rounds whether to stop: nonzero says so.
ctypedef int (*look_fn)(void *) noexcept nogil

# Return codes of a pass's functions: 0, MIXFAST_FAILED from a family's verb, or
cdef enum:
    STOPPED = -2               # `look` said so

cdef struct pass_t:
    const family_t *family
    const proportions_t *proportions
    const rows_kernels_t *kernels
    share_fn soften                # softmax of the E-step, with entropy for posteriors
    bint moves_together            # weights multiply log densities, not responsibilities: w copies share a component
    rows_t rows
    Py_ssize_t n_mixing
    Py_ssize_t n_scratch_columns, n_work  # the larger of what family and proportions need
    Py_ssize_t n_row_stats         # number of statistics of proportions that look at rows
    Py_ssize_t chunk_rows, stride, n_chunks, n_lanes, lane_size, n_rounds
    int n_threads
    double total_weight        # of the rows
    double least_weight        # above zero
    double total_base          # sum of weight * base of the rows
    look_fn look
    void *look_data
    # if the rows are elsewhere (other processes): fills lane 0 with the sums of an E-step over them; else NULL
    look_fn elsewhere
    void *elsewhere_data
    # the state
    double *mixing             # [n_mixing], the numbers of the proportions
    double *log_weights        # [n_components], from mixing by `find_log_weights`
    double *params
    double *pivot
    double *work
    double *own_work           # [n_threads][n_own_work]
    double *lanes
    double *origin             # [n_features]
    double *common             # [n_common], parameter-free sums of the quick family or the prior, valid if has_common
    bint has_common
    double *joint              # [n_rows][n_components] if there are groups: see _groups.pyx
    double *group_norms        # [n_groups], log densities of groups
    double *heights            # [n_rows] with trimming: log densities, then how much of each row's weight is kept
    Py_ssize_t *by_height      # [n_rows], row numbers, partly sorted by heights
    double *last_state         # mixing and parameters before a step of the quick family
    Py_ssize_t *everything     # 0 .. n_components - 1
    double *alike              # [n_components], workspace of starts from labels
    void *tables
    char *scratch
    size_t scratch_size        # bytes, for one thread
    const strategy_t *strategy  # that of the present `run_pass`


# One block of memory, cut into pieces that start on cache lines. Without a block, `used` says how large it has to be.
cdef struct arena_t:
    char *base
    size_t used                # bytes


cdef enum:
    CACHE_LINE = 64


cdef inline bint is_first(const groups_t *groups, Py_ssize_t row) noexcept nogil:
    """Whether the row is the first of its group."""
    return groups.rows[groups.begin[groups.number[row]]] == row


cdef inline void measure_arena(arena_t *arena) noexcept nogil:
    arena.base, arena.used = NULL, CACHE_LINE  # the block may begin anywhere


cdef inline void open_arena(arena_t *arena, void *block) noexcept nogil:
    arena.base, arena.used = <char *> (((<uintptr_t> block) + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE), 0


cdef inline void *take(arena_t *arena, size_t n_bytes) noexcept nogil:
    """Cut the next n_bytes from the arena; NULL where it is only measured."""
    cdef size_t first = arena.used
    arena.used += (n_bytes + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
    return NULL if arena.base == NULL else arena.base + first


cdef inline Py_ssize_t stride_of(const pass_t *p, Py_ssize_t n_rows) noexcept nogil:
    """n_rows rounded up to a multiple of the kernels' strip (padding)."""
    return (max(n_rows, 1) + p.kernels.strip - 1) // p.kernels.strip * p.kernels.strip


cdef inline Py_ssize_t packed_columns(const family_t *family) noexcept nogil:
    """How many columns of reals a packed chunk takes: n_features; for sparse rows, what holds their begins and ends."""
    return 2 * <Py_ssize_t> sizeof(int64_t) // family.real_bytes if family.takes_sparse_rows else family.n_features


cdef inline void pack_chunk(const pass_t *p, Py_ssize_t start, void *columns, void *weight,
                            chunk_t *chunk) noexcept nogil:
    """Pack the chunk of rows from position `start` on. OUT columns, weight, chunk."""
    chunk.n_rows, chunk.stride, chunk.columns = min(p.chunk_rows, p.rows.n_rows - start), p.stride, columns
    chunk.begin, chunk.end = <const int64_t *> columns, (<const int64_t *> columns) + p.stride
    chunk.index, chunk.values = p.rows.indices, p.rows.data
    chunk.value_stride, chunk.value_bytes = p.rows.column_stride, p.rows.real_bytes
    p.kernels.pack(&p.rows, start, chunk.n_rows, chunk.stride, p.pivot, columns, weight)


cdef inline void cut(pass_t *p, Py_ssize_t chunk_rows) noexcept nogil:
    """Divide the rows into chunks of at most chunk_rows."""
    p.chunk_rows = chunk_rows
    p.stride = stride_of(p, min(chunk_rows, p.rows.n_rows))
    p.n_chunks = (p.rows.n_rows + chunk_rows - 1) // chunk_rows


cdef enum:
    # Half a millisecond or so: waking a thread takes microseconds, but on a busy machine a barrier may wait for a whole
    # time slice. At a tenth of this, 1,000 centres for 5,000 rows of one column took 2 to 12 s instead of 0.05.
    THREAD_FLOPS = 10000000


cdef inline int threads_for_components(const pass_t *p) noexcept nogil:
    """How many threads to use for work that is independent for each component."""
    cdef double flops = <double> p.family.n_components * <double> p.family.flops_per_component
    cdef double wanted = 1 + flops / THREAD_FLOPS
    return p.n_threads if wanted > p.n_threads else <int> wanted


cdef inline Py_ssize_t clip(Py_ssize_t value, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if value < low else high if value > high else value


# Half a second on one thread at 6 GF/s, the slowest kernels measured (base, d=2), so that Ctrl-C is heard within one.
# With a sixth of it, rounds of large problems held too few chunks to share among threads.
cdef inline double round_flops() noexcept nogil:
    return 3e9


cdef strategy_t usual() noexcept nogil
cdef int densities(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space) noexcept nogil
cdef void mend_overflow(const pass_t *p, const chunk_t *chunk, workspace_t *space) noexcept nogil
cdef void multiply_by_weights(const pass_t *p, Py_ssize_t start, const chunk_t *chunk,
                              workspace_t *space) noexcept nogil
cdef int share_by(share_fn share, const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil
cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                  double *lane) noexcept nogil
cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, workspace_t *space,
                 double *lane) noexcept nogil
cdef int finish_nothing(const pass_t *p, const workspace_t *space, double *lane) noexcept nogil
cdef void shape_pass(pass_t *p, const family_t *family, const proportions_t *proportions, const rows_t *rows,
                     weighed_t weighed, Py_ssize_t n_threads, Py_ssize_t chunk_rows) noexcept nogil
cdef void visit_only(pass_t *p, const uint32_t *order, Py_ssize_t n_rows, Py_ssize_t n_threads) noexcept nogil
cdef void place_pass(pass_t *p, arena_t *arena) noexcept nogil
cdef void open_workspace(const pass_t *p, int thread, workspace_t *space) noexcept nogil
cdef Py_ssize_t n_state_of(const pass_t *p) noexcept nogil
cdef void copy_state_to(const pass_t *p, double *state) noexcept nogil
cdef void copy_state_from(pass_t *p, const double *state) noexcept nogil
cdef void find_log_weights(pass_t *p) noexcept nogil
cdef void prepare(pass_t *p) noexcept nogil
cdef int visit(pass_t *p, const strategy_t *strategy) noexcept nogil
cdef int deliver_nothing(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                         double *lane) noexcept nogil
cdef int run_pass(pass_t *p, const strategy_t *strategy) noexcept nogil
cdef totals_t totals_of(const pass_t *p) noexcept nogil
cdef Py_ssize_t n_common_of(const family_t *family) noexcept nogil
cdef double flops_of(const pass_t *p) noexcept nogil
cdef int look_for_signals(void *nothing) noexcept nogil
cdef int raise_error_of(const family_t *family) except -1
cdef object copy_of(const double *values, Py_ssize_t n)

cdef class Pass:
    cdef pass_t c
    cdef BoundFamily bound
    cdef object proportions
    cdef readonly Rows rows
    cdef void *memory
    cdef readonly size_t n_bytes   # of it
    cdef int check(self, int code) except -1
