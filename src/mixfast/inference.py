"""How sure the parameters of a mixture of experts are: the observed information by Louis' identity, its inverse and the
sandwich, and tables of tests.

Louis, "Finding the observed information matrix when using the EM algorithm", JRSS B 44 (1982): with complete-data
scores s_k and informations B_k of a row, should component k have made it, and its responsibilities r_k,

    I = sum over rows of  sum_k r_k (B_k - s_k s_k') + (sum_k r_k s_k)(sum_k r_k s_k)'

and sum_k r_k s_k is the row's own score. A group of rows that share a component is one row here: its s_k and B_k are
sums.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri

from mixfast._warnings import warn
from mixfast.as_html import html_table
from mixfast.families.conditional import Distribution
from mixfast.read_only import ReadOnlyFields, frozen

#: Of the information in units that make its diagonal 1, an eigenvalue below this says that nothing is known of what it
#: belongs to: derivatives of responsibilities near 0 and 1 have digits enough for five more.
SINGULAR = 1e-11

#: The square root of an information that is nothing: that of a component whose weight is 0, as logs can hold it.
NOTHING = 1e-150


class Response(NamedTuple):
    """One response and what its experts are.

    design (n, p): with a column of 1 where there is an intercept. shared (n, q): columns whose coefficients all
    components have in common. own (K, p, m), fixed (q, m), dispersions (K, d): the parameters. The first dispersions
    were estimated, as many as there are in `common`, which says of each whether all components share it. alpha: the
    ridge on slopes of `own`, of all columns but the first `n_intercepts`.
    """

    distribution: Distribution
    y: np.ndarray
    design: np.ndarray
    shared: np.ndarray
    offset: np.ndarray
    own: np.ndarray
    fixed: np.ndarray
    dispersions: np.ndarray
    common: tuple = ()
    alpha: float = 0.0
    n_intercepts: int = 1

    def predictors(self, k):
        """eta (n, m) of component k."""
        return self.design @ self.own[k] + self.shared @ self.fixed + self.offset[:, np.newaxis]


class Gate(NamedTuple):
    """Z (n_groups, q): with a column of 1 first; that alone for constant weights. theta (K, q): component 0 at zero.
    ridge: on slopes about their mean over components."""

    Z: np.ndarray
    theta: np.ndarray
    ridge: float = 0.0

    def shares(self):
        eta = self.Z @ self.theta.T
        raised = np.exp(eta - eta.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)


class Places(NamedTuple):
    """Where each parameter is: of each response `own` (K, p, m), `fixed` (q, m) and `dispersions` (K, those that
    were estimated), equal in all components where they are common; `gate` (K - 1, q)."""

    own: list
    fixed: list
    dispersions: list
    gate: np.ndarray
    size: int


def places_of(responses, gate):
    """Component by component, then what they share, then the gate."""
    size = 0

    def take(*shape):
        nonlocal size
        first, size = size, size + int(np.prod(shape))
        return np.arange(first, size).reshape(shape)

    n_components = len(gate.theta)
    own = [[] for _ in responses]
    dispersions = [np.empty((n_components, len(response.common)), dtype=int) for response in responses]
    for k in range(n_components):
        for place, response in enumerate(responses):
            own[place].append(take(*response.own[k].shape))
            is_own = ~np.array(response.common, dtype=bool)
            dispersions[place][k, is_own] = take(is_own.sum())
    fixed = []
    for place, response in enumerate(responses):
        fixed.append(take(*response.fixed.shape))
        is_common = np.array(response.common, dtype=bool)
        dispersions[place][:, is_common] = take(is_common.sum())
    of_gate = take(n_components - 1, gate.theta.shape[1])
    return Places([np.stack(each) for each in own], fixed, dispersions, of_gate, size)


class Held(NamedTuple):
    """Which parameters were given, masks in the form of `Places`; these are none that rows say anything of."""

    own: list
    fixed: list
    dispersions: list
    gate: np.ndarray

    def fitted(self, places):
        """(size,), which of the parameters were fitted."""
        fitted = np.ones(places.size, dtype=bool)
        for name in ("own", "fixed", "dispersions"):
            for where, mask in zip(getattr(places, name), getattr(self, name), strict=True):
                fitted[where[mask]] = False
        fitted[places.gate[self.gate]] = False
        return fitted


def _summed(values, numbers, n_groups):
    """Sums of rows over groups; None for `numbers` says that each row is one."""
    if numbers is None:
        return values
    n_rows = len(values)
    member = csr_array((np.ones(n_rows), (numbers, np.arange(n_rows))), shape=(n_groups, n_rows))
    return member @ values


def _add_response(response, k, own_places, information, weight):
    """Adds the curvature of a response, should component k have made all rows, weighted; returns the rows' scores and
    where they belong."""
    eta, dispersion = response.predictors(k), response.dispersions[k]
    m, n_free = eta.shape[1], len(response.common)
    kept = m + n_free
    score = response.distribution.score(response.y, eta, dispersion)[:, :kept]
    curvature = response.distribution.curvature(response.y, eta, dispersion)[:, :kept, :kept]
    design = np.hstack([response.design, response.shared])
    coefficients, dispersions = own_places
    # each linear predictor has the columns of the design, each dispersion a 1
    columns = [(coefficients[:, place], design) for place in range(m)]
    columns += [(dispersions[[place]], np.ones((len(eta), 1))) for place in range(n_free)]
    for a, (rows, left) in enumerate(columns):
        for b, (others, right) in enumerate(columns):
            information[np.ix_(rows, others)] += (left * (weight * curvature[:, a, b])[:, np.newaxis]).T @ right
    scores = np.hstack([values * score[:, [place]] for place, (_, values) in enumerate(columns)])
    return scores, np.concatenate([rows for rows, _ in columns])


def observed_information(responses, gate, resp, weights, numbers=None):
    """The observed information (P, P) of the penalised log-likelihood and the scores (n_groups, P) of groups, without
    penalties, in the order of `places_of`.

    resp (n_groups, K): responsibilities. weights (n_groups,): how often each group counts. numbers (n,): the group of
    each row; None where each row is one.
    """
    places, n_groups, n_components = places_of(responses, gate), len(resp), len(gate.theta)
    information, scores = np.zeros((places.size, places.size)), np.zeros((n_groups, places.size))
    shares = gate.shares()
    for k in range(n_components):
        share = weights * resp[:, k]
        of_rows = share if numbers is None else share[numbers]
        found, where = [], []
        for place, response in enumerate(responses):
            coefficients = np.vstack([places.own[place][k], places.fixed[place]])
            one, its_places = _add_response(
                response, k, (coefficients, places.dispersions[place][k]), information, of_rows
            )
            found.append(_summed(one, numbers, n_groups))
            where.append(its_places)
        for other in range(1, n_components):
            found.append(gate.Z * ((other == k) - shares[:, [other]]))
            where.append(places.gate[other - 1])
        score, where = np.hstack(found), np.concatenate(where)
        information[np.ix_(where, where)] -= (score * share[:, np.newaxis]).T @ score
        scores[:, where] += resp[:, [k]] * score
    information += (scores * weights[:, np.newaxis]).T @ scores
    _add_gate(gate, places.gate, shares, weights, information)
    for response, own in zip(responses, places.own, strict=True):
        slopes = own[:, response.n_intercepts :].ravel()
        information[slopes, slopes] += response.alpha
    return (information + information.T) / 2, scores


def _add_gate(gate, places, shares, weights, information):
    n_components = len(gate.theta)
    about_mean = np.eye(n_components) - 1 / n_components
    for a in range(1, n_components):
        for b in range(1, n_components):
            spread = weights * shares[:, a] * ((a == b) - shares[:, b])
            block = (gate.Z * spread[:, np.newaxis]).T @ gate.Z
            slopes = np.arange(1, gate.Z.shape[1])
            block[slopes, slopes] += gate.ridge * about_mean[a, b]
            information[np.ix_(places[a - 1], places[b - 1])] += block


def about_means(responses, gate, held=None):
    """(responses, gate, back): the same linear predictors of columns less their means, and the matrix (P, P) that makes
    parameters about the origin of those of these. Columns far from 0 have a design that is singular to all digits.

    Where there is no intercept, or a held one, columns stay as they are.
    """
    places, found, about = places_of(responses, gate), [], {}
    back = np.eye(places.size)
    for place, response in enumerate(responses):
        is_held = held is not None and bool(np.any(held.own[place][:, 0]))
        if response.n_intercepts != 1 or is_held:
            found.append(response)
            continue
        if id(response.design) not in about:  # responses may share it
            means = response.design[:, 1:].mean(axis=0)
            about[id(response.design)] = means, response.design - np.append(0.0, means)
        means, design = about[id(response.design)]
        of_shared, own = response.shared.mean(axis=0), response.own.copy()
        shared = response.shared - of_shared
        own[:, 0] += np.einsum("j,kjm->km", means, own[:, 1:]) + of_shared @ response.fixed
        found.append(response._replace(design=design, shared=shared, own=own))
        for k, of_component in enumerate(places.own[place]):
            for one, intercept in enumerate(of_component[0]):
                back[intercept, places.own[place][k, 1:, one]] = -means
                back[intercept, places.fixed[place][:, one]] = -of_shared
    if held is None or not np.any(held.gate[:, 0]):
        Z, theta = gate.Z.copy(), gate.theta.copy()
        means = Z[:, 1:].mean(axis=0)
        Z[:, 1:] -= means
        theta[:, 0] += theta[:, 1:] @ means
        gate = gate._replace(Z=Z, theta=theta)
        for of_component in places.gate:
            back[of_component[0], of_component[1:]] = -means
    return found, gate, back


def _in_units(information):
    """(information in units that make its diagonal 1, these units)"""
    scale = np.sqrt(np.abs(np.diag(information)))
    scale = np.where(scale > NOTHING, scale, 1.0)
    return information / np.outer(scale, scale), scale


def rises(information):
    """Whether there is a direction in which the log-likelihood is no maximum: it curves upwards."""
    values = np.linalg.eigvalsh(_in_units(information)[0])
    return bool(np.any(values < -SINGULAR * values.max(initial=1.0)))


def _of_known(information, back):
    """(inverse in the directions that the information says something of, a mask of parameters that it does not)

    Eigenvectors of an information in units that make its diagonal 1: those of eigenvalues that are not above rounding
    are directions in which the log-likelihood is flat, or rises.
    """
    scaled, scale = _in_units(information)
    values, vectors = np.linalg.eigh(scaled)
    is_known = values > SINGULAR * values.max(initial=1.0)
    known = vectors[:, is_known]
    found = (known / values[is_known]) @ known.T / np.outer(scale, scale)
    lost = vectors[:, ~is_known]
    if back is not None and lost.shape[1]:
        forth = np.linalg.inv(back)
        _, units = _in_units(forth.T @ information @ forth)
        lost = (back @ (lost / scale[:, np.newaxis])) * units[:, np.newaxis]
        lost = lost / np.linalg.norm(lost, axis=0)
    # a parameter is unknown where a flat direction has a part of it, rounding apart
    return found, np.sum(lost**2, axis=1) > 1e-8


def _put_back(covariance, is_lost, back):
    found = covariance if back is None else back @ covariance @ back.T
    found[is_lost], found[:, is_lost] = np.nan, np.nan
    return found, bool(is_lost.any())


def inverse(information, back=None):
    """The inverse, with NaN in rows and columns of parameters that the information says nothing of, and whether there
    are such. back (P, P): makes parameters of those that the information is of, as in `about_means`."""
    return _put_back(*_of_known(information, back), back)


def sandwich(information, scores, weights, clusters=None, back=None):
    """The covariance that does not rest on the model being true: the inverse of the information on both sides of the
    spread of scores, summed over clusters first where these are given. A row of weight w is w rows of one cluster if
    there are clusters, else w rows apart.

    With clusters, G of them, the result is multiplied by G / (G - 1), as is usual for few.
    """
    bread, is_lost = _of_known(information, back)
    if clusters is None:
        meat = (scores * weights[:, np.newaxis]).T @ scores
    else:
        names, numbers = np.unique(clusters, return_inverse=True)
        summed = _summed(scores * weights[:, np.newaxis], numbers, len(names))
        meat = summed.T @ summed * len(names) / (len(names) - 1)
    return _put_back(bread @ meat @ bread, is_lost, back)


# ---- the result -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Inference(ReadOnlyFields):
    """Estimates of a mixture of experts, their standard errors and Wald tests.

    Attributes
    ----------
    components : tuple of (int or None)
        The component that each parameter belongs to; None where all share it.
    terms : tuple of str
        What each is a coefficient of. `"log(sigma)"` and its like are logs of dispersions; `"gate: x"` are log odds of
        a component against component 0.
    estimates : ndarray of shape (n_parameters,)
    covariance : ndarray of shape (n_parameters, n_parameters)
        Of the estimates; NaN for parameters that the rows say nothing of.
    kind : {'information', 'robust', 'clusters'}
        Where the covariance comes from.
    are_dispersions : ndarray of shape (n_parameters,), bool
        Which are logs of dispersions, `"log(sigma)"` and its like: that a unit is such that one is 0 is no hypothesis,
        so they have no z and p values.
    """

    components: tuple
    terms: tuple
    estimates: np.ndarray
    covariance: np.ndarray
    kind: str
    are_dispersions: np.ndarray

    @cached_property
    def standard_errors(self) -> NDArray[np.float64]:
        """Square roots of the diagonal of `covariance`: (n_parameters,)."""
        with np.errstate(invalid="ignore"):
            return frozen(np.sqrt(np.diag(self.covariance)))

    @property
    def z_values(self) -> NDArray[np.float64]:
        """Estimates in units of their standard errors: (n_parameters,), NaN for logs of dispersions."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.are_dispersions, np.nan, self.estimates / self.standard_errors)

    @property
    def p_values(self) -> NDArray[np.float64]:
        """Of the two-sided test that a parameter is 0: (n_parameters,), NaN for logs of dispersions."""
        return 2 * ndtr(-np.abs(self.z_values))

    def confidence_limits(self, level: float = 0.95) -> NDArray[np.float64]:
        """Lower and upper limits of the parameters.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        limits : ndarray of shape (n_parameters, 2)
            The lower and the upper limit of each parameter.

        Raises
        ------
        ValueError
            For a level that is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} should be between 0 and 1")
        reach = ndtri((1 + level) / 2) * self.standard_errors
        return np.column_stack([self.estimates - reach, self.estimates + reach])

    def to_frame(self, level: float = 0.95) -> Any:
        """A table with one row for each parameter (needs pandas).

        Parameters
        ----------
        level : float, default=0.95
            Of the confidence limits.

        Returns
        -------
        table : pandas.DataFrame
            Columns component, term, estimate, standard_error, z, p, lower, upper. The component is missing where all
            share the parameter.

        Raises
        ------
        ValueError
            For a level that is not between 0 and 1.
        """
        import pandas as pd

        limits = self.confidence_limits(level)
        return pd.DataFrame(
            {
                "component": pd.array(list(self.components), dtype="Int64"),
                "term": list(self.terms),
                "estimate": self.estimates,
                "standard_error": self.standard_errors,
                "z": self.z_values,
                "p": self.p_values,
                "lower": limits[:, 0],
                "upper": limits[:, 1],
            }
        )

    def _cells(self):
        """The table as texts, a header and a row for each parameter."""
        rows = [("component", "term", "estimate", "std.err.", "z", "p")]
        columns = (self.components, self.terms, self.estimates, self.standard_errors, self.z_values, self.p_values)
        for (component, term, estimate, error, z, p), is_one in zip(
            zip(*columns, strict=True), self.are_dispersions, strict=True
        ):
            test = ("", "") if is_one else (f"{z:.2f}", "<1e-4" if p < 1e-4 else f"{p:.4f}")
            rows.append(("" if component is None else str(component), term, f"{estimate:.5g}", f"{error:.3g}", *test))
        return rows

    def _repr_html_(self) -> str:
        header, *rows = self._cells()
        return html_table(f"Inference: {self.kind}", header, rows)

    def __repr__(self):
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
        return "\n".join(lines)


def infer(responses, gate, resp, weights, terms, gate_terms, numbers=None, robust=False, clusters=None, held=None):
    """An `Inference` of fitted parameters, those that are not `Held`.

    terms: of each response (names of `own`'s (p, m) in order, of `fixed`'s (q, m), of free dispersions); gate_terms:
    names of the gate's columns. clusters (n_groups,). The rest as in `observed_information`.
    """
    about, gate_about, back = about_means(responses, gate, held)
    information, scores = observed_information(about, gate_about, resp, weights, numbers)
    places, n_components = places_of(responses, gate), len(gate.theta)
    fitted = np.ones(places.size, dtype=bool) if held is None else held.fitted(places)
    information, scores, back = information[np.ix_(fitted, fitted)], scores[:, fitted], back[np.ix_(fitted, fitted)]
    if robust or clusters is not None:
        covariance, is_singular = sandwich(information, scores, weights, clusters, back)
    else:
        covariance, is_singular = inverse(information, back)
    estimates = np.empty(places.size)
    components, names = [None] * places.size, [""] * places.size

    def name(where, values, words, component):
        for place, value, word in zip(where.ravel(), np.ravel(values), words, strict=True):
            estimates[place], components[place], names[place] = value, component, word

    for place, (response, (own, fixed, dispersions)) in enumerate(zip(responses, terms, strict=True)):
        for k in range(n_components):
            name(places.own[place][k], response.own[k], own, k)
            for one, word in enumerate(dispersions):
                owner = None if response.common[one] else k
                name(places.dispersions[place][k, one], np.log(response.dispersions[k, one]), [f"log({word})"], owner)
        name(places.fixed[place], response.fixed, fixed, None)
    for k in range(1, n_components):
        name(places.gate[k - 1], gate.theta[k], [f"gate: {word}" for word in gate_terms], k)
    components, names = (tuple(itertools.compress(own, fitted)) for own in (components, names))
    if is_singular:
        lost = [
            names[place] if components[place] is None else f"{names[place]} of component {components[place]}"
            for place in np.flatnonzero(np.isnan(np.diag(covariance)))
        ]
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        reason = (
            "The parameters are at no maximum: the log-likelihood curves upwards in some direction, of nearly equal "
            f"components perhaps, where EM is slow and stopped. So the standard errors of {shown} are NaN. Go on from "
            "there by a fit with a smaller tol, 1e-12 say, and a larger max_iter, or take more starts (n_init)."
            if rises(information)
            else f"The information is singular, so the standard errors of {shown} are NaN: the rows say nothing of "
            "these. Components may be empty or alike, columns collinear, or the fit not yet converged (a smaller tol, "
            "a larger max_iter)."
        )
        warn(reason, UserWarning)
    kind = "clusters" if clusters is not None else "robust" if robust else "information"
    are_dispersions = np.zeros(places.size, dtype=bool)
    are_dispersions[np.concatenate([own.ravel() for own in places.dispersions])] = True
    return Inference(components, names, estimates[fitted], covariance, kind, are_dispersions[fitted])
