"""Trees of merges: components joined one pair at a time, as clusters that are not of the shape of one component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mixfast.read_only import ReadOnlyFields
from mixfast.relations import check_is_fitted_mixture, check_option, has_noise, without_left_out
from mixfast.row_data import counted_and_separated, firsts_of, numbered
from mixfast.whole import check_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class MergeTree(ReadOnlyFields):
    """The order in which `merge_tree` merged the components of a mixture.

    Attributes
    ----------
    model : estimator
        The mixture. Merging leaves its density as it is.
    criterion : {'entropy', 'icl', 'overlap'}
    merges : list of pair of tuple of int
        The components of the two clusters of each merge, that with the lower number first.
    gains : ndarray of shape (n_components - 1,)
        What each merge had more of than all others: fall of the entropy, rise of the sum of log max_k t_k, or overlap.
    entropy : ndarray of shape (n_components,)
        ``entropy[k - 1]`` is the entropy of the classification with k clusters -sum_i w_i sum_k t_ik log t_ik, uniform
        noise, which stays by itself, being one more.
    linkage : ndarray of shape (n_components - 1, 4)
        The tree as `scipy.cluster.hierarchy` has it: `dendrogram` draws it, `fcluster` cuts it. Heights are the gains
        added up, for gains need not fall from merge to merge; of overlaps, 1 less each.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mixfast import GaussianMixture, merge_tree
    >>> X = load_iris().data
    >>> tree = merge_tree(GaussianMixture(3, random_state=0).fit(X), X)
    >>> sorted(len(cluster) for cluster in tree.clusters(2))
    [1, 2]
    """

    model: Any
    criterion: Literal["entropy", "icl", "overlap"]
    merges: list[tuple[tuple[int, ...], tuple[int, ...]]]
    gains: NDArray[np.float64]
    entropy: NDArray[np.float64]
    linkage: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"<MergeTree: {len(self.entropy)} components of a {type(self.model).__name__}, by {self.criterion}>"

    def clusters(self, n_clusters: int) -> list[tuple[int, ...]]:
        """The components of each cluster.

        Parameters
        ----------
        n_clusters : int
            From 1 to the number of components.

        Returns
        -------
        clusters : list of tuple of int
            In the order of their lowest numbers.

        Raises
        ------
        ValueError
            For another number.
        """
        K = len(self.entropy)
        check_whole("n_clusters", n_clusters, 1, K)
        clusters: set[tuple[int, ...]] = {(k,) for k in range(K)}
        for one, other in self.merges[: K - n_clusters]:
            clusters -= {one, other}
            clusters.add(tuple(sorted(one + other)))
        return sorted(clusters)

    def labels(self, n_clusters: int, X: ArrayLike, **row_data: ArrayLike) -> NDArray[np.int64]:
        """The most likely cluster of each row.

        Parameters
        ----------
        n_clusters : int
            From 1 to the number of components.
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        **row_data
            As in `merge_tree`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of the clusters in the order of `clusters(n_clusters)`. -1 for rows that are most likely noise, and
            for those that a model with `trim` leaves out, as `predict` has them.

        Raises
        ------
        ValueError
            For another number of clusters, and rows that the model refuses.
        """
        clusters = self.clusters(n_clusters)
        rows, row_data = self.model._rows_and_data(X, **row_data)
        resp = self.model._shares_of_rows(rows, **row_data)
        noise = [resp[:, -1]] if has_noise(self.model) else []
        labels = np.argmax([*(resp[:, list(own)].sum(axis=1) for own in clusters), *noise], axis=0).astype(np.int64)
        is_kept = without_left_out(self.model, rows, labels < len(clusters), row_data) > 0
        return np.where(is_kept, labels, -1)

    def bend(self, n_lines: int = 2) -> int | None:
        """The number of clusters at which the entropy, drawn over the number of clusters, bends first.

        Lines are fitted to its stretches by least squares, each with both of its ends, which lines need not meet in:
        Baudry et al. (2010), section 4, and `clustCombiOptim` of R's mclust.

        Parameters
        ----------
        n_lines : int, default=2
            Straight pieces that are fitted to the course of the entropy.

        Returns
        -------
        n_clusters : int or None
            None where there are too few components for so many lines.

        Raises
        ------
        ValueError
            For fewer than two lines.
        """
        check_whole("n_lines", n_lines, 2)
        K = len(self.entropy)
        breaks = combinations(range(2, K), int(n_lines) - 1)
        best = min(breaks, default=None, key=lambda own: sum(map(self._misfit, pairwise((1, *own, K)))))
        return None if best is None else best[0]

    def _misfit(self, stretch: tuple[int, int]) -> float:
        """The sum of squares that a line leaves of the entropies from one number of clusters to another."""
        first, last = stretch
        x, y = np.arange(first, last + 1.0), self.entropy[first - 1 : last]
        x, y = x - x.mean(), y - y.mean()
        return float(y @ y - (x @ y) ** 2 / (x @ x))

    def plot(self, ax: Axes | None = None, *, kind: Literal["tree", "entropy"] = "tree") -> Axes:
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.
        kind : {'tree', 'entropy'}, default='tree'
            The dendrogram, or the entropy over the number of clusters, with its bend.

        Returns
        -------
        ax : matplotlib Axes
            What was drawn on.

        Raises
        ------
        ValueError
            For another kind.
        """
        from mixfast import map_pictures

        check_option("kind", kind, map_pictures.TREES)
        return map_pictures.TREES[kind](self, ax)


def merge_tree(
    model: Any,
    X: ArrayLike,
    *,
    criterion: Literal["entropy", "icl", "overlap"] = "entropy",
    sample_weight: ArrayLike | None = None,
    **row_data: ArrayLike,
) -> MergeTree:
    """Merge the components of a fitted mixture one pair at a time, until one cluster is left.

    A cluster may need several components; merging them leaves the density of the mixture as it is. Baudry, Raftery,
    Celeux, Lo & Gottardo, "Combining mixture components for clustering", J. Comput. Graph. Stat. 19 (2010),
    doi:10.1198/jcgs.2010.08111; R's `clustCombi`.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows whose responsibilities decide.
    criterion : {'entropy', 'icl', 'overlap'}, default='entropy'
        Which pair is merged next: that by which the entropy of the responsibilities falls most; that which improves the
        integrated completed likelihood most, in which each row has its most likely cluster; or that which is mistaken
        for each other most, by the larger of the two shares of a cluster's rows that are given to the other, as in
        Hennig, "Methods for merging Gaussian mixture components", Adv. Data Anal. Classif. 4 (2010), section 4.4.
        Uniform noise is no cluster, and rows that a model with `trim` leaves out do not count.
    sample_weight : array-like of shape (n_samples,), default=None
        How often each row counts.
    **row_data
        What the rows have beside their values, as in the model's `fit`: `exposure`, or `y` of mixtures of experts. A
        group counts once, as in `icl`, with the weight of its first row.

    Returns
    -------
    tree : MergeTree
        Which components merge, in which order, at which entropy.

    Raises
    ------
    NotFittedError
        For a model before `fit`.
    TypeError
        For what is no mixture.
    ValueError
        For another criterion, weights that are none, and rows that the model refuses.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, merge_tree
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, 300), rng.normal(2, 1, 300), rng.normal(20, 1, 300)])[:, np.newaxis]
    >>> model = GaussianMixture(3, canonical_order=True, random_state=0).fit(X)
    >>> tree = merge_tree(model, X)
    >>> tree.merges[0], tree.clusters(2)
    (((0,), (1,)), [(0, 1), (2,)])
    """
    check_is_fitted_mixture(model, X, "merge_tree(model, X)")
    check_option("criterion", criterion, CRITERIA)
    rows, weights, row_data = counted_and_separated(X, sample_weight, model._gathered_data(row_data))
    rows, row_data = model._rows_and_data(rows, **row_data)
    resp = model._shares_of_rows(rows, **row_data)
    weights = without_left_out(model, rows, np.ones(len(resp)) if weights is None else weights, row_data)
    if row_data.get("groups") is not None:
        weights = weights * firsts_of(numbered(row_data["groups"], len(weights)))
    return _grown(model, resp, weights, criterion)


def _grown(model, resp, weights, criterion):
    scores, height = CRITERIA[criterion]
    K = resp.shape[1] - has_noise(model)  # which has the last column, and merges with nothing
    clusters, nodes = [(k,) for k in range(K)], list(range(K))
    merges, gains, entropy, linkage, total = [], [], [_entropy(resp, weights)], [], 0.0
    while len(clusters) > 1:
        gain = scores(resp, weights)
        gain[np.tril_indices(len(gain))] = -np.inf
        gain[:, len(clusters) :] = -np.inf
        i, j = np.unravel_index(np.argmax(gain), gain.shape)
        merges.append((clusters[i], clusters[j]))
        gains.append(float(gain[i, j]))
        total += height(gains[-1])
        clusters[i] = tuple(sorted(clusters[i] + clusters[j]))
        linkage.append([*sorted((nodes[i], nodes[j])), total, len(clusters[i])])
        nodes[i] = K + len(linkage) - 1
        resp[:, i] += resp[:, j]
        resp = np.delete(resp, j, axis=1)
        del clusters[j], nodes[j]
        entropy.append(_entropy(resp, weights))
    return MergeTree(
        model, criterion, merges, np.array(gains), np.array(entropy[::-1]), np.array(linkage).reshape(-1, 4)
    )


def _entropy(resp, weights):
    return float(weights @ entr(resp).sum(axis=1))


def _by_entropy(resp, weights):
    """The fall of the entropy by each merge."""
    own = entr(resp)
    return _of_pairs(resp, lambda i, sums: own[:, i : i + 1] + own[:, i + 1 :] - entr(sums), weights)


def _by_icl(resp, weights):
    """The rise of sum_i w_i log max_k t_ik."""
    largest = resp.max(axis=1, keepdims=True)
    return _of_pairs(resp, lambda i, sums: np.log(np.maximum(sums / largest, 1.0)), weights)


def _of_pairs(resp, terms, weights):
    """Sums over the rows of terms(i, t_i + t_j for all j > i), above the diagonal."""
    K = resp.shape[1]
    found = np.zeros((K, K))
    for i in range(K - 1):
        found[i, i + 1 :] = weights @ terms(i, resp[:, i : i + 1] + resp[:, i + 1 :])
    return found


def _by_overlap(resp, weights):
    """The larger of the shares of either cluster's rows that are given to the other."""
    best = np.argmax(resp, axis=1)[:, np.newaxis] == np.arange(resp.shape[1])
    shared = (resp * weights[:, np.newaxis]).T @ best.astype(np.float64)
    sizes = np.maximum(weights @ resp, np.finfo(float).tiny)[:, np.newaxis]
    return np.maximum(shared / sizes, (shared / sizes).T)


#: criterion -> (responsibilities, weights) -> what the pair with most of is merged next; and what a gain adds in height
CRITERIA: dict[str, tuple[Callable, Callable]] = {
    "entropy": (_by_entropy, lambda gain: max(gain, 0.0)),
    "icl": (_by_icl, lambda gain: max(gain, 0.0)),
    "overlap": (_by_overlap, lambda gain: max(1 - gain, 0.0)),
}
