#include "gibbs.h"

#include "real.h"

#define LOG_2 0.69314718055994530942
#define HALF_LOG_2_PI 0.91893853320467274178
#define LEAST_POWER (-600) /* weights below 2^LEAST_POWER of the largest are 0; others, times a prior, are normal */

#if VECTOR_BYTES_ARE_A_VECTOR
typedef uint64_t vec_bits __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef uint64_t vec_bits;
#endif

/* ---- products ------------------------------------------------------------------------------------------------------ */

/* Some factors of a document's probability, one for each of its words: (row_i[z] + plus_i) / (totals[z] + below_i). */
typedef struct {
    int n;
    const double *row[MIXFAST_MOST_FACTORS];
    double plus[MIXFAST_MOST_FACTORS], below[MIXFAST_MOST_FACTORS];
} factors;

/* Their product in `width` vectors of slots: four are 8 products, 4 totals and 3 operands, which 16 registers hold. */
ALWAYS_INLINE void multiply_tile(int width, const factors *f, const double *totals, ptrdiff_t z, double *product) {
    vec above[8], below[8], total[8];
    UNROLL(8)
    for (int v = 0; v < width; v++) {
        above[v] = below[v] = splat(1);
        total[v] = load(totals + z + v * WIDTH);
    }
    for (int i = 0; i < f->n; i++) {
        UNROLL(8)
        for (int v = 0; v < width; v++) {
            above[v] *= load(f->row[i] + z + v * WIDTH) + splat(f->plus[i]);
            below[v] *= total[v] + splat(f->below[i]);
        }
    }
    UNROLL(8)
    for (int v = 0; v < width; v++) {
        double *out = product + z + v * WIDTH;
        store(out, load(out) * (above[v] / below[v]));
    }
}

static void multiply(const factors *f, const double *totals, ptrdiff_t n_slots, double *product) {
    ptrdiff_t z = 0;
    for (; z + 4 * WIDTH <= n_slots; z += 4 * WIDTH) multiply_tile(4, f, totals, z, product);
    for (; z < n_slots; z += MIXFAST_SLOTS) multiply_tile(MIXFAST_SLOTS / WIDTH, f, totals, z, product);
}

/* Split positive normal numbers: product is scaled into [1, 2), and its exponent is added to power. */
static void move_powers(ptrdiff_t n_slots, double *product, int64_t *power) {
    for (ptrdiff_t z = 0; z < n_slots; z += WIDTH) {
        vec_bits bits, sum;
        memcpy(&bits, product + z, sizeof bits);
        memcpy(&sum, power + z, sizeof sum);
        sum += (bits >> 52) - 1023;
        bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
        memcpy(power + z, &sum, sizeof sum);
        memcpy(product + z, &bits, sizeof bits);
    }
}

/* weight *= 2^(power - largest power); returns the largest. */
static double scale_by_powers(const mixfast_clusters *c, const int64_t *power, double *weight) {
    int64_t largest = power[0];
    for (ptrdiff_t z = 1; z < c->n_slots && z < c->n_clusters; z++) largest = power[z] > largest ? power[z] : largest;
    for (ptrdiff_t z = 0; z < c->n_slots; z++) {
        int64_t left = power[z] - largest;
        uint64_t bits = left < LEAST_POWER ? 0 : (uint64_t)(left + 1023) << 52;
        double factor;
        memcpy(&factor, &bits, sizeof factor);
        weight[z] *= factor;
    }
    return (double)largest;
}

/* log(C! / prod c_w!) */
static double log_coefficient(const mixfast_document *d) {
    double product = 1, logarithm = 0, n = 0;
    for (ptrdiff_t j = 0; j < d->n; j++)
        for (double repeat = 1; repeat <= d->count[j]; repeat++) {
            product *= ++n / repeat;
            if (product > 1e250) { /* a factor is at most 2^53 */
                logarithm += log(product);
                product = 1;
            }
        }
    return logarithm + log(product);
}

static void weigh_by_products(const mixfast_clusters *c, const mixfast_document *d, int64_t *power, double *weight,
                              double *log_scale) {
    factors f;
    int is_long = d->total > (double)c->n_factors;
    double n_passed = 0, largest = 0;
    f.n = 0;
    for (ptrdiff_t z = 0; z < c->n_slots; z++) weight[z] = is_long ? 1 : c->priors[z];
    if (is_long) memset(power, 0, c->n_slots * sizeof *power);
    for (ptrdiff_t j = 0; j < d->n; j++)
        for (double repeat = 0; repeat < d->count[j]; repeat++) {
            f.row[f.n] = c->counts + d->word[j] * c->stride;
            f.plus[f.n] = c->beta + repeat;
            f.below[f.n++] = c->all_beta + n_passed++;
            if (f.n == c->n_factors) {
                multiply(&f, c->totals, c->n_slots, weight);
                if (is_long) move_powers(c->n_slots, weight, power);
                f.n = 0;
            }
        }
    multiply(&f, c->totals, c->n_slots, weight);
    if (is_long) {
        move_powers(c->n_slots, weight, power);
        largest = scale_by_powers(c, power, weight);
        for (ptrdiff_t z = 0; z < c->n_slots; z++) weight[z] *= c->priors[z];
    }
    if (log_scale) *log_scale = largest * LOG_2 + log_coefficient(d);
}

/* ---- logarithms ---------------------------------------------------------------------------------------------------- */

/* The remainder of Stirling's formula, log Gamma(x + 1) - (x + 1/2) log x + x - log(2 pi) / 2. */
static double stirling_rest(double x) {
    if (x < 15) {
        double y = x, product = 1;
        while (y < 15) product *= ++y;
        return stirling_rest(y) + (y + 0.5) * log(y) - y - log(product) - (x + 0.5) * log(x) + x;
    }
    double y = 1 / (x * x); /* the next term is below 691 / 360360 / 15^11 = 2e-16 */
    return (1 / 12.0 - y * (1 / 360.0 - y * (1 / 1260.0 - y * (1 / 1680.0 - y / 1188)))) / x;
}

/* x log(x / m) + m - x, without cancellation where x is near m. */
static double deviance(double x, double m) {
    double v = (x - m) / (x + m);
    if (fabs(v) > 0.1) return x * log(x / m) + m - x;
    double sum = (x - m) * v, term = 2 * x * v, last;
    for (int i = 3; i < 40; i += 2) { /* log(x / m) = 2 atanh(v) */
        term *= v * v;
        last = sum;
        sum += term / i;
        if (sum == last) break;
    }
    return sum;
}

/* log(Gamma(x + n) / Gamma(x) / n!) less its leading terms, (x + n) log(x + n) - x log x - n log n. */
static double choices_rest(double x, double n) {
    return stirling_rest(x + n) - stirling_rest(x) - stirling_rest(n) + 0.5 * (log(x / (x + n)) - log(n))
           - HALF_LOG_2_PI;
}

/* With x_w = n_zw + beta of sum B, c_w of sum C, E(x, c) = (x + c) log(x + c) - x log x - c log c, the large terms are
 * sum E(x_w, c_w) - E(B, C). They cancel; what remains is minus the sum of the deviances of x_w and c_w from what shares of
 * B / (B + C) and C / (B + C) of their sum would be, all of one sign: as C. Loader does for the binomial distribution
 * ("Fast and accurate computation of binomial probabilities", 2000). */
static double log_probability(const mixfast_clusters *c, const mixfast_document *d, ptrdiff_t slot) {
    double n_words = d->total, all = c->totals[slot] + c->all_beta;
    if (n_words == 0) return 0;
    double new_share = n_words / (n_words + all), known_share = all / (n_words + all);
    double absent = c->totals[slot], n_present = 0, sum = -choices_rest(all, n_words);
    for (ptrdiff_t j = 0; j < d->n; j++) {
        double known = c->counts[d->word[j] * c->stride + slot], count = d->count[j];
        double x = known + c->beta, both = x + count;
        absent -= known;
        n_present++;
        sum += choices_rest(x, count) - deviance(count, both * new_share) - deviance(x, both * known_share);
    }
    return sum - (absent + (c->n_words - n_present) * c->beta) * log1p(n_words / all);
}

static void weigh_by_logarithms(const mixfast_clusters *c, const mixfast_document *d, double *weight,
                                double *log_scale) {
    ptrdiff_t n = c->n_slots < c->n_clusters ? c->n_slots : c->n_clusters;
    double largest = -INFINITY;
    for (ptrdiff_t z = 0; z < n; z++) {
        weight[z] = log_probability(c, d, z);
        largest = weight[z] > largest ? weight[z] : largest;
    }
    for (ptrdiff_t z = 0; z < n; z++) {
        double left = weight[z] - largest;
        weight[z] = left < LEAST_POWER * LOG_2 ? 0 : exp(left) * c->priors[z];
    }
    for (ptrdiff_t z = n; z < c->n_slots; z++) weight[z] = 0;
    if (log_scale) *log_scale = largest;
}

static void weigh(const mixfast_clusters *c, const mixfast_document *d, int64_t *power, double *weight,
                  double *log_scale) {
    if (d->total > MIXFAST_MANY_REPEATS * (double)d->n)
        weigh_by_logarithms(c, d, weight, log_scale);
    else
        weigh_by_products(c, d, power, weight, log_scale);
}

/* ---- a draw -------------------------------------------------------------------------------------------------------- */

/* The sum of MIXFAST_SLOTS weights by halves, in the same order whatever the width of vectors. */
ALWAYS_INLINE double block_sum(const double *weight) {
    vec part[MIXFAST_SLOTS / WIDTH];
    for (int i = 0; i < MIXFAST_SLOTS / WIDTH; i++) part[i] = load(weight + i * WIDTH);
    for (int n = MIXFAST_SLOTS / WIDTH / 2; n >= SUM_VECTORS; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    return sum_of(part);
}

static ptrdiff_t draw(ptrdiff_t n_slots, const double *weight, double outside, double u, double *running) {
    ptrdiff_t n_blocks = n_slots / MIXFAST_SLOTS, block = 0, chosen = n_slots;
    double total = 0;
    for (ptrdiff_t b = 0; b < n_blocks; b++) running[b] = total += block_sum(weight + b * MIXFAST_SLOTS);
    double target = u * (total + outside);
    while (block < n_blocks && running[block] <= target) block++;
    if (block == n_blocks && outside > 0) return n_slots;
    /* rounding may put u beyond the last running sum: take the last slot of positive weight */
    if (block == n_blocks)
        while (block > 0 && (block == n_blocks || running[block] == running[block - 1])) block--;
    double passed = block > 0 ? running[block - 1] : 0;
    for (ptrdiff_t z = block * MIXFAST_SLOTS; z < (block + 1) * MIXFAST_SLOTS; z++)
        if (weight[z] > 0) {
            chosen = z;
            passed += weight[z];
            if (passed > target) break;
        }
    return chosen;
}

static void prefetch(const mixfast_clusters *c, const mixfast_document *d) {
    for (ptrdiff_t j = 0; j < d->n && j < MIXFAST_MOST_FACTORS; j++)
        for (ptrdiff_t z = 0; z < c->n_slots; z += MIXFAST_SLOTS) PREFETCH(c->counts + d->word[j] * c->stride + z);
}

const mixfast_gibbs_kernels MIXFAST_TABLE(gibbs) = {weigh, log_probability, draw, prefetch};
