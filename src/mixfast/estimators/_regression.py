"""Regression statistics of a fitted mixture of experts: standard deviations, quantiles and intervals of predictions,
and inference for the parameters."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixfast._docstrings import described
from mixfast._typing import RowsLike
from mixfast.families.conditional import DISTRIBUTIONS, drawn_of, mixture_moments, mixture_quantile
from mixfast.families.experts import OWN, SHARED, dense
from mixfast.in_messages import in_short
from mixfast.inference import Gate, Inference, Response, infer
from mixfast.row_data import check_count, firsts_of, rows_with, separated
from mixfast.tables import as_values
from mixfast.weights import counted_rows


@described
class RegressionStatistics:
    """Base of `MixtureOfExperts`, which has the fit, the fitted attributes and predictions of means."""

    _clusters_are_starts = False

    # ---- predictions ----

    def _distributions_in(self, trials, n_samples):
        """The distribution of each response of so many rows, of binomial ones the numbers of successes in `trials`,
        which are checked here."""
        distributions = self._distributions()
        if trials is None:
            return distributions
        if not any(own.takes_trials for own in distributions):
            raise ValueError(f"trials was given, and expert={self.expert!r} has none: leave it out")
        trials = check_count("trials", trials, n_samples, np.float64)
        return [own.of_trials(trials) for own in distributions]

    def _components_of(self, X, exposure, offset, gate_X, trials):
        """For each response (distribution, p(k | x) (n, K), linear predictors (K, n, m), dispersions (K, d))."""
        shares, etas = self.predict_proba(X, gate_X=gate_X), self._predictors(X, offset=offset, exposure=exposure)
        each = zip(self._distributions_in(trials, len(shares)), etas, self._dispersions(), strict=True)
        return [(distribution, shares, eta, dispersions) for distribution, eta, dispersions in each]

    def predict_std(
        self,
        X: RowsLike,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """The standard deviation of y given x: that within components and that between their means.

        Parameters
        ----------
        <X, exposure, offset, gate_X, trials>

        Returns
        -------
        std : ndarray of shape (n_samples,), float64
            In units of y. Infinite where a component of 'student_t' has 2 degrees of freedom or less. Of 'multinomial'
            (n_samples, n_categories), of one trial. Of several responses (n_samples, n_responses), or a list.
        """
        components = self._components_of(X, exposure, offset, gate_X, trials)
        return self._side_by_side([mixture_moments(*own)[1] for own in components])

    def predict_quantile(
        self,
        X: RowsLike,
        q: float | ArrayLike = 0.5,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Find quantiles of y given x under the mixture.

        Parameters
        ----------
        <X>
        q : float or array-like of shape (n_quantiles,), default=0.5
            Above 0 and below 1; 0.5 is the median.
        <exposure, offset, gate_X, trials>

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_quantiles), float64
            In units of y; of counts the smallest with at least the probability q. Of several responses one more axis at
            the end, each response by itself.

        Raises
        ------
        ValueError
            For q that is not between 0 and 1, for responses that have no order, and for trials that are not whole
            numbers, or of experts without.
        """
        levels = np.asarray(q, dtype=np.float64)
        if levels.ndim > 1 or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"q={q!r} should be a number above 0 and below 1, or a list of such")
        found = []
        for distribution, *components in self._components_of(X, exposure, offset, gate_X, trials):
            if not distribution.is_number:
                raise ValueError(f"expert={self.expert!r} has no quantiles: categories have no order")
            of_levels = [mixture_quantile(distribution, level, *components) for level in np.atleast_1d(levels)]
            found.append(np.stack(of_levels, axis=1) if levels.ndim else of_levels[0])
        return self._side_by_side(found)

    def predict_interval(
        self,
        X: RowsLike,
        level: float = 0.9,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """The interval that y given x is in with probability `level`, with as much above it as below.

        It knows the spread of y under the fitted mixture, not that parameters are estimates; see `inference` for these.

        Parameters
        ----------
        <X>
        level : float, default=0.9
            Above 0 and below 1.
        <exposure, offset, gate_X, trials>

        Returns
        -------
        limits : ndarray of shape (n_samples, 2), float64
            In units of y. Of several responses (n_samples, 2, n_responses), each response by itself.

        Raises
        ------
        ValueError
            As in `predict_quantile`.
        """
        if not isinstance(level, Real) or not 0 < level < 1:
            raise ValueError(f"level={level!r} should be a number above 0 and below 1")
        levels = [(1 - level) / 2, (1 + level) / 2]
        return self.predict_quantile(X, levels, exposure=exposure, offset=offset, gate_X=gate_X, trials=trials)

    def _redrawing(self, X):
        """A parametric bootstrap: a function of a random generator that returns X with newly drawn responses, with the
        numbers of trials of the given ones. Rows of a group get the same component."""
        rows, given = separated(X)
        y, groups = (separated(self._read_rows(X, reset=False))[1].get(name) for name in ("y", "groups"))
        known = {name: given[name] for name in ("exposure", "offset", "gate_X") if name in given}
        gate_X = known.pop("gate_X", None)
        distributions, etas, dispersions = self._distributions(), self._predictors(rows, **known), self._dispersions()
        ys, ends = self._family().split(y), np.cumsum(self.predict_proba(rows, gate_X=gate_X), axis=1)

        def draw(rng):
            places = rng.random_sample(len(ends))
            labels = drawn_of(ends, places if groups is None else places[groups])
            drawn = [np.empty_like(y) for y in ys]
            for own, distribution, y, eta, dispersion in zip(drawn, distributions, ys, etas, dispersions, strict=True):
                for k in range(len(dispersion)):
                    of_it = labels == k
                    own[of_it] = distribution.draw_like(rng, y[of_it], eta[k, of_it], dispersion[k])
            drawn = np.hstack(drawn)
            return rows_with(rows, given | {"y": drawn[:, 0] if drawn.shape[1] == 1 else drawn})

        return draw

    # ---- parameters ----

    def inference(
        self,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        robust: bool = False,
        clusters: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Inference:
        """Standard errors, z values, p values and confidence limits of the parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows that the model was fitted to.
        <y, sample_weight>
        robust : bool, default=False
            False: from the observed information, right where the model is. True: the sandwich, which also holds where
            the distribution of y is another than the expert's.
        clusters : array-like of shape (n_samples,), default=None
            Rows that are not independent of each other, as those of one school: scores are summed over them first.
            Implies `robust`. Rows of one of `groups` are of one cluster. Of a model that was fitted by a formula also
            the name of a column of the table. Covariances are multiplied by G / (G - 1), for G clusters, and by nothing
            else: standard errors without a correction, as some programs give them, are less by sqrt((G - 1) / G).
        <row_data of experts>

        Returns
        -------
        result : Inference
            With `standard_errors`, `z_values`, `p_values`, `confidence_limits`, `covariance` and `to_frame`.

        Raises
        ------
        ValueError
            As in `fit`, and for clusters that are not one for each row, or only one.

        Notes
        -----
        The observed information is found by Louis' identity in one pass over the rows. A ridge counts as part of the
        log-likelihood. Where the information is singular, standard errors of the parameters that it says nothing of are
        NaN, with a warning. They are NaN, too, where the parameters are at no maximum: between components that are
        nearly equal EM is slow, and a fit with the default `tol` may stop there. The warning says which it is; a fit
        with `tol=1e-12` and a larger `max_iter` leaves such a place. Parameters of a component are compared with 0 as
        in any regression; that a component is needed at all is no such question: see `bootstrap_lrt`. What `hold` says
        is known: the result has the other parameters, given these.

        A weight counts rows, as everywhere. Weights that are only relative, such as those of a survey, have to be
        multiplied by a number so that their sum is the number of rows.
        """
        self._check_ready()
        y = self._gathered(y)
        clusters = None if clusters is None else _numbered(clusters, len(y))
        X, sample_weight, kept = counted_rows(self._with_responses(X, y, row_data, "inference"), sample_weight)
        X = self._read_rows(X, reset=False)
        resp = self._evaluate_read(X, resp=True).resp.astype(np.float64)
        rows, data = separated(X)
        weights = np.ones(rows.shape[0]) if sample_weight is None else sample_weight
        rows, groups = dense(rows), data.get("groups")
        if clusters is not None:
            clusters = clusters if kept is None else clusters[kept]
            if len(np.unique(clusters)) < 2:
                raise ValueError("clusters are all the same: there should be several, independent of each other")
        responses, terms = zip(*self._responses(rows, data), strict=True)
        gate, gate_terms = self._gate_of(rows, data)
        if groups is not None:
            first = np.flatnonzero(firsts_of(groups))
            if clusters is not None and np.any(clusters != clusters[first][groups]):
                row = int(np.argmax(clusters != clusters[first][groups]))
                raise ValueError(f"clusters should be the same for all rows of a group, row {row} has another")
            gate, resp, weights = gate._replace(Z=gate.Z[first]), resp[first], weights[first]
            clusters = None if clusters is None else clusters[first]
        held = self._held_in_inference(responses, rows.shape[1], gate.theta.shape)
        return infer(responses, gate, resp, weights, terms, gate_terms, groups, robust, clusters, held)

    def _terms_of_columns(self):
        names = getattr(self, "feature_names_in_", None)
        return [f"x{place}" for place in range(self.n_features_in_)] if names is None else list(names)

    def _responses(self, rows, data):
        """For each response (`inference.Response`, names of its parameters), an iterator."""
        family, params, columns = self._fitted_family(), self._collect(), self._terms_of_columns()
        use, first = family.use(rows.shape[1]), 0
        names, ys = self._names_of_experts(), family.split(data["y"])
        called = self._names_of_responses() or [f"y{place}" for place in range(len(names))]
        designs = {}  # of the same columns one
        for place, (name, expert, y) in enumerate(zip(names, family.responses, ys, strict=True)):
            distribution, predictors = DISTRIBUTIONS[name], slice(first, first + expert.n_predictors)
            first += expert.n_predictors
            own, shared = (np.flatnonzero(use[place, 1:] == kind) for kind in (OWN, SHARED))
            coefficients = np.asarray(params.coefficients, dtype=np.float64)[:, predictors].transpose(0, 2, 1)
            slopes = coefficients[:, own]
            if self.fit_intercept:
                intercepts = np.asarray(params.intercepts, dtype=np.float64)[:, np.newaxis, predictors]
                slopes = np.hstack([intercepts, slopes])
            if own.tobytes() not in designs:
                ones = np.ones((len(rows), int(self.fit_intercept)))
                designs[own.tobytes()] = np.hstack([ones, rows[:, own]])
            design = designs[own.tobytes()]
            offset = np.zeros(len(rows)) + data.get("offset", 0.0)
            if expert.takes_exposure and "exposure" in data:
                offset = offset + np.log(data["exposure"])
            dispersions = self._dispersions()[place]
            n_free = expert.n_dispersions + (expert.degrees is None)
            common = ((self.variance == "common"), False)[:n_free]
            response = Response(
                distribution,
                y[:, 0] if expert.width == 1 else y,
                design,
                rows[:, shared],
                offset,
                slopes,
                coefficients[0, shared],
                dispersions,
                common,
                float(self.alpha),
                int(self.fit_intercept),
            )
            prefix = f"{called[place]}: " if self._has_several else ""
            own_terms = ["(Intercept)"] * self.fit_intercept + [columns[column] for column in own]
            categories = self._each("classes_")[place][1:] if name == "multinomial" else [None]
            terms = (
                _each_predictor(prefix, own_terms, categories),
                _each_predictor(prefix, [columns[column] for column in shared], categories),
                [f"{prefix}{word}" for word in distribution.dispersions[:n_free]],
            )
            yield response, terms

    def _gate_of(self, rows, data):
        """(`inference.Gate` of the rows, names of its columns). Weights without a gate are one with an intercept
        alone."""
        if self.gate is None:
            weights = np.maximum(np.asarray(self.weights_, dtype=np.float64), np.finfo(float).tiny)
            return Gate(np.ones((len(rows), 1)), np.log(weights / weights[0])[:, np.newaxis]), ["(Intercept)"]
        theta = np.column_stack([self.gate_intercept_, self.gate_coef_]).astype(np.float64)
        Z = np.column_stack([np.ones(len(rows)), data.get("gate", rows)])
        return Gate(Z, theta - theta[0], float(self.gate_alpha)), ["(Intercept)", *self._terms_of_gate(Z.shape[1] - 1)]

    def _terms_of_gate(self, n_columns):
        if self._takes_gate_X():
            names = getattr(self, "gate_feature_names_in_", None)
            return [f"z{place}" for place in range(n_columns)] if names is None else list(names)
        columns = self._terms_of_columns()
        return columns if self.gate == "same" else [columns[place] for place in self._places_of("gate", self.gate)]


def _each_predictor(prefix, terms, categories):
    """Names of the coefficients, for each term that of each category; categories is [None] where there are none."""
    return [
        f"{prefix}{term}" if category is None else f"{prefix}{term} [{category}]"
        for term in terms
        for category in categories
    ]


def _numbered(clusters, n_samples):
    """Cluster labels of any type as integers (n_samples,). Raises ValueError for another shape."""
    values = as_values(list(clusters)) if np.ndim(clusters) == 1 else np.empty(0)
    if len(values) != n_samples:
        got = in_short(clusters) if isinstance(clusters, str) else np.shape(clusters)
        raise ValueError(
            f"clusters should have the shape of {(n_samples,)}, got {got}: names of columns are those of the table "
            "of a model by from_formula"
        )
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]
