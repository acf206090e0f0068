"""Maps of mixtures: which components overlap, and where they lie relative to each other in two dimensions
(`MixtureMap`, `BatchMap`). Maps hold arrays; `map_pictures.py` draws them.

`from mixfast.maps import MixtureMap, merge_tree, match, reduce`, or each of them from `mixfast`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr
from sklearn.utils.validation import _num_samples

from mixfast.canvas import some_rows
from mixfast.in_messages import in_short
from mixfast.matching import match as match
from mixfast.matching import reduce as reduce
from mixfast.merging import MergeTree as MergeTree
from mixfast.merging import merge_tree as merge_tree
from mixfast.read_only import ReadOnlyFields
from mixfast.relations import Components, Draws, Estimates, check_is_fitted_mixture, check_option, components_of
from mixfast.row_data import OF_COMPONENTS, check_no_others, check_rows_are_there, names_for_densities
from mixfast.whole import check_whole

if TYPE_CHECKING:
    import networkx as _networkx  # stubtest takes public names for those of the module
    import pandas as _pandas
    from matplotlib.axes import Axes


#: A map keeps at most so many rows.
MAX_ROWS = 5000
#: How far, of the width of the map, rows are moved by chance.
SCATTER = 0.04


@dataclass(frozen=True, eq=False, repr=False)
class MixtureMap(ReadOnlyFields):
    """How the components of a fitted mixture relate, as arrays.

    `MixtureMap.from_estimator` makes it. Standard errors are 0 where numbers are exact, in closed form or by
    quadrature; others come from draws from the model.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    names : list of str
        Names of the components.
    measure : {'overlap', 'bhattacharyya', 'jensen-shannon'}
        What `similarity` is.
    overlap, overlap_error : ndarray of shape (n_components, n_components)
        ``overlap[i, j]`` is the probability that component j is more likely than i, weights counted, for a row of
        component i: P(w_j f_j > w_i f_i | i), the pairwise misclassification probability of Maitra & Melnykov,
        "Simulating data to study performance of finite mixture modeling and clustering algorithms", J. Comput. Graph.
        Stat. 19 (2010), doi:10.1198/jcgs.2009.08054; 1 on the diagonal. Theirs is ``overlap + overlap.T``.
    confusion, confusion_error : ndarray of shape (n_components, n_components)
        ``confusion[i, j]`` is the probability that j is the most likely of all components for a row of component i.
        Rows sum to 1.
    distance, distance_error : ndarray of shape (n_components, n_components)
        Bhattacharyya's, minus the logarithm of the integral of sqrt(f_i f_j); with `measure` 'jensen-shannon' the
        divergence of that name in nats, at most log 2, whatever the weights.
    similarity : ndarray of shape (n_components, n_components)
        What neighbours are found by: ``overlap + overlap.T``, Bhattacharyya's coefficient, or 1 less the Jensen-Shannon
        divergence in bits, as `measure` says; 0 on the diagonal.
    threshold : float
    neighbours : int64 ndarray of shape (n_neighbours, 2)
        Pairs of components whose similarity is above the threshold, the most similar first.
    positions : ndarray of shape (n_components, 2)
        Where the components lie on the map.
    shown : float
        The share of the spread of the components that two dimensions show, from 0 to 1.
    entropy, entropy_error : float
        The mean entropy of the classification of a row, -sum_k t_k log t_k in nats: of the rows X, or of the model.
    total : int or None
        The sum of the rows that all this is about, for mixtures of counts given their sums.
    row_positions : ndarray of shape (n_rows, 2) or None
        Of the rows X, or of 5,000 of them; the same of `row_labels`, int64, and `row_uncertainty`, 1 less the largest
        responsibility.
    """

    weights: NDArray[np.float64]
    names: list[str]
    measure: Literal["overlap", "bhattacharyya", "jensen-shannon"]
    overlap: NDArray[np.float64]
    overlap_error: NDArray[np.float64]
    confusion: NDArray[np.float64]
    confusion_error: NDArray[np.float64]
    distance: NDArray[np.float64]
    distance_error: NDArray[np.float64]
    similarity: NDArray[np.float64]
    threshold: float
    neighbours: NDArray[np.int64]
    positions: NDArray[np.float64]
    shown: float
    entropy: float
    entropy_error: float
    total: int | None = None
    row_positions: NDArray[np.float64] | None = None
    row_labels: NDArray[np.int64] | None = None
    row_uncertainty: NDArray[np.float64] | None = None

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: ArrayLike | None = None,
        *,
        measure: Literal["overlap", "bhattacharyya", "jensen-shannon"] = "overlap",
        n_samples: int = 20_000,
        random_state: int | np.random.RandomState | None = 0,
        threshold: float = 0.01,
        layout: Literal["scaling", "discriminant"] = "scaling",
        names: list[str] | None = None,
        total: int | None = None,
        **row_data: ArrayLike,
    ) -> MixtureMap:
        """The map of a fitted mixture, of any family.

        Overlaps of Gaussians are exact, and so are Bhattacharyya's distances of all families but Student-t and
        Dirichlet-multinomial components; what has no closed form is found by draws from the model. Of posteriors
        (`BayesianGaussianMixture`, `DirichletProcessMixture`, `GSDMM`) the map shows the components with their expected
        parameters, after `algorithm="sampler"` those of the point partition, and of `GSDMM` the clusters in use.

        Parameters
        ----------
        model : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features), default=None
            Rows for the picture, by which the entropy of the classification is measured too. A mixture of experts needs
            them: its components are distributions of x and y together, with the x of these rows, each as likely as the
            component is there.
        measure : {'overlap', 'bhattacharyya', 'jensen-shannon'}, default='overlap'
            What neighbours are found by. The last also sets `distance`.
        n_samples : int, default=20_000
            Draws, in equal numbers from all components.
        random_state : int, RandomState instance or None, default=0
            Of the draws.
        threshold : float, default=0.01
            Similarity above which two components are neighbours.
        layout : {'scaling', 'discriminant'}, default='scaling'
            Classical multidimensional scaling in which log(1 + `distance`) has the place of squared distances: near
            components of one covariance lie as their whitened means do, and far ones do not press all others into one
            point. Or, for components with means and covariances, the means along the two directions
            that separate the components most, in means and in covariances: those of R's `MclustDR`, Scrucca, "Dimension
            reduction for model-based clustering", Stat. Comput. 20 (2010), doi:10.1007/s11222-009-9138-7.
        names : list of str of length n_components, default=None
            None takes their numbers.
        total : int, default=None
            For mixtures of counts given their sums, the sum of the rows that are looked at; None is the mean of
            those in `fit`.
        **row_data
            What the rows have beside their values, as in the model's `fit`: `exposure`, or `y` of mixtures of experts,
            without which their rows are not drawn. Components of counts overlap less the larger exposures are: overlaps
            and distances are those of rows of these exposures, each as likely as any other, and found by draws;
            without X there may be any number of exposures. None is 1.

        Returns
        -------
        map : MixtureMap
            To look at, and to draw by `plot`.

        Raises
        ------
        NotFittedError
            For a model before `fit`.
        TypeError
            For what is no mixture, for `total` where a model does not want it, for row data that the model does not
            know, and for `groups` or `known_labels` without X.
        ValueError
            For options out of range, rows that the model refuses, and counts whose totals no one said.

        Examples
        --------
        >>> from mixfast import GaussianMixture, MixtureMap
        >>> model = GaussianMixture.from_parameters(
        ...     weights=[0.5, 0.3, 0.2],
        ...     means=[[0.0, 0.0], [2.5, 0.5], [1.0, 2.0]],
        ...     covariances=[[1.2, 0.5], [0.5, 0.8]],
        ...     covariance_type="tied",
        ... )
        >>> found = MixtureMap.from_estimator(model)
        >>> print(found.overlap.round(3))
        [[1.    0.08  0.063]
         [0.163 1.    0.047]
         [0.236 0.079 1.   ]]
        >>> found.neighbours.tolist()
        [[0, 2], [0, 1], [1, 2]]
        """
        check_is_fitted_mixture(model, X, "MixtureMap.from_estimator(model, X)")
        check_option("measure", measure, MEASURES)
        check_option("layout", layout, LAYOUTS)
        n_samples = check_whole("n_samples", n_samples)
        if not 0 <= threshold:
            raise ValueError(f"threshold={threshold!r} should be at least 0")
        check_no_others("MixtureMap.from_estimator", model, row_data)
        is_of_rows = hasattr(model, "_draws")
        if is_of_rows:  # experts: overlaps depend on x, so draws are at these rows
            if X is None:
                raise ValueError(f"the components of a {type(model).__name__} are those of y given x: pass X")
            X, row_data = model._rows_and_data(X, **row_data)
            components, draws = None, model._draws(X, n_samples, random_state, **row_data)
        else:
            check_rows_are_there("X", X, {name: row_data.get(name) for name in OF_COMPONENTS})
            components, of_rows = components_of(model, total), _given_of_rows(model, X, row_data)
            draws = components.draw(n_samples, random_state, getattr(model, "n_threads", None), of_rows)
        K = len(draws.weights)
        names = [str(k) for k in range(K)] if names is None else [str(name) for name in names]
        if len(names) != K:
            raise ValueError(f"names has {len(names)} names for {K} components")
        in_closed_form = components if is_of_rows or not of_rows else None  # closed forms are at an exposure of 1
        overlap, distance = overlaps_and_distances(in_closed_form, draws)
        confusion = draws.confusion(None if np.any(overlap.errors) else overlap.values)
        distance, similarity = MEASURES[measure](draws, overlap.values, distance)
        np.fill_diagonal(similarity, 0.0)
        positions, shown, directions = LAYOUTS[layout](components, distance.values)
        if X is not None and (not is_of_rows or "y" in row_data):
            resp = model._shares_of_rows(X, **row_data)[:, :K]
            entropy = Estimates(float(entr(resp).sum(axis=1).mean()), 0.0)
            shown_rows = rows_on_map(resp, positions, directions, X, lambda rows: _filled(model, rows))
        else:
            entropy, shown_rows = draws.entropy(), {}
        return cls(
            weights=draws.weights,
            names=names,
            measure=measure,
            overlap=overlap.values,
            overlap_error=overlap.errors,
            confusion=confusion.values,
            confusion_error=confusion.errors,
            distance=distance.values,
            distance_error=distance.errors,
            similarity=similarity,
            threshold=float(threshold),
            neighbours=neighbours_of(similarity, threshold),
            positions=positions,
            shown=shown,
            entropy=float(entropy.values),
            entropy_error=float(entropy.errors),
            total=None if components is None else components.row_data.get("totals"),
            **shown_rows,
        )

    def __repr__(self) -> str:
        K, n = len(self.weights), len(self.neighbours)
        return f"<MixtureMap: {K} components, {n} pairs of neighbours by {self.measure} above {self.threshold:g}>"

    def to_frame(self, kind: Literal["components", "pairs"] = "components") -> _pandas.DataFrame:
        """The map as a pandas DataFrame.

        Parameters
        ----------
        kind : {'components', 'pairs'}, default='components'
            A row for each component: its name and weight, the probability that one of its rows is given to another
            (`error`), the name of the component that is most similar, and the position. Or a row for each pair, the
            lower number first: names, ``overlap[i, j]`` and ``overlap[j, i]``, similarity, distance, standard errors.

        Returns
        -------
        frame : pandas.DataFrame
            Scalars only.
        """
        import pandas as pd

        check_option("kind", kind, ("components", "pairs"))
        names = np.array(self.names, dtype=object)
        if kind == "components":
            alone = len(names) == 1
            return pd.DataFrame(
                {
                    "component": names,
                    "weight": self.weights,
                    "error": 1 - np.diagonal(self.confusion),
                    "nearest": [None] if alone else names[np.argmax(self.similarity - np.eye(len(names)), axis=1)],
                    "x": self.positions[:, 0],
                    "y": self.positions[:, 1],
                }
            )
        i, j = np.triu_indices(len(names), 1)
        return pd.DataFrame(
            {
                "component": names[i],
                "other": names[j],
                "overlap": self.overlap[i, j],
                "overlap_back": self.overlap[j, i],
                "overlap_error": np.hypot(self.overlap_error[i, j], self.overlap_error[j, i]),
                "similarity": self.similarity[i, j],
                "distance": self.distance[i, j],
                "distance_error": self.distance_error[i, j],
            }
        )

    def to_networkx(self) -> _networkx.Graph:
        """The map as a graph of networkx.

        Returns
        -------
        graph : networkx.Graph
            Nodes are numbers of components with `name`, `weight` and `position`; edges join neighbours, with `weight`,
            the similarity, and `distance`.

        Raises
        ------
        ImportError
            Where networkx is not installed.
        """
        try:
            import networkx
        except ImportError as error:
            raise ImportError("to_networkx needs networkx: install it with pip install networkx") from error
        graph = networkx.Graph(measure=self.measure)
        for k, (name, weight, (x, y)) in enumerate(zip(self.names, self.weights, self.positions, strict=True)):
            graph.add_node(k, name=name, weight=float(weight), position=(float(x), float(y)))
        for i, j in self.neighbours.tolist():
            graph.add_edge(i, j, weight=float(self.similarity[i, j]), distance=float(self.distance[i, j]))
        return graph

    def plot(self, ax: Axes | None = None, *, kind: Literal["nodes", "heatmap", "rows"] = "nodes") -> Axes:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.
        kind : {'nodes', 'heatmap', 'rows'}, default='nodes'
            'nodes': components at their positions, with an area that is their weight, joined where they are neighbours
            by lines as wide as they are similar. 'heatmap': the matrix of overlaps. 'rows': rows under the nodes, the
            darker the less sure their component is; the map needs X for it. With `layout='scaling'` a row lies at the
            mean of the components' positions by its responsibilities, moved a little by chance so that rows do not hide
            one another; with 'discriminant' where its values put it, missing ones being the means given the others.

        Returns
        -------
        ax : matplotlib Axes
            What was drawn on.

        Raises
        ------
        ValueError
            For rows of a map that was made without X, and for another kind.
        """
        from mixfast import map_pictures

        check_option("kind", kind, map_pictures.KINDS)
        return map_pictures.KINDS[kind](self, ax)


def symmetric(n: int, pairs: tuple, values: NDArray) -> NDArray[np.float64]:
    """The symmetric matrix (n, n) with `values` at `pairs` of indices and 0 on the diagonal; -0 becomes 0."""
    matrix = np.zeros((n, n))
    matrix[pairs] = values + 0.0
    return matrix + matrix.T


def overlaps_and_distances(components: Components | None, draws: Draws) -> tuple[Estimates, Estimates]:
    """(`Estimates` of P[i, j] = P(w_j p_j > w_i p_i | i), `Estimates` of Bhattacharyya's distances): exact where the
    family has closed forms, else by draws."""
    if components is not None and components.family.log_ratios is not None:
        return exact_overlaps_and_distances(components)
    if components is not None and components.family.log_affinity is not None:
        pairs = components.pairs()
        logs = components.over_pairs(components.family.log_affinity, *pairs)
        return draws.overlaps(), Estimates.exact(symmetric(len(draws.weights), pairs, -logs))
    found = draws.affinities()
    with np.errstate(divide="ignore"):
        distance = Estimates(-np.log(found.values) + 0.0, found.errors / found.values)
    return draws.overlaps(), distance


def exact_overlaps_and_distances(components: Components) -> tuple[Estimates, Estimates]:
    """The same for families with `log_ratios`, exact."""
    weights, (i, j) = components.weights, components.pairs()

    def relations(p, q, log_odds):
        ratios = components.family.log_ratios(p, q)
        return (*ratios.overlaps(log_odds), ratios.log_affinity())

    with np.errstate(divide="ignore", invalid="ignore"):
        log_odds = np.log(weights[j] / weights[i])
    log_odds[np.isnan(log_odds)] = -np.inf  # of two components of weight 0 neither wins
    above, below, logs = components.over_pairs(relations, i, j, log_odds)
    overlap = np.eye(len(weights))
    overlap[i, j], overlap[j, i] = above, np.where(weights[i] + weights[j] > 0, below, 0.0)
    return Estimates.exact(overlap), Estimates.exact(symmetric(len(weights), (i, j), -logs))


def _by_overlap(draws, overlap, distance):
    return distance, overlap + overlap.T


def _by_affinity(draws, overlap, distance):
    return distance, np.exp(-distance.values)


def _by_jensen_shannon(draws, overlap, distance):
    distance = draws.jensen_shannon()
    return distance, 1 - distance.values / np.log(2)


#: measure -> (draws, overlap, Bhattacharyya's distances) -> distances, similarities
MEASURES = {"overlap": _by_overlap, "bhattacharyya": _by_affinity, "jensen-shannon": _by_jensen_shannon}


def neighbours_of(similarity: NDArray, threshold: float) -> NDArray[np.int64]:
    """Pairs i < j with a similarity above the threshold, int64 (n_pairs, 2), the most similar first."""
    i, j = np.triu_indices(len(similarity), 1)
    own = np.flatnonzero(similarity[i, j] > threshold)
    own = own[np.argsort(-similarity[i, j][own], kind="stable")]
    return np.column_stack([i[own], j[own]]).astype(np.int64)


def by_scaling(components: Components | None, distance: NDArray) -> tuple[NDArray, float, None]:
    """Classical multidimensional scaling of log(1 + distance) in the place of squared distances. Where `distance` are
    squared Euclidean distances, as for Gaussians of one covariance, so are these (Schoenberg, "Metric spaces and
    completely monotone functions", Ann. Math. 39 (1938)). Infinite distances count as twice the largest finite one."""
    positions, values, _ = scaled(distance)
    return positions, share_shown(values), None


def share_shown(values: NDArray) -> float:
    """The share of the spread that two dimensions show: the sum of the two largest eigenvalues over that of all
    positive ones. `values` are eigenvalues, the largest first."""
    spread = values.sum()
    return float(values[:2].sum() / spread) if spread > 0 else 1.0


def squares_of(distance: NDArray) -> NDArray[np.float64]:
    """log(1 + distance), with infinite distances replaced; what `scaled` takes for squared distances."""
    finite = np.isfinite(distance)
    return np.log1p(np.where(finite, distance, 2 * np.max(distance, initial=1.0, where=finite)))


def scaled(distance: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Classical scaling: (positions (n, 2), all eigenvalues, squared distances of the points from their centre
    (n,))."""
    centred = squares_of(distance)
    centred = centred - centred.mean(axis=0)
    products = -0.5 * (centred - centred.mean(axis=1, keepdims=True))
    values, vectors = np.linalg.eigh(products)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    positions = np.zeros((len(distance), 2))
    n = min(2, len(distance))
    positions[:, :n] = _upright(vectors[:, :n] * np.sqrt(values[:n]))
    return positions, values, np.diagonal(products)


def placed(distance: NDArray, others: NDArray) -> NDArray[np.float64]:
    """Positions of further points in the plane of `scaled(distance)`, (n_others, 2), from their distances `others`
    (n_others, n) to its points: Gower, "Adding a point to vector diagrams in multivariate analysis", Biometrika 55
    (1968)."""
    positions, values, squares = scaled(distance)
    values = np.append(values, [0.0, 0.0])[:2]
    along = positions / np.where(values > 1e-12 * max(values[0], 1e-300), values, np.inf)
    return 0.5 * (squares - squares_of(others)) @ along


def by_discriminants(components: Components | None, distance: NDArray) -> tuple[NDArray, float, tuple]:
    """Means of the components projected on the two directions, in units of the total covariance, along which means and
    covariances differ most between components."""
    if components is None or not hasattr(components.family, "covariance_matrices"):
        raise ValueError("layout='discriminant' is for components with means and covariances: take layout='scaling'")
    family, params, weights = components.family, components.params, components.weights
    centre = weights @ params.means
    deviations = params.means - centre
    between = (weights[:, np.newaxis] * deviations).T @ deviations
    matrices = family.covariance_matrices(params)
    within = np.einsum("k,kij->ij", weights, matrices)
    whole = between + within
    kernel = between @ np.linalg.solve(whole, between)
    for weight, matrix in zip(weights, matrices, strict=True):
        kernel += weight * (matrix - within) @ np.linalg.solve(whole, matrix - within)
    values, directions = scipy.linalg.eigh((kernel + kernel.T) / 2, whole)
    values, directions = np.maximum(values[::-1], 0), directions[:, ::-1][:, :2]
    positions = np.zeros((len(weights), 2))
    found = deviations @ directions
    turned = _upright(found)
    positions[:, : found.shape[1]] = turned
    signs = np.where(np.any(turned != found, axis=0), -1.0, 1.0)
    return positions, share_shown(values), (centre, directions * signs)


#: layout -> (components, distance) -> positions, the share that they show, centre and directions of rows or None
LAYOUTS = {"scaling": by_scaling, "discriminant": by_discriminants}


def _upright(positions: NDArray) -> NDArray:
    """Fix the signs of eigenvectors: the number of largest magnitude in each column becomes positive."""
    if not positions.size:
        return positions
    largest = positions[np.argmax(np.abs(positions), axis=0), np.arange(positions.shape[1])]
    return positions * np.where(largest < 0, -1.0, 1.0) + 0.0  # not -0


def _given_of_rows(model, X, row_data):
    """What densities of rows depend on beside their values, checked, by name; a warning where the fit was given it, and
    neither rows, which predictions warn of, nor it are given here."""
    names = names_for_densities(model)
    given = {name: row_data[name] for name in names if row_data.get(name) is not None}
    if not names or (X is not None and not given):
        return {}
    n_rows = len(np.ravel(next(iter(given.values()), 1))) if X is None else _num_samples(X)
    return model._check_row_data(given, np.empty((n_rows, 0)), reset=False)


def _filled(model, rows):
    """Rows of numbers, those that lack entries with the means of what is missing given what is there."""
    rows = np.asarray(rows, dtype=np.float64)
    return model.impute(rows) if np.any(np.isnan(rows)) else rows


def rows_on_map(
    resp: NDArray, positions: NDArray, directions: tuple | None, X: ArrayLike, filled: Callable[[ArrayLike], NDArray]
) -> dict[str, NDArray]:
    """Positions, labels and uncertainties of rows, or of some of them, always the same; `filled` completes rows."""
    rng = np.random.default_rng(0)
    shown = some_rows(len(resp), MAX_ROWS)
    resp = resp[shown]
    if directions is None:
        scatter = SCATTER * np.max(np.ptp(positions, axis=0)) * rng.standard_normal((len(resp), 2))
        row_positions = resp @ positions + scatter
    else:
        centre, along = directions
        row_positions = np.zeros((len(resp), 2))
        row_positions[:, : along.shape[1]] = (filled(np.asarray(X, dtype=np.float64)[shown]) - centre) @ along
    return {
        "row_positions": row_positions,
        "row_labels": np.argmax(resp, axis=1).astype(np.int64),
        "row_uncertainty": 1 - np.max(resp, axis=1),
    }


@dataclass(frozen=True, eq=False, repr=False)
class BatchMap(ReadOnlyFields):
    """How the components of many fits fall together: each has the component of a reference that it is matched with.

    `BatchMap.from_result` makes it. Its points are the components of all problems that have parameters.

    Attributes
    ----------
    problems, components : int64 ndarray of shape (n_points,)
        The problem of each point, and its number there.
    matched : int64 ndarray of shape (n_points,)
        The component of the reference that it is, -1 for none.
    weights : ndarray of shape (n_points,)
    positions : ndarray of shape (n_points, 2)
    reference_positions : ndarray of shape (n_components of the reference, 2)
    reference_weights : ndarray of shape (n_components of the reference,)
    axes : tuple of str
        What the two coordinates are.
    """

    problems: NDArray[np.int64]
    components: NDArray[np.int64]
    matched: NDArray[np.int64]
    weights: NDArray[np.float64]
    positions: NDArray[np.float64]
    reference_positions: NDArray[np.float64]
    reference_weights: NDArray[np.float64]
    axes: tuple[str, str]

    @classmethod
    def from_result(
        cls, result: Any, reference: Any = None, *, features: Sequence[int | str] | None = None
    ) -> BatchMap:
        """The map of a batch.

        Parameters
        ----------
        result : BatchResult
            What `fit_many` and its kin return.
        reference : int or estimator, default=None
            As in `BatchResult.align`.
        features : pair of int or str, default=None
            Columns whose means (probabilities, rates, ...) are the coordinates, by number or name. None takes both of
            two columns; of one column its mean, and the weight of the component; of more the map of the reference, on
            which each component lies by its distances from the reference's.

        Returns
        -------
        map : BatchMap
            To look at, and to draw by `plot`.

        Raises
        ------
        TypeError
            For what is no `BatchResult`.
        ValueError
            For a batch without parameters, columns that it does not have, and families that are not matched without
            rows.

        Examples
        --------
        >>> import numpy as np
        >>> from mixfast import BatchMap, GaussianMixture, fit_many
        >>> rng = np.random.default_rng(0)
        >>> X = [np.concatenate([rng.normal(0, 1, 90), rng.normal(8, 1, 90)])[:, np.newaxis] for _ in range(20)]
        >>> found = BatchMap.from_result(fit_many(X, GaussianMixture(2), random_state=0))
        >>> bool(np.ptp(found.positions[found.matched == 0, 0]) < 1)
        True
        """
        if isinstance(result, type) or not hasattr(result, "align"):
            raise TypeError(f"result={in_short(result)} should be a BatchResult, as fit_many returns it")
        target, fits, aligned = result._aligned(reference)
        usable = np.flatnonzero(result.has_parameters)
        fits = [fits[i] for i in usable]
        numbers = [own.n_components for own in fits]
        names = result.feature_names
        n_features = target.n_features
        has_columns = np.shape(target.params[0])[1:] == (n_features,)
        if features is None and n_features <= 2 and has_columns:
            features = tuple(range(n_features))
        problems = np.repeat(usable, numbers).astype(np.int64)
        components = np.concatenate([np.arange(n) for n in numbers])
        matched = np.full(len(problems), -1, dtype=np.int64)
        for first, own in zip(np.cumsum([0, *numbers]), aligned[usable], strict=False):
            there = np.flatnonzero(own >= 0)
            matched[first + own[there]] = there
        weights = np.concatenate([own.weights for own in fits])
        if features is None:
            positions, at, axes = _on_the_map(target, fits)
        else:
            columns = [_column(feature, names, n_features) for feature in features]
            if not has_columns:
                raise ValueError(f"features={features} are for components with a number for each column")
            location = np.concatenate([own.params[0] for own in fits])
            of_target = target.params[0]
            what = type(target.params)._fields[0]
            said = [f"{what}, {names[j] if names is not None else f'column {j}'}" for j in columns]
            if len(columns) == 1:
                positions = np.column_stack([location[:, columns[0]], weights])
                at, axes = np.column_stack([of_target[:, columns[0]], target.weights]), (said[0], "weight")
            else:
                positions, at, axes = location[:, columns], of_target[:, columns], (said[0], said[1])
        return cls(problems, components, matched, weights, positions, at, target.weights, axes)

    def __repr__(self) -> str:
        K, n = len(self.reference_weights), len(np.unique(self.problems))
        return f"<BatchMap: components of {n:,} problems, matched with {K} of a reference>"

    def to_frame(self) -> _pandas.DataFrame:
        """A pandas DataFrame with a row for each component of each problem.

        Returns
        -------
        frame : pandas.DataFrame
            Columns problem, component, matched, weight, x, y.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "problem": self.problems,
                "component": self.components,
                "matched": self.matched,
                "weight": self.weights,
                "x": self.positions[:, 0],
                "y": self.positions[:, 1],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the components of all problems, in the colours of the reference's, those that are none of these in grey.

        Of more than 20,000 that many are shown, drawn at random, always the same.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of its own.

        Returns
        -------
        ax : matplotlib Axes
            What was drawn on.
        """
        from mixfast import map_pictures

        return map_pictures.batch(self, ax)


def _on_the_map(target: Components, fits: list[Components]) -> tuple[NDArray, NDArray, tuple[str, str]]:
    """(positions of the components of each fit, positions of the reference's, names of the axes), by scaling of the
    distances between the reference's components and those of the fits from them."""
    if target.family.log_affinity is None:
        raise ValueError(
            f"components of a {type(target.family).__name__} have no distances in closed form: name two columns"
        )
    own = -target.over_pairs(target.family.log_affinity, *target.pairs())
    distance = symmetric(target.n_components, target.pairs(), own)
    others = np.concatenate([distances_between(one, target) for one in fits])
    axes = ("map of the reference, first axis", "second axis")
    return placed(distance, others), scaled(distance)[0], axes


def distances_between(one: Components, other: Components) -> NDArray[np.float64]:
    """Bhattacharyya's distances, (one.n_components, other.n_components)."""
    return -one.against(other, one.family.log_affinity) + 0.0


def _column(feature: int | str, names: NDArray | None, n_features: int) -> int:
    known = [] if names is None else list(names)
    if feature in known:
        return known.index(feature)
    if isinstance(feature, int | np.integer) and not isinstance(feature, bool) and 0 <= feature < n_features:
        return int(feature)
    raise ValueError(f"features names column {feature!r}: there are {known or n_features}")
