"""Mixtures that are fitted by maximum likelihood, or its penalised kin: criteria that compare them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted

from mixfast._docstrings import described
from mixfast._typing import NEffective, RowsLike
from mixfast.estimators._base import BaseMixture
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._density import DensityEstimator, of_rows
from mixfast.estimators._scores_elsewhere import Scores, scores_of
from mixfast.estimators._using import UsedAsDensity
from mixfast.families.rounding import rounded_rows
from mixfast.in_messages import in_short, no_mixture
from mixfast.partitions import Source, is_source
from mixfast.reading import Readings
from mixfast.row_data import RowData, firsts_of, numbered, rows_with, separated, take_data
from mixfast.tables import without_entries
from mixfast.weights import counted_rows, observed, weighted_sum

#: What several mixtures of the same rows can be compared by, the lower the better; all but the last are methods.
CRITERIA = ("bic", "aic", "icl", "laplace", "heldout")


def check_can_be_fitted(estimator, other=None, call=""):
    """Raises TypeError where the estimator is no mixture that several rows, or sets of rows, can be fitted by; `other`
    is the argument that it may have been swapped with in the `call`."""
    if isinstance(estimator, BaseMixture):
        return
    if isinstance(estimator, DensityEstimator):
        raise TypeError(
            f"estimator={in_short(estimator)} finds the number of clusters itself and has no likelihood to compare: "
            "call its own method fit"
        )
    wanted = "mixture of mixfast, such as GaussianMixture(2)"
    raise TypeError(no_mixture("estimator", estimator, wanted, other, call))


def check_comparable(estimator, other=None, call=""):
    """Raises TypeError where the estimator has no likelihood, such as several mixtures can be compared by; `other` and
    `call` are as in `check_can_be_fitted`."""
    check_can_be_fitted(estimator, other, call)
    if not isinstance(estimator, LikelihoodMixture):
        raise TypeError(
            f"estimator={in_short(estimator)} has a posterior and no likelihood to compare by: it leaves out or "
            "empty the components that the rows do not need, so call its own method fit, with as many as there may be"
        )
    estimator._check_begins_here()


def check_criterion(estimator, criterion):
    """Raises ValueError where fits of the estimator cannot be compared so."""
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(f"criterion={in_short(criterion)} should be one of {', '.join(map(repr, CRITERIA))}")
    if criterion == "laplace" and not hasattr(estimator, criterion):
        raise ValueError(
            "criterion='laplace' is a method of DirichletMultinomialMixture, which "
            f"{type(estimator).__name__} has not: take 'bic', 'aic', 'icl' or 'heldout'"
        )


@described
class LikelihoodMixture(UsedAsDensity, MixtureByEM):
    """Base of the estimators whose likelihood can be compared between fits, by the number of their parameters."""

    def _as_fitted(self, X, sample_weight, row_data):
        """(rows, their weights, their row data, what is to be done with each model that is fitted to these): what
        `select` makes of its arguments."""
        return X, sample_weight, self._gathered_data(row_data), None

    def _observed(self, X, sample_weight, n_effective, row_data):
        """(rows that count, their weights or None) for criteria: rows without an entry say nothing."""
        X = rows_with(X, row_data)
        return observed(X, self._weights_of_said(X, sample_weight), n_effective)

    def _weights_of_said(self, X, sample_weight):
        """Weights that are 0 where a row says nothing; None for ones."""
        if get_tags(self).input_tags.allow_nan and (silent := self._says_nothing(separated(X)[0])).any():
            return np.where(silent, 0, 1 if sample_weight is None else sample_weight)
        return sample_weight

    def _scores_of(self, X, sample_weight, asks_doubt):
        """`Scores` of rows of positive weight that say something, with what each has beside its values."""
        X, sample_weight, _ = counted_rows(X, self._weights_of_said(X, sample_weight), needs_some=False)
        n_rows = _num_samples(X)
        if not n_rows:
            return Scores()
        found = self._evaluate(X, log_norm=True, labels=asks_doubt, largest=asks_doubt)
        total, weight = weighted_sum(found.log_norm, sample_weight)
        doubt = weighted_sum(np.log(found.largest.astype(np.float64)), sample_weight)[0] if asks_doubt else 0.0
        squares = n_rows if sample_weight is None else float(np.sum(np.square(sample_weight)))
        return Scores(total, weight, doubt, n_rows, squares)

    def _judged_rows(self, log_density, sample_weight):
        """(rows that criteria are of, what they weigh, None for ones)"""
        return slice(None), sample_weight

    def _judged_likelihood(self, X, sample_weight):
        """(sum of weight * log density, sum of weights) of the rows that criteria are of."""
        X, sample_weight, _ = counted_rows(X, sample_weight)
        rows, data = separated(X)
        log_density = self.score_samples(rows, **data)
        own, weight = self._judged_rows(log_density, sample_weight)
        return weighted_sum(log_density[own], weight)

    def _says_nothing(self, X):
        """Which of the rows, as they were given, have no entry, a mask."""
        return without_entries(X)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters of the fitted model, which `bic` and `aic` count.

        Those of the components, such as means and covariances or coefficients and dispersions, and weights; less what
        is held.
        """
        check_is_fitted(self)
        return int(self._n_parameters())

    def _n_parameters(self):
        n_components = len(self.weights_)
        family, n_features = self._family(), self._n_fitted_features()
        own = family.n_parameters(n_components, n_features) + self._proportions().n_parameters(n_components)
        held = self._held_values(family, n_features) if self.hold else {}
        return own - sum(family.n_held(name, mask, n_features) for name, (mask, _) in held.items())

    @of_rows
    def bic(
        self,
        X: RowsLike | Source,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Bayesian information criterion, -2 log-likelihood + n_parameters log(n); the lower the better.

        Parameters
        ----------
        <X or source, sample_weight, n_effective, row_data>

        Returns
        -------
        bic : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        if is_source(X):
            return self._criteria_elsewhere(X, sample_weight, n_effective, row_data, "bic")["bic"]
        total, weight = self._judged_likelihood(*self._observed(X, sample_weight, n_effective, row_data))
        return self._penalised(total, weight)["bic"]

    @of_rows
    def aic(
        self,
        X: RowsLike | Source,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Akaike information criterion, -2 log-likelihood + 2 n_parameters; the lower the better.

        Parameters
        ----------
        <X or source, sample_weight, n_effective, row_data>

        Returns
        -------
        aic : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        if is_source(X):
            return self._criteria_elsewhere(X, sample_weight, n_effective, row_data, "aic")["aic"]
        total, weight = self._judged_likelihood(*self._observed(X, sample_weight, n_effective, row_data))
        return self._penalised(total, weight)["aic"]

    @of_rows
    def icl(
        self,
        X: RowsLike | Source,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Integrated completed likelihood, BIC - 2 sum_i log max_k resp_ik; the lower the better.

        BIC with a penalty for rows whose component is in doubt: Biernacki, Celeux & Govaert, IEEE PAMI 22 (2000),
        doi:10.1109/34.865189, with the most likely labels as in R's mclust (which has the opposite sign).

        Parameters
        ----------
        <X or source, sample_weight, n_effective, row_data>

        Returns
        -------
        icl : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        return self._criteria(X, sample_weight, n_effective, **row_data)["icl"]

    def _criteria_elsewhere(self, source, sample_weight, n_effective, row_data, method):
        """BIC and AIC by their names, of rows in partitions, and ICL where that is the method."""
        found = scores_of(self, source, method, sample_weight, row_data, n_effective)
        criteria = self._penalised(found.log_likelihood, found.weight)
        return criteria | {"icl": criteria["bic"] - 2 * found.in_doubt}

    def _redrawing(self, X):
        """A function of a generator: as many rows as X drawn from the fitted mixture, with what those of X have. They
        come component by component, so it is dealt out to them."""
        n_samples, dtype = _num_samples(X), self.weights_.dtype
        data = separated(self._read_rows(X, reset=False))[1] if isinstance(X, RowData) else {}  # one number a row

        def draw(rng):
            own = take_data(data, rng.permutation(n_samples), n_samples) if data else data
            return rows_with(rounded_rows(self._draw(n_samples, rng, **own)[0], dtype), own)

        return draw

    def _criteria(self, X, sample_weight, n_effective, **row_data):
        """BIC, AIC and ICL by their names, from one pass over the rows."""
        if is_source(X):
            return self._criteria_elsewhere(X, sample_weight, n_effective, row_data, "icl")
        return self._evaluated_criteria(X, sample_weight, n_effective, row_data)[1]

    def _evaluated_criteria(self, X, sample_weight, n_effective, row_data):
        """(`Evaluation` with log densities and labels, criteria by their names, the log-likelihood that these are made
        of), from one pass over the rows."""
        X, sample_weight = self._observed(X, sample_weight, n_effective, row_data)
        result = self._evaluate(X, log_norm=True, labels=True, largest=True)
        doubt, groups = np.log(result.largest.astype(np.float64)), separated(X)[1].get("groups")
        if groups is not None:  # a group is in doubt once
            doubt *= firsts_of(numbered(groups, len(doubt)))
        own, weight = self._judged_rows(result.log_norm, sample_weight)
        (total, n), (in_doubt, _) = (weighted_sum(values[own], weight) for values in (result.log_norm, doubt))
        found = self._penalised(total, n)
        return result, found | {"icl": found["bic"] - 2 * in_doubt}, total

    def _readings(self, rows, weights, row_data):
        result, criteria, total = self._evaluated_criteria(rows, weights, "sum", row_data)
        return Readings(
            result.log_norm.astype(np.float64),
            result.labels,
            total,
            int(self._n_parameters()),
            float(criteria["bic"]),
            float(criteria["icl"]),
        )

    def _penalised(self, log_likelihood, weight):
        """BIC and AIC by their names, of rows that count for so many."""
        n_parameters = self._n_parameters()
        return {
            "bic": -2 * log_likelihood + n_parameters * math.log(weight),
            "aic": -2 * log_likelihood + 2 * n_parameters,
        }
