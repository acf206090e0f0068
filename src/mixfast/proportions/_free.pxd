from mixfast.proportions._proportions cimport proportions_t

# The default: weights by maximum likelihood.
cdef const proportions_t *free_proportions() noexcept nogil
