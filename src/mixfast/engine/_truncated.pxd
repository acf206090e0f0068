# Truncated posteriors: each row keeps its best components, and candidates come from neighbours of these.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from mixfast.engine._pass cimport arena_t, pass_t, workspace_t

# What each of some rows keeps.
cdef struct kept_t:
    Py_ssize_t n_rows, n_active
    int32_t *active            # [n_rows][n_active], the best first; -1 after the last where there are fewer
    uint32_t *order            # [n_rows], rows that keep the same components beside each other
    uint32_t *spare            # [n_rows]

cdef struct truncated_t:
    Py_ssize_t n_active        # components that a row keeps; 0: all, and nothing here is used
    Py_ssize_t n_components    # so many of the family's, the first
    uint64_t seed
    Py_ssize_t n_passes        # searches, for draws
    Py_ssize_t n_steps         # E-steps
    kept_t rows
    kept_t means               # the mean of each component as a row: what it keeps are neighbours
    int32_t *neighbours        # [n_components][NEIGHBOURS], as they were before this pass
    # a way through the components from neighbour to neighbour
    int32_t *walk              # [n_components]
    int32_t *rank              # [n_components], places on it
    # components that stand for groups of them, where no neighbours are known yet
    Py_ssize_t n_leaders
    int32_t *leaders           # [n_leaders]
    int32_t *number            # [n_components], of a leader among these
    int32_t *near              # [n_leaders][n_leaders], numbers from the nearest, itself, to the farthest
    double *squares            # [n_leaders], room
    Py_ssize_t n_looks         # candidates of a search by groups
    Py_ssize_t *begin          # [n_leaders + 1]
    int32_t *members           # [n_components], group after group
    double *values             # [n_threads], of what a chunk's rows keep
    char *is_sure              # [n_rows], whether the best has more than half of the row
    char *marks                # [n_threads][n_components], zeros between chunks
    Py_ssize_t *places         # [n_components + 2]

# Which components are looked at for rows whose best so far is `best`, -1 where nothing is known.
cdef struct candidates_t:
    Py_ssize_t n
    Py_ssize_t *chosen
    char *marks

ctypedef void (*propose_fn)(const truncated_t *, Py_ssize_t best, uint64_t draw, candidates_t *) noexcept nogil

cdef enum:
    NEIGHBOURS = 16

cdef Py_ssize_t n_leaders_of(Py_ssize_t n_components) noexcept nogil
cdef void place_kept(kept_t *kept, Py_ssize_t n_rows, Py_ssize_t n_active, arena_t *arena) noexcept nogil
cdef void place_truncated(truncated_t *t, Py_ssize_t n_active, Py_ssize_t n_components, Py_ssize_t n_rows,
                          int n_threads, arena_t *arena) noexcept nogil
cdef void propose_all(const truncated_t *t, Py_ssize_t best, uint64_t draw, candidates_t *to) noexcept nogil
cdef int search(truncated_t *t, const pass_t *p, kept_t *kept, propose_fn propose,
                double n_expected) noexcept nogil
cdef pass_t over_rows(const pass_t *p, const double *values, Py_ssize_t n_rows) noexcept nogil
cdef void forget_kept(kept_t *kept) noexcept nogil
cdef void put_in_order(truncated_t *t, kept_t *kept, const int32_t *rank) noexcept nogil
cdef int find_groups(truncated_t *t, const pass_t *p) noexcept nogil
cdef int find_neighbours(truncated_t *t, const pass_t *p) noexcept nogil
cdef int refresh_neighbours(truncated_t *t, const pass_t *p) noexcept nogil
cdef int search_by_groups(truncated_t *t, const pass_t *p, kept_t *kept) noexcept nogil
cdef void keep_labels(truncated_t *t, const int64_t *labels) noexcept nogil
cdef int share_rows(truncated_t *t, pass_t *p) noexcept nogil
cdef int run_truncated(truncated_t *t, pass_t *p) noexcept nogil
cdef int find_sure(truncated_t *t, pass_t *p) noexcept nogil
cdef int begin_truncated(truncated_t *t, pass_t *p, const int64_t *labels) noexcept nogil
