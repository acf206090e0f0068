from mixfast.proportions._proportions cimport proportions_t

# Where nobody says otherwise.
cdef const proportions_t *free_proportions() noexcept nogil
