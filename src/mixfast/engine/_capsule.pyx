"""The capsule in which a bound family travels through Python.

A capsule owns its `family_t`, its context (freed together) and a reference to the owner, if there is one. Third parties
may make capsules of the same name from C, Cython or Numba, whose destructors free what they allocated; the pass asks
only for the name, and looks at the struct when it takes it over.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_DECREF
from libc.stdlib cimport free

from mixfast.engine._family cimport MIXFAST_FAMILY_CAPSULE, MIXFAST_ISA_CHOSEN, family_t, mixfast_select_rows
from mixfast.engine._isa cimport resolve_isa


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
    """The family, which the pass may call; what it leaves to the engine is chosen here."""
    if not PyCapsule_IsValid(capsule, MIXFAST_FAMILY_CAPSULE):
        raise TypeError(
            f"expected a capsule named {MIXFAST_FAMILY_CAPSULE.decode()!r}, as Family.bind returns, got {capsule!r}; "
            "a package that was compiled against another mixfast has to be compiled again"
        )
    cdef family_t *family = <family_t *> PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE)
    fault = _fault_of(family)
    if fault:
        raise ValueError(f"a family's struct cannot be used: {fault}")
    if family.isa == MIXFAST_ISA_CHOSEN:
        family.isa = resolve_isa(None)
    if mixfast_select_rows(family.isa, family.real_bytes) == NULL:
        raise ValueError(f"a family's struct cannot be used: isa is {family.isa}, for which this build has no kernels; "
                         "0 lets the engine choose")
    if family.flops_per_row == 0:  # what a linear family takes: 40 for a responsibility, and 4 for each of its values
        family.flops_per_row = family.n_components * (40 + (0 if family.takes_sparse_rows else 4 * family.n_features))
    return family


cdef object _fault_of(const family_t *f):
    """What a pass would stumble over, by the name of the member; None where there is nothing."""
    if f.n_components < 1 or f.n_features < 1:
        return f"n_components is {f.n_components} and n_features {f.n_features}, there must be some of each"
    if f.real_bytes not in (4, 8):
        return f"real_bytes is {f.real_bytes}, it should be 4 (float) or 8 (double)"
    if f.flops_per_row < 0 or f.flops_per_value < 0:
        return f"flops_per_row is {f.flops_per_row} and flops_per_value {f.flops_per_value}, neither may be negative"
    for name, is_there in (("prepare", f.prepare != NULL), ("log_density", f.log_density != NULL),
                           ("accumulate", f.accumulate != NULL), ("maximise", f.maximise != NULL)):
        if not is_there:
            return f"{name} is NULL, and no family can do without it"
    for verbs in (
        (("unconstrain", f.unconstrain != NULL), ("constrain", f.constrain != NULL)),
        (("bounded_log_density", f.bounded_log_density != NULL), ("prepare_carry", f.prepare_carry != NULL),
         ("carry", f.carry != NULL)),
    ):
        missing = [name for name, is_there in verbs if not is_there]
        if 0 < len(missing) < len(verbs):
            return f"{missing[0]} is NULL: of {', '.join(name for name, _ in verbs)} there must be all or none"
    return None if f.quick == NULL else _fault_of_quick(f.quick, f)


cdef object _fault_of_quick(const family_t *quick, const family_t *f):
    for name, is_there in (("prepare", quick.prepare != NULL), ("log_density", quick.log_density != NULL),
                           ("accumulate", quick.accumulate != NULL), ("maximise", quick.maximise != NULL),
                           ("accumulate_common", quick.accumulate_common != NULL),
                           ("common_evidence", quick.common_evidence != NULL),
                           ("loses_digits", quick.loses_digits != NULL)):
        if not is_there:
            return f"{name} of its quick family is NULL, and no quick family can do without it"
    for name, size, own in (
        ("n_components", quick.n_components, f.n_components), ("n_features", quick.n_features, f.n_features),
        ("real_bytes", quick.real_bytes, f.real_bytes), ("n_params", quick.n_params, f.n_params),
        ("n_stats", quick.n_stats, f.n_stats), ("n_tables", quick.n_tables, f.n_tables),
        ("n_work", quick.n_work, f.n_work), ("n_own_work", quick.n_own_work, f.n_own_work),
        ("n_carry", quick.n_carry, f.n_carry),
        ("n_scratch_columns", quick.n_scratch_columns, f.n_scratch_columns),
    ):
        if size != own:
            return f"{name} of its quick family is {size}, its own {own}: they must be the same"
    return None


def sizes_in(capsule):
    """(n_components, n_features, real_bytes, n_params, n_stats, n_free) of a bound family; n_free is None where it has
    no `unconstrain`."""
    cdef const family_t *f = family_in(capsule)
    n_free = None if f.unconstrain == NULL else f.n_free
    return f.n_components, f.n_features, f.real_bytes, f.n_params, f.n_stats, n_free
