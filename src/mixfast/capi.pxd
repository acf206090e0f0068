# The C interface for Cython: `from mixfast.capi cimport import_mixfast, mixfast_api, mixfast_plan, plan_of`. What the
# functions do is written in mixfast.h; mixfast.get_include() is where that lies.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_Import
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "mixfast.h" nogil:
    int MIXFAST_API_VERSION
    const char *MIXFAST_API
    const char *MIXFAST_PLAN
    int MIXFAST_DONE
    int MIXFAST_BAD_ARGUMENT
    int MIXFAST_NO_ROOM
    int MIXFAST_NO_NUMBERS

    ctypedef struct mixfast_plan:
        pass

    ctypedef struct mixfast_view:
        const void *data
        int64_t n_rows
        int64_t row_stride
        int64_t column_stride
        const double *weight

    ctypedef struct mixfast_report:
        double lower_bound
        int32_t n_iter
        int32_t status

    ctypedef struct mixfast_api:
        uint32_t version
        uint32_t bytes
        int (*sizes)(
            const mixfast_plan *, int64_t *n_components, int64_t *n_features, int64_t *n_params, int64_t *n_sums,
            size_t *table_bytes) noexcept nogil
        int (*room)(const mixfast_plan *, int64_t n_rows, int n_threads, size_t *bytes) noexcept nogil
        int (*pass_room)(const mixfast_plan *, int64_t n_rows, int n_threads, size_t *bytes) noexcept nogil
        int (*fit)(
            const mixfast_plan *, const mixfast_view *, uint64_t seed, int n_threads, void *room, size_t bytes,
            double *weights, double *params, mixfast_report *) noexcept nogil
        int (*evaluate)(
            const mixfast_plan *, const double *weights, const double *params, const void *tables,
            const mixfast_view *, int n_threads, void *room, size_t bytes, int64_t *labels, void *log_density,
            void *resp) noexcept nogil
        int (*gather)(
            const mixfast_plan *, const double *weights, const double *params, const mixfast_view *, int n_threads,
            void *room, size_t bytes, double *sums) noexcept nogil
        int (*maximise)(
            const mixfast_plan *, const double *sums, void *room, size_t bytes, double *weights, double *params,
            int32_t *status) noexcept nogil
        const char *(*message)(int code) noexcept nogil
        int (*prepare)(
            const mixfast_plan *, const double *weights, const double *params, void *room, size_t bytes, void *tables,
            size_t table_bytes) noexcept nogil
        int (*recentre)(
            const mixfast_plan *, const double *weights, const double *params, const double *to_weights,
            const double *to_params, void *room, size_t bytes, double *sums) noexcept nogil
        int (*sample)(
            const mixfast_plan *, const double *weights, const double *params, uint64_t seed, int64_t first,
            int64_t n_rows, void *room, size_t bytes, int64_t *labels, void *rows) noexcept nogil
        int (*follow)(
            const mixfast_plan *, const mixfast_view *, double rate, double least, void *room, size_t bytes,
            double *weights, double *params, double *sums, int64_t *labels, double *log_density) noexcept nogil


cdef inline const mixfast_api *import_mixfast() except NULL:
    """The functions of the mixfast that is installed."""
    return <const mixfast_api *> PyCapsule_Import(MIXFAST_API, 0)


cdef inline const mixfast_plan *plan_of(object plan) except NULL:
    """Of a `mixfast.capi.Plan`, as long as that lives."""
    return <const mixfast_plan *> PyCapsule_GetPointer(plan.capsule, MIXFAST_PLAN)
