cdef int resolve_isa(object name) except -1
