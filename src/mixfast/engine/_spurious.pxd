from mixfast._em cimport em_t

cdef size_t bytes_to_find(Py_ssize_t n_components, Py_ssize_t n_wanted) noexcept nogil
cdef int note_lack_of_rows(em_t *em, Py_ssize_t n_asked, Py_ssize_t n_wanted, Py_ssize_t *found) noexcept nogil
