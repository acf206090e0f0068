"""The capsule in which a bound family travels through Python.

A capsule owns its `family_t`, its context (freed together) and a reference to the owner, if there is one. Third parties
may make capsules of the same name from C, Cython or Numba; the pass asks only for the name.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_DECREF
from libc.stdlib cimport free

from mixfast._family cimport MIXFAST_FAMILY_CAPSULE, family_t


cdef void _free_family(object capsule) noexcept:
    cdef family_t *family = <family_t *> PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE)
    if family.owner != NULL:
        Py_DECREF(<object> family.owner)
    free(<void *> family.context)
    free(family)


cdef object capsule_of(family_t *family):
    """Wrap a malloc'ed family, whose context is malloc'ed and whose owner (or NULL) has been Py_INCREF'ed."""
    return PyCapsule_New(family, MIXFAST_FAMILY_CAPSULE, _free_family)


cdef const family_t *family_in(object capsule) except NULL:
    if not PyCapsule_IsValid(capsule, MIXFAST_FAMILY_CAPSULE):
        raise TypeError(
            f"expected a capsule named {MIXFAST_FAMILY_CAPSULE.decode()!r}, as Family.bind returns, got {capsule!r}"
        )
    return <const family_t *> PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE)
