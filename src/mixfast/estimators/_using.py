"""What is asked of a fitted density beside the densities of rows: some of its columns, the others given these,
quantiles, the region of highest density, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from mixfast._docstrings import described
from mixfast._typing import Column, RowsLike, Seed
from mixfast.estimators._by_em import OF_EACH_COMPONENT
from mixfast.estimators._density import of_rows
from mixfast.families.missing import patterns_of
from mixfast.in_messages import among, in_short, one_name
from mixfast.row_data import check_no_others, names_for_densities, numbered, rows_with, separated
from mixfast.tables import is_nothing, is_table

#: Draws that a level of the density is found from: a share of 0.95 has a standard error of 0.0007.
N_DRAWS = 100_000

#: So many patterns of missing entries have levels from all draws; where there are more, each is from one of 2 draws, of
#: 3 and so on, of LARGEST_STEP at most: 4,000 of 100,000, by which a share of 0.01 has a standard error of 0.0016.
PATTERNS_WITH_ALL_DRAWS = 10
LARGEST_STEP = 25

#: Rows of up to so many different exposures have levels at each; of more, levels lie between those at so many. Of
#: 40,000 draws of components of rates (5, 1) and (50, 80), exposures from 0.1 to 100, 4.8% and 0.97% were outliers
#: where 5% and 1% were asked for, from 1 to 1000 5.0% and 0.93%; with one exposure 4.7% to 4.9% and 0.88% to 0.96%:
#: counts have densities that many rows share, so that fewer are below a level.
MOST_EXPOSURES = 32

#: Halvings of an interval of doubles until nothing lies between its ends: their bits are 64, and a few more.
MOST_HALVINGS = 2100


@described
class UsedAsDensity:
    """The methods of mixtures that are fitted by maximum likelihood."""

    # ---- what a subclass says ----

    def _margin(self, columns):
        """A fitted model of some columns, by their numbers."""
        raise TypeError(f"columns of a {type(self).__name__} have no distribution of their own of the same kind")

    def _given(self, columns, values, **given):
        """A fitted model of the other columns, given values of some, in their order; `given` is what the family wants
        to know of the row beside these."""
        resp = self._shares_given(columns, values[np.newaxis], **given)[0]
        return self._margin(self._others(columns))._reweighted(resp)

    def _expected_others(self, X, columns):
        """E[other columns | given ones, k] as a function of k: (n_samples, n_others), or (n_others,) for all rows; a
        class whose rows have more that densities depend on takes that too, by its name."""
        means = self._centres()[:, self._others(columns)]
        return lambda k: means[k]

    def _centres(self):
        """Means of the components, (n_components, n_features), float64."""
        raise TypeError(f"a {type(self).__name__} has no means of components that its other columns could have")

    # ---- columns ----

    def _reweighted(self, weights):
        """The same components with other weights."""
        return self._of_components(weights, self._fitted_params())

    def _shares_given(self, columns, X, **given):
        """Responsibilities (n_samples, n_components) of rows of which some columns are known, a table or an array."""
        return self._margin_for(columns, X)._shares_of_rows(X, **given)

    # ---- what rows have beside their values ----

    def _given_to_density(self, function, data):
        """What the density of a row depends on beside its values, of arguments by name; TypeError for others."""
        check_no_others(function, self, data, names_for_densities(self))
        return {name: values for name, values in data.items() if values is not None}

    def _checked_given(self, function, data, n_samples):
        """The same checked, (n_samples,) each; a warning where the fit was given what is not given here."""
        data = self._given_to_density(function, data)
        return self._check_row_data(data, np.empty((n_samples, 0)), reset=False)

    def _margin_for(self, columns, X):
        """The model of some columns that reads these rows of them."""
        margin = self._margin(columns)
        if not is_table(X):  # which has no names that could be missed
            vars(margin).pop("feature_names_in_", None)
        return margin

    def _others(self, columns):
        return [j for j in range(self._n_fitted_features()) if j not in columns]

    def _places(self, columns, leaves_some=False):
        """Numbers of the columns; they may be names where the fit had some."""
        check_is_fitted(self)
        n_features, names = self._n_fitted_features(), getattr(self, "feature_names_in_", None)
        places = []
        for column in [columns] if isinstance(columns, (str, Integral)) else columns:
            if isinstance(column, str):
                if names is None or column not in names:
                    known = "have no names" if names is None else f"have names: {among(column, names)}"
                    raise ValueError(f"columns has {one_name(column)}, and the columns of the fit {known}")
                places.append(int(np.flatnonzero(names == column)[0]))
            elif isinstance(column, Integral) and not isinstance(column, bool) and 0 <= column < n_features:
                places.append(int(column))
            else:
                raise ValueError(
                    f"columns has {in_short(column)}, and should have names or numbers from 0 to {n_features - 1}"
                )
        if not places or len(set(places)) < len(places) or (leaves_some and len(places) == n_features):
            raise ValueError(
                f"columns={in_short(columns)} should be some different ones"
                + (", and leave some" if leaves_some else "")
                + f" of {n_features}"
            )
        return places

    def _options_of_columns(self, columns):
        """Parameters of the constructor that hold for some of the columns too, by their numbers."""
        own = self.get_params(deep=False)
        for name in ("n_components", *OF_EACH_COMPONENT, "categories"):
            own.pop(name, None)
        if own.get("canonical_order"):  # components keep the numbers that they have with all columns
            own["canonical_order"] = False
        if not isinstance(own["init_params"], str):
            own["init_params"] = "kmeans"
        return own

    def _names_of_columns(self, places):
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else list(names[places])

    def marginal(self, columns: Column | Sequence[Column]) -> Self:
        """The mixture that some of the columns follow, whatever the others are.

        Parameters
        ----------
        columns : int, str or list of them
            Numbers or names; those of the new model are in this order.

        Returns
        -------
        model : object
            Fitted, of the same class.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For columns that the fit had not, and beside noise that is uniform in a box along other axes (`noise_box_`).
        TypeError
            Where the columns have no distribution of the kind: counts that are given their sum, directions.
        """
        return self._margin(self._places(columns))

    def condition(self, columns: Column | Sequence[Column], values: ArrayLike, **row_data: ArrayLike | None) -> Self:
        """The mixture that the other columns follow where some have given values.

        Parameters
        ----------
        columns : int, str or list of them
            Numbers or names of those whose values are given; they leave at least one.
        values : float or array-like of shape (n_columns,)
            In the order of `columns`.
        **row_data
            What the row has beside its values: of a `PoissonMixture` its exposure, a number.

        Returns
        -------
        model : object
            Fitted, of the other columns in their order. Of Student-t components each has degrees of freedom of its own,
            more by the number of the columns that are given, and a scale that depends on how far these are from it;
            where structures do not allow that, the model's is 'full'.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `marginal`, for values outside the domain, and for other numbers of them.
        TypeError
            As `marginal`.
        """
        places = self._places(columns, leaves_some=True)
        row_data = self._given_to_density("condition", row_data)
        given = np.atleast_1d(np.asarray(values, dtype=object))  # whose strings make none of numbers beside them
        values = np.atleast_1d(np.asarray(values))
        if values.shape != (len(places),):
            raise ValueError(f"values should be {len(places)}, one for each of the columns, got {values.shape}")
        self._check_given(places, given)
        return self._given(places, values, **row_data)

    def _check_given(self, places, values):
        """Raises ValueError for values of some columns that are missing, or no numbers in columns of numbers."""
        for place, value in zip(places, values.tolist(), strict=True):
            column = one_name(self._labels_of_columns()[place])
            if is_nothing(value):
                raise ValueError(
                    f"values has {value} for {column}: what is missing is not given, so leave that out of columns too"
                )
            if self._labels_of_categories() is not None:
                continue
            if isinstance(value, str) or not isinstance(value, Real):
                raise ValueError(f"values has {in_short(value)} for {column}, and should have a number")
            if not np.isfinite(value):
                raise ValueError(f"values has {value} for {column}, and should have a finite number")

    @of_rows
    def conditional_mean(
        self, X_given: RowsLike, columns: Column | Sequence[Column], **row_data: ArrayLike | None
    ) -> NDArray[np.float64]:
        """The means of the other columns of rows of which some columns are known: regression by the joint density.

        Parameters
        ----------
        X_given : array-like of shape (n_samples, n_columns)
            The known columns, in the order of `columns`. Where entries are missing, NaN, means are those given what is
            there.
        columns : int, str or list of them
            Numbers or names of the columns that are known; they leave at least one.
        **row_data
            As in `fit`: rows of an exposure have means at it, rows of a group are of the same component.

        Returns
        -------
        means : ndarray of shape (n_samples, n_features - n_columns), float64
            Of the other columns, in their order.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For columns that the fit had not, and rows that predictions refuse.
        TypeError
            As `marginal`.
        """
        places = self._places(columns, leaves_some=True)
        margin = self._margin_for(places, X_given)
        rows, given, shares = margin._read_with_shares(X_given, row_data)
        means, others = self._expectations(shares, rows, places, given), self._others(places)
        for own, there, _ in _patterns_with_gaps(rows):  # the others are more than those that are asked for
            known = [places[j] for j in there]
            expected = self._expectations(shares[own], rows[np.ix_(own, there)], known, _of(own, given))
            means[own] = expected[:, np.searchsorted(self._others(known), others)]
        return means

    def _expectations(self, resp, X, places, given):
        """Means (n_samples, n_others) of the other columns, of rows of these components."""
        expected = self._expected_others(X, places, **given)
        return sum(resp[:, k, np.newaxis] * expected(k) for k in range(resp.shape[1]))

    # ---- missing entries ----

    def _read_with_shares(self, X, row_data):
        """(rows as the family has them, dense; what each has that densities depend on, by name; responsibilities of all
        that is there, float64)"""
        self._check_ready()
        self._check_assigned()
        read = self._read_rows(rows_with(X, row_data), reset=False)
        rows, data = separated(read)
        given = {name: values for name, values in data.items() if name in names_for_densities(self)}
        shares = self._evaluate_read(read, resp=True).resp.astype(np.float64)
        return rows.toarray() if scipy.sparse.issparse(rows) else rows, given, shares

    @of_rows
    def impute(self, X: RowsLike, **row_data: ArrayLike | None) -> NDArray[np.float64]:
        """Fill rows with the means of what is missing given what is there.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            NaN where an entry is missing.
        **row_data
            As in `fit`: rows of an exposure have means at it, those of known labels means in these components, and how
            likely each component is in a group is said by all rows of that.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            A copy. Rows without an entry have the mean of the mixture. Of a `ProductMixture` it has the columns
            `columns_`; what is missing has its mean in its part given what is there of that, and how likely each
            component is by all parts.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For mixtures that know no missing entries, or no means of columns given others: categories have none.
        """
        self._check_takes_missing()
        rows, given, shares = self._read_with_shares(X, row_data)
        rows = np.array(rows, dtype=np.float64)
        for own, there, missing in _rows_by_pattern(rows):
            known = rows[np.ix_(own, there)]
            rows[np.ix_(own, missing)] = self._expectations(shares[own], known, there, _of(own, given))
        return self._as_given(rows)

    @of_rows
    def sample_missing(
        self, X: RowsLike, n_draws: int = 1, random_state: Seed = None, **row_data: ArrayLike | None
    ) -> NDArray[np.float64]:
        """Draw what is missing in rows given what is there (multiple imputation).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            NaN where an entry is missing.
        n_draws : int, default=1
            Number of draws of each row.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`; if that is an int, each call gives the same draws.
        **row_data
            As in `impute`. All rows of a group are drawn from one component.

        Returns
        -------
        X : ndarray of shape (n_draws, n_samples, n_features), float64
            What is there is the same in all draws. Of a `ProductMixture` it has the columns `columns_`, and is of
            objects where some are categories that are no numbers.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a number of draws below 1.
        TypeError
            For mixtures that know no missing entries, or not how these are distributed given others.
        """
        self._check_takes_missing()
        rows, given, shares = self._read_with_shares(X, row_data)
        rows = np.array(rows, dtype=np.float64)
        rng, fill = self._rng_of_sample(n_draws, random_state), self._filler(rows, **given)
        cumulated, groups = np.cumsum(shares, axis=1), row_data.get("groups")
        places = np.arange(len(rows)) if groups is None else numbered(groups, len(rows))
        drawn = np.repeat(rows[np.newaxis], n_draws, axis=0)
        for draw in drawn:
            uniform = rng.random_sample((len(rows), 1))[places]
            below = cumulated[:, :-1] < cumulated[:, -1:] * uniform
            fill(draw, np.sum(below, axis=1), rng)
        return np.stack([self._as_given(draw) for draw in drawn])

    def _filler(self, rows):
        """A function fill(draw, labels, rng) that draws what is missing in rows of these components, into a copy."""
        raise TypeError(f"how missing entries of a {type(self).__name__} are distributed given others is not known")

    def _check_takes_missing(self):
        check_is_fitted(self)
        if not (self._accepts_missing or get_tags(self).input_tags.allow_nan):
            raise TypeError(
                f"a {type(self).__name__} has no numbers for entries that are missing: take a mixture of numbers that "
                "may be, such as GaussianMixture"
            )

    # ---- one column ----

    def _of_one_column(self):
        """(family, parameters) of models of one column whose distribution function is known."""
        self._check_ready()
        self._check_assigned()
        family = self._family()
        if self._n_fitted_features() != 1:
            raise ValueError(
                f"a distribution function is that of one column, and there are {self._n_fitted_features()}: take one, "
                "as in model.marginal(0)"
            )
        if family.cdf is None:
            raise TypeError(f"the distribution function of a {type(self).__name__} is not known in closed form")
        return family, self._fitted_params()

    def _mixed_cdf(self, family, params, x, given):
        weights = np.asarray(self.weights_, dtype=np.float64)
        return np.clip(family.cdf(params, x[:, np.newaxis], **given) @ (weights / weights.sum()), 0, 1)

    def cdf(self, X: RowsLike, **row_data: ArrayLike | None) -> NDArray[np.float64]:
        """The distribution function, of models of one column: how likely values up to those of the rows are.

        Parameters
        ----------
        X : array-like of shape (n_samples, 1)
            The rows.
        **row_data
            What rows have beside their values: exposures of a `PoissonMixture`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples,), float64
            From 0 to 1.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For models of several columns: take one, as in ``model.marginal(0)``.
        TypeError
            For families without a distribution function.
        """
        family, params = self._of_one_column()
        rows = check_array(X, dtype=np.float64)
        if rows.shape[1] != 1:
            raise ValueError(f"X has {rows.shape[1]} features, and the model has 1")
        return self._mixed_cdf(family, params, rows[:, 0], self._checked_given("cdf", row_data, len(rows)))

    def ppf(self, q: ArrayLike, **row_data: ArrayLike | None) -> NDArray[np.float64]:
        """Quantiles, of models of one column: the least value that `cdf` is at least q at.

        Parameters
        ----------
        q : float or array-like
            From 0 to 1.
        **row_data
            What rows have beside their values, a number or an array of the shape of `q`: exposures of a
            `PoissonMixture`.

        Returns
        -------
        values : ndarray of the shape of `q`, float64
            By bisection, to the last bit that the distribution function tells apart. Those of 0 and 1 are the ends of
            the support, which may be infinite.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For numbers that are not from 0 to 1, and as `cdf`.
        TypeError
            As `cdf`.
        """
        family, params = self._of_one_column()
        shape, q = np.shape(q), np.ravel(np.asarray(q, dtype=np.float64))
        if not np.all((q >= 0) & (q <= 1)):
            raise ValueError(f"q should be from 0 to 1, got {q[~((q >= 0) & (q <= 1))][0]}")
        row_data = {name: np.ravel(own) for name, own in row_data.items() if own is not None}
        given = self._checked_given("ppf", row_data, len(q))
        least, most = family.support
        inside = (q > 0) & (q < 1)

        def reaches(x):
            return self._mixed_cdf(family, params, x, given) >= q

        low, high = np.full(len(q), max(least, -1.0)), np.full(len(q), min(most, 1.0))
        if np.isinf(least):
            low = _moved_out(low, reaches, inside)
        if np.isinf(most):
            high = _moved_out(high, lambda x: ~reaches(x), inside)
        if not np.isinf(least):  # the least value may have the probability
            high = np.where(reaches(low), low, high)
        for _ in range(MOST_HALVINGS):
            middle = low + (high - low) / 2
            if family.is_discrete:
                middle = np.floor(middle)
            if not np.any(inside & (middle > low) & (middle < high)):
                break
            is_above = reaches(middle)
            low, high = np.where(is_above, low, middle), np.where(is_above, middle, high)
        return np.where(q == 0, least, np.where(q == 1, most, high)).reshape(shape)

    # ---- regions of highest density ----

    def log_density_level(
        self, share: float, n_draws: int = N_DRAWS, random_state: Seed = 0, **row_data: ArrayLike | None
    ) -> float:
        """The log density that a share of the rows exceeds: those that do are the region of highest density.

        Parameters
        ----------
        share : float
            Above 0, below 1.
        n_draws : int, default=100000
            Rows that are drawn to find it; its share then has a standard error of sqrt(share (1 - share) / n_draws).
        random_state : int, RandomState instance or None, default=0
            Seed of the draws.
        **row_data
            What rows have beside their values: of a `PoissonMixture` their exposure, a number.

        Returns
        -------
        level : float
            In nats, as `score_samples`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a share that is not between 0 and 1.
        TypeError
            For mixtures of regressions, whose rows have no density.
        """
        check_is_fitted(self)
        if not isinstance(share, Real) or not 0 < share < 1:
            raise ValueError(f"share={in_short(share)} should be between 0 and 1")
        self._check_has_levels(n_draws)
        given = self._checked_given("log_density_level", row_data, 1)
        return self._levels_of_patterns([], share, n_draws, random_state, given)[0]

    def _check_has_levels(self, n_draws):
        check_is_fitted(self)
        if self._needed_row_data:
            raise TypeError(f"rows of a {type(self).__name__} have no density, but that of responses")
        if not isinstance(n_draws, Integral) or n_draws < 2:
            raise ValueError(f"n_draws={n_draws!r} should be an integer of at least 2")

    def _levels_of_patterns(self, gaps, share, n_draws, random_state, given):
        """The levels of rows without gaps, from all draws, then of those that lack each of some lists of columns.
        `given` is what all rows have beside their values, (1,) each."""
        given = {name: np.broadcast_to(values, n_draws) for name, values in given.items()}
        drawn = self._draw(n_draws, check_random_state(random_state), **given)[0]
        levels = [_level(self._evaluate_read(rows_with(drawn, given), log_norm=True).log_norm, share)]
        step = _step_of_draws(len(gaps))
        for missing in gaps:
            lacking = drawn[::step].copy()
            lacking[:, missing] = np.nan
            some = rows_with(lacking, {name: values[::step] for name, values in given.items()})
            levels.append(_level(self._evaluate_read(some, log_norm=True).log_norm, share))
        return levels

    def is_outlier(
        self,
        X: RowsLike,
        contamination: float = 0.01,
        n_draws: int = N_DRAWS,
        random_state: Seed = 0,
        **row_data: ArrayLike | None,
    ) -> NDArray[np.bool_]:
        """Which rows lie where the density is lowest.

        Rows with missing entries are compared with rows of the mixture that lack the same entries: log densities of
        some columns are in other units than those of all, so each pattern of what is there has a level of its own, that
        of its columns by themselves.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        contamination : float, default=0.01
            The share of rows of the mixture that are taken for outliers.
        n_draws : int, default=100000
            Rows that are drawn to find the level of complete rows, whose share has a standard error of
            sqrt(share (1 - share) / n_draws), 0.0003 for 0.01. Up to ten patterns of missing entries have levels from
            all of them. Of k patterns each is from m = n_draws / min(ceil(k / 10), 25) draws, spread evenly: its share
            has a standard error of sqrt(share (1 - share) / m), at most 0.0016 for 0.01, and so depends on how many
            other patterns X has; give more draws where that matters. With 250 patterns of 8 columns that takes 0.2 s
            of processor time, with 500 of 30 columns 1.1 s (three full covariances; all draws took 3.9 and 27 s).
        random_state : int, RandomState instance or None, default=0
            Seed of the draws.
        **row_data
            What rows have beside their values: exposures of a `PoissonMixture`. A row is compared with rows of its
            exposure. Of k exposures, 32 at most, each has levels from n_draws / ceil(k / 10) draws; where there are
            more, levels are those at 32 exposures, evenly spaced in the logarithm, and between them on straight lines.

        Returns
        -------
        outliers : ndarray of shape (n_samples,), bool
            Whether the density is below the level.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As `log_density_level`.
        """
        if not isinstance(contamination, Real) or not 0 < contamination < 1:
            raise ValueError(f"contamination={contamination!r} should be between 0 and 1")
        self._check_has_levels(n_draws)
        read = self._read_rows(rows_with(X, self._given_to_density("is_outlier", row_data)), reset=False)
        rows, data = separated(read)
        log_density = self._evaluate_read(read, log_norm=True).log_norm
        patterns, exposure = _patterns_with_gaps(rows), data.get("exposure")
        levels = self._levels_of_rows(len(log_density), patterns, 1 - contamination, n_draws, random_state, exposure)
        return log_density < levels

    def _levels_of_rows(self, n_rows, patterns, share, n_draws, random_state, exposure):
        """The level that each row is compared with, (n_rows,); `exposure` is None or (n_rows,)."""
        gaps = [missing for _, _, missing in patterns]
        if exposure is None:
            at, knots = np.zeros(n_rows), np.zeros(1)
            levels = np.array([self._levels_of_patterns(gaps, share, n_draws, random_state, {})])
        else:
            known = np.unique(exposure)
            if len(known) > MOST_EXPOSURES:
                known = np.geomspace(known[0], known[-1], MOST_EXPOSURES)
            at, knots, n_of_each = np.log(exposure), np.log(known), max(2, n_draws // _step_of_draws(len(known)))
            of_each = [{"exposure": np.array([own])} for own in known]
            levels = np.array(
                [self._levels_of_patterns(gaps, share, n_of_each, random_state, given) for given in of_each]
            )
        found = np.interp(at, knots, levels[:, 0])
        for number, (own, _, _) in enumerate(patterns, start=1):
            found[own] = np.interp(at[own], knots, levels[:, number])
        return found


def _step_of_draws(n_patterns):
    """One of so many draws is evaluated for each pattern. They are taken evenly: draws may be sorted by component."""
    return min(-(-n_patterns // PATTERNS_WITH_ALL_DRAWS), LARGEST_STEP)


def _level(log_density, share):
    """What a share of rows exceeds: that of a row, for between two densities of zero, whose logarithms are infinite,
    there is nothing."""
    return float(np.quantile(log_density.astype(np.float64), 1 - share, method="lower"))


def _of(rows, given):
    """What some rows, by their numbers, have beside their values."""
    return {name: values[rows] for name, values in given.items()}


def _patterns_with_gaps(rows):
    """`_rows_by_pattern` of rows that have been read, dense or sparse."""
    if not np.any(np.isnan(rows.data if scipy.sparse.issparse(rows) else rows)):
        return []
    return _rows_by_pattern(rows.toarray() if scipy.sparse.issparse(rows) else rows)


def _moved_out(ends, are_short, inside):
    """Ends of search intervals, doubled until each interval contains the value that is searched for."""
    while np.any(inside & (short := are_short(ends))) and np.max(np.abs(ends)) < 1e300:
        ends = np.where(short, 2 * ends, ends)
    return ends


def _rows_by_pattern(rows):
    """(rows of a pattern, columns that are there, that are not) of those rows that have missing entries, NaN."""
    there, number = patterns_of(~np.isnan(rows))
    order = np.argsort(number, kind="stable")
    found = np.split(order, np.cumsum(np.bincount(number, minlength=len(there)))[:-1])
    return [
        (own, np.flatnonzero(has).tolist(), np.flatnonzero(~has).tolist())
        for own, has in zip(found, there, strict=True)
        if not has.all()
    ]


def filler_of_independent_columns(model, rows, **given):
    """`_filler` of components with independent columns: whole rows are drawn, of which what is missing stays. `given`
    is what the family wants to know of the rows beside these."""
    gaps, params, family = np.isnan(rows), model._fitted_params(), model._family()

    def fill(draw, labels, rng):
        draw[gaps] = family.sample(params, labels, rng, **given)[gaps]

    return fill


class IndependentColumns:
    """Of mixtures whose components have independent columns: the parameters of some columns are those of `margin` of
    the family, by the names that `from_parameters` takes."""

    def _margin(self, columns):
        _, params = self._family().margin(self._collect(), columns)
        return type(self).from_parameters(
            weights=self.weights_,
            feature_names=self._names_of_columns(columns),
            **params._asdict(),
            **self._options_of_columns(columns),
        )

    def _filler(self, rows, **given):
        return filler_of_independent_columns(self, rows, **given)


#: Structures that some columns have as all have them; others become matrices of each component.
KEPT = ("full", "tied", "diag", "spherical")

#: Structures by which columns are not correlated within a component.
UNCORRELATED = ("diag", "spherical")


class EllipticalColumns:
    """Of mixtures whose components have means and covariances."""

    def _as_kept(self):
        """(covariance_type, covariances), float64, in a form from which covariances of some columns can be taken."""
        if self.covariance_type in KEPT:
            return self.covariance_type, np.asarray(self.covariances_, dtype=np.float64)
        return "full", np.asarray(self.covariance_matrices(), dtype=np.float64)

    def _model_of(self, weights, means, structure, covariances, columns, **others):
        options = self._options_of_columns(columns) | {"covariance_type": structure}
        return type(self).from_parameters(
            weights=weights,
            means=means,
            covariances=covariances,
            feature_names=self._names_of_columns(columns),
            **others,
            **{name: own for name, own in options.items() if name not in others},
        )

    def _centres(self):
        return np.asarray(self.means_, dtype=np.float64)

    def _margin(self, columns):
        structure, covariances = self._as_kept()
        record = self._collect()._asdict()
        # what is neither place nor width some columns have as all have
        others = {name: own for name, own in record.items() if name not in ("means", *self._family().scales)}
        own = self._family().covariances_of(covariances, columns)
        return self._model_of(self.weights_, self._centres()[:, columns], structure, own, columns, **others)

    def _slopes(self, columns):
        """(n_components, n_others, n_columns): of the other columns on some, and what these leave of their covariances,
        (n_components, n_others, n_others)."""
        matrices, others = np.asarray(self.covariance_matrices(), dtype=np.float64), self._others(columns)
        within = matrices[:, columns][:, :, columns]
        across = matrices[:, others][:, :, columns]
        slopes = np.swapaxes(np.linalg.solve(within, np.swapaxes(across, 1, 2)), 1, 2)
        left = matrices[:, others][:, :, others] - slopes @ np.swapaxes(across, 1, 2)
        return slopes, (left + np.swapaxes(left, 1, 2)) / 2

    def _expected_others(self, X, columns):
        means, others = self._centres(), self._others(columns)
        if self.covariance_type in UNCORRELATED:
            return lambda k: means[k, others]
        slopes, _ = self._slopes(columns)
        return lambda k: means[k, others] + (X - means[k, columns]) @ slopes[k].T

    def _given(self, columns, values, **given):
        values, others = np.asarray(values, dtype=np.float64), self._others(columns)
        weights = self._shares_given(columns, values[np.newaxis], **given)[0]
        structure, covariances = self._as_kept()
        means = self._centres()
        if structure in UNCORRELATED:
            centres, own = means[:, others], self._family().covariances_of(covariances, others)
        else:
            slopes, own = self._slopes(columns)
            centres = means[:, others] + np.einsum("koc,kc->ko", slopes, values - means[:, columns])
            own = own[0] if structure == "tied" else own
        structure, own, more = self._scaled_by(columns, values, structure, own)
        return self._model_of(weights, centres, structure, own, others, **more)

    def _filler(self, rows):
        means = self._centres()
        patterns = []
        for own, there, missing in _rows_by_pattern(rows):
            slopes, left = self._slopes(there)
            patterns.append((own, there, missing, slopes, [_root(one) for one in left]))

        def fill(draw, labels, rng):
            for own, there, missing, slopes, roots in patterns:
                noise = rng.standard_normal((len(own), len(missing)))
                noise *= self._stretches(there, rows[np.ix_(own, there)], labels[own], rng)[:, np.newaxis]
                for k in np.unique(labels[own]):
                    mine = labels[own] == k
                    away = rows[np.ix_(own[mine], there)] - means[k, there]
                    draw[np.ix_(own[mine], missing)] = means[k, missing] + away @ slopes[k].T + noise[mine] @ roots[k].T

        return fill

    def _stretches(self, columns, rows, labels, rng):
        """How far out draws (n,) of what is missing are relative to normal ones, of rows of which some columns are
        known, (n, n_columns), and the components that they are drawn from."""
        return np.ones(len(rows))

    def _scaled_by(self, columns, values, structure, covariances):
        """(structure, covariances, other parameters) of the other columns once values of some are known."""
        return structure, covariances, {}


def _root(matrix):
    """R with R R' = matrix, which may be singular."""
    variances, directions = np.linalg.eigh(matrix)
    return directions * np.sqrt(np.maximum(variances, 0))
