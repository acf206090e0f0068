"""GSDMM: clusters of short texts by collapsed Gibbs sampling, as many as the texts ask for."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from scipy.special import gammaln
from sklearn.base import ClusterMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from mixfast._gibbs import Chains, Documents, evaluate
from mixfast._threads import resolve_threads
from mixfast.convergence import Monitor
from mixfast.estimators._density import DensityEstimator

#: Whole numbers are exact up to here.
LARGEST_COUNT = 2**53


class GSDMM(ClusterMixin, DensityEstimator):
    """Clusters of short texts: a Dirichlet-multinomial mixture, fitted by collapsed Gibbs sampling.

    Each document belongs to one cluster, and each cluster has its own probabilities of words. Weights of clusters and
    probabilities of words are integrated out, under symmetric Dirichlet priors: document d goes to cluster z with
    probability proportional to

        (m_z + alpha) prod_w prod_{j < c_w} (n_zw + beta + j) / prod_{i < C} (n_z + V beta + i)

    where the others of cluster z are m_z documents with n_zw times word w, n_z words in all; c_w are the counts of the
    document, C their sum, and V is the number of words that there are. Documents begin in any of `n_components`
    clusters; most of these soon lose all their documents, and the rest is as many as the texts ask for: Yin & Wang, "A
    Dirichlet multinomial mixture model-based approach for short text clustering", KDD 2014,
    doi:10.1145/2623330.2623715.

    Parameters
    ----------
    n_components : int, default=100
        The most clusters that there may be: more than you expect. Time and memory of the first sweeps grow with it.
    alpha : float, default=0.1
        Pseudo-count of documents in each cluster, from 1e-100 to 1e100. With small ones empty clusters stay empty.
    beta : float, default=0.1
        Pseudo-count of each word in each cluster, from 1e-100 to 1e100. The larger, the fewer clusters.
    n_iter : int, default=30
        Sweeps over the documents. The state after the last is the result.
    n_init : int, default=1
        Chains, each from a start of its own; the one with the largest log joint probability in the end is kept.
    random_state : int, RandomState instance or None, default=None
        An int gives the same clusters at each fit, whatever the number of threads.
    verbose : int, default=0
        1 prints iterations, 2 also times and changes of the log joint probability of the best chain.
    verbose_interval : int, default=10
        Iterations between two lines.
    n_threads : int or None, default=None
        None takes what the process may use. A chain runs on one thread.

    Attributes
    ----------
    n_clusters_ : int
        Clusters in use. They are numbered by their documents, the largest first; empty ones come last.
    labels_ : ndarray of shape (n_samples,), int64
        The cluster of each document.
    document_counts_ : ndarray of shape (n_components,), int64
        Documents in each cluster.
    word_counts_ : ndarray of shape (n_components, n_features), int64
        How often each word comes in each cluster.
    word_totals_ : ndarray of shape (n_components,), int64
        Words in each cluster.
    weights_ : ndarray of shape (n_components,)
        Of each cluster for a new document, (m_z + alpha) / (n_samples + n_components alpha).
    probabilities_ : ndarray of shape (n_components, n_features)
        Of each word as the next in each cluster, (n_zw + beta) / (n_z + V beta). It is computed when it is asked for.
    log_joint_ : ndarray of shape (n_iter,)
        Logarithm of the joint probability of X and the labels after each sweep.
    n_iter_ : int
        Sweeps made.
    n_features_in_, feature_names_in_
        As in `GaussianMixture`.

    Raises
    ------
    ValueError
        By `fit` and the predictions, where X holds anything but counts. Numbers that sum to 2^53 or more are none.

    Notes
    -----
    A document without words belongs to any cluster with the probability of its weight, and its log probability is 0.

    There are no weights of rows: a document belongs to one cluster, but its copies may go to several. Repeat rows.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GSDMM
    >>> X = np.array([[2, 1, 0, 0], [1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 1], [0, 0, 1, 2], [0, 0, 2, 1]])
    >>> model = GSDMM(10, random_state=0).fit(X)
    >>> model.labels_, model.n_clusters_
    (array([0, 0, 0, 1, 1, 1]), 2)
    >>> model.predict([[0, 1, 0, 0], [0, 0, 0, 3]])
    array([0, 1])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, 2**31 - 1, closed="left")],
        "alpha": [Interval(Real, 1e-100, 1e100, closed="both")],
        "beta": [Interval(Real, 1e-100, 1e100, closed="both")],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, 2**31 - 1, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components=100,
        *,
        alpha=0.1,
        beta=0.1,
        n_iter=30,
        n_init=1,
        random_state=None,
        verbose=0,
        verbose_interval=10,
        n_threads=None,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.beta = beta
        self.n_iter = n_iter
        self.n_init = n_init
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.input_tags.categorical = True  # whole numbers: no other tag says that fractions are refused
        return tags

    # ---- fitting ----

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Sample the clusters of documents.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            How often each word comes in each document, as `CountVectorizer` tells. Sparse ones stay sparse.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
        """
        X = self._check_counts(X, reset=True)
        documents = Documents(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data, X.shape[1])
        chains = Chains(
            documents,
            self.n_components,
            self.alpha,
            self.beta,
            self._seed(),
            self.n_init,
            resolve_threads(self.n_threads),
        )
        log_joints = self._sample(chains, np.array([self._log_joint(X, labels) for labels in chains.labels]))
        best = int(np.argmax(log_joints[-1]))
        self._publish(X, chains.labels[best])
        self.log_joint_ = log_joints[:, best].copy()
        self.n_iter_ = self.n_iter
        return self

    def _sample(self, chains, at_start):
        """Log joint probabilities (n_iter, n_init) after each sweep."""
        if not self.verbose:
            return at_start + chains.sweep(self.n_iter)
        monitor = Monitor(self.verbose, self.verbose_interval, 0.0)
        for start in range(self.n_init):
            monitor.begin_start(start)
        log_joints = [at_start]
        for n_iter in range(1, self.n_iter + 1):
            log_joints.append(at_start + chains.sweep()[0])
            best = np.argmax(log_joints[-1])
            monitor.end_iteration(n_iter, log_joints[-1][best] - log_joints[-2][best])
        return np.array(log_joints[1:])

    def _publish(self, X, labels):
        sizes = np.bincount(labels, minlength=self.n_components)
        order = np.argsort(-sizes, kind="stable")
        self.labels_ = np.argsort(order)[labels]
        self.document_counts_ = sizes[order]
        self.n_clusters_ = int(np.count_nonzero(sizes))
        self.word_counts_ = _words_by_cluster(X, self.labels_, self.n_components).toarray().astype(np.int64)
        self.word_totals_ = self.word_counts_.sum(axis=1)

    def _log_joint(self, X, labels):
        """log p(X, labels), weights of clusters and probabilities of words integrated out."""
        n_samples, n_features = X.shape
        words = _words_by_cluster(X, labels, self.n_components)
        return (
            np.sum(gammaln(X.sum(axis=1) + 1))
            - np.sum(gammaln(X.data + 1))
            - _log_rising(self.n_components * self.alpha, n_samples)
            + np.sum(_log_rising(self.alpha, np.bincount(labels)))
            - np.sum(_log_rising(n_features * self.beta, words.sum(axis=1)))
            + np.sum(_log_rising(self.beta, words.data))
        )

    def _check_counts(self, X, reset):
        """X as sparse rows of positive whole numbers, no word twice in a row."""
        X = validate_data(self, X, reset=reset, accept_sparse="csr", dtype=np.float64)
        X = sparse.csr_array(X)
        wrong = (X.data < 0) | (X.data != np.floor(X.data))
        if np.any(wrong):
            i = int(np.argmax(X.data < 0) if np.any(X.data < 0) else np.argmax(wrong))
            row = np.searchsorted(X.indptr, i, side="right") - 1
            names = getattr(self, "feature_names_in_", None)
            column = f"{X.indices[i]}" if names is None else f"{X.indices[i]} ({names[X.indices[i]]!r})"
            what = "Negative values in data passed to GSDMM" if X.data[i] < 0 else "Data passed to GSDMM are no counts"
            raise ValueError(
                f"{what}: column {column} of X is {X.data[i]} in row {row}. Pass how often each word comes in each "
                "document, as sklearn.feature_extraction.text.CountVectorizer tells."
            )
        if np.sum(X.data) >= LARGEST_COUNT:
            raise ValueError(
                f"The counts in X sum to {np.sum(X.data):.3g}, but whole numbers are exact only below 2^53: pass fewer "
                "rows or smaller counts."
            )
        if not X.has_canonical_format or not np.all(X.data):
            X = X.copy()
            X.sum_duplicates()
            X.eliminate_zeros()
        return X

    # ---- the fitted model ----

    @property
    def weights_(self):
        return (self.document_counts_ + self.alpha) / (
            self.document_counts_.sum() + len(self.document_counts_) * self.alpha
        )

    @property
    def probabilities_(self):
        n_words = self.word_counts_.shape[1]
        return (self.word_counts_ + self.beta) / (self.word_totals_ + n_words * self.beta)[:, np.newaxis]

    def _evaluate(self, X, **wanted):
        """Fill the arrays that are wanted; of the empty clusters one stands for all."""
        n_distinct = min(self.n_clusters_ + 1, len(self.document_counts_))
        words, place = np.unique(X.indices, return_inverse=True)  # the rows of a table for these documents
        evaluate(
            Documents(X.indptr.astype(np.int64), place.astype(np.int32), X.data, len(words)),
            np.ascontiguousarray(self.word_counts_[:n_distinct, words].T, dtype=np.float64),
            self.word_totals_[:n_distinct].astype(np.float64),
            self.weights_[:n_distinct],
            len(self.document_counts_),
            X.shape[1],
            self.beta,
            n_threads=resolve_threads(self.n_threads),
            **wanted,
        )

    def predict(self, X):
        """The most likely cluster of each document, given the clusters that were found.

        A document that fits none of them gets the number `n_clusters_`, that of the first empty cluster, if there is
        one.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        check_is_fitted(self)
        X = self._check_counts(X, reset=False)
        labels = np.empty(X.shape[0], np.int64)
        self._evaluate(X, labels=labels)
        return labels

    def predict_proba(self, X):
        """The probability of each cluster given each document and the clusters that were found.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one; empty clusters have equal shares.
        """
        check_is_fitted(self)
        X = self._check_counts(X, reset=False)
        resp = np.empty((X.shape[0], len(self.document_counts_)))
        self._evaluate(X, resp=resp)
        return resp

    def score_samples(self, X):
        """The log probability of each document's counts given their sum and the clusters that were found, in nats.

        Probabilities of words are integrated out: a mixture of Dirichlet-multinomial distributions with concentrations
        `word_counts_` + beta.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        X = self._check_counts(X, reset=False)
        log_norm = np.empty(X.shape[0])
        self._evaluate(X, log_norm=log_norm)
        return log_norm

    def sample(self, n_samples=1, lengths=None, random_state=None):
        """Draw documents from the fitted model.

        Parameters
        ----------
        n_samples : int, default=1
        lengths : int or array-like of shape (n_samples,), default=None
            Words in each document. None takes the mean length of the documents that were fitted, rounded.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`; if that is an int, each call gives the same documents.

        Returns
        -------
        X : sparse array of shape (n_samples, n_features), CSR, float64
            Counts, grouped by cluster.
        y : ndarray of shape (n_samples,), int64
            The cluster of each document.
        """
        check_is_fitted(self)
        lengths = self._check_lengths(n_samples, lengths)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        weights = self.weights_
        labels = np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights / weights.sum()))
        n_words = self.word_counts_.shape[1]
        begin = np.concatenate([[0], np.cumsum(lengths)])
        words = np.empty(begin[-1], np.int64)
        for z in np.unique(labels):
            documents = np.flatnonzero(labels == z)
            own = np.concatenate([np.arange(begin[d], begin[d + 1]) for d in documents])
            concentration = self.word_counts_[z] + self.beta
            words[own] = np.searchsorted(
                np.cumsum(concentration), rng.uniform(size=len(own)) * concentration.sum(), side="right"
            ).clip(max=n_words - 1)
            # Polya's urn: word i of a document is a copy of one of the i before with probability i / (i + B)
            i = np.concatenate([np.arange(lengths[d]) for d in documents])
            copied = rng.uniform(size=len(own)) * (i + concentration.sum()) < i
            source = (rng.uniform(size=len(own)) * i).astype(np.int64)
            for j in np.flatnonzero(copied):
                words[own[j]] = words[own[j] - i[j] + source[j]]
        X = sparse.csr_array((np.ones(len(words)), words, begin), shape=(n_samples, n_words))
        X.sum_duplicates()
        return X, labels

    def _check_lengths(self, n_samples, lengths):
        if not isinstance(n_samples, Integral):
            raise TypeError(f"n_samples must be an integer, got {n_samples!r}")
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        if lengths is None:
            lengths = round(self.word_totals_.sum() / self.document_counts_.sum())
        lengths = np.asarray(lengths)
        if (
            not np.issubdtype(lengths.dtype, np.integer)
            or np.any(lengths < 0)
            or lengths.shape not in ((), (n_samples,))
        ):
            raise ValueError(
                f"lengths should be a number of words or one for each of the {n_samples} documents, whole and not "
                f"negative, got {lengths!r}"
            )
        return np.broadcast_to(lengths, n_samples)


def _words_by_cluster(X, labels, n_clusters):
    """Sparse (n_clusters, n_features): how often each word comes in the documents of each cluster."""
    n_samples = X.shape[0]
    members = sparse.csr_array((np.ones(n_samples), (labels, np.arange(n_samples))), shape=(n_clusters, n_samples))
    return members @ X


def _log_rising(x, n):
    """log(x (x + 1) ... (x + n - 1)) for a number x and an array n."""
    if x < 100:
        return gammaln(x + n) - gammaln(x)
    # by Stirling's series: Gamma functions of large numbers cancel

    def rest(y):
        return 1 / 12 / y - (1 / y) ** 3 / 360 + (1 / y) ** 5 / 1260

    return (x - 0.5) * np.log1p(n / x) + n * np.log(x + n) - n + rest(x + n) - rest(x)
