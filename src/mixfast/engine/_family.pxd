# The contract between a family and the pass, as Cython sees it. What each verb owes is written once, in
# _kernels/family.h.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "family.h" nogil:
    const char *MIXFAST_FAMILY_CAPSULE
    int MIXFAST_OK
    int MIXFAST_REPAIRED_COVARIANCE
    int MIXFAST_EMPTIED_COMPONENT
    int MIXFAST_NOT_FINITE
    int MIXFAST_CAPPED_PARAMETER
    int MIXFAST_LOST_DIGITS
    int MIXFAST_SPURIOUS_COMPONENT
    int MIXFAST_FAILED
    int MIXFAST_ISA_CHOSEN
    int MIXFAST_ISA_BASE
    int MIXFAST_ISA_END

    ctypedef struct chunk_t "mixfast_chunk":
        const void *columns
        Py_ssize_t n_rows
        Py_ssize_t stride
        const int64_t *begin
        const int64_t *end
        const int32_t *index
        const char *values
        Py_ssize_t value_stride
        int value_bytes

    ctypedef struct selection_t "mixfast_selection":
        Py_ssize_t n
        const Py_ssize_t *component

    ctypedef struct family_t "mixfast_family"

    ctypedef struct totals_t "mixfast_totals":
        const double *counts
        const double *pivot
        const double *stats
        const double *origin
        const double *common
        double least_weight

    ctypedef void (*prepare_fn "mixfast_prepare")(
        const family_t *, const double *log_weights, const double *params, double *work, double *pivot,
        void *tables) noexcept nogil
    ctypedef int (*log_density_fn "mixfast_log_density")(
        const family_t *, const void *tables, const chunk_t *, const selection_t *, void *scratch,
        void *out) noexcept nogil
    ctypedef int (*accumulate_fn "mixfast_accumulate")(
        const family_t *, const void *tables, const chunk_t *, const selection_t *, const void *resp, void *scratch,
        double *stats) noexcept nogil
    ctypedef int (*maximise_fn "mixfast_maximise")(
        const family_t *, const totals_t *, double *work, double *params) noexcept nogil
    ctypedef void (*prepare_component_fn "mixfast_prepare_component")(
        const family_t *, Py_ssize_t k, const double *log_weights, const double *params, double *own_work,
        double *work) noexcept nogil
    ctypedef int (*maximise_component_fn "mixfast_maximise_component")(
        const family_t *, Py_ssize_t k, const totals_t *, const double *work, double *own_work,
        double *params) noexcept nogil
    ctypedef double (*log_prior_fn "mixfast_log_prior")(const family_t *, const double *params) noexcept nogil

    ctypedef void (*bounded_log_density_fn "mixfast_bounded_log_density")(
        const family_t *, const void *tables, const chunk_t *, const selection_t *, const double *floor, void *scratch,
        void *out, float *ceiling) noexcept nogil
    ctypedef void (*prepare_carry_fn "mixfast_prepare_carry")(
        const family_t *, Py_ssize_t k, const double *last_log_weights, const double *last_params,
        const double *log_weights, const double *params, double *own_work, double *carry) noexcept nogil
    ctypedef void (*carry_fn "mixfast_carry")(const family_t *, const double *carry, float *ceiling) noexcept nogil

    ctypedef struct bounds_t "mixfast_bounds":
        Py_ssize_t n_carry
        bounded_log_density_fn bounded_log_density
        prepare_carry_fn prepare_carry
        carry_fn carry

    ctypedef int (*unconstrain_fn "mixfast_unconstrain")(
        const family_t *, const double *params, double *numbers) noexcept nogil
    ctypedef int (*constrain_fn "mixfast_constrain")(
        const family_t *, const double *numbers, double *work, double *params) noexcept nogil

    ctypedef struct free_numbers_t "mixfast_free_numbers":
        Py_ssize_t n_free
        unconstrain_fn unconstrain
        constrain_fn constrain

    ctypedef void (*accumulate_common_fn "mixfast_accumulate_common")(
        const family_t *, const chunk_t *, const void *weight, void *scratch, double *common) noexcept nogil
    ctypedef double (*common_evidence_fn "mixfast_common_evidence")(
        const family_t *, const totals_t *, const double *params, double *work) noexcept nogil
    ctypedef int (*loses_digits_fn "mixfast_loses_digits")(
        const family_t *, const double *log_weights, const double *params, double *work) noexcept nogil

    ctypedef struct shared_term_t "mixfast_shared_term":
        Py_ssize_t n_common
        accumulate_common_fn accumulate_common
        common_evidence_fn common_evidence
        loses_digits_fn loses_digits

    ctypedef const void *(*row_term_fn "mixfast_row_term")(
        const family_t *, const void *tables, const chunk_t *, void *scratch) noexcept nogil
    ctypedef void (*recentre_fn "mixfast_recentre")(
        const family_t *, const double *counts, const double *last_pivot, const double *last_params,
        const double *pivot, const double *params, double *stats) noexcept nogil
    ctypedef void (*go_half_way_fn "mixfast_go_half_way")(
        const family_t *, const double *last_params, double *params) noexcept nogil
    ctypedef void (*collect_fn "mixfast_collect")(
        const family_t *, const double *stats, double *record) noexcept nogil
    ctypedef void (*restore_fn "mixfast_restore")(
        const family_t *, const double *record, double *stats) noexcept nogil

    ctypedef struct record_t "mixfast_record":
        Py_ssize_t n_record
        collect_fn collect
        restore_fn restore

    ctypedef double (*log_evidence_fn "mixfast_log_evidence")(
        const family_t *, const double *counts, const double *params, double *own) noexcept nogil

    ctypedef struct stream_t "mixfast_stream":
        double (*normal)(stream_t *) noexcept nogil
        double (*log_gamma)(stream_t *, double shape) noexcept nogil
        uint64_t seed
        uint32_t counter[4]
        double spare
        bint has_spare
        double (*uniform)(stream_t *) noexcept nogil

    ctypedef void (*draw_fn "mixfast_draw")(
        const family_t *, Py_ssize_t k, const double *params, stream_t *stream, double *own_work,
        double *drawn) noexcept nogil

    ctypedef void (*draw_row_fn "mixfast_draw_row")(
        const family_t *, Py_ssize_t k, const double *params, stream_t *stream, double *row) noexcept nogil

    ctypedef struct posterior_t "mixfast_posterior":
        log_evidence_fn log_evidence
        Py_ssize_t n_common
        accumulate_common_fn accumulate_common
        const family_t *plain
        draw_fn draw

    ctypedef struct family_t "mixfast_family":
        size_t struct_size
        Py_ssize_t n_components
        Py_ssize_t n_features
        Py_ssize_t n_params
        Py_ssize_t n_stats
        Py_ssize_t n_tables
        Py_ssize_t n_scratch_columns
        Py_ssize_t n_work
        Py_ssize_t n_own_work
        Py_ssize_t flops_per_component
        Py_ssize_t flops_per_row
        Py_ssize_t flops_per_value
        int real_bytes
        int isa
        int gathers_rows
        int takes_sparse_rows
        int needs_gil
        int starts_inside
        const void *context
        void *owner
        prepare_fn prepare
        log_density_fn log_density
        accumulate_fn accumulate
        maximise_fn maximise
        prepare_component_fn prepare_component
        maximise_component_fn maximise_component
        log_prior_fn log_prior
        const bounds_t *bounds
        const free_numbers_t *free_numbers
        const family_t *quick
        const shared_term_t *shared_term
        const record_t *record
        recentre_fn recentre
        int further_start_passes
        const posterior_t *posterior
        int may_overshoot
        go_half_way_fn go_half_way
        row_term_fn row_term
        draw_row_fn draw_row

    size_t MIXFAST_FAMILY_LEAST_SIZE
