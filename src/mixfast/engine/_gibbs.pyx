"""Collapsed Gibbs sampling of the clusters of documents, and how likely documents are under clusters that are known.

Arrays have a slot for each cluster in use and some empty slots. Empty clusters are equally likely for a document, so
the first empty slot stands for all clusters that have no slot; a document that goes to an empty cluster takes that
slot. At the end of a sweep the clusters in use are moved to the first slots, in order, if that saves enough slots.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport log
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from mixfast.engine._isa cimport resolve_isa
from mixfast.engine._pass cimport THREAD_FLOPS, arena_t, measure_arena, open_arena, take
from mixfast.engine._random cimport GIBBS, RANDOM_LABELS, uniform
from mixfast.engine._special cimport lgamma_rise

import numpy as np

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "gibbs.h" nogil:
    Py_ssize_t MIXFAST_SLOTS, MIXFAST_MOST_FACTORS, MIXFAST_MANY_REPEATS
    ctypedef struct clusters_t "mixfast_clusters":
        Py_ssize_t n_clusters, n_slots, stride, n_factors
        double n_words, beta, all_beta
        const double *counts
        const double *totals
        const double *priors
    ctypedef struct document_t "mixfast_document":
        Py_ssize_t n
        const int32_t *word
        const double *count
        double total
    ctypedef struct gibbs_kernels_t "mixfast_gibbs_kernels":
        void (*weigh)(const clusters_t *, const document_t *, int64_t *power, double *weight,
                      double *log_scale) noexcept nogil
        double (*log_probability)(const clusters_t *, const document_t *, Py_ssize_t slot) noexcept nogil
        Py_ssize_t (*draw)(Py_ssize_t n_slots, const double *weight, double outside, double u,
                           double *running) noexcept nogil
        void (*prefetch)(const clusters_t *, const document_t *) noexcept nogil

cdef extern from "select.h" nogil:
    const gibbs_kernels_t *mixfast_select_gibbs(int isa)

# Multiplications between two looks for Ctrl-C: 0.1 s, at 0.2 to 0.5 ns each; longer where counts miss the cache.
cdef double WORK_BETWEEN_LOOKS = 2e8
# Powers of two that a product may have before they are taken away: two products and a prior (2^-333 at least) make a
# quotient, and the range of a double is 2^1022.
cdef double PRODUCT_BITS = 300

cdef struct corpus_t:
    Py_ssize_t n_documents
    const int64_t *begin       # [n_documents + 1]: where the words of each document begin
    const int32_t *word
    const double *count
    const double *total        # of each document's counts

cdef struct scratch_t:         # workspace: arrays of one number for each slot
    double *weight
    double *running
    int64_t *power

cdef struct chain_t:
    clusters_t clusters
    double *counts             # what `clusters` reads
    double *totals
    double *priors
    int64_t *sizes             # documents in each slot
    int32_t *slots             # of each document
    Py_ssize_t n_used          # slots with documents
    Py_ssize_t first_empty     # slot, n_clusters where there is none
    double alpha
    double log_joint           # log p(words, labels)
    uint64_t seed
    uint32_t start
    scratch_t scratch


cdef inline Py_ssize_t round_to_slots(Py_ssize_t n) noexcept nogil:
    return (n + MIXFAST_SLOTS - 1) // MIXFAST_SLOTS * MIXFAST_SLOTS


cdef inline document_t document_of(const corpus_t *corpus, Py_ssize_t d) noexcept nogil:
    cdef document_t document
    cdef int64_t begin = corpus.begin[d]
    document.n = corpus.begin[d + 1] - begin
    document.word, document.count = corpus.word + begin, corpus.count + begin
    document.total = corpus.total[d]
    return document


cdef inline double work_of(const corpus_t *corpus, Py_ssize_t d, const clusters_t *clusters) noexcept nogil:
    """Approximate number of multiplications that drawing document d takes."""
    cdef double n_words = <double> (corpus.begin[d + 1] - corpus.begin[d])
    return (1 + min(corpus.total[d], <double> MIXFAST_MANY_REPEATS * n_words)) * <double> clusters.n_slots


cdef void place_scratch(scratch_t *scratch, Py_ssize_t n_slots, arena_t *arena) noexcept nogil:
    scratch.weight = <double *> take(arena, n_slots * sizeof(double))
    scratch.running = <double *> take(arena, n_slots // MIXFAST_SLOTS * sizeof(double))
    scratch.power = <int64_t *> take(arena, n_slots * sizeof(int64_t))


cdef void shape_clusters(clusters_t *clusters, Py_ssize_t n_clusters, Py_ssize_t n_slots, double n_words, double beta,
                         double largest_total) noexcept nogil:
    """OUT clusters: everything but the arrays. `largest_total` bounds the words of a cluster with a document added."""
    cdef double bits
    clusters.n_clusters, clusters.n_slots, clusters.stride = n_clusters, n_slots, n_slots
    clusters.n_words, clusters.beta, clusters.all_beta = n_words, beta, n_words * beta
    bits = max(abs(log(beta)), abs(log(clusters.all_beta)), log(largest_total + clusters.all_beta + 2)) / log(2.0)
    clusters.n_factors = min(max(1, <Py_ssize_t> (PRODUCT_BITS / bits)), MIXFAST_MOST_FACTORS)


# ---- a chain --------------------------------------------------------------------------------------------------------

cdef void place_chain(chain_t *c, const corpus_t *corpus, arena_t *arena) noexcept nogil:
    cdef Py_ssize_t n_slots = c.clusters.stride
    c.counts = <double *> take(arena, <Py_ssize_t> c.clusters.n_words * n_slots * sizeof(double))
    c.totals = <double *> take(arena, n_slots * sizeof(double))
    c.priors = <double *> take(arena, n_slots * sizeof(double))
    c.sizes = <int64_t *> take(arena, n_slots * sizeof(int64_t))
    c.slots = <int32_t *> take(arena, corpus.n_documents * sizeof(int32_t))
    place_scratch(&c.scratch, n_slots, arena)
    c.clusters.counts, c.clusters.totals, c.clusters.priors = c.counts, c.totals, c.priors


cdef void set_n_slots(chain_t *c, Py_ssize_t n_slots) noexcept nogil:
    """Change how many slots are computed; new ones are empty."""
    cdef Py_ssize_t z
    for z in range(n_slots):
        c.priors[z] = c.alpha + <double> c.sizes[z] if z < c.clusters.n_clusters else 0
    c.clusters.n_slots = n_slots


cdef void widen(chain_t *c, Py_ssize_t stride) noexcept nogil:
    """More room for slots."""
    cdef Py_ssize_t w, old = c.clusters.stride
    for w in range(<Py_ssize_t> c.clusters.n_words - 1, -1, -1):
        memmove(c.counts + w * stride, c.counts + w * old, old * sizeof(double))
        memset(c.counts + w * stride + old, 0, (stride - old) * sizeof(double))
    c.clusters.stride = stride


cdef void count_words(chain_t *c, const document_t *document, Py_ssize_t slot, double sign) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(document.n):
        c.counts[document.word[j] * c.clusters.stride + slot] += sign * document.count[j]
    c.totals[slot] += sign * document.total


cdef void take_document(chain_t *c, const document_t *document, Py_ssize_t slot) noexcept nogil:
    """Remove a document from its slot: counts, totals, sizes."""
    count_words(c, document, slot, -1)
    c.sizes[slot] -= 1
    c.priors[slot] = c.alpha + <double> c.sizes[slot]
    if c.sizes[slot] == 0:
        c.n_used -= 1
        c.first_empty = min(c.first_empty, slot)


cdef void put_document(chain_t *c, const document_t *document, Py_ssize_t slot) noexcept nogil:
    """Add a document to a slot. There is an empty slot afterwards, unless all n_clusters are in use."""
    cdef Py_ssize_t n_clusters = c.clusters.n_clusters
    count_words(c, document, slot, 1)
    c.sizes[slot] += 1
    c.priors[slot] = c.alpha + <double> c.sizes[slot]
    if c.sizes[slot] == 1:
        c.n_used += 1
        while c.first_empty < n_clusters and c.sizes[c.first_empty] > 0:
            c.first_empty += 1
        if c.first_empty < n_clusters and c.first_empty == c.clusters.n_slots:
            if c.clusters.n_slots == c.clusters.stride:
                widen(c, c.clusters.stride + MIXFAST_SLOTS)
            set_n_slots(c, c.clusters.n_slots + MIXFAST_SLOTS)


cdef inline void move_slots(const double *values, const int64_t *place, Py_ssize_t n_old, Py_ssize_t n_moved,
                            Py_ssize_t n_new, double *out) noexcept nogil:
    """Copy values of slots to their new places, place[n_old]; source and destination may begin at the same address. The
    zero of an empty slot is overwritten by the next slot in use."""
    cdef Py_ssize_t z
    for z in range(n_old):
        out[place[z]] = values[z]
    memset(out + n_moved, 0, (n_new - n_moved) * sizeof(double))


cdef void close_ranks(chain_t *c, const corpus_t *corpus) noexcept nogil:
    """Move the clusters in use to the first slots, in order, if that frees more than MIXFAST_SLOTS slots."""
    cdef Py_ssize_t n_slots = round_to_slots(min(c.n_used + 1, c.clusters.n_clusters)), n_old = c.clusters.n_slots
    cdef Py_ssize_t n_moved = 0, w, z, d
    cdef int64_t *place = c.scratch.power
    if n_slots + MIXFAST_SLOTS >= n_old:  # a single cluster that comes and goes must not move all of them
        return
    for z in range(n_old):
        place[z] = n_moved
        if c.sizes[z] > 0:
            n_moved += 1
    for d in range(corpus.n_documents):
        c.slots[d] = <int32_t> place[c.slots[d]]
    for w in range(<Py_ssize_t> c.clusters.n_words):
        move_slots(c.counts + w * c.clusters.stride, place, n_old, n_moved, n_slots, c.counts + w * n_slots)
    move_slots(c.totals, place, n_old, n_moved, n_old, c.totals)
    c.clusters.stride = n_slots
    for z in range(n_old):
        c.sizes[place[z]] = c.sizes[z]
    memset(c.sizes + n_moved, 0, (n_old - n_moved) * sizeof(int64_t))
    c.first_empty = n_moved
    set_n_slots(c, n_slots)


cdef double log_joint(const chain_t *c, Py_ssize_t n_documents) noexcept nogil:
    """log p(words, labels), weights of clusters and probabilities of words integrated out; documents are sequences."""
    cdef const clusters_t *clusters = &c.clusters
    cdef double total = -lgamma_rise(<double> clusters.n_clusters * c.alpha, <double> n_documents), count
    cdef Py_ssize_t w, z
    for z in range(clusters.n_slots):
        total += lgamma_rise(c.alpha, <double> c.sizes[z]) - lgamma_rise(clusters.all_beta, c.totals[z])
    for w in range(<Py_ssize_t> clusters.n_words):
        for z in range(clusters.n_slots):
            count = c.counts[w * clusters.stride + z]
            if count > 0:
                total += lgamma_rise(clusters.beta, count)
    return total


cdef void begin_chain(chain_t *c, const corpus_t *corpus) noexcept nogil:
    """Assign every document to one of the n_clusters clusters, with equal probability."""
    cdef Py_ssize_t d
    cdef document_t document
    # written before it is read: of 20 MB that a first sweep read untouched, it took 11 ms instead of 8
    memset(c.counts, 0, <Py_ssize_t> c.clusters.n_words * c.clusters.stride * sizeof(double))
    set_n_slots(c, c.clusters.stride)
    for d in range(corpus.n_documents):
        c.slots[d] = <int32_t> (uniform(c.seed, c.start, RANDOM_LABELS, d) * <double> c.clusters.n_clusters)
        document = document_of(corpus, d)
        put_document(c, &document, c.slots[d])
    close_ranks(c, corpus)
    c.log_joint = log_joint(c, corpus.n_documents)


cdef double log_weight(const chain_t *c, const gibbs_kernels_t *kernels, const document_t *document,
                       Py_ssize_t slot) noexcept nogil:
    return log(c.priors[slot]) + kernels.log_probability(&c.clusters, document, slot)


cdef void draw_cluster(chain_t *c, const gibbs_kernels_t *kernels, const document_t *document, int32_t *slot,
                       double u) noexcept nogil:
    """One step of the chain: a document leaves its cluster and goes where the conditional distribution says."""
    cdef Py_ssize_t old = slot[0], new
    cdef double *weight = c.scratch.weight
    cdef Py_ssize_t n_outside = max(c.clusters.n_clusters - c.clusters.n_slots, 0)
    take_document(c, document, old)
    kernels.weigh(&c.clusters, document, c.scratch.power, weight, NULL)
    new = kernels.draw(c.clusters.n_slots, weight, <double> n_outside * weight[c.first_empty] if n_outside else 0, u,
                       c.scratch.running)
    if new == c.clusters.n_slots or c.sizes[new] == 0:
        new = c.first_empty
    if new != old:
        if weight[old] > 0:
            c.log_joint += log(weight[new]) - log(weight[old])
        else:  # all probabilities underflowed
            c.log_joint += log_weight(c, kernels, document, new) - log_weight(c, kernels, document, old)
    put_document(c, document, new)
    slot[0] = <int32_t> new


cdef void run_chain(chain_t *c, const gibbs_kernels_t *kernels, const corpus_t *corpus, int64_t begin, int64_t end,
                    double *log_joints, Py_ssize_t stride) noexcept nogil:
    """Steps begin to end of a chain, of which n_documents are a sweep; `log_joints` gets one for each that ends."""
    cdef int64_t step
    cdef Py_ssize_t d = begin % corpus.n_documents, i = 0
    cdef document_t document
    for step in range(begin, end):
        if d + 1 < corpus.n_documents:
            document = document_of(corpus, d + 1)
            kernels.prefetch(&c.clusters, &document)
        document = document_of(corpus, d)
        draw_cluster(c, kernels, &document, c.slots + d, uniform(c.seed, c.start, GIBBS, <uint64_t> step))
        d += 1
        if d == corpus.n_documents:
            close_ranks(c, corpus)
            log_joints[i * stride] = c.log_joint
            d, i = 0, i + 1


cdef double total_work(const corpus_t *corpus, const clusters_t *clusters) noexcept nogil:
    """Approximate number of multiplications of a sweep over all documents."""
    cdef double work = 0
    cdef Py_ssize_t d
    for d in range(corpus.n_documents):
        work += work_of(corpus, d, clusters)
    return work


cdef int64_t next_stop(const corpus_t *corpus, const clusters_t *clusters, int64_t begin, int64_t end,
                       double limit) noexcept nogil:
    """Where to look for Ctrl-C next: the step after `begin`, at most `end`, until which the work is bounded. At least
    one step is made."""
    cdef double work = 0
    cdef int64_t step = begin
    while step < end and work < limit:
        work += work_of(corpus, step % corpus.n_documents, clusters)
        step += 1
    return step


cdef int worthwhile_threads(double work, int n_threads) noexcept nogil:
    return <int> min(1 + work / THREAD_FLOPS, <double> n_threads)


cdef class Documents:
    """Counts of words in documents, as the rows of a sparse matrix that names no word twice in a row.

    Parameters
    ----------
    begin : int64 array (n_documents + 1,)
    word : int32 array, each below n_words
    count : float64 array, positive whole numbers
    n_words : int
        In the vocabulary.
    """

    cdef corpus_t c
    cdef readonly Py_ssize_t n_words
    cdef readonly double longest
    cdef object arrays

    def __init__(self, const int64_t[::1] begin not None, const int32_t[::1] word not None,
                 const double[::1] count not None, Py_ssize_t n_words):
        if begin[0] != 0 or np.any(np.diff(begin) < 0) or not begin[begin.shape[0] - 1] == len(word) == len(count):
            raise ValueError("begin should grow from 0 to the number of words and of counts")
        if len(word) and (np.min(word) < 0 or np.max(word) >= n_words):
            raise ValueError(f"word should be from 0 to {n_words - 1}")
        cdef const double[::1] total = np.diff(np.concatenate([[0.0], np.cumsum(count)])[np.asarray(begin)])
        self.arrays = (begin, word, count, total)
        self.n_words, self.longest = n_words, np.max(total, initial=0)
        self.c.n_documents = begin.shape[0] - 1
        self.c.begin, self.c.total = &begin[0], &total[0]
        if word.shape[0]:
            self.c.word, self.c.count = &word[0], &count[0]

    def __len__(self):
        return self.c.n_documents


cdef class Chains:
    """Markov chains over the clusters of documents, each with random numbers of its own.

    Parameters
    ----------
    documents : Documents
    n_clusters : int
        Largest number of clusters.
    alpha, beta : float
        Pseudo-counts of documents in a cluster and of each word in a cluster, both from 1e-100 to 1e100.
    seed : int
        64 bits.
    n_chains, n_threads : int
        A thread takes whole chains.
    isa : str, default=None
    """

    cdef chain_t *c
    cdef void *memory
    cdef const gibbs_kernels_t *kernels
    cdef Documents documents
    cdef readonly int n_chains, n_threads
    cdef readonly int64_t n_sweeps

    def __init__(self, Documents documents not None, Py_ssize_t n_clusters, double alpha, double beta, uint64_t seed,
                 int n_chains=1, int n_threads=1, object isa=None):
        cdef arena_t arena
        cdef int i
        if self.memory != NULL or not 0 < n_clusters < 2**31 or n_chains < 1 or n_threads < 1:
            raise ValueError(f"{n_clusters} clusters, {n_chains} chains, {n_threads} threads: there must be some")
        self.kernels = mixfast_select_gibbs(resolve_isa(isa))
        self.documents, self.n_chains, self.n_threads = documents, n_chains, min(n_chains, n_threads)
        self.c = <chain_t *> calloc(n_chains, sizeof(chain_t))
        if self.c == NULL:
            raise MemoryError
        for i in range(n_chains):
            self.c[i].alpha, self.c[i].seed, self.c[i].start = alpha, seed, i
            shape_clusters(&self.c[i].clusters, n_clusters, round_to_slots(n_clusters), documents.n_words, beta,
                           np.sum(documents.arrays[2]))
        measure_arena(&arena)
        self.place(&arena)
        self.memory = calloc(arena.used, 1)
        if self.memory == NULL:
            raise MemoryError(
                f"{n_clusters} clusters of {documents.n_words} words in {n_chains} chains need {arena.used} bytes")
        open_arena(&arena, self.memory)
        self.place(&arena)
        with nogil:
            for i in prange(n_chains, schedule="dynamic", num_threads=self.n_threads):
                begin_chain(&self.c[i], &self.documents.c)

    cdef void place(self, arena_t *arena):
        cdef int i
        for i in range(self.n_chains):
            place_chain(&self.c[i], &self.documents.c, arena)

    def __dealloc__(self):
        free(self.memory)
        free(self.c)

    def sweep(self, int64_t n_sweeps=1):
        """Draw every document of every chain n_sweeps times. After a KeyboardInterrupt the chains are unusable.

        Returns
        -------
        log_joints : array (n_sweeps, n_chains)
            log p(words, labels) of each chain after each sweep, as the method `log_joints`.
        """
        log_joints = np.empty((n_sweeps, self.n_chains))
        cdef double[:, ::1] view = log_joints
        cdef const corpus_t *corpus = &self.documents.c
        cdef int64_t first = self.n_sweeps * corpus.n_documents, begin = first, end
        cdef int64_t last = first + n_sweeps * corpus.n_documents
        cdef double work = n_sweeps * total_work(corpus, &self.c[0].clusters) * self.n_chains
        cdef int n_threads = worthwhile_threads(work, self.n_threads), i
        cdef double limit = WORK_BETWEEN_LOOKS * n_threads / self.n_chains
        cdef double *out
        while begin < last:
            end = next_stop(corpus, &self.c[0].clusters, begin, last, limit)
            out = &view[(begin - first) // corpus.n_documents, 0]
            with nogil:
                for i in prange(self.n_chains, schedule="dynamic", num_threads=n_threads):
                    run_chain(&self.c[i], self.kernels, corpus, begin, end, out + i, self.n_chains)
            PyErr_CheckSignals()
            begin = end
        self.n_sweeps += n_sweeps
        return log_joints

    @property
    def log_joints(self):
        """Array (n_chains,): log p(words, labels), where a document is a sequence of words, not counts of them."""
        return np.array([self.c[i].log_joint for i in range(self.n_chains)])

    @property
    def labels(self):
        """Array (n_chains, n_documents), int32: clusters in use have numbers below `n_clusters`, not all of them."""
        labels = np.empty((self.n_chains, self.documents.c.n_documents), np.int32)
        cdef int32_t[:, ::1] view = labels
        cdef int i
        for i in range(self.n_chains):
            memcpy(&view[i, 0], self.c[i].slots, view.shape[1] * sizeof(int32_t))
        return labels


# ---- documents under known clusters ---------------------------------------------------------------------------------

ctypedef struct results_t:
    int64_t *labels
    double *resp               # [n_documents][n_clusters]
    double *log_norm


cdef void evaluate_document(const clusters_t *clusters, Py_ssize_t n_clusters, const gibbs_kernels_t *kernels,
                            const corpus_t *corpus, Py_ssize_t d, const scratch_t *scratch,
                            const results_t *out) noexcept nogil:
    """Responsibilities and log norm of one document. The last column of the clusters stands for all empty clusters."""
    cdef document_t document = document_of(corpus, d)
    cdef Py_ssize_t n_distinct = clusters.n_clusters, z, best = 0
    cdef double *weight = scratch.weight
    cdef double log_scale = 0, total = 0
    kernels.weigh(clusters, &document, scratch.power, weight, &log_scale if out.log_norm != NULL else NULL)
    for z in range(n_distinct):
        total += weight[z]
        if weight[z] > weight[best]:
            best = z
    total += <double> (n_clusters - n_distinct) * weight[n_distinct - 1]
    if out.labels != NULL:
        out.labels[d] = best
    if out.log_norm != NULL:
        out.log_norm[d] = log(total) + log_scale
    if out.resp != NULL:
        for z in range(n_clusters):
            out.resp[d * n_clusters + z] = weight[min(z, n_distinct - 1)] / total


def evaluate(Documents documents not None, const double[:, ::1] counts not None, const double[::1] totals not None,
             const double[::1] priors not None, Py_ssize_t n_clusters, Py_ssize_t n_vocabulary, double beta, *,
             int n_threads=1, int64_t[::1] labels=None, double[:, ::1] resp=None, double[::1] log_norm=None, isa=None):
    """Fill `labels` (n_documents,), `resp` (n_documents, n_clusters), `log_norm` (n_documents,), whichever is given.

    Parameters
    ----------
    documents : Documents
    counts : array (n_words, n_distinct)
        How often each word of `documents` occurs in each cluster. The last column stands for clusters n_distinct - 1 to
        `n_clusters` - 1, which are equal.
    totals : array (n_distinct,)
        Number of words in each cluster, over the whole vocabulary.
    priors : array (n_distinct,)
        Prior probability of each cluster (not its logarithm).
    n_clusters : int
    n_vocabulary : int
        Size of the vocabulary, words that occur in none of `documents` included.
    beta : float
    """
    cdef const gibbs_kernels_t *kernels = mixfast_select_gibbs(resolve_isa(isa))
    cdef Py_ssize_t n_words = counts.shape[0], n_distinct = counts.shape[1], d, n_slots
    cdef int64_t begin = 0, end
    cdef const corpus_t *corpus = &documents.c
    cdef clusters_t clusters
    cdef results_t out
    cdef arena_t arena
    cdef scratch_t *scratch = <scratch_t *> calloc(n_threads, sizeof(scratch_t))
    cdef void *memory = NULL
    cdef int step, i
    n_slots = round_to_slots(n_distinct)
    shape_clusters(&clusters, n_distinct, n_slots, n_vocabulary, beta, np.max(totals) + documents.longest)
    out.labels = NULL if labels is None else &labels[0]
    out.resp = NULL if resp is None else &resp[0, 0]
    out.log_norm = NULL if log_norm is None else &log_norm[0]
    try:
        if scratch == NULL:
            raise MemoryError
        for step in range(2):
            if step == 0:
                measure_arena(&arena)
            else:
                memory = calloc(arena.used, 1)
                if memory == NULL:
                    raise MemoryError(f"{n_distinct} clusters of {n_words} words need {arena.used} bytes")
                open_arena(&arena, memory)
            clusters.counts = <double *> take(&arena, n_words * n_slots * sizeof(double))
            clusters.totals = <double *> take(&arena, n_slots * sizeof(double))
            clusters.priors = <double *> take(&arena, n_slots * sizeof(double))
            for i in range(n_threads):
                place_scratch(&scratch[i], n_slots, &arena)
        for d in range(n_words):
            memcpy(<double *> clusters.counts + d * n_slots, &counts[d, 0], n_distinct * sizeof(double))
        memcpy(<double *> clusters.totals, &totals[0], n_distinct * sizeof(double))
        memcpy(<double *> clusters.priors, &priors[0], n_distinct * sizeof(double))
        n_threads = worthwhile_threads(total_work(corpus, &clusters), n_threads)
        while begin < corpus.n_documents:
            end = next_stop(corpus, &clusters, begin, corpus.n_documents, WORK_BETWEEN_LOOKS)
            with nogil:
                for d in prange(begin, end, num_threads=n_threads):
                    evaluate_document(&clusters, n_clusters, kernels, corpus, d, &scratch[threadid()], &out)
            PyErr_CheckSignals()
            begin = end
    finally:
        free(memory)
        free(scratch)
