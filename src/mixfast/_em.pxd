from mixfast._family cimport chunk_t, family_t, rows_kernels_t, rows_t

# A lane is one slot of the reduction: [log evidence, impossible rows, counts[K], the family's statistics].
cdef enum:
    LANE_EVIDENCE = 0
    LANE_IMPOSSIBLE = 1
    LANE_COUNTS = 2

# What one thread works in, cut from one block of memory.
cdef struct workspace_t:
    void *columns
    void *weight
    void *log_norm
    void *resp
    void *softmax_scratch
    void *family_scratch

cdef struct pass_t

# How a chunk's rows are shared among the components: fills resp and log_norm, adds counts and evidence to the lane.
ctypedef int (*assign_fn)(const pass_t *, Py_ssize_t start, const chunk_t *, const workspace_t *,
                          double *lane) noexcept nogil
# What becomes of a chunk once its rows are shared.
ctypedef int (*deliver_fn)(const pass_t *, Py_ssize_t start, const chunk_t *, const workspace_t *,
                           double *lane) noexcept nogil

cdef struct pass_t:
    const family_t *family
    const rows_kernels_t *kernels
    rows_t rows
    Py_ssize_t chunk_rows, stride, n_chunks, n_lanes, lane_size, n_rounds
    int n_threads
    # the state
    double *weights
    double *params
    double *pivot
    double *work
    double *lanes
    void *tables
    char *scratch
    size_t scratch_size        # bytes, for one thread
    # the strategy: two verbs, each with data of its own
    assign_fn assign
    const void *assign_data
    deliver_fn deliver
    const void *deliver_data

cdef class Rows:
    cdef rows_t c
    cdef readonly object X, sample_weight
    cdef readonly double total_weight

cdef class Pass:
    cdef pass_t c
    cdef object capsule
    cdef readonly Rows rows
    cdef void *memory
    cdef int run(self) except -1
    cdef object raise_error_of_family(self)

cdef int expected(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                  double *lane) noexcept nogil
cdef int nearest(const pass_t *p, Py_ssize_t start, const chunk_t *chunk, const workspace_t *space,
                 double *lane) noexcept nogil
