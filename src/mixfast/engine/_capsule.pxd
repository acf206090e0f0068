from mixfast.engine._family cimport (
    accumulate_common_fn,
    bounded_log_density_fn,
    bounds_t,
    carry_fn,
    collect_fn,
    draw_fn,
    constrain_fn,
    family_t,
    free_numbers_t,
    log_evidence_fn,
    posterior_t,
    prepare_carry_fn,
    record_t,
    restore_fn,
    shared_term_t,
    unconstrain_fn,
)

# For those who make a family.
cdef family_t *new_struct(size_t context_bytes) except NULL
cdef void give_bounds(family_t *family, Py_ssize_t n_carry, bounded_log_density_fn bounded_log_density,
                      prepare_carry_fn prepare_carry, carry_fn carry) noexcept
cdef void give_free_numbers(family_t *family, Py_ssize_t n_free, unconstrain_fn unconstrain,
                            constrain_fn constrain) noexcept
cdef void give_record(family_t *family, Py_ssize_t n_record, collect_fn collect, restore_fn restore) noexcept
cdef void give_posterior(family_t *family, log_evidence_fn log_evidence) noexcept
cdef void give_draws(family_t *family, const family_t *plain, draw_fn draw) noexcept
cdef void learn_rows(family_t *family, Py_ssize_t n_common, accumulate_common_fn accumulate_common) noexcept
cdef object capsule_of(family_t *family)


# For those who call it.
cdef Py_ssize_t record_size(const family_t *family) noexcept nogil

cdef class BoundFamily:
    cdef family_t c
    cdef family_t quick            # where c.quick points to
    cdef posterior_t posterior     # where c.posterior points to
    cdef family_t plain            # where posterior.plain points to
    cdef object capsule            # keeps the contexts of all three families alive
