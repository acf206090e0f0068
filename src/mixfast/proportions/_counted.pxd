# Kinds of proportions whose numbers are the counts of the components: a posterior follows from these.

from mixfast.proportions._proportions cimport proportions_t

# The kind adds what it makes of the counts: `log_weights` and `log_evidence`.
cdef proportions_t made_of_counts() noexcept nogil
