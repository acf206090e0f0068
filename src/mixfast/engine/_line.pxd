from libc.stdint cimport uint32_t, uint64_t

from mixfast.engine._pass cimport arena_t, pass_t

# Workspace for one column: sorted rows and their running sums. The sum over any interval is a difference of two.
cdef struct line_t:
    double *x                  # [n], ascending, less the pivot
    double *sums               # [n + 1], sums[i] of x[0] .. x[i - 1]
    double *squares            # [n + 1], the same of their squares
    double *centres            # [n_centres], ascending, less the pivot
    double *last               # [n_centres], centres before the last step
    uint32_t *names            # [n_centres], the component that each sorted centre belongs to
    # workspace of the sort, [n] each
    uint64_t *keys
    uint64_t *next_keys

cdef bint suits_line(const pass_t *p) noexcept nogil
cdef void place_line(line_t *line, const pass_t *p, arena_t *arena) noexcept nogil
cdef bint draw_line(line_t *line, const pass_t *p, double smallest) noexcept nogil
cdef double step_on_line(line_t *line, const pass_t *p) noexcept nogil
cdef void leave_line(const line_t *line, pass_t *p) noexcept nogil
