/* Inner loops of collapsed Gibbs sampling of documents, whose words each come from one cluster. Double precision only:
 * counts stay exact up to 2^53 (float: 2^24), and a product of a dozen factors fits the range (float: of three). */
#ifndef MIXFAST_GIBBS_H
#define MIXFAST_GIBBS_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* A cache line of doubles: the largest vector of all instruction sets, so that sums have one order in all of them. */
    MIXFAST_SLOTS = 8,
    /* Factors that are multiplied at a time, where the range of a double allows it. */
    MIXFAST_MOST_FACTORS = 32,
    /* Documents of so many words a distinct word are weighed by logarithms: a word takes 75 ns a slot then, a factor 0.2
     * (x86-64-v3) to 0.4 ns (base). */
    MIXFAST_MANY_REPEATS = 256
};

/* Clusters live in slots, a multiple of MIXFAST_SLOTS; those from n_clusters on only fill the last vector. */
typedef struct {
    ptrdiff_t n_clusters;
    ptrdiff_t n_slots;
    ptrdiff_t stride;     /* slots from the counts of one word to those of the next: at least n_slots */
    ptrdiff_t n_factors;  /* at most MIXFAST_MOST_FACTORS; so many fit the range of a double */
    double n_words;       /* of the vocabulary */
    double beta;          /* pseudo-count of each word */
    double all_beta;      /* of all words together */
    const double *counts; /* [words][stride]; aligned to a cache line, as all arrays of slots */
    const double *totals; /* [n_slots]: the words of each cluster */
    const double *priors; /* [n_slots]: its documents + alpha; 0 in slots that only fill */
} mixfast_clusters;

/* The distinct words of a document, how often each comes, and the sum of that. */
typedef struct {
    ptrdiff_t n;
    const int32_t *word;
    const double *count;
    double total;
} mixfast_document;

typedef struct {
    /* weight_z = prior_z p(document | cluster z) / scale, with one scale for all clusters, of which the logarithm is
     * written where it is wanted (NULL where not):
     *     p = C! prod_w [prod_{j < c_w} (n_zw + beta + j) / c_w!] / prod_{i < C} (n_z + all_beta + i),
     * c_w the counts of the document, C its total. Weights are 0 or normal, and some are normal. power[n_slots] is scratch. */
    void (*weigh)(const mixfast_clusters *, const mixfast_document *, int64_t *power, double *weight, double *log_scale);
    /* log p(document | cluster in a slot), of any size. */
    double (*log_probability)(const mixfast_clusters *, const mixfast_document *, ptrdiff_t slot);
    /* The slot at which the running sum of the weights passes u times (total + outside), n_slots for what is outside.
     * running[n_slots / MIXFAST_SLOTS] gets running sums of blocks; the total is the last of them. */
    ptrdiff_t (*draw)(ptrdiff_t n_slots, const double *weight, double outside, double u, double *running);
    /* Asks for the counts of a document that is soon to be weighed: 11,109 documents of 6 words, whose counts are 4 MB,
     * took 2.5 ms a sweep instead of 3.0. */
    void (*prefetch)(const mixfast_clusters *, const mixfast_document *);
} mixfast_gibbs_kernels;

#endif
