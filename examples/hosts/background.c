/* Background subtraction by a mixture of Gaussians for each pixel, kept up from frame to frame as Stauffer & Grimson
 * (CVPR 1999) do, and OpenCV's MOG2 after Zivkovic (ICPR 2004): here by stepwise EM.
 *
 * A pixel keeps its parameters and its sums, and each frame is one row that it follows: older sums are made smaller and the
 * row's added, the M-step comes next, and the sums are moved to the new parameters. A value that no component explains
 * begins a new one in the place of the smallest. Foreground is what the largest components do not explain. */
#include <math.h>
#include <mixfast.h>
#include <stdlib.h>
#include <string.h>

/* Where things lie is what `plan.layout` and `plan.sums_layout` say. */
typedef struct {
    const mixfast_api *api;
    const mixfast_plan *plan;
    int64_t K, d, n_params, n_sums;
    int64_t means, variances, roots;        /* among the parameters; roots of the precisions */
    int64_t counts, first, second;          /* among the sums */
    double rate;              /* how much of the sums is the last frame */
    double background;        /* the largest components with so much of the weight are the background */
    double least_log_density; /* of a value that is explained */
    double new_variance, new_weight;
} settings_t;

static int64_t least_of(const double *values, int64_t n) {
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        best = values[k] < values[best] ? k : best;
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

/* Some pixels of a frame (n_pixels, d): mask[n_pixels] is 1 for the foreground. weights (n_pixels, K), params
 * (n_pixels, n_params) and sums (n_pixels, n_sums) are those of the pixels. root is that of 1 / new_variance. Returns a code
 * of mixfast. */
int subtract_background(const settings_t *s, const float *frame, int64_t n_pixels, double root, double *weights, double *params,
                        double *sums, unsigned char *mask) {
    size_t bytes;
    int code = s->api->pass_room(s->plan, 1, 1, &bytes);
    void *room = malloc(bytes);
    double *log_density = malloc(sizeof(double) * (size_t)n_pixels), *last = malloc(sizeof(double) * (size_t)(n_pixels * s->K));
    int64_t *labels = malloc(sizeof(int64_t) * (size_t)n_pixels);
    if (room == NULL || log_density == NULL || last == NULL || labels == NULL)
        code = MIXFAST_NO_ROOM;
    if (code == MIXFAST_DONE) {
        mixfast_view rows = {frame, n_pixels, s->d * (int64_t)sizeof(float), sizeof(float), NULL};
        memcpy(last, weights, sizeof(double) * (size_t)(n_pixels * s->K));
        code = s->api->follow(s->plan, &rows, s->rate, s->least_log_density, room, bytes, weights, params, sums, labels,
                              log_density);
    }
    for (int64_t i = 0; i < n_pixels && code == MIXFAST_DONE; i++) {
        mask[i] = !is_background(s, last + i * s->K, labels[i]);
        if (log_density[i] < s->least_log_density) {
            const mixfast_view row = {frame + i * s->d, 1, s->d * (int64_t)sizeof(float), sizeof(float), NULL};
            double *w = weights + i * s->K, *p = params + i * s->n_params, *all = sums + i * s->n_sums;
            mask[i] = 1;
            begin(s, frame + i * s->d, least_of(w, s->K), w, p, all, root);
            code = s->api->follow(s->plan, &row, s->rate, -INFINITY, room, bytes, w, p, all, NULL, NULL);
        }
    }
    free(room), free(log_density), free(last), free(labels);
    return code;
}
