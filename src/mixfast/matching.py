"""Which component of one mixture is which of another, and mixtures of fewer components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax

from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.in_messages import in_short
from mixfast.relations import Components, check_is_fitted_mixture, components_of, has_noise, without_left_out
from mixfast.row_data import check_rows_are_there
from mixfast.whole import check_whole

#: Rows that are drawn from both mixtures together, where there is no closed form.
N_DRAWS = 20_000


def match(a: Any, b: Any, X: ArrayLike | None = None, **row_data: ArrayLike) -> NDArray[np.int64]:
    """Which component of mixture b is which component of mixture a.

    Pairs are chosen so that all together share most: of rows X, sum_n t_ni u_nj of responsibilities t of a and u of b;
    without rows the sum of the symmetric Kullback-Leibler divergences of the pairs is least. Where one of these is
    infinite (what one component excludes, a count whose rate is 0, and another does not), it is the sum of both
    divergences from the component between the two, which has the means of their sufficient statistics. Where there is
    no closed form (Student-t and Dirichlet-multinomial components) rows are drawn from both mixtures, always the same.

    Parameters
    ----------
    a, b : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features), default=None
        Rows of both. With them mixtures of different families can be compared.
    **row_data
        What the rows have beside their values, as in the models' `fit`: `exposure`, or `y` of mixtures of experts.

    Returns
    -------
    matched : int64 ndarray of shape (n_components of a,)
        ``matched[i]`` is the component of b that is i of a, -1 for none, where b has fewer. Uniform noise is no
        component, and rows that a model with `trim` leaves out are none of its components'.

    Raises
    ------
    NotFittedError
        For a model before `fit`.
    TypeError
        For what is no mixture, and for row data without X.
    ValueError
        For mixtures of different families, columns or categories without rows.

    Examples
    --------
    >>> from mixfast import GaussianMixture, match
    >>> a = GaussianMixture.from_parameters(weights=[0.5, 0.5], means=[[0.0], [9.0]], covariances=[[[1.0]], [[1.0]]])
    >>> b = GaussianMixture.from_parameters(weights=[0.3, 0.7], means=[[8.5], [0.2]], covariances=[[[1.0]], [[2.0]]])
    >>> match(a, b)
    array([1, 0])
    """
    for name, model, other in (("a", a, b), ("b", b, a)):
        check_is_fitted_mixture(model, other, "match(a, b, X), two fitted mixtures and then rows", name)
    check_rows_are_there("X", X, row_data)
    if X is not None:
        one, other = (_responsibilities(model, X, row_data) for model in (a, b))
        return assigned(-one.T @ other)
    one, other = (comparable(model) for model in (a, b))
    if _labels_of_columns(a) != _labels_of_columns(b):
        raise ValueError("the mixtures have different categories: pass X, rows of both")
    return assigned(costs_between(one, other))


def _responsibilities(model, X, row_data):
    """Of the components alone; 0 of rows that the model leaves out."""
    rows, row_data = model._rows_and_data(X, **row_data)
    resp = model._shares_of_rows(rows, **row_data)
    resp = resp[:, : resp.shape[1] - has_noise(model)]
    return resp * without_left_out(model, rows, np.ones(len(resp)), row_data)[:, np.newaxis]


def comparable(model):
    """The components, which share nothing. Divergences of counts given their sums are proportional to these, so any sum
    will do where there is none to take."""
    lacks_total = getattr(model, "_compares_without_totals", False) and not hasattr(model, "totals_")
    return components_of(model, 1 if lacks_total else None).apart()


def _labels_of_columns(model):
    """Names of the categories of each column, where there are any."""
    names = model._names_of_codes() if hasattr(model, "_names_of_codes") else getattr(model, "categories_", None)
    return None if names is None else [np.asarray(own).tolist() for own in names]


def costs_between(one: Components, other: Components) -> NDArray[np.float64]:
    """(n_components of one, n_components of the other), the less the more two have in common: symmetric divergences;
    where one of these is infinite, divergences from the component between the two; or less what they share of rows
    drawn from both."""
    if one.kind() != other.kind():
        raise ValueError("the mixtures have different families or columns: pass X, rows of both")
    if one.family.divergence is None:
        X = np.concatenate([own.rows(N_DRAWS // 2, 0) for own in (one, other)])
        shares = [softmax(own.log_joint(X), axis=1) for own in (one, other)]
        return -shares[0].T @ shares[1]
    divergence, merged = one.family.divergence, one.family.merged
    costs = one.against(other, lambda p, q: divergence(p, q) + divergence(q, p))
    if np.all(np.isfinite(costs)) or merged is None:
        return costs

    def from_between(p, q):
        between = merged(p, q, np.full(len(p[0]), 0.5))
        return divergence(p, between) + divergence(q, between)

    return one.against(other, from_between)


def assigned(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row in the one-to-one assignment of least cost, -1 for none."""
    finite = np.isfinite(costs)
    largest = np.max(np.abs(costs[finite]), initial=1.0)
    rows, columns = linear_sum_assignment(np.where(finite, costs, len(costs) * 4 * largest))
    matched = np.full(len(costs), -1, dtype=np.int64)
    matched[rows] = columns
    return matched


def reduce(model: LikelihoodMixture, n_components: int) -> LikelihoodMixture:
    """The mixture with fewer components that is close in the Kullback-Leibler sense, without rows.

    Two components at a time become the one that is nearest to both, which has the means of their sufficient statistics,
    weights counted. The next two are those for which w_i KL(p_i | p_ij) + w_j KL(p_j | p_ij) is least, a bound of
    KL(before | after): Runnalls, "Kullback-Leibler approach to Gaussian mixture reduction", IEEE Trans. Aerosp.
    Electron. Syst. 43 (2007), doi:10.1109/TAES.2007.4383588, for Gaussians; the same holds in every exponential family.

    Parameters
    ----------
    model : estimator
        Fitted, of a family that has such components: not Student-t nor Dirichlet-multinomial, nor a posterior.
    n_components : int
        From 1 to those of the model.

    Returns
    -------
    reduced : estimator
        Fitted, of the same class, as `from_parameters` leaves it; the merged component has the lower number of the two.
        What all components share is each one's own then: `covariance_type="tied"` becomes "full",
        `concentration_type="shared"` "own". Uniform noise keeps its weight and region. With `trim` there is no
        `trim_level_`, which only rows can say: `predict` leaves out none until the next fit.

    Raises
    ------
    NotFittedError
        For a model before `fit`.
    TypeError
        For families without components that are nearest to two.
    ValueError
        For another number of components.

    Examples
    --------
    >>> from mixfast import PoissonMixture, reduce
    >>> model = PoissonMixture.from_parameters(weights=[0.3, 0.1, 0.6], rates=[[2.0], [5.5], [60.0]])
    >>> reduced = reduce(model, 2)
    >>> reduced.weights_.round(3).tolist(), reduced.rates_.round(3).tolist()
    ([0.4, 0.6], [[2.875], [60.0]])
    """
    if not isinstance(model, LikelihoodMixture):
        raise TypeError(
            f"model={in_short(model)} should be a mixture that is fitted by maximum likelihood: of a posterior take "
            "its expected parameters, GaussianMixture.from_parameters(weights=..., means=..., covariances=...)"
        )
    components = comparable(model)
    K = components.n_components
    check_whole("n_components", n_components, 1, K)
    if components.family.merged is None or components.family.divergence is None:
        raise TypeError(
            f"{type(model).__name__} has components of which two have no nearest one in closed form: refit with fewer"
        )
    weights, params = _merged_to(components, int(n_components))
    return model._of_components(weights, params)


def _merged_to(components, n_components):
    """Weights and record of the components that are left."""
    family, K = components.family, components.n_components
    weights, params, members = list(components.weights), components.params, [(k,) for k in range(K)]

    def nearest(i, j):
        """The components between those of two arrays of numbers, and what they cost."""
        w, v = np.array(weights)[i], np.array(weights)[j]
        total = w + v
        p, q = family.reorder(params, i), family.reorder(params, j)
        share = np.where(total > 0, w / np.where(total > 0, total, 1), 0.5)
        between = family.merged(p, q, share)
        # of weight 0, whatever the divergence is
        terms = [np.where(own > 0, own * family.divergence(part, between), 0.0) for own, part in ((w, p), (v, q))]
        return between, sum(terms)

    costs = np.full((2 * K, 2 * K), np.inf)
    i, j = components.pairs()
    if len(i):
        costs[i, j] = components.in_blocks(lambda i, j: nearest(i, j)[1], i, j)
    left = list(range(K))
    while len(left) > n_components:
        i, j = np.unravel_index(np.argmin(costs), costs.shape)
        between, _ = nearest(np.array([i]), np.array([j]))
        params = family.Params(*(np.concatenate(arrays) for arrays in zip(params, between, strict=True)))
        weights.append(weights[i] + weights[j])
        members.append(members[i] + members[j])
        new = len(weights) - 1
        costs[[i, j], :] = costs[:, [i, j]] = np.inf
        left = [k for k in left if k not in (i, j)]
        if left:
            costs[left, new] = nearest(np.array(left), np.full(len(left), new))[1]
        left.append(new)
    left.sort(key=lambda k: min(members[k]))
    return np.array(weights)[left], family.reorder(params, np.array(left))


def aligned(reference: Components, others: Iterable[Components | None]) -> NDArray[np.int64]:
    """(n_others, n_components of the reference): which of the components of each is which of the reference's, -1 for
    none."""
    none = np.full(reference.n_components, -1, dtype=np.int64)
    return np.array([none if own is None else assigned(costs_between(reference, own)) for own in others])
