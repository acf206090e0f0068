"""One of the models that a batch compares, prepared for the compiled loop: `BoundModel`."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mixfast.estimators._by_em import MixtureByEM
from mixfast.fitting import bind_model
from mixfast.units import DataUnits

#: Output of `evaluate_problems` -> the estimator's method that returns it.
METHODS = {"labels": "predict", "log_norm": "score_samples", "resp": "predict_proba"}


def has_methods_of_its_own(cls):
    """Whether a subclass outside mixfast fits or predicts in its own way, which compiled code cannot know."""
    names = "fit", *METHODS.values()
    homes = [next(base for base in cls.__mro__ if name in vars(base)) for name in names]
    return any(home.__module__.partition(".")[0] != "mixfast" for home in homes)


class BoundModel:
    """An estimator with the parameters of one point of the grid, bound to a number of columns and a precision: its
    family, its layouts, and what of it the compiled loop cannot do."""

    def __init__(self, estimator, n_features, dtype):
        self.estimator = estimator
        self.family = estimator._family()
        self.n_components = estimator.n_components
        self.layout = self.family.params_layout(self.n_components, n_features)
        self.n_features = n_features
        self.dtype = estimator._kernel_dtype(self.family, dtype)
        self.proportions = estimator._proportions()
        self.n_mixing = self.proportions.n_numbers(self.n_components)
        if self.n_mixing != self.n_components and type(estimator)._weights_of is MixtureByEM._weights_of:
            raise ValueError(
                f"results have room for {self.n_components} weights, and the proportions of a "
                f"{type(estimator).__name__} have {self.n_mixing} numbers: its method _weights_of should say which of "
                "these are weights of components"
            )
        own = self.family.n_parameters(self.n_components, n_features)
        self.n_free = own + self.proportions.n_parameters(self.n_components)

    def __reduce__(self):  # made anew: pickle does not find record classes that a family makes
        return BoundModel, (self.estimator, self.n_features, self.dtype)

    @cached_property
    def fields(self):
        """Names of the arrays of a batch, those of the estimator's attributes without underscore, a tuple."""
        return tuple(self.estimator._names_of_many(self.family, self.layout, self.n_mixing))

    def attributes_of_many(self, params, mixing, dtype):
        """Those arrays, by name; see `MixtureByEM._attributes_of_many`."""
        return self.estimator._attributes_of_many(self.family, params, mixing[:, : self.n_mixing], dtype)

    def with_dtype(self, dtype):
        return BoundModel(self.estimator, self.n_features, dtype)

    def needs_estimator(self, problems):
        """Which problems `_batch.pyx` cannot fit, a mask (n_problems,). Those with missing entries are among them: the
        encoding of their rows depends on the patterns of the problem."""
        estimator = self.estimator
        if (
            not self.family.batches
            or has_methods_of_its_own(type(estimator))
            or estimator._may_meet_unseen()
            or estimator._fits_alone
            or estimator.hold
            or "groups" in problems.row_data
        ):
            return np.ones(len(problems), dtype=bool)
        return problems.missing if self.estimator._accepts_missing else np.zeros(len(problems), dtype=bool)

    def predicted_alone(self):
        """Keys of `METHODS` that `evaluate_problems` cannot compute, since the estimator's densities are not those of
        the family's pass (posterior predictive densities)."""
        return () if self.estimator._scores_by_its_family else ("log_norm",)

    def has_units(self):
        """Whether rows are scaled for the fit (relative regularization), in units that depend on the structure."""
        units = self.estimator._units(self.family, np.zeros((1, self.n_features)), None)
        return not isinstance(units, DataUnits)

    def has_given_prior(self):
        """Whether the family has a given prior, which must be converted to the units that rows are fitted in."""
        units = self.estimator._units(self.family, np.zeros((1, self.n_features)), None)
        return self.estimator._given_prior(self.family, units, self.n_features) is not self.family

    @cached_property
    def given_start(self):
        """(weights, parameters) that the user gave for a start, NaN where not given; None if none are given."""
        return self.estimator._given_start(self.n_features, DataUnits(self.family, None, None))

    def bind(self, encoded):
        """The `Model` of `_fit.pyx` for rows that one of the models encoded. All models of a grid encode rows alike, as
        they differ in n_components and the structure of covariances only."""
        family = encoded.family if encoded.family.kind() == self.family.kind() else self.family
        seeds = encoded.rows if encoded.seeds is None else encoded.seeds
        return bind_model(
            encoded._replace(family=family),
            seeds,
            self.n_components,
            self.n_features,
            self.dtype,
            self.proportions,
            self.given_start,
            self.n_free,
        )
