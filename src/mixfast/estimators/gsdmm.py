"""GSDMM: clusters of short texts by collapsed Gibbs sampling, as many as the texts ask for."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClusterMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from mixfast._docstrings import described
from mixfast._threads import resolve_threads
from mixfast._typing import Floats, Integers, RowsLike, Seed
from mixfast.convergence import Monitor
from mixfast.engine._gibbs import Chains, Documents, evaluate
from mixfast.estimators._constraints import WholeNumber
from mixfast.estimators._density import DensityEstimator, fitting
from mixfast.estimators._domain import LARGEST_COUNT
from mixfast.estimators._given import check_column_names, numbers, of_known_names
from mixfast.estimators._given_totals import GivenTotals, check_totals, total_of_rows
from mixfast.estimators._rows import read_rows
from mixfast.families.counts import log_multinomial_coefficients
from mixfast.families.dirichlet_multinomial import DirichletMultinomial, DirichletMultinomialParams
from mixfast.families.domains import COUNT, check_domain
from mixfast.families.multinomial import Multinomial, MultinomialParams
from mixfast.read_only import frozen
from mixfast.reading import Readings
from mixfast.relations import Components
from mixfast.row_data import warn_of_partial_labels
from mixfast.tables import canonical
from mixfast.weights import weighted_sum


@described
class GSDMM(GivenTotals, ClusterMixin, DensityEstimator):
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
    totals_, total_shares_ : ndarray of shape (n_totals,)
        Numbers of words that documents had in `fit`, and the share of the documents that had each: what `sample` draws
        from.
    log_joint_ : ndarray of shape (n_iter,)
        Logarithm of the joint probability of X and the labels after each sweep.
    n_iter_ : int
        Sweeps made.
    <n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        By `fit` and the predictions, for values that are no counts: negative, fractions, or of a sum above 2**53.

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
        "n_components": [WholeNumber(1, 2**31 - 1)],
        "alpha": [Interval(Real, 1e-100, 1e100, closed="both")],
        "beta": [Interval(Real, 1e-100, 1e100, closed="both")],
        "n_iter": [WholeNumber(1)],
        "n_init": [WholeNumber(1, 2**31 - 1)],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [WholeNumber(1)],
        "n_threads": [WholeNumber(1), None],
    }

    def __init__(
        self,
        n_components: int = 100,
        *,
        alpha: float = 0.1,
        beta: float = 0.1,
        n_iter: int = 30,
        n_init: int = 1,
        random_state: Seed = None,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
    ) -> None:
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
        return tags

    # ---- fitting ----

    @fitting
    def fit(self, X: RowsLike, y: object = None) -> Self:
        """Sample the clusters of documents.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            How often each word comes in each document, as `CountVectorizer` tells. Sparse ones stay sparse.
        y : Ignored
            Present for API consistency by convention; with a warning where it has labels of some rows only, which
            mixtures of given numbers of components take.

        Returns
        -------
        self : object
            The estimator itself.
        """
        warn_of_partial_labels(y, self)
        X = self._validate_rows(X, reset=True)
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
        log_joints = self._sweep(chains)
        best = int(np.argmax(log_joints[-1]))
        self._publish(X, chains.labels[best])
        self._learn_design(X, None)
        self.log_joint_ = log_joints[:, best] + np.sum(log_multinomial_coefficients(X))
        self.n_iter_ = self.n_iter
        self._note_checked()
        return self

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        document_counts: ArrayLike,
        word_counts: ArrayLike,
        totals: ArrayLike | None = None,
        total_shares: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of the counts of given clusters.

        It has no documents: `labels_` and `log_joint_` are empty.

        Parameters
        ----------
        document_counts : array-like of shape (n_components,)
            Documents in each cluster: whole numbers. Clusters are numbered anew where these do not fall.
        word_counts : array-like of shape (n_components, n_features)
            How often each word comes in each cluster: whole numbers.
        totals, total_shares : array-like of shape (n_totals,), default=None
            Numbers of words of documents, and the share of the documents that has each, for `sample`; both or neither.
        <feature_names, options>

        Returns
        -------
        model : object
            Fitted.

        Raises
        ------
        ValueError
            <errors of given parameters>
        TypeError
            <errors of options>
        """
        sizes, words = numbers("document_counts", document_counts, 1), numbers("word_counts", word_counts, 2)
        if len(words) != len(sizes):
            raise ValueError(
                f"word_counts should have the shape of ({len(sizes)}, n_features), got {words.shape}: there are "
                f"{len(sizes)} document_counts of clusters"
            )
        for name, counts in (("document_counts", sizes), ("word_counts", words)):
            check_domain(name, counts, [COUNT])
            if counts.sum() > LARGEST_COUNT:
                raise ValueError(f"{name} sum to {counts.sum():.3g}: they should sum to at most 2**53")
        model = cls(len(sizes), **options)
        model._validate_params()
        model.n_features_in_, names = words.shape[1], check_column_names(feature_names, words.shape[1])
        if names is not None:
            model.feature_names_in_ = names
        for name, value in check_totals(totals, total_shares).items():
            setattr(model, f"{name}_", value)
        order = np.argsort(-sizes, kind="stable")
        model._publish_counts(np.empty(0, np.int64), sizes[order].astype(np.int64), words[order].astype(np.int64))
        model.log_joint_, model.n_iter_ = np.empty(0), 0
        model._check_state()
        return model

    def _sweep(self, chains):
        """Log joint probabilities (n_iter, n_init) after each sweep."""
        if not self.verbose:
            return chains.sweep(self.n_iter)
        monitor = Monitor(self.verbose, self.verbose_interval, 0.0)
        for start in range(self.n_init):
            monitor.begin_start(start)
        log_joints = [chains.log_joints]
        for n_iter in range(1, self.n_iter + 1):
            log_joints.extend(chains.sweep())
            best = np.argmax(log_joints[-1])
            monitor.end_iteration(n_iter, log_joints[-1][best] - log_joints[-2][best], log_joints[-1][best])
        return np.array(log_joints[1:])

    def _publish(self, X, labels):
        sizes = np.bincount(labels, minlength=self.n_components)
        order = np.argsort(-sizes, kind="stable")
        labels = np.argsort(order)[labels]
        members = scipy.sparse.csr_array(
            (np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(self.n_components, len(labels))
        )
        word_counts = (members @ X).toarray().astype(np.int64)
        self._publish_counts(labels, sizes[order], word_counts)

    def _publish_counts(self, labels, document_counts, word_counts):
        self._publish_together(labels_=labels, document_counts_=document_counts, word_counts_=word_counts)
        # asked for here, so that they are among the attributes of a fit
        self.n_clusters_, self.word_totals_ = self._follow("n_clusters_"), self._follow("word_totals_")

    _followers = {"document_counts_": ("n_clusters_",), "word_counts_": ("word_totals_",)}

    def _follow(self, name):
        fitted = vars(self)
        if name == "n_clusters_" and "document_counts_" in fitted:
            return int(np.count_nonzero(self.document_counts_))
        if name == "word_totals_" and "word_counts_" in fitted:
            return self.word_counts_.sum(axis=1)
        return super()._follow(name)

    def _check_state(self):
        super()._check_state()
        shapes = {
            "document_counts_": (np.size(self.document_counts_),),
            "word_totals_": (np.size(self.document_counts_),),
            "word_counts_": (np.size(self.document_counts_), self.n_features_in_),
            "labels_": (np.size(self.labels_),),
            "log_joint_": (self.n_iter_,),
        }
        for name, shape in shapes.items():
            own = np.asarray(getattr(self, name))
            if own.shape != shape or own.dtype.kind != ("f" if name == "log_joint_" else "i"):
                raise ValueError(f"{name} should be numbers of shape {shape}, got {own.dtype} {own.shape}")
        if self.n_clusters_ != np.count_nonzero(self.document_counts_):
            raise ValueError(f"n_clusters_={self.n_clusters_!r} is not the number of clusters with documents")
        self._check_assigned()

    def _check_domains(self):
        super()._check_domains()
        for name in ("document_counts_", "word_counts_"):
            check_domain(name, np.asarray(getattr(self, name)), [COUNT])

    def _validate_rows(self, X, reset):
        X = read_rows(self, X, False, reset=reset, accept_sparse="csr", dtype=[np.float64])
        X = canonical(scipy.sparse.csr_array(self._prepare_rows(X)))
        if np.sum(X.data) > LARGEST_COUNT:
            raise ValueError(
                f"The counts in X sum to {np.sum(X.data):.3g}, but whole numbers are exact up to 2**53 only: pass "
                "fewer rows or smaller counts."
            )
        return X

    # ---- the fitted model ----

    @property
    def weights_(self) -> Floats:
        alpha, counts = float(self.alpha), self.document_counts_  # an int may be larger than those of NumPy
        return frozen((counts + alpha) / (counts.sum() + len(counts) * alpha), copy=False)

    @property
    def probabilities_(self) -> NDArray[np.float64]:
        beta, n_words = float(self.beta), self.word_counts_.shape[1]
        totals = self.word_totals_ + n_words * beta
        return frozen((self.word_counts_ + beta) / totals[:, np.newaxis], copy=False)

    def _evaluate(self, X, **wanted):
        """Fill the arrays that are wanted; of the empty clusters one stands for all."""
        self._check_assigned()
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

    def predict(self, X: RowsLike) -> Integers:
        """The most likely cluster of each document, given the clusters that were found.

        A document that fits none of them gets the number `n_clusters_`, that of the first empty cluster, if there is
        one.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Counts of words, a row for each document.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        labels = np.empty(X.shape[0], np.int64)
        self._evaluate(X, labels=labels)
        return labels

    def predict_proba(self, X: RowsLike) -> Floats:
        """The probability of each cluster given each document and the clusters that were found.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Counts of words, a row for each document.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one; empty clusters have equal shares.
        """
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        resp = np.empty((X.shape[0], len(self.document_counts_)))
        self._evaluate(X, resp=resp)
        return resp

    def score_samples(self, X: RowsLike) -> Floats:
        """The log probability of each document's counts given their sum and the clusters that were found, in nats.

        Probabilities of words are integrated out: a mixture of Dirichlet-multinomial distributions with concentrations
        `word_counts_` + beta.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Counts of words, a row for each document.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            In nats.
        """
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        log_norm = np.empty(X.shape[0])
        self._evaluate(X, log_norm=log_norm)
        return log_norm

    def _readings(self, rows, weights, row_data):
        X = self._validate_rows(rows, reset=False)
        labels, log_norm = np.empty(X.shape[0], np.int64), np.empty(X.shape[0])
        self._evaluate(X, labels=labels, log_norm=log_norm)
        return Readings(log_norm, labels, weighted_sum(log_norm, weights)[0])

    def _is_present(self):
        return np.ones(self.n_clusters_, dtype=bool)

    def _components(self, total=None):
        """Those in use, multinomial with the expected probabilities of words."""
        check_is_fitted(self)
        self._check_assigned()
        own = slice(self.n_clusters_)
        params = MultinomialParams(self.probabilities_[own])
        totals = total_of_rows(self, total)
        return Components.of(Multinomial(), params, self.weights_[own], self.n_features_in_, totals=totals)

    def _draw(self, n_samples, rng, totals=None):
        totals = self._totals_of_sample(n_samples, rng, totals)
        labels = self._draw_components(n_samples, rng)
        params = DirichletMultinomialParams(self.word_counts_ + float(self.beta))
        return DirichletMultinomial().sample(params, labels, rng, totals), labels
