# Kinds of proportions whose numbers `mixing` are the counts of the components.

from mixfast.proportions._proportions cimport proportions_t

# A struct without `log_weights` and `log_evidence`, which the kind fills in.
cdef proportions_t made_of_counts() noexcept nogil
