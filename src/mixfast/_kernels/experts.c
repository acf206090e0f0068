#include "experts.h"
#include "exp_log.h"
#include "regression.h"
#include "special.h"

#define LARGEST_PREDICTOR 700.0 /* exp of more overflows */

typedef struct {
    mixfast_expert_density density;
    mixfast_expert_slopes slopes;
} expert;

ALWAYS_INLINE vec magnitude(vec a) { return if_smaller(a, splat(0), -a, a); }

/* exp(-|eta|), with |eta| at most LARGEST_PREDICTOR. */
ALWAYS_INLINE vec exponential_below_one(vec eta) {
    return exp_nonpositive(-minimum(magnitude(eta), splat(LARGEST_PREDICTOR)));
}

/* exp(eta): exp(-|eta|) or its reciprocal. */
ALWAYS_INLINE vec exponential(vec eta) {
    vec part = exponential_below_one(eta);
    return if_smaller(splat(0), eta, (real)1 / part, part);
}

/* ---- one response ------------------------------------------------------------------------------------------------- */

/* numbers: 1 / sigma^2, -log(2 pi sigma^2) / 2 */
static void gaussian_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                             double *MIXFAST_RESTRICT out) {
    (void)m;
    double precision = numbers[0], constant = numbers[1];
    for (ptrdiff_t r = 0; r < stride; r++) {
        double e = y[r] - eta[r];
        out[r] += constant - 0.5 * precision * e * e;
    }
}

/* sums: resp e^2 */
static void gaussian_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                            const double *resp, double *MIXFAST_RESTRICT score, double *MIXFAST_RESTRICT spread,
                            double *sums) {
    (void)m, (void)numbers;
    double squares[SUM_WIDTH] = {0};
    for (ptrdiff_t r = 0; r < stride; r += SUM_WIDTH)
        for (int i = 0; i < SUM_WIDTH; i++) {
            double e = y[r + i] - eta[r + i];
            score[r + i] = resp[r + i] * e;
            spread[r + i] = resp[r + i];
            squares[i] += score[r + i] * e;
        }
    for (int i = 0; i < SUM_WIDTH; i++) sums[0] += squares[i];
}

/* numbers: 1 / scale^2, the constant, degrees of freedom n, and n + 1, or n where the weights of all rows are to be 1 */
static void student_t_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                              double *MIXFAST_RESTRICT out) {
    (void)m;
    double factor = numbers[0] / numbers[2], constant = numbers[1], exponent = 0.5 * (numbers[2] + 1);
    for (ptrdiff_t r = 0; r < stride; r++) {
        double e = y[r] - eta[r], square = factor * e * e;
        square = square < LARGEST_BESIDE_ONE ? square : LARGEST_BESIDE_ONE;
        out[r] += constant - exponent * log_one_plus(square);
    }
}

/* e is the residual, u = (n + 1) / (n + e^2 / scale^2) the weight of a row. sums: resp u e^2, resp (log u - u) */
static void student_t_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                             const double *resp, double *MIXFAST_RESTRICT score, double *MIXFAST_RESTRICT spread,
                             double *sums) {
    (void)m;
    double precision = numbers[0], degrees = numbers[2], most = numbers[3] / degrees, log_most = log(most);
    double squares = 0, logs = 0;
    for (ptrdiff_t r = 0; r < stride; r++) {
        double e = y[r] - eta[r], square = precision * e * e / degrees;
        square = square < LARGEST_BESIDE_ONE ? square : LARGEST_BESIDE_ONE;
        double u = most / (1 + square);
        spread[r] = resp[r] * u;
        score[r] = spread[r] * e;
        squares += score[r] * e;
        logs += resp[r] * (log_most - log_one_plus(square) - u);
    }
    sums[0] += squares;
    sums[1] += logs;
}

static void poisson_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                            double *out) {
    (void)m, (void)numbers;
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec predictor = load(eta + r);
        store(out + r, load(out + r) + (load(y + r) * predictor - exponential(predictor)));
    }
}

static void poisson_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                           const double *resp, double *score, double *spread, double *sums) {
    (void)m, (void)numbers, (void)sums;
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec mean = exponential(load(eta + r)), weight = load(resp + r);
        store(score + r, weight * (load(y + r) - mean));
        store(spread + r, weight * mean);
    }
}

/* y: successes and trials */
static void binomial_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                             double *MIXFAST_RESTRICT out) {
    (void)m, (void)numbers;
    const double *trials = y + stride;
    double part[STRIP];
    for (ptrdiff_t first = 0; first < stride; first += STRIP) {
        for (ptrdiff_t i = 0; i < STRIP; i += WIDTH) store(part + i, exponential_below_one(load(eta + first + i)));
        for (ptrdiff_t i = 0; i < STRIP; i++) {
            ptrdiff_t r = first + i;
            double above = eta[r] > 0 ? eta[r] : 0;
            out[r] += y[r] * eta[r] - trials[r] * (above + log_one_plus(part[i]));
        }
    }
}

static void binomial_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                            const double *resp, double *score, double *spread, double *sums) {
    (void)m, (void)numbers, (void)sums;
    const double *trials = y + stride;
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec part = exponential_below_one(load(eta + r)), larger = (real)1 / ((real)1 + part), smaller = part * larger;
        vec share = if_smaller(splat(0), load(eta + r), larger, smaller), weight = load(resp + r);
        store(score + r, weight * (load(y + r) - load(trials + r) * share));
        store(spread + r, weight * load(trials + r) * (smaller * larger));
    }
}

/* y: y and log y; numbers: the shape a, a log a - log Gamma(a) */
static void gamma_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                          double *out) {
    (void)m;
    const double *log_y = y + stride;
    double shape = numbers[0], constant = numbers[1];
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec predictor = load(eta + r), log_of_it = load(log_y + r);
        vec own = constant + shape * (log_of_it - predictor - load(y + r) * exponential(-predictor)) - log_of_it;
        store(out + r, load(out + r) + own);
    }
}

/* sums: resp (y / mean - 1 - log(y / mean)) */
static void gamma_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                         const double *resp, double *score, double *spread, double *sums) {
    (void)m, (void)numbers;
    const double *log_y = y + stride;
    vec total[SUM_VECTORS];
    for (int part = 0; part < SUM_VECTORS; part++) {
        vec own = splat(0);
        for (ptrdiff_t r = part * WIDTH; r < stride; r += SUM_WIDTH) {
            vec predictor = load(eta + r), weight = load(resp + r), ratio = load(y + r) * exponential(-predictor);
            store(score + r, weight * (ratio - (real)1));
            store(spread + r, weight * ratio);
            own += weight * (ratio - (real)1 - load(log_y + r) + predictor);
        }
        total[part] = own;
    }
    sums[0] += sum_of(total);
}

/* numbers: theta, log theta, whether derivatives by theta are wanted. With t = eta - log theta the log density is
 * log Gamma(y + theta) - log Gamma(theta) + y t - (y + theta) log(1 + exp t), less log y!. */
static void negative_binomial_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y,
                                      const double *numbers, double *MIXFAST_RESTRICT out) {
    (void)m;
    double theta = numbers[0], log_theta = numbers[1], part[STRIP];
    for (ptrdiff_t first = 0; first < stride; first += STRIP) {
        for (ptrdiff_t i = 0; i < STRIP; i += WIDTH)
            store(part + i, exponential_below_one(load(eta + first + i) - log_theta));
        for (ptrdiff_t i = 0; i < STRIP; i++) {
            ptrdiff_t r = first + i;
            double t = eta[r] - log_theta, above = t > 0 ? t : 0;
            out[r] += mixfast_lgamma_rise(theta, y[r]) + y[r] * t - (y[r] + theta) * (above + log_one_plus(part[i]));
        }
    }
}

/* sums: resp times the first and the second derivative of the log density by theta. With q = theta / (theta + mean) =
 * 1 / (1 + exp t) and s = 1 - q these are
 *     psi(y + theta) - psi(theta) + log q + s - (y / theta) q,
 *     psi'(y + theta) - psi'(theta) + (s^2 + (y / theta) q^2) / theta.
 * Where the mean is below theta the terms cancel, to no digits at the largest theta. So their leading parts, y / theta
 * and the like, are cancelled in closed form, and what is added up is of the order of the result. */
static void negative_binomial_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y,
                                     const double *numbers, const double *resp, double *score, double *spread,
                                     double *sums) {
    (void)m;
    double theta = numbers[0], log_theta = numbers[1];
    for (ptrdiff_t r = 0; r < stride; r += WIDTH) {
        vec t = load(eta + r) - log_theta, part = exponential_below_one(t);
        vec larger = (real)1 / ((real)1 + part), smaller = part * larger;
        vec share = if_smaller(splat(0), t, larger, smaller), weight = load(resp + r), all = load(y + r) + theta;
        store(score + r, weight * (load(y + r) - all * share));
        store(spread + r, weight * all * (smaller * larger));
    }
    if (numbers[2] == 0) return;
    for (ptrdiff_t r = 0; r < stride; r++) {
        if (resp[r] == 0) continue;
        double t = eta[r] - log_theta, part = exp(-fabs(t)), larger = 1 / (1 + part), smaller = part * larger;
        double ratio = y[r] / theta;
        if (t > 0) {
            double s = larger, q = smaller;
            sums[0] += resp[r] * (mixfast_digamma_rise(theta, y[r]) - t - log1p(part) + s - ratio * q);
            sums[1] += resp[r] * (mixfast_trigamma_rise(theta, y[r]) + (s * s + ratio * q * q) / theta);
        } else {
            double s = smaller, x = part; /* the mean is x theta */
            sums[0] += resp[r] * (mixfast_digamma_beyond(theta, y[r]) - mixfast_log1p_beyond(x) + s * (ratio - x));
            sums[1] += resp[r] * (mixfast_trigamma_beyond(theta, y[r]) + s * (s - ratio * (2 - s)) / theta);
        }
    }
}

/* Multinomial probabilities of a strip. y: counts of all categories but the first, and their total. OUT the
 * probabilities of these categories, and the logarithm of the normaliser 1 + sum of exp(eta). */
ALWAYS_INLINE void category_shares(ptrdiff_t m, ptrdiff_t stride, const double *eta, ptrdiff_t r, double *shares,
                                   double *log_norm) {
    double total[STRIP];
    for (ptrdiff_t i = 0; i < STRIP; i += WIDTH) {
        vec top = splat(0), sum;
        for (ptrdiff_t c = 0; c < m; c++) top = maximum(top, load(eta + c * stride + r + i));
        sum = exp_nonpositive(-top);
        for (ptrdiff_t c = 0; c < m; c++) {
            vec part = exp_nonpositive(load(eta + c * stride + r + i) - top);
            if (shares) store(shares + c * stride + r + i, part);
            sum += part;
        }
        if (shares)
            for (ptrdiff_t c = 0; c < m; c++)
                store(shares + c * stride + r + i, load(shares + c * stride + r + i) / sum);
        store(log_norm + i, top);
        store(total + i, sum);
    }
    for (ptrdiff_t i = 0; i < STRIP; i++) log_norm[i] += log_above_one(total[i]);
}

static void multinomial_density(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y,
                                const double *numbers, double *MIXFAST_RESTRICT out) {
    (void)numbers;
    double log_norm[STRIP];
    for (ptrdiff_t r = 0; r < stride; r += STRIP) {
        category_shares(m, stride, eta, r, NULL, log_norm);
        for (ptrdiff_t i = 0; i < STRIP; i++) out[r + i] -= y[m * stride + r + i] * log_norm[i];
    }
    for (ptrdiff_t c = 0; c < m; c++)
        for (ptrdiff_t r = 0; r < stride; r++) out[r] += y[c * stride + r] * eta[c * stride + r];
}

static void multinomial_slopes(ptrdiff_t m, ptrdiff_t stride, const double *eta, const double *y, const double *numbers,
                               const double *resp, double *MIXFAST_RESTRICT score, double *MIXFAST_RESTRICT spread,
                               double *sums) {
    (void)numbers, (void)sums;
    const double *trials = y + m * stride;
    double log_norm[STRIP];
    for (ptrdiff_t r = 0; r < stride; r += STRIP) category_shares(m, stride, eta, r, score, log_norm);
    for (ptrdiff_t c = 0; c < m; c++) {
        const double *own = score + c * stride;
        for (ptrdiff_t d = 0; d <= c; d++, spread += stride) {
            const double *other = score + d * stride;
            for (ptrdiff_t r = 0; r < stride; r++)
                spread[r] = resp[r] * trials[r] * own[r] * (c == d ? 1 - own[r] : other[r]);
        }
    }
    for (ptrdiff_t c = 0; c < m; c++)
        for (ptrdiff_t r = 0; r < stride; r++)
            score[c * stride + r] = resp[r] * (y[c * stride + r] - trials[r] * score[c * stride + r]);
}

static const expert experts[MIXFAST_EXPERT_KINDS] = {
    {gaussian_density, gaussian_slopes},   {student_t_density, student_t_slopes}, {poisson_density, poisson_slopes},
    {binomial_density, binomial_slopes},   {gamma_density, gamma_slopes},         {negative_binomial_density, negative_binomial_slopes},
    {multinomial_density, multinomial_slopes},
};

/* ---- a chunk ------------------------------------------------------------------------------------------------------ */

ALWAYS_INLINE const mixfast_experts *experts_of(const mixfast_family *family) {
    return family->context;
}

typedef struct {
    const double *log_weights, *numbers, *intercepts, *coefficients;
    int wants_columns;
} parts;

ALWAYS_INLINE parts parts_of_tables(const mixfast_family *family, const void *tables) {
    const mixfast_experts *all = experts_of(family);
    ptrdiff_t K = family->n_components;
    parts found;
    found.log_weights = tables;
    found.numbers = found.log_weights + K;
    found.intercepts = found.numbers + K * all->n_responses * MIXFAST_EXPERT_NUMBERS;
    found.coefficients = found.intercepts + K * all->n_etas;
    found.wants_columns = found.coefficients[K * all->n_etas * all->n_columns] != 0;
    return found;
}

/* OUT eta[a * n_etas + e][r], the linear predictors of the selected components. */
static void predict(const mixfast_experts *all, const parts *tables, const mixfast_chunk *chunk,
                    const mixfast_selection *selection, double *eta) {
    ptrdiff_t n = selection->n * all->n_etas, stride = chunk->stride, i = 0, own[4];
    const double *x = chunk->columns;
    for (; i < n; i += 4) {
        ptrdiff_t left = n - i < 4 ? n - i : 4;
        for (ptrdiff_t t = 0; t < left; t++)
            own[t] = selection->component[(i + t) / all->n_etas] * all->n_etas + (i + t) % all->n_etas;
        for (ptrdiff_t r = 0; r < stride; r += STRIP)
            linear_tile_of(left, own, all->n_columns, stride, tables->intercepts, tables->coefficients, x + r,
                           eta + i * stride + r);
    }
    for (ptrdiff_t j = 0; j < all->n_responses; j++) {
        const mixfast_response *response = all->responses + j;
        if (response->offset < 0) continue;
        const double *offset = x + response->offset * stride;
        for (ptrdiff_t a = 0; a < selection->n; a++)
            for (ptrdiff_t e = 0; e < response->n_etas; e++) {
                double *row = eta + (a * all->n_etas + response->first_eta + e) * stride;
                for (ptrdiff_t r = 0; r < stride; r++) row[r] += offset[r];
            }
    }
}

static int log_density(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_real) {
    const mixfast_experts *all = experts_of(family);
    parts own = parts_of_tables(family, tables);
    ptrdiff_t stride = chunk->stride;
    const double *x = chunk->columns;
    double *eta = scratch, *out = out_real;
    predict(all, &own, chunk, selection, eta);
    for (ptrdiff_t a = 0; a < selection->n; a++, out += stride) {
        ptrdiff_t k = selection->component[a];
        for (ptrdiff_t r = 0; r < stride; r++) out[r] = own.log_weights[k];
        for (ptrdiff_t j = 0; j < all->n_responses; j++) {
            const mixfast_response *response = all->responses + j;
            experts[response->kind].density(response->n_etas, stride,
                                            eta + (a * all->n_etas + response->first_eta) * stride,
                                            x + response->first_y * stride,
                                            own.numbers + (k * all->n_responses + j) * MIXFAST_EXPERT_NUMBERS, out);
        }
    }
    return 0;
}

/* Add to the sums of columns, each row weighted by the sum of the selected components' responsibilities. */
static void add_columns(const mixfast_experts *all, const mixfast_chunk *chunk, ptrdiff_t n_selected, const double *resp,
                        double *MIXFAST_RESTRICT weight, double *columns) {
    ptrdiff_t stride = chunk->stride;
    const double *x = chunk->columns;
    for (ptrdiff_t r = 0; r < stride; r++) weight[r] = resp[r];
    for (ptrdiff_t a = 1; a < n_selected; a++)
        for (ptrdiff_t r = 0; r < stride; r++) weight[r] += resp[a * stride + r];
    for (ptrdiff_t j = 0; j < all->n_columns + all->n_beside; j++) {
        real total[SUM_TILE + 1][SUM_TILE];
        product_tile(1, 1, stride, weight, x + j * stride, total);
        columns[j] += total[0][0];
    }
}

static int accumulate(const mixfast_family *family, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp_real, void *scratch, double *stats) {
    const mixfast_experts *all = experts_of(family);
    parts own = parts_of_tables(family, tables);
    ptrdiff_t K = family->n_components, p = all->n_columns, stride = chunk->stride, size = (1 + p) * (2 + p) / 2;
    const double *x = chunk->columns, *resp = resp_real;
    ptrdiff_t n_blocks = 0, most = 0;
    for (ptrdiff_t j = 0; j < all->n_responses; j++) {
        ptrdiff_t m = all->responses[j].n_etas;
        n_blocks += m * (m + 1) / 2;
        most = m > most ? m : most;
    }
    double *eta = scratch, *score = eta + K * all->n_etas * stride, *spread = score + most * stride;
    double *rooted = spread + most * (most + 1) / 2 * stride;
    double *gradients = stats, *information = gradients + K * all->n_etas * (1 + p);
    double *sums = information + K * n_blocks * size, *columns = sums + K * all->n_responses * MIXFAST_EXPERT_SUMS;
    predict(all, &own, chunk, selection, eta);
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        ptrdiff_t k = selection->component[a];
        double *block = information + k * n_blocks * size;
        for (ptrdiff_t j = 0; j < all->n_responses; j++) {
            const mixfast_response *response = all->responses + j;
            ptrdiff_t place = k * all->n_responses + j;
            experts[response->kind].slopes(
                response->n_etas, stride, eta + (a * all->n_etas + response->first_eta) * stride,
                x + response->first_y * stride, own.numbers + place * MIXFAST_EXPERT_NUMBERS, resp + a * stride, score,
                spread, sums + place * MIXFAST_EXPERT_SUMS);
            for (ptrdiff_t e = 0; e < response->n_etas; e++)
                add_gradient(p, stride, x, score + e * stride,
                             gradients + (k * all->n_etas + response->first_eta + e) * (1 + p));
            for (ptrdiff_t b = 0; b < response->n_etas * (response->n_etas + 1) / 2; b++, block += size)
                add_information(p, stride, x, spread + b * stride, rooted, block);
        }
    }
    if (own.wants_columns) add_columns(all, chunk, selection->n, resp, rooted, columns);
    return 0;
}

const mixfast_experts_kernels MIXFAST_TABLE(experts) = {log_density, accumulate};
