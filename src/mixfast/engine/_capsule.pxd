from mixfast.engine._family cimport family_t

cdef object capsule_of(family_t *family)
cdef const family_t *family_in(object capsule) except NULL
