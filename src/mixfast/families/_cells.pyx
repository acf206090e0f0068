"""Rows of counts as lists of cells.

A cell is a distinct pair (column, count), or a distinct row total. A function of a count is computed once for each cell
instead of for each row. The total weight of the rows that have each cell is a sufficient statistic for the sum, over
rows, of any function of the counts.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

import numpy as np

ctypedef fused real_t:
    float
    double

ctypedef struct cell_t:
    int32_t column
    double count

# Cells in order of their numbers, and a hash table (open addressing) from (column, count) to the number.
ctypedef struct table_t:
    cell_t *cells
    Py_ssize_t n_cells
    int32_t *places                # number + 1, 0 where there is none
    Py_ssize_t n_places            # a power of 2, more than twice n_cells


cdef class Cells:
    """The distinct cells of some rows, by column and then by count.

    Parameters
    ----------
    columns : int32 (n_cells,), rising; n_columns stands for totals
    counts : float64 (n_cells,), rising within a column
    n_columns : int

    Attributes
    ----------
    counts : as given
    begin : int64 (n_columns + 2,), where the cells of each column begin, those of the totals, and where these end
    n_columns : int
    """

    def __init__(self, columns, counts, Py_ssize_t n_columns):
        cdef const double[::1] count = np.ascontiguousarray(counts, dtype=np.float64)
        cdef const int64_t[::1] first = np.searchsorted(columns, np.arange(n_columns + 2)).astype(np.int64)
        self.counts, self.begin, self.n_columns = count.base, first.base, n_columns
        self.count, self.first = &count[0], &first[0]

    def __len__(self):
        return len(self.counts)


cdef inline uint64_t place_of(int32_t column, double count, Py_ssize_t n_places) noexcept nogil:
    cdef uint64_t bits = (<uint64_t *> &count)[0]
    bits = (bits ^ (bits >> 32)) * 0x9E3779B97F4A7C15U + <uint64_t> column * 0xC2B2AE3D27D4EB4FU
    bits = (bits ^ (bits >> 29)) * 0xBF58476D1CE4E5B9U
    return (bits ^ (bits >> 32)) & <uint64_t> (n_places - 1)


cdef int grow(table_t *table) noexcept nogil:
    """Double the size of the table. Nonzero if memory runs out."""
    cdef Py_ssize_t n_places = 2 * table.n_places, i
    cdef uint64_t place
    cdef int32_t *places = <int32_t *> calloc(n_places, sizeof(int32_t))
    cdef cell_t *cells = <cell_t *> realloc(table.cells, n_places // 2 * sizeof(cell_t))
    if cells != NULL:
        table.cells = cells
    if cells == NULL or places == NULL:
        free(places)
        return 1
    for i in range(table.n_cells):
        place = place_of(cells[i].column, cells[i].count, n_places)
        while places[place] != 0:
            place = (place + 1) & <uint64_t> (n_places - 1)
        places[place] = <int32_t> (i + 1)
    free(table.places)
    table.places, table.n_places = places, n_places
    return 0


cdef inline Py_ssize_t number_of(table_t *table, int32_t column, double count) noexcept nogil:
    """The number of a cell; a new cell gets the next number. -1 if memory runs out."""
    cdef uint64_t place
    cdef Py_ssize_t i
    if 2 * table.n_cells + 2 > table.n_places and grow(table) != 0:
        return -1
    place = place_of(column, count, table.n_places)
    while table.places[place] != 0:
        i = table.places[place] - 1
        if table.cells[i].count == count and table.cells[i].column == column:
            return i
        place = (place + 1) & <uint64_t> (table.n_places - 1)
    i = table.n_cells
    table.cells[i].column, table.cells[i].count = column, count
    table.n_cells += 1
    table.places[place] = <int32_t> table.n_cells
    return i


cdef int number_rows(table_t *table, Py_ssize_t n_rows, const int64_t *indptr, const int32_t *indices,
                     const real_t *data, int32_t n_columns, int64_t *out_indptr, int32_t *out) noexcept nogil:
    """OUT: the cell numbers of each row, that of its total last; a row without counts has none. Nonzero if memory runs
    out."""
    cdef Py_ssize_t row, number
    cdef int64_t t, at = 0
    cdef double total
    out_indptr[0] = 0
    for row in range(n_rows):
        total = 0
        for t in range(indptr[row], indptr[row + 1]):
            number = number_of(table, indices[t], data[t])
            if number < 0:
                return 1
            out[at] = <int32_t> number
            at += 1
            total += data[t]
        if total > 0:
            number = number_of(table, n_columns, total)
            if number < 0:
                return 1
            out[at] = <int32_t> number
            at += 1
        out_indptr[row + 1] = at
    return 0


def cells_of_rows(X):
    """The cells of rows of counts, and each row as a list of them.

    Parameters
    ----------
    X : sparse matrix (n_rows, n_columns) in CSR form, float32 or float64, without zeros

    Returns
    -------
    cells : Cells
        At least one.
    indptr : int64 (n_rows + 1,)
    indices : int32 (n stored values and a total for each row that has any,)
        Numbers of cells: those of row i from indptr[i] to indptr[i + 1], rising.
    """
    data = X.data if X.data.dtype in (np.float32, np.float64) else X.data.astype(np.float64)
    return _cells_of_rows(
        X.indptr.astype(np.int64, copy=False), X.indices.astype(np.int32, copy=False), data, X.shape[1])


def _cells_of_rows(const int64_t[::1] indptr, const int32_t[::1] indices, const real_t[::1] data, int32_t n_columns):
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1, n = indices.shape[0], i
    out_indptr, out = np.empty(n_rows + 1, dtype=np.int64), np.empty(n + n_rows, dtype=np.int32)
    cdef int64_t[::1] indptr_view = out_indptr
    cdef int32_t[::1] out_view = out
    cdef int32_t[::1] column, rank
    cdef double[::1] count
    cdef table_t table
    cdef int code
    table.cells, table.places, table.n_cells, table.n_places = NULL, NULL, 0, 512
    try:
        with nogil:
            code = grow(&table)
            if code == 0:
                code = number_rows(&table, n_rows, &indptr[0], &indices[0] if n else NULL, &data[0] if n else NULL,
                                   n_columns, &indptr_view[0], &out_view[0] if n_rows else NULL)
        if code != 0:
            raise MemoryError(f"no room for {table.n_cells} distinct counts of columns")
        columns, counts = np.empty(table.n_cells, dtype=np.int32), np.empty(table.n_cells)
        column, count = columns, counts
        for i in range(table.n_cells):
            column[i], count[i] = table.cells[i].column, table.cells[i].count
    finally:
        free(table.cells)
        free(table.places)
    if len(counts) == 0:
        return Cells(np.array([n_columns], dtype=np.int32), np.zeros(1), n_columns), out_indptr, out[:0]
    order = np.lexsort((counts, columns))
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    out, rank = out[:out_indptr[n_rows]], ranks
    with nogil:
        for i in range(indptr_view[n_rows]):
            out_view[i] = rank[out_view[i]]
    return Cells(columns[order], counts[order], n_columns), out_indptr, out
