"""How a bound family travels through Python, and how the pass takes it over.

A capsule owns its `family_t`, its context (freed together) and a reference to the owner, if there is one. Third parties
may make capsules of the same name from C, Cython or Numba, whose destructors free what they allocated.

The pass works on a copy, a `BoundFamily`, which has the members of this build whatever the family was built with, and
in which is chosen what the family leaves to the engine.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.ref cimport Py_DECREF
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mixfast.engine._family cimport MIXFAST_FAMILY_CAPSULE, MIXFAST_FAMILY_LEAST_SIZE, MIXFAST_ISA_CHOSEN
from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._kernels cimport mixfast_select_rows

# A family of mixfast's own, with room for its groups of optional verbs.
ctypedef struct with_groups_t:
    family_t family                # the first member: others see no other
    bounds_t bounds
    free_numbers_t free_numbers
    record_t record
    posterior_t posterior


cdef family_t *new_struct(size_t context_bytes) except NULL:
    """A family that is zeros but for its context, which is zeros too; `capsule_of` takes both over."""
    cdef with_groups_t *made = <with_groups_t *> calloc(1, sizeof(with_groups_t))
    cdef void *context = calloc(1, max(context_bytes, 1))
    if made == NULL or context == NULL:
        free(made)
        free(context)
        raise MemoryError
    made.family.struct_size, made.family.context = sizeof(family_t), context
    return &made.family


cdef void give_bounds(family_t *family, Py_ssize_t n_carry, bounded_log_density_fn bounded_log_density,
                      prepare_carry_fn prepare_carry, carry_fn carry) noexcept:
    cdef bounds_t *bounds = &(<with_groups_t *> family).bounds
    bounds.n_carry, bounds.bounded_log_density = n_carry, bounded_log_density
    bounds.prepare_carry, bounds.carry = prepare_carry, carry
    family.bounds = bounds


cdef void give_free_numbers(family_t *family, Py_ssize_t n_free, unconstrain_fn unconstrain,
                            constrain_fn constrain) noexcept:
    cdef free_numbers_t *numbers = &(<with_groups_t *> family).free_numbers
    numbers.n_free, numbers.unconstrain, numbers.constrain = n_free, unconstrain, constrain
    family.free_numbers = numbers


cdef void give_record(family_t *family, Py_ssize_t n_record, collect_fn collect, restore_fn restore) noexcept:
    cdef record_t *record = &(<with_groups_t *> family).record
    record.n_record, record.collect, record.restore = n_record, collect, restore
    family.record = record


cdef void give_posterior(family_t *family, log_evidence_fn log_evidence) noexcept:
    cdef posterior_t *posterior = &(<with_groups_t *> family).posterior
    posterior.log_evidence = log_evidence
    family.posterior = posterior


cdef void give_draws(family_t *family, const family_t *plain, draw_fn draw) noexcept:
    """Make `family` a posterior from which parameters of `plain` can be drawn. `plain` lives in the context."""
    cdef posterior_t *posterior = &(<with_groups_t *> family).posterior
    posterior.plain, posterior.draw = plain, draw


cdef void learn_rows(family_t *family, Py_ssize_t n_common, accumulate_common_fn accumulate_common) noexcept:
    """The posterior's prior depends on sums over all rows, n_common numbers, which `accumulate_common` adds up."""
    cdef posterior_t *posterior = &(<with_groups_t *> family).posterior
    posterior.n_common, posterior.accumulate_common = n_common, accumulate_common


cdef void _free_family(object capsule) noexcept:
    cdef family_t *family = <family_t *> PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE)
    if family.owner != NULL:
        Py_DECREF(<object> family.owner)
    free(<void *> family.context)
    free(family)


cdef object capsule_of(family_t *family):
    """Wrap a family from `new_struct`, whose owner (or NULL) has been Py_INCREF'ed."""
    return PyCapsule_New(family, MIXFAST_FAMILY_CAPSULE, _free_family)


cdef class BoundFamily:
    """The family in a capsule, which the pass may call.

    Raises TypeError for what is no capsule of this version, ValueError that names the member where the struct cannot be
    used.
    """

    def __cinit__(self, capsule):
        if not PyCapsule_IsValid(capsule, MIXFAST_FAMILY_CAPSULE):
            raise TypeError(
                f"expected a capsule named {MIXFAST_FAMILY_CAPSULE.decode()!r}, as Family.bind returns, got "
                f"{capsule!r}; a package that was compiled against another mixfast has to be compiled again"
            )
        self.capsule = capsule
        copy_struct(&self.c, <const family_t *> PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE), "")
        if self.c.quick != NULL:
            copy_struct(&self.quick, self.c.quick, " of its quick family")
            self.c.quick = &self.quick
        if self.c.posterior != NULL:
            self.posterior = self.c.posterior[0]
            self.c.posterior = &self.posterior
        if self.c.posterior != NULL and self.posterior.plain != NULL:
            copy_struct(&self.plain, self.posterior.plain, " of its plain family")
            self.posterior.plain = &self.plain
        fault = _fault_of(&self.c)
        if fault:
            raise ValueError(f"a family's struct cannot be used: {fault}")
        choose(&self.c)
        if self.posterior.plain != NULL:
            choose(&self.plain)

    @property
    def n_components(self):
        return self.c.n_components

    @property
    def n_features(self):
        return self.c.n_features

    @property
    def real_bytes(self):
        return self.c.real_bytes

    @property
    def n_params(self):
        return self.c.n_params

    @property
    def n_stats(self):
        return self.c.n_stats

    @property
    def n_free(self):
        """None where there are no free numbers."""
        return None if self.c.free_numbers == NULL else self.c.free_numbers.n_free

    @property
    def has_record(self):
        """Whether statistics travel in a layout of their own."""
        return self.c.record != NULL

    @property
    def n_record(self):
        """Doubles of the statistics as they travel."""
        return record_size(&self.c)

    @property
    def isa(self):
        """The number of the instruction set that the pass's own loops take."""
        return self.c.isa


cdef Py_ssize_t record_size(const family_t *family) noexcept nogil:
    return family.n_stats if family.record == NULL else family.record.n_record


cdef int copy_struct(family_t *to, const family_t *source, str whose) except -1:
    """Copy a family struct member by member. Members that an older build lacks stay zero; members of a newer build that
    this one does not know are ignored."""
    cdef size_t size = source.struct_size
    if size < MIXFAST_FAMILY_LEAST_SIZE:
        raise ValueError(f"a family's struct cannot be used: struct_size{whose} is {size}, it should be "
                         f"sizeof(mixfast_family), which is {sizeof(family_t)} here")
    memset(to, 0, sizeof(family_t))
    memcpy(to, source, min(size, sizeof(family_t)))
    return 0


cdef int choose(family_t *f) except -1:
    """Fill in defaults for optional members that the family left zero."""
    if f.isa == MIXFAST_ISA_CHOSEN:
        f.isa = resolve_isa(None)
    if mixfast_select_rows(f.isa, f.real_bytes) == NULL:
        raise ValueError(f"a family's struct cannot be used: isa is {f.isa}, for which this build has no "
                         "kernels; 0 lets the engine choose")
    if f.flops_per_row == 0:  # what a linear family takes: 40 for a responsibility, 4 for each of its values
        f.flops_per_row = f.n_components * (40 + (0 if f.takes_sparse_rows else 4 * f.n_features))
    return 0


cdef object _missing_verb(const family_t *f):
    """Name of the first required member that is missing, or None."""
    for name, is_there in (("prepare", f.prepare != NULL), ("log_density", f.log_density != NULL),
                           ("accumulate", f.accumulate != NULL), ("maximise", f.maximise != NULL)):
        if not is_there:
            return name
    return None


cdef object _missing_of_group(const family_t *f):
    """Name of the first missing member of an optional group that is there in part, or None."""
    verbs = []
    if f.bounds != NULL:
        verbs += [("bounded_log_density of bounds", f.bounds.bounded_log_density != NULL),
                  ("prepare_carry of bounds", f.bounds.prepare_carry != NULL),
                  ("carry of bounds", f.bounds.carry != NULL)]
    if f.free_numbers != NULL:
        verbs += [("unconstrain of free_numbers", f.free_numbers.unconstrain != NULL),
                  ("constrain of free_numbers", f.free_numbers.constrain != NULL)]
    if f.posterior != NULL:
        verbs += [("log_evidence of posterior", f.posterior.log_evidence != NULL)]
        if f.posterior.plain != NULL or f.posterior.draw != NULL:
            verbs += [("plain of posterior", f.posterior.plain != NULL),
                      ("draw of posterior", f.posterior.draw != NULL)]
    if f.record != NULL:
        verbs += [("collect of record", f.record.collect != NULL), ("restore of record", f.record.restore != NULL)]
    if f.shared_term != NULL:
        verbs += [("accumulate_common of shared_term", f.shared_term.accumulate_common != NULL),
                  ("common_evidence of shared_term", f.shared_term.common_evidence != NULL),
                  ("loses_digits of shared_term", f.shared_term.loses_digits != NULL)]
    return next((name for name, is_there in verbs if not is_there), None)


cdef object _fault_of(const family_t *f):
    """An error message that names the first unusable member; None if all are usable."""
    if f.n_components < 1 or f.n_features < 1:
        return f"n_components is {f.n_components} and n_features {f.n_features}, there must be some of each"
    if f.real_bytes not in (4, 8):
        return f"real_bytes is {f.real_bytes}, it should be 4 (float) or 8 (double)"
    if f.flops_per_row < 0 or f.flops_per_value < 0:
        return f"flops_per_row is {f.flops_per_row} and flops_per_value {f.flops_per_value}, neither may be negative"
    missing = _missing_verb(f)
    if missing:
        return f"{missing} is NULL, and no family can do without it"
    missing = _missing_of_group(f)
    if missing:
        return f"{missing} is NULL: a group of verbs is NULL or complete"
    if f.posterior != NULL and f.posterior.plain != NULL:
        fault = _fault_of_plain(f.posterior.plain, f)
        if fault:
            return fault
    return None if f.quick == NULL else _fault_of_quick(f.quick, f)


cdef object _fault_of_plain(const family_t *plain, const family_t *f):
    missing = _missing_verb(plain)
    if missing:
        return f"{missing} of its plain family is NULL, and no family can do without it"
    for name, size, own in (
        ("n_components", plain.n_components, f.n_components), ("n_features", plain.n_features, f.n_features),
        ("real_bytes", plain.real_bytes, f.real_bytes),
        ("takes_sparse_rows", plain.takes_sparse_rows, f.takes_sparse_rows),
    ):
        if size != own:
            return f"{name} of its plain family is {size}, its own {own}: they must be the same"
    return None


cdef object _fault_of_quick(const family_t *quick, const family_t *f):
    missing = _missing_verb(quick) or ("shared_term" if quick.shared_term == NULL else _missing_of_group(quick))
    if missing:
        return f"{missing} of its quick family is NULL, and no quick family can do without it"
    for name, size, own in (
        ("n_components", quick.n_components, f.n_components), ("n_features", quick.n_features, f.n_features),
        ("real_bytes", quick.real_bytes, f.real_bytes), ("n_params", quick.n_params, f.n_params),
        ("n_stats", quick.n_stats, f.n_stats), ("n_tables", quick.n_tables, f.n_tables),
        ("n_work", quick.n_work, f.n_work), ("n_own_work", quick.n_own_work, f.n_own_work),
        ("n_carry", 0 if quick.bounds == NULL else quick.bounds.n_carry, 0 if f.bounds == NULL else f.bounds.n_carry),
        ("n_scratch_columns", quick.n_scratch_columns, f.n_scratch_columns),
    ):
        if size != own:
            return f"{name} of its quick family is {size}, its own {own}: they must be the same"
    return None
