from libc.stdint cimport uint32_t, uint64_t

from mixfast.engine._pass cimport arena_t, pass_t

# Rows of one column in ascending order, with running sums: the sums of any run of rows are differences of two.
cdef struct line_t:
    double *x                  # [n], from the pivot
    double *sums               # [n + 1], of the x before
    double *squares            # [n + 1], of their squares
    double *centres            # [n_centres], ascending, from the pivot
    double *last               # the same, before the last step
    uint32_t *names            # [n_centres], their places among the parameters
    # room to sort in: [n] of each
    uint64_t *keys
    uint64_t *next_keys

cdef bint suits_line(const pass_t *p) noexcept nogil
cdef void place_line(line_t *line, const pass_t *p, arena_t *arena) noexcept nogil
cdef bint draw_line(line_t *line, const pass_t *p, double smallest) noexcept nogil
cdef double step_on_line(line_t *line, const pass_t *p) noexcept nogil
cdef void leave_line(const line_t *line, pass_t *p) noexcept nogil
