# The tables of compiled loops that the pass and mixfast's own families take, for each precision and instruction set.
# What each does is written once, in the headers of _kernels/.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from mixfast.engine._family cimport (
    accumulate_common_fn,
    accumulate_fn,
    bounded_log_density_fn,
    chunk_t,
    family_t,
    log_density_fn,
    row_term_fn,
    selection_t,
)


cdef extern from "rows.h" nogil:
    ctypedef struct groups_t "mixfast_groups":
        Py_ssize_t n_groups
        const int64_t *number
        const int64_t *begin
        const int64_t *rows

    ctypedef struct rows_t "mixfast_rows":
        const char *data
        Py_ssize_t n_rows
        Py_ssize_t n_features
        Py_ssize_t row_stride
        Py_ssize_t column_stride
        int real_bytes
        const int64_t *indptr
        const int32_t *indices
        const double *weight
        const double *base
        const uint32_t *order
        int spread
        const groups_t *groups
        const int64_t *known
        const uint8_t *members
        Py_ssize_t n_members
        double trim
        const uint32_t *runs

    ctypedef struct rows_kernels_t "mixfast_rows_kernels":
        int strip
        void (*pack)(
            const rows_t *, Py_ssize_t start, Py_ssize_t n_rows, Py_ssize_t stride, const double *pivot,
            void *columns, void *weight) noexcept nogil
        Py_ssize_t (*softmax)(
            Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *weight, void *log_prob,
            void *log_norm, void *scratch, double *counts, double *evidence) noexcept nogil
        Py_ssize_t (*softmax_with_entropy)(
            Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *weight, void *log_prob,
            void *log_norm, void *scratch, double *counts, double *evidence) noexcept nogil
        Py_ssize_t (*hardmax)(
            Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *weight, void *log_prob,
            void *log_norm, void *scratch, double *counts, double *evidence) noexcept nogil
        void (*give_to_labels)(
            Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const int64_t *labels, void *weight,
            void *resp) noexcept nogil
        void (*count)(
            Py_ssize_t n_components, Py_ssize_t stride, const void *resp, double *counts) noexcept nogil
        void (*transpose)(
            Py_ssize_t n_components, Py_ssize_t n_rows, Py_ssize_t stride, const void *resp,
            void *out) noexcept nogil
        void (*argmax)(
            Py_ssize_t n, Py_ssize_t n_rows, Py_ssize_t stride, const void *resp, void *place,
            void *largest) noexcept nogil
        double (*least_best)(
            Py_ssize_t n, Py_ssize_t n_rows, Py_ssize_t stride, const void *values, void *scratch) noexcept nogil
        void (*maxima)(
            Py_ssize_t n, Py_ssize_t n_rows, Py_ssize_t stride, const void *values, float *largest) noexcept nogil
        Py_ssize_t (*count_below)(
            Py_ssize_t n, Py_ssize_t n_rows, Py_ssize_t stride, const void *values, const double *limit) noexcept nogil
        Py_ssize_t (*choose_rows)(
            Py_ssize_t n_rows, const void *resp, double limit, Py_ssize_t most, int32_t *index,
            void *chosen_resp) noexcept nogil
        void (*round_to_real)(Py_ssize_t n, const double *values, void *out) noexcept nogil
        void (*exp_nonpositive)(Py_ssize_t n, const void *x, void *y) noexcept nogil
        void (*log_above_one)(Py_ssize_t n, const void *x, void *y) noexcept nogil
        void (*log_one_plus)(Py_ssize_t n, const void *x, void *y) noexcept nogil


cdef extern from "gaussian.h" nogil:
    ctypedef struct gaussian_kernels_t "mixfast_gaussian_kernels":
        Py_ssize_t (*packed_triangle_size)(Py_ssize_t n) noexcept nogil
        void (*pack_triangle)(Py_ssize_t n, const double *upper, void *packed) noexcept nogil
        log_density_fn full_log_density
        bounded_log_density_fn full_bounded_log_density
        accumulate_fn full_accumulate
        log_density_fn diagonal_log_density
        bounded_log_density_fn diagonal_bounded_log_density
        accumulate_fn diagonal_accumulate
        accumulate_common_fn diagonal_accumulate_common
        log_density_fn spherical_log_density
        log_density_fn tied_log_density
        bounded_log_density_fn tied_bounded_log_density
        accumulate_fn tied_accumulate
        log_density_fn linear_log_density
        bounded_log_density_fn linear_bounded_log_density
        row_term_fn linear_row_term
        accumulate_fn linear_accumulate
        accumulate_common_fn linear_accumulate_common


cdef extern from "linear.h" nogil:
    ctypedef struct linear_kernels_t "mixfast_linear_kernels":
        Py_ssize_t (*n_tables)(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil
        Py_ssize_t (*n_stats)(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil
        Py_ssize_t (*n_scratch_columns)(Py_ssize_t n_components) noexcept nogil
        void (*lay_out)(
            Py_ssize_t n_components, Py_ssize_t n_features, const double *forms, void *tables) noexcept nogil
        log_density_fn log_density
        accumulate_fn accumulate
        const double *(*collect)(
            Py_ssize_t n_components, Py_ssize_t n_features, const double *stats, double *room) noexcept nogil
        void (*restore)(
            Py_ssize_t n_components, Py_ssize_t n_features, const double *sums, double *stats) noexcept nogil


cdef extern from "factors.h" nogil:
    ctypedef struct factors_kernels_t "mixfast_factors_kernels":
        Py_ssize_t (*n_tables)(Py_ssize_t n_components, Py_ssize_t n_features, Py_ssize_t n_factors) noexcept nogil
        Py_ssize_t (*n_scratch_columns)(Py_ssize_t n_factors) noexcept nogil
        log_density_fn log_density
        accumulate_fn accumulate


cdef extern from "student_t.h" nogil:
    ctypedef int (*accumulate_observed_fn "mixfast_accumulate_observed")(
        const family_t *, const void *tables, const chunk_t *chunk, const selection_t *selection, const void *resp,
        const void *lost, const void *log_lost, void *scratch, double *stats) noexcept nogil
    ctypedef struct student_t_kernels_t "mixfast_student_t_kernels":
        log_density_fn full_log_density
        accumulate_fn full_accumulate
        log_density_fn diagonal_log_density
        accumulate_fn diagonal_accumulate
        accumulate_observed_fn full_accumulate_observed
        accumulate_observed_fn diagonal_accumulate_observed


cdef extern from "categorical.h" nogil:
    ctypedef struct categorical_kernels_t "mixfast_categorical_kernels":
        Py_ssize_t (*n_tables)(Py_ssize_t n_components, Py_ssize_t n_rows) noexcept nogil
        Py_ssize_t (*n_sums)(Py_ssize_t n_components) noexcept nogil
        Py_ssize_t (*n_scratch_columns)(Py_ssize_t n_components, Py_ssize_t n_features) noexcept nogil
        void (*lay_out)(
            const family_t *, const double *log_weights, const double *log_probabilities, void *tables) noexcept nogil
        log_density_fn log_density
        accumulate_fn accumulate

    ctypedef struct categorical_t "mixfast_categorical":
        const categorical_kernels_t *kernels
        const Py_ssize_t *first


cdef extern from "centres.h" nogil:
    ctypedef struct centres_kernels_t "mixfast_centres_kernels":
        Py_ssize_t (*n_tables)(Py_ssize_t n_centres, Py_ssize_t n_features) noexcept nogil
        void (*lay_out)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const double *centres, void *tables) noexcept nogil
        void (*take_centre)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const chunk_t *, const void *tables, Py_ssize_t which,
            void *closest) noexcept nogil
        void (*try_candidates)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const chunk_t *, const void *tables, const void *weight,
            void *closest, void *scratch, double *potentials) noexcept nogil
        double (*nearest)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const chunk_t *, const void *tables, const void *weight,
            int64_t *labels, void *distance, void *scratch) noexcept nogil
        void (*least_form)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const chunk_t *, const void *tables,
            int64_t *labels) noexcept nogil
        void (*add_rows)(
            const rows_t *, Py_ssize_t start, Py_ssize_t n_rows, const int64_t *labels, const double *centres,
            double *counts, double *sums) noexcept nogil
        void (*add_shares)(
            Py_ssize_t n_centres, Py_ssize_t n_features, const chunk_t *, const double *pivot, const double *centres,
            const void *resp, double *sums) noexcept nogil


cdef extern from "experts.h" nogil:
    enum:
        MIXFAST_EXPERT_KINDS
    int MIXFAST_EXPERT_NUMBERS
    int MIXFAST_EXPERT_SUMS
    int MIXFAST_GAUSSIAN_EXPERT
    int MIXFAST_STUDENT_T_EXPERT
    int MIXFAST_POISSON_EXPERT
    int MIXFAST_BINOMIAL_EXPERT
    int MIXFAST_GAMMA_EXPERT
    int MIXFAST_NEGATIVE_BINOMIAL_EXPERT
    int MIXFAST_MULTINOMIAL_EXPERT

    ctypedef struct response_t "mixfast_response":
        int kind
        Py_ssize_t first_y
        Py_ssize_t offset
        Py_ssize_t first_eta
        Py_ssize_t n_etas

    ctypedef struct experts_t "mixfast_experts":
        Py_ssize_t n_columns
        Py_ssize_t n_beside
        Py_ssize_t n_responses
        Py_ssize_t n_etas
        const response_t *responses

    ctypedef struct experts_kernels_t "mixfast_experts_kernels":
        log_density_fn log_density
        accumulate_fn accumulate


cdef extern from "gate.h" nogil:
    ctypedef struct gate_kernels_t "mixfast_gate_kernels":
        Py_ssize_t (*n_scratch_columns)(Py_ssize_t n_components, Py_ssize_t n_columns) noexcept nogil
        void (*add_log_shares)(
            Py_ssize_t n_components, Py_ssize_t n_columns, const double *numbers, Py_ssize_t stride, const double *z,
            const selection_t *, double *scratch, double *out) noexcept nogil
        void (*accumulate)(
            Py_ssize_t n_components, Py_ssize_t n_columns, const double *numbers, bint has_blocks, Py_ssize_t stride,
            const double *z, const selection_t *, const double *resp, double *scratch, double *gradients,
            double *information) noexcept nogil


cdef extern from "ward.h" nogil:
    enum:
        MIXFAST_GROUPS
    ctypedef struct ward_kernels_t "mixfast_ward_kernels":
        Py_ssize_t (*nearest_group)(
            Py_ssize_t n_groups, Py_ssize_t n_features, Py_ssize_t stride, const double *means, double *sizes,
            Py_ssize_t which, double *added) noexcept nogil


cdef extern from "missing.h" nogil:
    enum:
        MIXFAST_LANES

    ctypedef struct pattern_t "mixfast_pattern":
        Py_ssize_t n_there
        Py_ssize_t size
        Py_ssize_t tables
        const Py_ssize_t *columns

    ctypedef struct missing_kernels_t "mixfast_missing_kernels":
        void (*condition)(
            Py_ssize_t n, const pattern_t *const *patterns, Py_ssize_t d, const double *S, const double *P,
            double log_root, Py_ssize_t k, Py_ssize_t head, double *room, double *tables) noexcept nogil
        void (*impute)(
            Py_ssize_t n_there, const Py_ssize_t *there, Py_ssize_t n_missing, const Py_ssize_t *missing,
            const double *slopes, const double *mean, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t last,
            const double *x, double *out) noexcept nogil
        void (*add_apart)(
            Py_ssize_t n_components, Py_ssize_t n_features, Py_ssize_t n_missing, const Py_ssize_t *missing,
            const double *apart, const double *left, Py_ssize_t stride, Py_ssize_t first_row, Py_ssize_t last_row,
            const double *resp, double *mass, double *first, double *second) noexcept nogil
        void (*add_pooled)(
            Py_ssize_t n_features, Py_ssize_t stride, const double *x, Py_ssize_t n, const double *resp,
            double *weight, double *apart, double *second) noexcept nogil


cdef extern from "gaps.h" nogil:
    enum:
        MIXFAST_GAP_SCRATCH

    ctypedef struct gaps_kernels_t "mixfast_gaps_kernels":
        void (*log_density)(
            Py_ssize_t n_components, Py_ssize_t n_features, const double *tables, const double *left_out,
            const chunk_t *, const selection_t *, double *out) noexcept nogil
        void (*accumulate)(
            Py_ssize_t n_components, Py_ssize_t n_features, const double *tables, const chunk_t *,
            const selection_t *, const double *resp, double *scratch, double *stats) noexcept nogil


cdef extern from "select.h" nogil:
    int mixfast_isa_is_available(int isa)
    const rows_kernels_t *mixfast_select_rows(int isa, int real_bytes)
    const gaussian_kernels_t *mixfast_select_gaussian(int isa, int real_bytes)
    const linear_kernels_t *mixfast_select_linear(int isa, int real_bytes)
    const linear_kernels_t *mixfast_select_sparse_linear(int isa, int real_bytes)
    const categorical_kernels_t *mixfast_select_categorical(int isa, int real_bytes)
    const centres_kernels_t *mixfast_select_centres(int isa, int real_bytes)
    const centres_kernels_t *mixfast_select_sparse_centres(int isa, int real_bytes)
    const factors_kernels_t *mixfast_select_factors(int isa, int real_bytes)
    const student_t_kernels_t *mixfast_select_student_t(int isa, int real_bytes)
    const experts_kernels_t *mixfast_select_experts(int isa)
    const gaps_kernels_t *mixfast_select_gaps(int isa)
    const gate_kernels_t *mixfast_select_gate(int isa)
    const missing_kernels_t *mixfast_select_missing(int isa)
    const ward_kernels_t *mixfast_select_ward(int isa)
