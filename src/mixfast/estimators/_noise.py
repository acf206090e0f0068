"""Noise beside the components: its region, the rows that it begins with, and what of a model is not of the components.

`MixtureWithNoise` is a base of estimators whose components are densities of rows of real numbers.
"""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
from scipy.spatial import KDTree
from sklearn.utils._param_validation import Interval

from mixfast import seeding
from mixfast._warnings import warn
from mixfast.engine._rows import Rows
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators._constraints import Names
from mixfast.families.noise import Region, WithNoise, box_about, check_has_volume
from mixfast.families.presence import with_column_means
from mixfast.relations import Components
from mixfast.row_data import OF_COMPONENTS, check_number_of_components, missing_labels, rows_with, separated

#: Rows that are noise have few others near: the distance to the NEIGHBOUR-th of them says how few.
NEIGHBOUR = 10
#: Of more rows, so many are looked at for neighbours: each row has its distance to these.
MOST_ROWS = 5000
#: So many complete rows are looked at for what others have not.
MOST_DONORS = 500
#: Iterations of the mixture of two kinds of distances, which is one of numbers and converges in a few dozen.
MOST_ITERATIONS = 100


def crowding(rows):
    """(log of the volume of the ball around each row that reaches its NEIGHBOUR-th neighbour, which neighbour that
    is): columns in units of their deviations. Equal rows have the least volume above zero."""
    rows = np.ascontiguousarray(
        rows
    )  # NumPy sums columns of other layouts in another order, and equal distances differ
    deviations = np.std(rows, axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(deviations > 0, deviations, 1)
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)
    near = rows[places]
    order = min(NEIGHBOUR, len(near) - 1)
    among = np.zeros(len(rows), dtype=bool)
    among[places] = True
    both = KDTree(near).query(rows, [order, order + 1])[0]
    distance = np.where(among, both[:, 1], both[:, 0])  # the first of a row that is among them is the row itself
    least = distance[distance > 0].min(initial=1.0)
    return rows.shape[1] * np.log(np.maximum(distance, least)), order


def filled_by_donors(rows):
    """Rows in which entries that are missing are those of the nearest complete row, by the distance in what is there;
    means of columns where no row is complete. Means alone would lie between clusters, far from all other rows."""
    gaps = np.isnan(rows)
    donors = rows[~gaps.any(axis=1)]
    if not gaps.any() or not len(donors):
        return with_column_means(rows)
    donors = donors[np.linspace(0, len(donors) - 1, min(len(donors), MOST_DONORS)).astype(int)]
    middles, deviations = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    deviations[~(deviations > 0)] = 1
    scaled, filled = (donors - middles) / deviations, rows.copy()
    places = np.flatnonzero(gaps.any(axis=1))
    for own in np.array_split(places, len(places) // MOST_DONORS + 1):
        there = (~gaps[own]).astype(np.float64)
        mine = np.where(gaps[own], 0, (rows[own] - middles) / deviations)
        # einsum, not a product of matrices: BLAS has other bits for each number of its threads
        apart = np.einsum("ij,mj->im", there, scaled**2) - 2 * np.einsum("ij,mj->im", mine, scaled)
        filled[own] = np.where(gaps[own], donors[np.argmin(apart, axis=1)], rows[own])
    return filled


def share_far_apart(log_volume, order):
    """Which rows are more likely of the sparser of two Poisson processes than of the denser, of the volumes within
    which each row has `order` others: Gamma(order) over the intensity, by EM (Byers & Raftery, JASA 93 (1998))."""
    volume = np.exp(log_volume - log_volume.max())
    is_far = log_volume > np.median(log_volume)
    for _ in range(MOST_ITERATIONS):
        if not is_far.any() or is_far.all():
            return np.zeros(len(volume), dtype=bool)
        shares, means = [], []
        for own in (~is_far, is_far):
            shares.append(own.mean())
            means.append(volume[own].mean() / order)
        dense, sparse = (
            np.log(share) - order * np.log(mean) - volume / mean  # and what both have
            for share, mean in zip(shares, means, strict=True)
        )
        found = sparse > dense
        if np.array_equal(found, is_far):
            break
        is_far = found
    return is_far


def least_crowded(log_volume, n):
    """The n rows with the fewest others around them, a mask, from what `crowding` says of each."""
    is_far = np.zeros(len(log_volume), dtype=bool)
    is_far[np.argsort(-log_volume, kind="stable")[:n]] = True
    return is_far


def first_noise(rows, noise, n_kept):
    """Which rows noise begins with, a mask: the least crowded, so large a share as `noise` says, or where it says none
    as two intensities of rows make it. It is one row at least, for what begins with none has none for ever, and leaves
    `n_kept` to the components."""
    rows = filled_by_donors(np.asarray(rows, dtype=np.float64))
    if len(rows) < 3:
        return np.zeros(len(rows), dtype=bool)
    log_volume, order = crowding(rows)
    n_far = int(share_far_apart(log_volume, order).sum()) if isinstance(noise, str) else round(noise * len(rows))
    if len(rows) - n_far < n_kept:
        n_far = 1
    return least_crowded(log_volume, max(n_far, 1))


#: What messages say of labels beside the numbers of components.
NOISE_IS = " beside noise, -2"


class MixtureWithNoise(MixtureByEM):
    """Base of the estimators that may have noise. A subclass says what family its components are of."""

    _parameter_constraints: dict = {
        **MixtureByEM._parameter_constraints,
        "noise": [Names(["uniform"]), Interval(Real, 0.0, 1.0, closed="neither"), None],
        "noise_volume": [Interval(Real, 0.0, None, closed="neither"), None],
    }

    _attribute_constraints: dict = {
        **MixtureByEM._attribute_constraints,
        "noise_volume_": [Interval(Real, 0.0, None, closed="neither")],
        "noise_box_": [np.ndarray],
    }

    noise: str | float | None
    noise_volume: float | None

    def _family_of_components(self):
        """The family of the components, with the estimator's hyper-parameters."""
        raise NotImplementedError

    def _family(self):
        own = self._family_of_components()
        if self.noise is None:
            if self.noise_volume is not None:
                raise ValueError(f"noise_volume={self.noise_volume!r} is that of noise, and noise is None: set noise")
            return own
        return WithNoise(own, self._region())

    def _region(self):
        """Of the fitted attributes; None where there are none yet."""
        known = vars(self)
        if "noise_volume_" not in known:
            return None
        if not (isinstance(self.noise_volume_, Real) and 0 < self.noise_volume_ < math.inf):
            raise ValueError(f"noise_volume_ should be a finite number above zero, got {self.noise_volume_!r}")
        return Region.of_box(np.asarray(self.noise_box_)).with_volume(math.log(self.noise_volume_))

    def _n_weights(self):
        return self.n_components + (self.noise is not None)

    def _is_kept_whole(self):
        return super()._is_kept_whole() or self.noise is not None  # each fit has a region

    def _arrays(self):
        """Fitted arrays by name."""
        own = {} if self.noise is None else {"noise_volume": np.asarray(self.noise_volume_)}
        return self._collect()._asdict() | own

    def _shapes_of_arrays(self, n_features):
        if self.noise is None:
            return super()._shapes_of_arrays(n_features)
        family = self._family_of_components()
        shapes = family.param_shapes(self.n_components, n_features)
        return dict(zip(family.Params._fields, shapes, strict=True)) | {"noise_volume": ()}

    def _check_for_parts(self):
        super()._check_for_parts()
        if self.noise is not None and self.noise_volume is None:
            raise ValueError(
                f"noise={self.noise!r} has the volume of the region of all rows, which are not here: set noise_volume"
            )

    # ---- fitting ----

    def _check_begins_by_clusters(self):
        super()._check_begins_by_clusters()
        if self.noise is not None:
            raise ValueError(
                f"noise={self.noise!r} is of rows far out, which init_params={seeding.ELSEWHERE!r} takes for clusters "
                "first: set init_params='kmeans'"
            )

    def _family_of_rows(self, rows, sample_weight):
        for name in ("noise_volume_", "noise_box_"):
            vars(self).pop(name, None)
        if self.noise is not None:
            check_has_volume(rows)
            self._learn_region(Region.around(rows, sample_weight))
        return super()._family_of_rows(rows, sample_weight)

    def _learn_region(self, region):
        with np.errstate(over="ignore", under="ignore"):
            volume = np.exp(region.log_volume)
        if not (self.noise_volume or 0 < volume < math.inf):
            raise ValueError(
                f"the region of the rows has the volume {volume}, and noise={self.noise!r} a density of 1 over it: "
                "scale the columns to moderate size, or set noise_volume"
            )
        volume = float(self.noise_volume or volume)
        self.noise_volume_, self.noise_box_ = volume, region.with_volume(math.log(volume)).box

    def _given_prior(self, family, units, n_features):
        family = super()._given_prior(family, units, n_features)
        return family if self.noise is None else family.in_units(units)

    def _is_free_to_start(self, X):
        return self.noise is None and super()._is_free_to_start(X)

    def _start_of(self, seeding_rows, X, sample_weight, init_params, found):
        if self.noise is None or self._goes_on():
            return super()._start_of(seeding_rows, X, sample_weight, init_params, found)
        is_named = isinstance(init_params, str)
        if is_named and init_params == "k-means++":  # each row goes to the nearest of the seeds, see `_n_lloyd_steps`
            init_params = "kmeans"
        if is_named and seeding.takes_single_rows(init_params):
            raise ValueError(
                f"init_params={init_params!r} begins components with single rows, beside which all others are noise: "
                "take 'kmeans', 'k-means++' or 'random', or labels"
            )
        if is_named:
            says_noise = init_params == "random"
        else:
            says_noise = init_params.ndim == 2 or bool(np.any(init_params == self.n_components))
        if says_noise:
            return seeding_rows, init_params
        is_noise, known = self._first_noise(X)
        if not is_named:
            labels = np.where(is_noise, self.n_components, init_params)
            left = np.bincount(labels[labels >= 0], minlength=self.n_components)
            for k in np.flatnonzero(left[: self.n_components] == 0):
                labels[init_params == k] = k
            return seeding_rows, labels
        weight = np.ones(len(is_noise)) if sample_weight is None else np.array(sample_weight)
        weight[is_noise] = 0
        if known is not None:
            rows, data = separated(X)
            X = rows_with(rows, data | {"known_labels": known})
        return super()._start_of(Rows(seeding_rows.X, weight, known=known), X, weight, init_params, found)

    def _n_lloyd_steps(self):
        by_seeds = self.noise is not None and isinstance(self.init_params, str) and self.init_params == "k-means++"
        return 1 if by_seeds else super()._n_lloyd_steps()

    def _warm_state(self, layout, units):
        weights, params = super()._warm_state(layout, units)
        if self.noise is None or self.weights is not None or weights[-1] > 0:
            return weights, params
        warn("Noise had lost all its rows in the last fit: it begins anew with a small weight.", UserWarning)
        first = 1 / (2 * len(weights))
        return np.append(weights[:-1] * (1 - first), first), params

    def _first_noise(self, X):
        """(mask of the rows that noise begins with, known labels or sets for k-means over the other components)"""
        (rows, data), K = separated(X), self.n_components
        known, groups = (data.get(name) for name in OF_COMPONENTS)
        is_noise = first_noise(rows, self.noise, 2 * K)
        if groups is not None:
            is_noise = (np.bincount(groups, is_noise) > np.bincount(groups) / 2)[groups]
        if known is None:
            return is_noise, None
        if known.ndim == 1:
            must, must_not = known == K, (known >= 0) & (known < K)
            known = np.where(must, -1, known)
        else:
            must, must_not = ~known[:, :K].any(axis=1), ~known[:, K]
            known = known | must[:, np.newaxis]
        return (is_noise | must) & ~must_not, known

    def _check_labels(self, labels):
        values, is_noise = self._without_noise(labels)
        if is_noise is None:
            return super()._check_labels(labels)
        known = super()._check_labels(values)
        if np.any(known >= self.n_components):
            place = int(np.argmax(known >= self.n_components))
            raise ValueError(
                f"init_params is {known[place]} in row {place}, and components have the numbers 0 to "
                f"{self.n_components - 1}{NOISE_IS}"
            )
        return np.where(is_noise, known.dtype.type(self.n_components), known)

    def _check_row_data(self, data, rows, reset):
        values, is_noise = self._without_noise(data.get("known_labels"))
        if is_noise is None:
            return super()._check_row_data(data, rows, reset)
        checked = super()._check_row_data(data | {"known_labels": values}, rows, reset)
        names = vars(self).get("component_names_")
        check_number_of_components(checked, self.n_components, names, NOISE_IS)
        known = checked["known_labels"]
        return checked | {"known_labels": np.where(is_noise, self.n_components, known)}

    def _as_passed(self, data):
        data, known = super()._as_passed(data), data.get("known_labels")
        if self.noise is None or known is None or known.ndim != 1:
            return data
        return data | {"known_labels": np.where(known == self.n_components, -2, known)}

    def _without_noise(self, labels):
        """(labels with -1 in the place of -2, which is noise, the mask of these); None for the mask where labels are
        none of single components, or there is no noise."""
        values = np.asarray(labels)
        if self.noise is None or labels is None or values.ndim != 1:
            return labels, None
        # what pandas' NA is compared with is neither true nor false
        plain = np.where(missing_labels(values), None, values) if values.dtype.kind == "O" else values
        is_noise = np.array(plain == -2, dtype=bool)
        return np.where(is_noise, -1, values) if np.any(is_noise) else labels, is_noise

    def _all_weights(self, weights):
        if self.noise is None:
            return super()._all_weights(weights)
        share = float(self.weights_[-1])
        return np.append(weights * (1 - share), share)

    def _given_design(self, n_weights, params):
        """What a model of given parameters is told of noise."""
        if self.noise is None:
            return {}
        if self.noise_volume is None:
            raise ValueError("noise_volume=None: a model of given parameters has no rows that say it, so give it")
        matrices = self._family_of_components().covariance_matrices(params)
        region = box_about(matrices, params.means, math.log(self.noise_volume))
        return {"noise_volume": float(self.noise_volume), "noise_box": region.box}

    # ---- what there is beside the components ----

    def _published_labels(self, labels):
        return labels if self.noise is None else np.where(labels == self.n_components, -1, labels)

    def _labels_of_rows(self, X, **row_data):
        return self._evaluate(rows_with(X, row_data), labels=True).labels

    def _is_present(self):
        present = super()._is_present()
        return present if self.noise is None else present[:-1]

    def _names_of_weights(self):
        names = super()._names_of_weights()
        return names if self.noise is None else [*names[:-1], "noise"]

    def _components_of_rows(self, **row_data):
        if self.noise is None:
            return super()._components_of_rows(**row_data)
        self._check_ready()
        self._check_assigned()
        weights = np.asarray(self.weights_, dtype=np.float64)[:-1]
        weights = weights if weights.any() else np.ones(len(weights))
        family = self._family_of_components()
        return Components.of(family, self._collect(), weights, self._n_fitted_features(), **row_data)

    # ---- columns by themselves ----

    def _options_of_columns(self, columns):
        """A number for `noise_volume` is that of the columns' sides of the box, whose product is that of all."""
        own = super()._options_of_columns(columns)
        if self.noise is not None:
            own["noise_volume"] = math.exp(self._region().marginal(columns).log_volume)
        return own

    def _model_of(self, weights, means, structure, covariances, columns, **others):
        model = super()._model_of(weights, means, structure, covariances, columns, **others)
        if self.noise is not None:
            model.noise_box_ = self._region().marginal(columns).box
            if self.noise_volume is None:
                model.set_params(noise_volume=None)  # a fit finds its own
        return model

    def _expected_others(self, X, columns):
        own = super()._expected_others(X, columns)
        if self.noise is None:
            return own
        centre = self._region().centre[self._others(columns)]
        return lambda k: own(k) if k < self.n_components else centre

    def _filler(self, rows):
        """Noise is uniform in the sides of the box, whatever is there."""
        fill = super()._filler(rows)
        if self.noise is None:
            return fill
        box, gaps = self._region().box, np.isnan(rows)

        def fill_with_noise(draw, labels, rng):
            is_noise = labels == self.n_components
            fill(draw, np.where(is_noise, 0, labels), rng)
            uniform = box[0] + rng.random_sample(rows.shape) * np.diagonal(box[1:])
            draw[...] = np.where(gaps & is_noise[:, np.newaxis], uniform, draw)

        return fill_with_noise
