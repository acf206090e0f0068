/* Background subtraction by a mixture of Gaussians for each pixel, kept up from frame to frame as Stauffer & Grimson
 * (CVPR 1999) do, and OpenCV's MOG2 after Zivkovic (ICPR 2004): here by stepwise EM.
 *
 * A pixel keeps its parameters and its sums. A frame is a row: it is gathered, older sums are made smaller and the new ones
 * added, the M-step follows, and the sums are moved to the new parameters. A value that no component explains begins a new
 * one in the place of the smallest. Foreground is what the largest components do not explain. */
#include <mixfast.h>
#include <stdlib.h>
#include <string.h>

/* Where things lie is what `plan.layout` and `plan.sums_layout` say. */
typedef struct {
    const mixfast_api *api;
    const mixfast_plan *plan;
    int64_t K, d, n_params, n_sums;
    int64_t means, variances, roots;        /* among the parameters; roots of the precisions */
    int64_t log_likelihood, counts, first, second; /* among the sums */
    double rate;              /* how much of the sums is the last frame */
    double background;        /* the largest components with so much of the weight are the background */
    double least_log_density; /* of a value that is explained */
    double new_variance, new_weight;
} settings_t;

static int64_t place_of(const double *values, int64_t n, int sign) {
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        best = sign * values[k] > sign * values[best] ? k : best;
    return best;
}

/* A component of the background has less than `background` of the weight in components that are larger. */
static int is_background(const settings_t *s, const double *weights, int64_t k) {
    double larger = 0;
    for (int64_t j = 0; j < s->K; j++)
        larger += weights[j] > weights[k] ? weights[j] : 0;
    return larger < s->background;
}

/* Component k begins at the pixel's value: sums are about means, so that its own are none and a variance. */
static void begin(const settings_t *s, const float *pixel, int64_t k, double *weights, double *params, double *sums,
                  double root) {
    double total = 0;
    weights[k] = s->new_weight;
    for (int64_t j = 0; j < s->K; j++)
        total += weights[j];
    for (int64_t j = 0; j < s->K; j++)
        weights[j] /= total;
    sums[s->counts + k] = s->new_weight;
    for (int64_t i = k * s->d; i < (k + 1) * s->d; i++) {
        params[s->means + i] = pixel[i - k * s->d];
        params[s->variances + i] = s->new_variance;
        params[s->roots + i] = root;
        sums[s->first + i] = 0;
        sums[s->second + i] = s->new_weight * s->new_variance;
    }
}

static int step(const settings_t *s, const float *pixel, void *room, size_t bytes, double *weights, double *params,
                double *sums, double *now, double root, unsigned char *mask) {
    const mixfast_view row = {pixel, 1, s->d * (int64_t)sizeof(float), sizeof(float), NULL};
    double *last_weights = now + s->n_sums, *last_params = last_weights + s->K;
    int code;
    for (int attempt = 0; attempt < 2; attempt++) {
        memset(now, 0, sizeof(double) * (size_t)s->n_sums);
        code = s->api->gather(s->plan, weights, params, &row, 1, room, bytes, now);
        if (code != MIXFAST_DONE)
            return code;
        if (attempt == 0) {
            *mask = !is_background(s, weights, place_of(now + s->counts, s->K, 1));
            if (now[s->log_likelihood] >= s->least_log_density)
                break;
            *mask = 1;
            begin(s, pixel, place_of(weights, s->K, -1), weights, params, sums, root);
        }
    }
    for (int64_t i = 0; i < s->n_sums; i++)
        sums[i] += s->rate * (now[i] - sums[i]);
    memcpy(last_weights, weights, sizeof(double) * (size_t)s->K);
    memcpy(last_params, params, sizeof(double) * (size_t)s->n_params);
    code = s->api->maximise(s->plan, sums, room, bytes, weights, params, NULL);
    if (code != MIXFAST_DONE)
        return code;
    return s->api->recentre(s->plan, last_weights, last_params, weights, params, room, bytes, sums);
}

/* Some pixels of a frame (n_pixels, d): mask[n_pixels] is 1 for the foreground. weights (n_pixels, K), params
 * (n_pixels, n_params) and sums (n_pixels, n_sums) are those of the pixels. root is that of 1 / new_variance. Returns a code
 * of mixfast. */
int subtract_background(const settings_t *s, const float *frame, int64_t n_pixels, double root, double *weights, double *params,
                        double *sums, unsigned char *mask) {
    size_t bytes;
    int code = s->api->pass_room(s->plan, 1, 1, &bytes);
    void *room = malloc(bytes);
    double *now = malloc(sizeof(double) * (size_t)(s->n_sums + s->K + s->n_params));
    if (room == NULL || now == NULL)
        code = MIXFAST_NO_ROOM;
    for (int64_t i = 0; i < n_pixels && code == MIXFAST_DONE; i++)
        code = step(s, frame + i * s->d, room, bytes, weights + i * s->K, params + i * s->n_params, sums + i * s->n_sums, now,
                    root, mask + i);
    free(room);
    free(now);
    return code;
}
