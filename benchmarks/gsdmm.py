"""GSDMM: how well it finds known clusters, and its time a sweep beside that of NumPy.

python benchmarks/gsdmm.py                                   # 11,109 made-up documents, at most 300 clusters
python benchmarks/gsdmm.py tweet.jsonl --n-components 89     # a line for each document: {"text": ..., "cluster": ...}
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from statistics import mean, median, stdev
from time import process_time

import numpy as np
from compare import positive, processor
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import normalized_mutual_info_score

from mixfast import GSDMM
from mixfast.engine._gibbs import Chains, Documents

ALPHA = BETA = 0.1
SWEEPS = 10


def read(path):
    """(counts, clusters) of a file."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    X = CountVectorizer(analyzer=str.split).fit_transform(line["text"] for line in lines)
    return sparse.csr_array(X), np.array([line["cluster"] for line in lines])


def generate(n_documents=11_109, n_words=8_110, mean_length=6.23, n_topics=152, seed=0):
    """Of the size of the titles of news that the authors clustered: topics of unequal size, words after Zipf."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, n_words + 1)
    topics = rng.dirichlet(10 * frequency / frequency.sum(), n_topics)
    labels = rng.choice(n_topics, n_documents, p=rng.dirichlet(np.ones(n_topics)))
    lengths = 1 + rng.poisson(mean_length - 1, n_documents)
    words = np.concatenate([rng.choice(n_words, n, p=topics[z]) for n, z in zip(lengths, labels, strict=True)])
    X = sparse.csr_array(
        (np.ones(len(words)), words, np.concatenate([[0], np.cumsum(lengths)])), (n_documents, n_words)
    )
    X.sum_duplicates()
    return X, labels


class ArraySampler:
    """The same sweeps in NumPy: for each document one product over its words, in all clusters at once."""

    def __init__(self, X, n_clusters, seed):
        self.rng = np.random.default_rng(seed)
        self.n_clusters, self.all_beta = n_clusters, X.shape[1] * BETA
        self.labels = self.rng.integers(n_clusters, size=X.shape[0])
        self.counts = np.zeros((X.shape[1], n_clusters))
        self.totals, self.sizes = np.zeros(n_clusters), np.zeros(n_clusters)
        self.documents = []
        for d, (begin, end) in enumerate(zip(X.indptr[:-1], X.indptr[1:], strict=True)):
            words, n = X.indices[begin:end], X.data[begin:end].astype(int)
            repeats = np.concatenate([np.arange(m) for m in n])
            length = np.arange(n.sum())[:, np.newaxis]
            document = (
                words,
                X.data[begin:end],
                np.repeat(words, n),
                repeats[:, np.newaxis] + BETA,
                length + self.all_beta,
            )
            self.documents.append(document)
            self.move(document, self.labels[d], 1)

    def move(self, document, z, sign):
        words, n, *_, length = document
        self.counts[words, z] += sign * n
        self.totals[z] += sign * len(length)
        self.sizes[z] += sign

    def sweep(self):
        draws = self.rng.random(len(self.documents))
        for d, document in enumerate(self.documents):
            self.move(document, self.labels[d], -1)
            _, _, tokens, repeats, length = document
            weight = (self.counts[tokens] + repeats).prod(axis=0)
            weight /= (self.totals + length).prod(axis=0)
            weight *= self.sizes + ALPHA
            passed = weight.cumsum()
            self.labels[d] = passed.searchsorted(draws[d] * passed[-1], side="right")
            self.move(document, self.labels[d], 1)


def compiled_sampler(X, n_clusters, seed):
    documents = Documents(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data.astype(np.float64), X.shape[1])
    return Chains(documents, n_clusters, ALPHA, BETA, seed)


def seconds(sampler):
    """Of the processor, for each of the first sweeps: both run on one thread, and what else runs is not their fault."""
    times = [process_time()]
    for _ in range(SWEEPS):
        sampler.sweep()
        times.append(process_time())
    return np.diff(times)


def race(X, n_clusters, repeats):
    """In turn: what else the machine does falls on both alike."""
    samplers = {"NumPy": ArraySampler, "mixfast": compiled_sampler}
    found = {name: [] for name in samplers}
    for repeat in range(repeats):
        for name, make in samplers.items():
            found[name].append(seconds(make(X, n_clusters, repeat)))
    means, firsts = (
        {name: median(f(t) for t in times) for name, times in found.items()} for f in (np.mean, lambda t: t[0])
    )
    print(f"milliseconds a sweep, mean of the first {SWEEPS} and the first alone; median of {repeats} runs")
    for name in samplers:
        print(f"{name:8} {1e3 * means[name]:9.3f} {1e3 * firsts[name]:9.3f}")
    print(f"{'ratio':8} {means['NumPy'] / means['mixfast']:9.0f} {firsts['NumPy'] / firsts['mixfast']:9.0f}")


def agreement(X, clusters, n_components, seeds):
    models = [
        GSDMM(n_components, alpha=ALPHA, beta=BETA, n_iter=SWEEPS, random_state=seed).fit(X) for seed in range(seeds)
    ]
    nmi = [normalized_mutual_info_score(clusters, model.labels_) for model in models]
    found = [model.n_clusters_ for model in models]
    print(f"{seeds} seeds, {SWEEPS} sweeps, true clusters: {len(np.unique(clusters))}")
    print(f"NMI      {mean(nmi):.4f}, standard deviation {stdev(nmi):.4f}, {min(nmi):.4f} to {max(nmi):.4f}")
    print(f"clusters {mean(found):.2f}, standard deviation {stdev(found):.2f}, {min(found)} to {max(found)}")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", help="documents with known clusters; made up without it")
    parser.add_argument("--n-components", type=positive, default=300, help="clusters at most (default 300)")
    parser.add_argument("--seeds", type=positive, default=20, help="at least 2 (default 20)")
    parser.add_argument("--repeats", type=positive, default=5, help="runs that are timed (default 5)")
    options = parser.parse_args(arguments)
    X, clusters = read(options.path) if options.path else generate()
    print(f"$ {shlex.join(['python', 'benchmarks/gsdmm.py', *arguments])}")
    print(f"# {processor()}, one thread")
    print(f"{X.shape[0]} documents, {X.shape[1]} words, mean length {X.sum() / X.shape[0]:.2f}")
    agreement(X, clusters, options.n_components, options.seeds)
    race(X, options.n_components, options.repeats)


if __name__ == "__main__":
    main(sys.argv[1:])
