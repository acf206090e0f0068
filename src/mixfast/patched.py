"""mixfast's Gaussian mixtures as programs that were written for scikit-learn's expect them: see `mixfast.patch`.

They differ from the classes of the same names in four things: `y` is always ignored, for scikit-learn ignores it and
programs pass classes of which -1 may be one; missing entries are refused; `GaussianMixture` begins at k-means by
default; and where mixfast has not what is asked for, scikit-learn's own class does it.
"""

from __future__ import annotations

import logging
from abc import ABCMeta
from functools import wraps
from inspect import signature
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.mixture._bayesian_mixture import BayesianGaussianMixture as TheirBayesianGaussianMixture
from sklearn.mixture._gaussian_mixture import GaussianMixture as TheirGaussianMixture
from sklearn.utils._array_api import get_namespace

from mixfast._typing import RowsLike
from mixfast.estimators._by_em import MixtureByEM
from mixfast.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture as OurBayesianGaussianMixture
from mixfast.estimators.gaussian_mixture import GaussianMixture as OurGaussianMixture
from mixfast.partitions import Source

LOG = logging.getLogger("mixfast.patch")


def steps_of(theirs):
    """The private methods that scikit-learn's `fit` and predictions are made of."""
    names = {name for name in dir(theirs) if name.startswith("_") and not name.startswith("__")}
    return names - set(dir(BaseEstimator)) - {"_abc_impl", "_parameter_constraints"}


class InPlaceOf(ABCMeta):
    """Of classes that stand in for scikit-learn's, `_replaces`.

    Instances of scikit-learn's class are instances of the one in its place, and a subclass that says how a step of
    scikit-learn's algorithm goes (`_m_step`, say) is made a subclass of scikit-learn's: mixfast has no such steps, and
    would never call what the subclass says.
    """

    def __new__(mcls, name, bases, namespace, **options):
        own = {step for base in bases if isinstance(base, InPlaceOf) for step in steps_of(base._replaces)} & {
            *namespace
        }
        if own:
            LOG.info("%s says how %s goes: it is derived from scikit-learn's class", name, ", ".join(sorted(own)))
            bases = tuple(base._replaces if isinstance(base, InPlaceOf) else base for base in bases)
        return super().__new__(ABCMeta if own else mcls, name, bases, namespace, **options)

    def __instancecheck__(cls, instance):
        return super().__instancecheck__(instance) or cls._replaces in type(instance).__mro__


class FallsBack(MixtureByEM):
    """What both classes have."""

    _accepts_missing = _fits_missing = False
    _replaces: Any

    def fit(
        self,
        X: RowsLike | Source,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Self:
        """Estimate the parameters, as the class of mixfast does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source of partitions
            Where scikit-learn's `array_api_dispatch` is on, arrays of other libraries than NumPy are for scikit-learn's
            own class, which the estimator then becomes.
        y : Ignored
            Not used, whatever it holds.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, which scikit-learn does not have.
        **row_data
            As in the class of mixfast.

        Returns
        -------
        self : object
            The estimator itself.
        """
        if sample_weight is None and not row_data and get_config()["array_api_dispatch"]:
            namespace, is_compliant = get_namespace(X)
            if is_compliant and "numpy" not in namespace.__name__:
                self._become_theirs(f"X is an array of {namespace.__name__}")
                return self.fit(X)
        return super().fit(X, None, sample_weight, **row_data)

    def __setstate__(self, state):
        """Of a pickle that a program without `mixfast.patch` wrote: what it holds is a model of scikit-learn's own
        class, whose name this one has taken."""
        theirs = type(self)._replaces
        if (
            "_replaces" in vars(type(self)) and "_sklearn_version" in state
        ):  # which scikit-learn's own classes put there
            self.__class__ = theirs
            theirs.__setstate__(self, state)
            LOG.info("a %s from a pickle stays one of scikit-learn's own class", theirs.__name__)
        else:
            super().__setstate__(state)

    def _become_theirs(self, why):
        """Be an estimator of scikit-learn's own class from here on."""
        params, theirs = self.get_params(deep=False), type(self)._replaces
        own = {name: value for name, value in params.items() if name not in theirs._get_param_names()}
        defaults = type(self)().get_params(deep=False)
        changed = [f"{name}={value!r}" for name, value in own.items() if value is not defaults[name]]
        if changed:
            raise ValueError(
                f"{why}, which only scikit-learn's own {theirs.__name__} takes, and that has no {', '.join(changed)}: "
                "leave these at their defaults, or pass a NumPy array"
            )
        for name in own:
            delattr(self, name)
        self.__class__ = theirs
        LOG.info("%s is fitted by scikit-learn's own class: %s", theirs.__name__, why)


def with_default(constructor, name, value):
    """The same constructor with another default."""

    @wraps(constructor)
    def constructor_with_default(self, *args, **kwargs):
        constructor(self, *args, **{name: value, **kwargs})

    own = signature(constructor)
    parameters = [each.replace(default=value) if each.name == name else each for each in own.parameters.values()]
    constructor_with_default.__signature__ = own.replace(parameters=parameters)
    return constructor_with_default


class GaussianMixture(FallsBack, OurGaussianMixture, metaclass=InPlaceOf):
    __doc__ = (OurGaussianMixture.__doc__ or "").replace("array-like, default='auto'", "array-like, default='kmeans'")
    _replaces = TheirGaussianMixture
    __init__ = with_default(OurGaussianMixture.__init__, "init_params", "kmeans")


class BayesianGaussianMixture(FallsBack, OurBayesianGaussianMixture, metaclass=InPlaceOf):
    __doc__ = OurBayesianGaussianMixture.__doc__
    _replaces = TheirBayesianGaussianMixture


# libraries that were imported before ask `isinstance` of the classes that they have
for _ours in (GaussianMixture, BayesianGaussianMixture):
    _ours._replaces.register(_ours)
