#include "gate.h"
#include "exp_log.h"
#include "regression.h"

/* OUT logs[k][r] = log p(k | z) of all components, followed by two columns of work space. */
static void log_shares(ptrdiff_t n_components, ptrdiff_t n_columns, const double *numbers, ptrdiff_t stride,
                       const double *z, double *logs) {
    const double *intercepts = numbers, *slopes = numbers + n_components;
    double *top = logs + n_components * stride, *total = top + stride;
    for (ptrdiff_t k = 0; k < n_components; k += 4) {
        ptrdiff_t own[4] = {k, k + 1, k + 2, k + 3}, left = n_components - k;
        for (ptrdiff_t r = 0; r < stride; r += STRIP)
            linear_tile_of(left, own, n_columns, stride, intercepts, slopes, z + r, logs + k * stride + r);
    }
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec largest = load(logs + r), sum = splat(0);
        for (ptrdiff_t k = 1; k < n_components; k++) largest = maximum(largest, load(logs + k * stride + r));
        for (ptrdiff_t k = 0; k < n_components; k++) sum += exp_nonpositive(load(logs + k * stride + r) - largest);
        store(top + r, largest);
        store(total + r, sum);
    }
    for (ptrdiff_t r = 0; r < stride; r++) top[r] += log_above_one(total[r]);
    for (ptrdiff_t k = 0; k < n_components; k++)
        for (ptrdiff_t r = 0; r < stride; r++) logs[k * stride + r] -= top[r];
}

static ptrdiff_t n_scratch_columns(ptrdiff_t n_components, ptrdiff_t n_columns) { return n_components + 4 + n_columns; }

static void add_log_shares(ptrdiff_t n_components, ptrdiff_t n_columns, const double *numbers, ptrdiff_t stride,
                           const double *z, const mixfast_selection *selection, double *scratch,
                           double *MIXFAST_RESTRICT out) {
    log_shares(n_components, n_columns, numbers, stride, z, scratch);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        const double *own = scratch + selection->component[a] * stride;
        for (ptrdiff_t r = 0; r < stride; r++) out[a * stride + r] += own[r];
    }
}

static void accumulate(ptrdiff_t n_components, ptrdiff_t n_columns, const double *numbers, int has_blocks,
                       ptrdiff_t stride, const double *z, const mixfast_selection *selection, const double *resp,
                       double *scratch, double *gradients, double *information) {
    ptrdiff_t size = (1 + n_columns) * (2 + n_columns) / 2;
    double *shares = scratch, *weight = shares + n_components * stride, *spread = weight + stride;
    double *rooted = spread + stride;
    log_shares(n_components, n_columns, numbers, stride, z, shares);
    for (ptrdiff_t k = 0; k < n_components; k++)
        for (ptrdiff_t r = 0; r < stride; r += WIDTH)
            store(shares + k * stride + r, exp_nonpositive(load(shares + k * stride + r)));
    for (ptrdiff_t r = 0; r < stride; r++) weight[r] = 0;
    for (ptrdiff_t a = 0; a < selection->n; a++)
        for (ptrdiff_t r = 0; r < stride; r++) weight[r] += resp[a * stride + r];
    for (ptrdiff_t k = 0; k < n_components; k++) {
        for (ptrdiff_t r = 0; r < stride; r++) spread[r] = -weight[r] * shares[k * stride + r];
        for (ptrdiff_t a = 0; a < selection->n; a++)
            if (selection->component[a] == k)
                for (ptrdiff_t r = 0; r < stride; r++) spread[r] += resp[a * stride + r];
        add_gradient(n_columns, stride, z, spread, gradients + k * (1 + n_columns));
    }
    if (!has_blocks) {
        add_information(n_columns, stride, z, weight, rooted, information);
        return;
    }
    for (ptrdiff_t k = 1; k < n_components; k++) {
        const double *own = shares + k * stride;
        for (ptrdiff_t l = 1; l <= k; l++, information += size) {
            const double *other = shares + l * stride;
            if (l == k)
                for (ptrdiff_t r = 0; r < stride; r++) spread[r] = weight[r] * own[r] * (1 - own[r]);
            else
                for (ptrdiff_t r = 0; r < stride; r++) spread[r] = weight[r] * own[r] * other[r];
            add_information(n_columns, stride, z, spread, rooted, information);
        }
    }
}

const mixfast_gate_kernels MIXFAST_TABLE(gate) = {n_scratch_columns, add_log_shares, accumulate};
