"""Lloyd's iterations for a single column: rows in order, running sums, and a search for each centre.

A step costs n_centres * log(n) instead of n * n_centres. Rows are sorted once, by radix.
"""

from libc.float cimport DBL_EPSILON
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mixfast.engine._pass cimport arena_t, pass_t, take
from mixfast.engine._rows cimport value_of

cdef enum:
    DIGIT_BITS = 11            # six digits of 64 bits; the counts of one are 16 KiB
    N_DIGITS = 6
    RADIX = 2048
    # Limits of n_rows. For fewer rows radix sort does not pay; for more the arrays here, 40 bytes a row, would be the
    # largest part of a fit's memory.
    MIN_ROWS = 2000
    MAX_ROWS = 1000000


cdef bint suits_line(const pass_t *p) noexcept nogil:
    """Whether Lloyd's iterations may use sorted rows: one column, no sample weights (a difference of running sums would
    lose small weights beside large ones), and a number of rows within the limits."""
    return (p.family.n_features == 1 and p.rows.indptr == NULL and p.rows.weight == NULL
            and MIN_ROWS <= p.rows.n_rows <= MAX_ROWS)


cdef void place_line(line_t *line, const pass_t *p, arena_t *arena) noexcept nogil:
    cdef Py_ssize_t n = p.rows.n_rows, n_centres = p.family.n_components
    line.x = <double *> take(arena, n * sizeof(double))
    line.sums = <double *> take(arena, (n + 1) * sizeof(double))
    line.squares = <double *> take(arena, (n + 1) * sizeof(double))
    line.centres = <double *> take(arena, n_centres * sizeof(double))
    line.last = <double *> take(arena, n_centres * sizeof(double))
    line.names = <uint32_t *> take(arena, n_centres * sizeof(uint32_t))
    line.keys = <uint64_t *> take(arena, n * sizeof(uint64_t))
    line.next_keys = <uint64_t *> take(arena, n * sizeof(uint64_t))


cdef inline uint64_t key_of(double x) noexcept nogil:
    """An integer for each double, in the same order."""
    cdef uint64_t bits
    memcpy(&bits, &x, sizeof(bits))
    return ~bits if bits >> 63 else bits | (<uint64_t> 1 << 63)


cdef inline double number_of(uint64_t key) noexcept nogil:
    """`key_of`, undone."""
    cdef uint64_t bits = key ^ (<uint64_t> 1 << 63) if key >> 63 else ~key
    cdef double x
    memcpy(&x, &bits, sizeof(x))
    return x


cdef void sort_rows(line_t *line, const pass_t *p) noexcept nogil:
    """OUT line.keys [n]: keys of all rows, ascending."""
    cdef Py_ssize_t n = p.rows.n_rows, i
    cdef Py_ssize_t[RADIX + 1] places
    cdef int digit, shift
    cdef uint64_t value
    for i in range(n):
        line.keys[i] = key_of(value_of(&p.rows, i, 0))
    for digit in range(N_DIGITS):
        shift = digit * DIGIT_BITS
        memset(places, 0, sizeof(places))
        for i in range(n):
            places[((line.keys[i] >> shift) & (RADIX - 1)) + 1] += 1
        for i in range(RADIX):
            places[i + 1] += places[i]
        for i in range(n):
            value = (line.keys[i] >> shift) & (RADIX - 1)
            line.next_keys[places[value]] = line.keys[i]
            places[value] += 1
        line.keys, line.next_keys = line.next_keys, line.keys


cdef bint draw_line(line_t *line, const pass_t *p, double smallest) noexcept nogil:
    """OUT line: sorted rows, running sums and sorted centres. False if running sums are too large to resolve a change
    of the sum of square distances by `smallest`, as with a row very far from all others."""
    cdef Py_ssize_t n = p.rows.n_rows, i, k, place
    cdef double pivot = p.pivot[0], x
    sort_rows(line, p)
    line.sums[0] = line.squares[0] = 0
    for i in range(n):
        x = number_of(line.keys[i]) - pivot
        line.x[i] = x
        line.sums[i + 1] = line.sums[i] + x
        line.squares[i + 1] = line.squares[i] + x * x
    if not <double> n * DBL_EPSILON * line.squares[n] < smallest:
        return False
    for k in range(p.family.n_components):
        place = k
        while place > 0 and p.params[k] - pivot < line.centres[place - 1]:
            line.centres[place], line.names[place] = line.centres[place - 1], line.names[place - 1]
            place -= 1
        line.centres[place], line.names[place] = p.params[k] - pivot, <uint32_t> k
    return True


cdef Py_ssize_t first_above(const double *x, Py_ssize_t first, Py_ssize_t n, double limit) noexcept nogil:
    """Index of the first of x[first] .. x[n - 1] that is above the limit, or n."""
    cdef Py_ssize_t middle
    while first < n:
        middle = first + (n - first) // 2
        if x[middle] > limit:
            n = middle
        else:
            first = middle + 1
    return n


cdef double step_on_line(line_t *line, const pass_t *p) noexcept nogil:
    """One iteration of Lloyd. Returns the mean square distance of the rows to the centres before it. A centre without
    rows does not move."""
    cdef Py_ssize_t n = p.rows.n_rows, n_centres = p.family.n_components, first = 0, last, k
    cdef double total = 0, n_own, x_sum, centre
    memcpy(line.last, line.centres, n_centres * sizeof(double))
    for k in range(n_centres):
        centre = line.last[k]
        last = n if k == n_centres - 1 else first_above(line.x, first, n, 0.5 * (centre + line.last[k + 1]))
        n_own = <double> (last - first)
        x_sum = line.sums[last] - line.sums[first]
        total += line.squares[last] - line.squares[first] - 2 * centre * x_sum + centre * centre * n_own
        if n_own > 0:
            line.centres[k] = x_sum / n_own
        first = last
    return total / p.total_weight


cdef void leave_line(const line_t *line, pass_t *p) noexcept nogil:
    """OUT p.params: the centres before the last step, those that its labels belong to."""
    cdef Py_ssize_t k
    for k in range(p.family.n_components):
        p.params[line.names[k]] = p.pivot[0] + line.last[k]
