"""Mixtures of regressions and mixtures of experts: each row follows one of K regressions, and which one is latent."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import RegressorMixin, clone
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options
from sklearn.utils.validation import check_consistent_length

from mixfast._docstrings import described
from mixfast._typing import Accelerate, Column, Floats, InitParams, InitPolicy, Integers, NEffective, RowsLike, Seed
from mixfast.design import NamesOfAll
from mixfast.estimators._constraints import Names, WholeNumber
from mixfast.estimators._density import fitting
from mixfast.estimators._formula import FittedByFormula
from mixfast.estimators._gated import MayHaveAGate
from mixfast.estimators._given import (
    check_weights,
    name_columns,
    numbers,
    of_known_names,
    precision_of,
    without_iterations,
)
from mixfast.estimators._held_regressions import HoldsRegressions
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._parameters import unfitted_copy
from mixfast.estimators._regression import RegressionStatistics
from mixfast.estimators._regressions_elsewhere import RegressionsElsewhere
from mixfast.estimators._responses import (
    OF_CLASSES,
    PicturedResponse,
    check_classes,
    classes_of,
    columns_of_responses,
    numbers_of,
)
from mixfast.families.conditional import DISTRIBUTIONS, drawn_of
from mixfast.families.experts import (
    GIVEN,
    BinomialExpert,
    ExpertParams,
    Experts,
    GammaExpert,
    GaussianExpert,
    MultinomialExpert,
    NegativeBinomialExpert,
    PoissonExpert,
    StudentTExpert,
    linear_forms,
)
from mixfast.in_messages import among, in_short, one_name
from mixfast.partitions import Source, is_source
from mixfast.reading import Summary, html_of_numbers
from mixfast.relations import Draws
from mixfast.row_data import (
    OF_COMPONENTS,
    check_alike_in_groups,
    check_finite,
    check_names,
    check_not_missing,
    check_positive,
    rows_with,
    separated,
    take_data,
    warn_of_taken,
)
from mixfast.status import Status
from mixfast.tables import (
    adopted,
    check_no_dates,
    check_no_infinity,
    check_no_words,
)
from mixfast.weights import take

#: name of an expert -> function of (estimator, classes of the response) that makes the `Expert`.
EXPERTS = {
    "gaussian": lambda estimator, classes: GaussianExpert(),
    "student_t": lambda estimator, classes: StudentTExpert(
        None if estimator.degrees_of_freedom == "component" else float(estimator.degrees_of_freedom)
    ),
    "poisson": lambda estimator, classes: PoissonExpert(),
    "binomial": lambda estimator, classes: BinomialExpert(),
    "gamma": lambda estimator, classes: GammaExpert(),
    "negative_binomial": lambda estimator, classes: NegativeBinomialExpert(),
    "multinomial": lambda estimator, classes: MultinomialExpert(len(classes)),
}

#: Fitted attributes that depend on the kind of expert; a fit removes those that it does not set.
OF_RESPONSES = ("sigma_", "shape_", "theta_", "degrees_of_freedom_", "fixed_coef_")


@described
class MixtureOfExperts(
    RegressionsElsewhere,
    FittedByFormula,
    RegressionStatistics,
    HoldsRegressions,
    MayHaveAGate,
    RegressorMixin,
    LikelihoodMixture,
):
    """Mixture of regressions, fitted by EM: each row belongs to one of several regressions, which is not known.

    The density of a response y given a row x is sum_k weights_k f(y | x' coef_k + intercept_k + offset, dispersion_k).

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    expert : {'gaussian', 'student_t', 'poisson', 'binomial', 'gamma', 'negative_binomial', 'multinomial'} or list, \
default='gaussian'
        The distribution of the response given its linear predictor eta:

        - 'gaussian': mean eta and standard deviation `sigma_`;
        - 'student_t': location eta and scale `sigma_`, robust to outliers;
        - 'poisson': counts of mean exp(eta) times the exposure;
        - 'binomial': success with probability 1 / (1 + exp(-eta)); y of zeros and ones, of two labels that are strings,
          of which the second is the success, or (n_samples, 2) counts of successes and failures;
        - 'gamma': positive numbers of mean exp(eta) and shape `shape_`, by maximum likelihood;
        - 'negative_binomial': counts of mean exp(eta) times the exposure and variance mean + mean^2 / `theta_`;
        - 'multinomial': categories, whose log odds against the first are linear predictors each; y of labels, or
          (n_samples, n_classes) counts.

        A list of these, one for each of several responses, which are independent of each other in a component. `y` and
        all that is told of one response, attributes too, are then lists with an entry for each, shaped as alone;
        predictions have one more axis at the end, for the responses, and are lists where one is 'multinomial'.
    columns : list of lists of column names or numbers, default=None
        Of several responses: the columns of X that the predictor of each has, the others have coefficients of 0.
        None: all have all of them.
    variance : {'own', 'common'}, default='own'
        Whether components have standard deviations, scales or shapes of their own.
    degrees_of_freedom : float or 'component', default=4.0
        Of 'student_t': a number, or 'component' where each component has its own, to be estimated.
    gate : None, 'same', 'gate_X' or list of column names or numbers, default=None
        The columns that say how likely each component is before y is seen, p(k | z) = softmax(gate_intercept_k +
        z' gate_coef_k): those of X, some of them, or those of the array `gate_X` that `fit` and predictions are given.
        None: components are as likely for all rows, a mixture of regressions.
    fixed : list of column names or numbers, default=None
        Columns of X whose coefficients all components share.
    fit_intercept : bool, default=True
        Whether linear predictors have a constant of their own in each component.
    alpha : float, default=0.0
        alpha / 2 times the sum of squared coefficients, but for intercepts and those that components share, is taken
        off the log-likelihood that EM increases.
    gate_alpha : float, default=1e-6
        gate_alpha / 2 times the sum of squared slopes of the gate, each about its mean over the components, is taken
        off too: without it, components that a column of the gate separates would have infinite ones. Slopes are in
        units of the columns: the default is negligible for columns that vary by 0.01 or more, and `fit` warns where it
        is not.
    sigma_df : {0, 'n-p'}, default=0
        What a variance is divided by: 0 is the weight of the component, maximum likelihood; 'n-p' multiplies that
        variance by n / (n - p), n the sum of all weights and p the number of coefficients of a component, as R's
        flexmix does, without those that `hold` has. The likelihood is then not monotone: iterations stop where it moves
        by less than `tol`.
    hold : dict, default=None
        Parameters that stay as they are while the others are fitted, by the names of the attributes without the
        underscore: ``{"coef": array}`` of the attribute's shape, NaN for numbers that are fitted; of several responses
        a list, with None for those of which nothing is held. Held numbers come out to the last bit, and criteria do not
        count them. A mask of components, or of numbers, holds what the last fit has, with `warm_start=True`. Any of
        `coef`, `intercept`, `sigma`, `shape`, `theta`, `degrees_of_freedom`, `gate_coef` and `gate_intercept` can be
        held, of a gate of at most 60 coefficients, and `weights` where there is none. Where an intercept is held, the
        fit has no pivot: centre columns that are far from 0.
    tol : float, default=1e-6
        Iterations stop when the lower bound (mean log density of a response, in nats, less the penalties) moves by
        less.
    max_iter : int, default=1000
        Largest number of iterations from a start. 0 keeps the start itself.
    n_init : int, default=10
        Number of starts; the best is kept.
    n_init_policy : {'all', 'halving'}, default='halving'
        Whether each start goes on until it converges ('all'), or after a few iterations the half with the smaller
        lower bounds is dropped, after a few more half of the others, and so on until one is left ('halving').
    init_params : {'random', 'kmeans', 'k-means++', 'random_from_data'} or array-like, default='random'
        Where the first responsibilities come from: 'random' numbers, a method that looks at the rows (labels of
        k-means, one row for each component by greedy k-means++ or at random), labels (n_samples,) in which -1 says
        that the row's component is not known, or responsibilities (n_samples, n_components). Clusters
        of the rows say little of regressions that cross: 'random' responsibilities are the better start; of X without
        columns 'random' is 'kmeans' of the responses.
    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate>

    Attributes
    ----------
    coef_ : ndarray of shape (n_components, n_features)
        Of 'multinomial' (n_components, n_classes, n_features), zeros for the first class.
    intercept_ : ndarray of shape (n_components,)
        Of 'multinomial' (n_components, n_classes).
    fixed_coef_ : ndarray of shape (n_fixed,)
        The coefficients of the columns `fixed`, which are in `coef_` too.
    sigma_ : ndarray of shape (n_components,)
        Standard deviations or scales, of 'gaussian' and 'student_t'.
    shape_ : ndarray of shape (n_components,)
        Of 'gamma'.
    theta_ : ndarray of shape (n_components,)
        Of 'negative_binomial'.
    classes_ : ndarray of shape (n_classes,)
        Of 'multinomial': the labels, or the numbers of the columns of y. Of 'binomial' the two labels where y is of
        strings, failure and success. Sorted, or in the order of the levels of a formula's column.
    degrees_of_freedom_ : ndarray of shape (n_components,)
        Of 'student_t'.
    weights_ : ndarray of shape (n_components,)
        Of a gate the means of p(k | z) over the rows, or groups, that were fitted, before the last step of EM.
    gate_coef_ : ndarray of shape (n_components, n_gate_columns)
    gate_intercept_ : ndarray of shape (n_components,)
        Where there is a gate; those of component 0 are zeros.
    gate_feature_names_in_ : ndarray of shape (n_gate_columns,), object
        Where `gate_X` was a table whose columns have strings for names.
    is_exposed_, is_offset_ : bool
        Whether `fit` was given exposures, and offsets: then the other methods warn where they are not.
    lower_bound_ : float
        The log-likelihood divided by the sum of the weights, less the penalties of `alpha` and `gate_alpha`.
    <converged_, n_iter_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import MixtureOfExperts
    >>> rng = np.random.default_rng(0)
    >>> x, group = rng.uniform(0, 10, size=200), np.arange(200) % 2
    >>> y = np.where(group, 5 * x, 15 + 10 * x - x**2) + rng.normal(size=200)
    >>> model = MixtureOfExperts(2, random_state=0).fit(np.column_stack([x, x**2]), y)
    >>> print(np.abs(np.sort(model.intercept_).round()), np.sort(model.sigma_).round(1))
    [ 0. 15.] [1. 1.]
    """

    _accepts_sparse = "csr"

    _parameter_constraints: dict = {
        **LikelihoodMixture._parameter_constraints,
        "expert": [Names(EXPERTS), list, tuple],
        "columns": [list, tuple, None],
        "variance": [Names(["own", "common"])],
        "degrees_of_freedom": [Names(["component"]), Interval(Real, 0.1, 1e6, closed="both")],
        "gate": [Names(["same", "gate_X"]), "array-like", None],
        "gate_alpha": [Interval(Real, 0.0, None, closed="left")],
        "fixed": ["array-like", None],
        "fit_intercept": ["boolean"],
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "sigma_df": [Names(["n-p"]), Options(Real, {0})],
    }

    _attribute_constraints: dict = {
        **LikelihoodMixture._attribute_constraints,
        "n_features_in_": [WholeNumber(0)],
        "is_exposed_": ["boolean"],
        "is_offset_": ["boolean"],
    }

    _structural: tuple[str, ...] = ("expert", "columns", "variance", "degrees_of_freedom", "fit_intercept")

    _row_data: dict = {
        "y": None,
        **LikelihoodMixture._row_data,
        "exposure": check_positive,
        "offset": check_finite,
        "gate_X": None,
    }

    _needed_row_data = ("y",)
    _row_data_of_columns = ("gate_X",)
    _needs_columns = False  # there are intercepts, offsets and gates
    _takes_missing_instead = None  # regressions have no place for missing predictors

    _warnings: dict = {
        Status.CAPPED_PARAMETER: (
            "Some columns depend on each other among the rows of a component, a component fits its rows or tells its "
            "categories apart exactly, or counts vary no more than those of a Poisson distribution, so that a "
            "parameter was kept where it is finite. Decrease n_components, leave columns out, set alpha, or take "
            "expert='poisson'."
        ),
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        expert: str | Sequence[str] = "gaussian",
        columns: Sequence[Sequence[Column]] | None = None,
        variance: Literal["own", "common"] = "own",
        degrees_of_freedom: float | Literal["component"] = 4.0,
        gate: Literal["same", "gate_X"] | Sequence[Column] | None = None,
        fixed: Sequence[Column] | None = None,
        fit_intercept: bool = True,
        alpha: float = 0.0,
        gate_alpha: float = 1e-6,
        sigma_df: Literal[0, "n-p"] = 0,
        hold: dict[str, Any] | None = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 10,
        n_init_policy: InitPolicy = "halving",
        init_params: InitParams = "random",
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        accelerate: Accelerate = None,
    ) -> None:
        self.n_components = n_components
        self.expert = expert
        self.columns = columns
        self.variance = variance
        self.degrees_of_freedom = degrees_of_freedom
        self.gate = gate
        self.fixed = fixed
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.gate_alpha = gate_alpha
        self.sigma_df = sigma_df
        self.hold = hold
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.n_init_policy = n_init_policy
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.accelerate = accelerate

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        coef: ArrayLike | Sequence[ArrayLike],
        intercept: ArrayLike | Sequence[ArrayLike],
        weights: ArrayLike | None = None,
        sigma: ArrayLike | Sequence[ArrayLike | None] | None = None,
        shape: ArrayLike | Sequence[ArrayLike | None] | None = None,
        theta: ArrayLike | Sequence[ArrayLike | None] | None = None,
        degrees_of_freedom: ArrayLike = 4.0,
        classes: Sequence[Any] | None = None,
        gate_coef: ArrayLike | None = None,
        gate_intercept: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        coef, intercept : array-like of shape (n_components, n_features) and (n_components,)
            As `coef_` and `intercept_`. Of several responses these and others that each response has are lists, with
            None for those without.
        weights : array-like of shape (n_components,), default=None
            At least 0, and summing to 1 within 0.001. None: all the same. Of a gate, means over rows that are not here.
        sigma, shape, theta : array-like of shape (n_components,), default=None
            Where the expert has such: standard deviations or scales, shapes, thetas.
        degrees_of_freedom : float or array-like of shape (n_components,), default=4.0
            Of 'student_t'; an array is that of 'component'.
        classes : array-like of shape (n_classes,), default=None
            Of 'multinomial', sorted; None: 0, 1, ... Of 'binomial' two labels, the second of which is the success, or
            None.
        gate_coef, gate_intercept : array-like of shape (n_components, n_gate_columns) and (n_components,), default=None
            Where there is a gate, of which only differences between components matter.
        <feature_names, options>

        Returns
        -------
        model : object
            <given model>

        Raises
        ------
        ValueError
            <errors of given parameters>
        TypeError
            <errors of options>
        """
        is_own = np.ndim(degrees_of_freedom) > 0
        options = options | {"degrees_of_freedom": "component" if is_own else degrees_of_freedom}
        several = not isinstance(options.get("expert", "gaussian"), str)
        model = cls(len(coef[0] if several else coef), **options)
        model._validate_params()
        experts = model._names_of_experts()
        given = {"coef": coef, "intercept": intercept, "sigma": sigma, "shape": shape, "theta": theta}
        each = {name: value if several else [value] for name, value in given.items() if value is not None}
        for name, values in each.items():
            if not isinstance(values, list | tuple) or len(values) != len(experts):
                raise ValueError(f"{name} should be a list with an entry for each of {len(experts)} responses")
        each = {name: [None if own is None else numbers(name, own) for own in values] for name, values in each.items()}
        name_columns(model, each["coef"][0].shape[-1], feature_names)
        own = classes if several else [classes]
        own = [None] * len(experts) if own is None else own
        of_each = [
            np.arange(b.shape[1]) if name == "multinomial" and c is None else None if c is None else np.asarray(c)
            for name, b, c in zip(experts, each["coef"], own, strict=True)
        ]
        for name, c in zip(experts, of_each, strict=True):
            if c is not None and name not in OF_CLASSES:
                raise ValueError(f"classes={in_short(c)} was given, and expert={name!r} has no classes: leave them out")
            check_classes(name, () if c is None else c, "classes")
        if any(c is not None for c in of_each):
            model.classes_ = model._joined(of_each)
        for name, values in each.items():
            setattr(model, f"{name}_", model._joined(values))
        n_components = model.n_components
        weights = check_weights(np.full(n_components, 1 / n_components) if weights is None else weights)
        model.weights_ = weights
        if "student_t" in experts:
            degrees = numbers("degrees_of_freedom", np.zeros(n_components) + np.asarray(degrees_of_freedom))
            model.degrees_of_freedom_ = model._joined([degrees if name == "student_t" else None for name in experts])
        gate = {"gate_coef": gate_coef, "gate_intercept": gate_intercept}
        for name, value in gate.items():
            if (value is None) != (model.gate is None):
                raise ValueError(f"{name}={value!r} does not go with gate={model.gate!r}: give both, or neither")
            if value is not None:
                value = numbers(name, value, 2 if name == "gate_coef" else 1)
                setattr(model, f"{name}_", value - value[:1])
        model._check_given_shapes()
        model._check_domains()
        arrays = [own for values in each.values() for own in values if own is not None]
        dtype = np.dtype(precision_of([weights, *arrays]))
        layout = model._family().params_layout(n_components, model.n_features_in_)
        model._finish(without_iterations(model._mixing(), layout.pack(model._collect())), layout, dtype)
        model._fitted_structure.pop("degrees_of_freedom", None)
        model._check_state()
        return model

    def _check_given_shapes(self):
        """Raises ValueError if the shapes of given parameters contradict each other."""
        K, p = self.n_components, self.n_features_in_
        for place, expert in enumerate(self._experts()):
            more = (len(self._each("classes_")[place]),) if isinstance(expert, MultinomialExpert) else ()
            wanted = {"coef": (K, *more, p), "intercept": (K, *more), "sigma": None, "shape": None, "theta": None}
            if expert.dispersion_name is not None:
                wanted[expert.dispersion_name[:-1]] = (K,)
            for name, shape in wanted.items():
                own = self._each(f"{name}_")[place]
                if shape is None and own is not None:
                    raise ValueError(f"{name} was given, which expert={expert.name!r} does not have")
                if shape is not None and np.shape(own) != shape:
                    raise ValueError(
                        f"{name} should have the shape of {shape}, got {np.shape(own)}: expert={expert.name!r} has "
                        f"{K} components and {p} columns"
                    )
        shapes = [np.shape(self.weights_)]
        if self.gate is not None:
            shapes += [np.shape(self.gate_intercept_), np.shape(self.gate_coef_)[:1]]
        if set(shapes) != {(K,)}:
            raise ValueError(f"weights and parameters of the gate should be those of {K} components, got {shapes}")

    # ---- the family ----

    @property
    def _has_several(self):
        """Whether `expert` is a list, one for each of several responses."""
        return not isinstance(self.expert, str)

    def _names_of_experts(self):
        """The name of the expert of each response, a tuple. Raises ValueError for unknown names."""
        names = tuple(self.expert) if self._has_several else (self.expert,)
        wrong = [name for name in names if not (isinstance(name, str) and name in EXPERTS)]
        if wrong or not names:
            raise ValueError(f"expert={self.expert!r} should be one of {sorted(EXPERTS)}, or a list of such")
        return names

    def _distributions(self):
        return [DISTRIBUTIONS[name] for name in self._names_of_experts()]

    def _each(self, attribute):
        """A fitted attribute as a list with an entry for each response, None where it is not set."""
        value = getattr(self, attribute, None)
        if not self._has_several:
            return [value]
        return [None] * len(self._names_of_experts()) if value is None else value

    def _joined(self, parts):
        """The inverse of `_each`: a list for several responses, else the only entry."""
        return list(parts) if self._has_several else parts[0]

    def _side_by_side(self, parts):
        """Predictions of all responses, as public methods return them: an array with a last axis of responses, a list
        if one is multinomial, or of labels, or the only entry."""
        are_numbers = all(np.issubdtype(part.dtype, np.number) for part in parts)
        if self._has_several and are_numbers and "multinomial" not in self._names_of_experts():
            return np.stack(parts, axis=-1)
        return self._joined(parts)

    def _experts(self):
        return tuple(
            EXPERTS[name](self, classes)
            for name, classes in zip(self._names_of_experts(), self._known_classes(), strict=True)
        )

    def _known_classes(self):
        """The classes of each response: those of the fit, or those of all problems of a batch; None for kinds of
        experts without classes."""
        return self._each("classes_") if "classes_" in vars(self) else self._classes_of_all()

    def _classes_of_all(self):
        """The classes that all rows have of each response, a list; None where it has none, or they are not known."""
        names, of_all = self._names_of_experts(), self._names_of_all.categories
        if of_all is None:
            return [None] * len(names)
        self._names_of_all.check_columns(self._columns_of_names())
        if len(of_all) != len(names):
            raise ValueError(
                f"the design is of {len(of_all)} response(s), and expert={self.expert!r} is of {len(names)}: make one "
                "by an estimator of these"
            )
        return [
            own if name == "multinomial" or (name in OF_CLASSES and len(own)) else None
            for name, own in zip(names, of_all, strict=True)
        ]

    def _columns_of_names(self):
        return list(self._names_of_experts())

    def _check_names_of_all(self):
        for name, classes in zip(self._names_of_experts(), self._classes_of_all(), strict=True):
            if classes is not None:
                check_classes(name, classes, "y")

    def _labels_of_any_type(self):
        return (*super()._labels_of_any_type(), *(("y",) if self._may_have_classes() else ()))

    def _may_have_classes(self):
        """Whether the labels of some response may be those of classes."""
        return any(name in OF_CLASSES for name in self._names_of_experts())

    def _family(self, holds=True):
        held, centres = self._coefficients_held() if holds and self.hold else (None, True)
        return Experts(
            self._experts(),
            alpha=float(self.alpha),
            is_common=self.variance == "common",
            fixed=self._places_of("fixed", self.fixed),
            columns=self._columns_of_responses(),
            has_intercept=self.fit_intercept,
            corrects_variance=self.sigma_df == "n-p",
            n_beside=self._n_columns_beside(),
            held=held,
            centres=centres,
        )

    def _fitted_family(self):
        return self._family(holds=False)

    def _coefficients_held(self):
        """(which intercepts and coefficients stay, (n_components, n_predictors, 1 + n_features) or None; whether
        intercepts, those of the gate too, may be about a pivot)"""
        if "n_features_in_" not in vars(self):  # no rows have been seen
            return None, True
        numbers = self._held_numbers(self.n_features_in_)
        held = ~np.isnan(np.concatenate([numbers["intercepts"][..., np.newaxis], numbers["coefficients"]], axis=2))
        gate = None if self.gate is None else self._held_of_gate(self._n_columns_of_gate())
        centres = not held[..., 0].any() and (gate is None or np.isnan(gate[:, 0]).all())
        return (held if held.any() else None), centres

    def _columns_of_responses(self):
        """For each response the positions of the columns of X in its predictors (`columns`); None for all."""
        if self.columns is None:
            return None
        if not self._has_several or len(self.columns) != len(self.expert):
            raise ValueError(
                f"columns={in_short(self.columns)} should have a list of columns for each response of "
                f"expert={in_short(self.expert)}"
            )
        return tuple(self._places_of("columns", own) for own in self.columns)

    def _places_of(self, parameter, named):
        """Positions of the columns of X that a parameter names, by name or number, a tuple. Raises ValueError, with the
        parameter, for columns that are not there and for repeated ones."""
        if named is None:
            return ()
        if isinstance(named, str) or np.ndim(named) != 1:
            raise ValueError(f"{parameter}={in_short(named)} should be a list of names or numbers of columns")
        names = list(getattr(self, "feature_names_in_", ()))
        n_features = getattr(self, "n_features_in_", None)
        places = []
        for name in named:
            if isinstance(name, Integral) and not isinstance(name, bool):
                if n_features is not None and not 0 <= name < n_features:
                    raise ValueError(f"{parameter}={in_short(named)} names column {name}, X has {n_features}")
                places.append(int(name))
            elif name in names:
                places.append(names.index(name))
            else:
                raise ValueError(
                    f"{parameter}={in_short(named)} names {one_name(name)}, and the columns of X "
                    + (f"have names: {among(name, names)}" if names else "have none")
                )
        if len(set(places)) < len(places):
            raise ValueError(f"{parameter}={in_short(named)} names a column twice")
        return tuple(places)

    def _by_place(self, names):
        places, params = {name: place for place, name in enumerate(names)}, self.get_params(deep=False)

        def placed(value):
            return [placed(own) for own in value] if isinstance(value, list | tuple) else places.get(value, value)

        named = [own for own in ("fixed", "gate", "columns") if isinstance(params[own], list | tuple)]
        return clone(self).set_params(**{own: placed(params[own]) for own in named}) if named else self

    def _attributes_of_responses(self, rounded):
        """The attributes that a record of rounded parameters gives, by name: a list with an entry for each response,
        None where it has no such attribute. Arrays may have more dimensions in front."""
        first, found = 0, []
        for place, expert in enumerate(self._experts()):
            predictors = slice(first, first + expert.n_predictors)
            first += expert.n_predictors
            coefficients, intercepts = rounded.coefficients[..., predictors, :], rounded.intercepts[..., predictors]
            if isinstance(expert, MultinomialExpert):
                coefficients = np.concatenate([np.zeros_like(coefficients[..., :1, :]), coefficients], axis=-2)
                intercepts = np.concatenate([np.zeros_like(intercepts[..., :1]), intercepts], axis=-1)
                of_first = coefficients[..., 0, :, :]
            else:
                coefficients, intercepts = coefficients[..., 0, :], intercepts[..., 0]
                of_first = coefficients[..., 0, :]
            own = {"coef_": coefficients, "intercept_": intercepts}
            if self.fixed is not None:
                own["fixed_coef_"] = of_first[..., list(self._places_of("fixed", self.fixed))]
            if expert.dispersion_name is not None:
                own[expert.dispersion_name] = rounded.dispersions[..., place]
            if isinstance(expert, StudentTExpert):
                own["degrees_of_freedom_"] = rounded.degrees[..., place]
            found.append(own)
        names = [name for name in ("coef_", "intercept_", *OF_RESPONSES) if any(name in own for own in found)]
        return {name: [own.get(name) for own in found] for name in names}

    def _names_of_many(self, family, layout, n_mixing):
        nothing = layout.record(*(np.empty((0, *shape)) for shape in layout.shapes))
        return self._attributes_of_many(family, nothing, np.empty((0, n_mixing)), np.float64)

    def _attributes_of_many(self, family, params, mixing, dtype):
        of_responses = self._attributes_of_responses(family.rounded(params, dtype))
        found = {name.removesuffix("_"): self._joined(each) for name, each in of_responses.items()}
        return found | self._gates_of_many(mixing, dtype)

    def _publish(self, params, dtype):
        found = self._attributes_of_responses(self._fitted_family().rounded(params, dtype))
        if any(classes is not None for classes in self._classes_of_all()):  # a problem of a batch has no `classes_` yet
            self.classes_ = self._joined(self._classes_of_all())
        for name in OF_RESPONSES:  # left by an earlier fit
            vars(self).pop(name, None)
        for name, each in found.items():
            setattr(self, name, self._joined(each))

    def _collect(self):
        coefficients, intercepts, dispersions, degrees = [], [], [], []
        experts = self._experts()
        for place, expert in enumerate(experts):
            own, intercept = np.asarray(self._each("coef_")[place]), np.asarray(self._each("intercept_")[place])
            if isinstance(expert, MultinomialExpert):  # relative to the first class
                own, intercept = own[:, 1:] - own[:, :1], intercept[:, 1:] - intercept[:, :1]
            else:
                own, intercept = own[:, np.newaxis], intercept[:, np.newaxis]
            ones = np.ones(len(own))
            coefficients.append(own)
            intercepts.append(intercept)
            has_none = expert.dispersion_name is None
            dispersions.append(ones if has_none else self._each(expert.dispersion_name)[place])
            degrees.append(self._each("degrees_of_freedom_")[place] if isinstance(expert, StudentTExpert) else ones)
        n_features = coefficients[0].shape[2]
        frame = np.zeros(n_features + 1 + len(experts) + self._n_columns_beside())
        frame[n_features] = GIVEN
        return ExpertParams(
            np.concatenate(coefficients, axis=1),
            np.concatenate(intercepts, axis=1),
            np.stack(dispersions, axis=1),
            np.stack(degrees, axis=1),
            frame,
        )

    def _for_parts_of(self, X):
        """The estimator with the classes of all rows of X, since parts of them may lack some."""
        if not self._may_have_classes() or self._names_of_all.categories is not None:
            return self
        estimator = unfitted_copy(self)
        y = separated(X)[1].get("y")
        found = None
        if "_fitted_formula" in vars(self) and y is not None:
            found = self._classes_by_formula(self._fitted_formula, y)
        found = self._classes_in(y, classes_of) if found is None else found
        estimator._names_of_all = NamesOfAll([np.empty(0) if own is None else own for own in found], last=False)
        return estimator

    def _classes_in(self, y, classes_of_one):
        """The classes of each response by a function of its expert, y and its name; without rows any will do."""
        names = self._names_of_experts()
        if y is None:
            return [np.arange(2 * (name == "multinomial")) for name in names]
        y = self._gathered(y)
        each = zip(names, y.parts if self._has_several else (y,), strict=True)
        return [classes_of_one(name, own, "y") for name, own in each]

    def _no_rows(self, dtype):
        data = {"y": np.empty((0, sum(expert.width for expert in self._experts())))}
        if self._n_columns_beside():
            data["gate"] = np.empty((0, self._n_columns_beside()))
        return rows_with(super()._no_rows(dtype), data)

    # ---- what files of batches say ----

    def _kept_of_columns(self):
        kept = {} if self.gate is None else {"n_columns": self._n_columns_of_X, "n_gate_columns": self._n_gate_columns}
        if all(classes is None for classes in self._classes_of_all()):
            return kept
        return kept | {"classes": self._joined(self._classes_of_all())}

    def _take_up_columns(self, kept):
        if self.gate is not None:
            self._n_columns_of_X, self._n_gate_columns = int(kept["n_columns"]), int(kept["n_gate_columns"])
        if "classes" in kept:
            classes = kept["classes"] if self._has_several else [kept["classes"]]
            self._names_of_all = NamesOfAll([np.empty(0) if own is None else own for own in classes], last=False)

    # ---- rows ----

    def _check_row_data(self, data, rows, reset):
        if "y" not in data:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: this looks at responses"
            )
        n_samples = rows.shape[0]
        of_components = {name: data[name] for name in OF_COMPONENTS if name in data}
        checked = super()._check_row_data(of_components, rows, reset)
        gate = self._gate_columns(rows, data.get("gate_X"), reset)
        if gate is not None:
            checked["gate"] = gate
        if "gate_X" in data:
            checked["gate_X"] = gate
        if "groups" in checked and self.gate is not None:
            check_alike_in_groups("the columns of the gate", rows if gate is None else gate, checked["groups"])
        if reset:
            self._n_columns_of_X, self._n_gate_columns = rows.shape[1], (rows if gate is None else gate).shape[1]
        offsets = {name: data[name] for name in ("exposure", "offset") if name in data}
        checked["y"] = self._checked_y(data["y"], n_samples, reset)
        return checked | self._checked_offsets(offsets, rows, reset)

    def _checked_offsets(self, data, rows, reset=False):
        if not reset:
            warn_of_taken(self, data)
        if "exposure" in data and not any(expert.takes_exposure for expert in self._experts()):
            raise ValueError(f"exposure was given, and expert={self.expert!r} has no mean that is proportional to it")
        return super()._check_row_data(data, rows, reset=False)  # what is learned of labels has been

    def _gathered(self, y):
        """y as an array of any dtype, or as `Responses` of several; None if y is None. Raises ValueError for dates and
        for another number of responses."""
        if y is None:
            return None
        if self._has_several:
            makers = [EXPERTS[name] for name in self._names_of_experts()]
            is_known = [name != "multinomial" for name in self._names_of_experts()]
            common = self._classes_of_all()
            widths = [
                make(self, classes).width if known or classes is not None else None
                for make, known, classes in zip(makers, is_known, common, strict=True)
            ]
            return columns_of_responses(y, widths)
        check_no_dates(y, "y")
        responses = np.asarray(y)
        if not responses.ndim:
            raise ValueError(f"y should have a value for each row, got {in_short(y)}")
        return responses

    def _gathered_data(self, data):
        return data | {"y": self._gathered(data["y"])} if "y" in data else data

    def _with_responses(self, X, y, row_data, method):
        """`RowData` of X, y and further row data; raises TypeError for names that are none of these."""
        wrong = [name for name in row_data if name not in self._row_data]
        if wrong:
            known = ", ".join(self._row_data)
            raise TypeError(
                f"{type(self).__name__}.{method}() got an unexpected keyword argument {wrong[0]!r}: what rows may have "
                f"is {known}"
            )
        return rows_with(X, {"y": self._gathered(y), **row_data})

    def _checked_y(self, y, n_samples, reset):
        """y of all responses, float64 (n_samples, sum of widths), as `Experts` takes it; a fit (`reset`) sets
        `classes_`. Raises ValueError for missing values, other lengths, and values outside the domain of the expert."""
        y = self._gathered(y)
        ys = y.parts if self._has_several else (y,)
        called = [f"y[{place}]" for place in range(len(ys))] if self._has_several else ["y"]
        if reset:
            vars(self).pop("classes_", None)
            classes = self._classes_of_all()
            if all(own is None for own in classes):
                classes = [classes_of(*own) for own in zip(self._names_of_experts(), ys, called, strict=True)]
            if any(own is not None for own in classes):
                self.classes_ = self._joined(classes)
        found = []
        for expert, classes, own, name in zip(self._experts(), self._known_classes(), ys, called, strict=True):
            check_not_missing(name, own)
            check_no_infinity(own, name)
            own = numbers_of(expert, own, classes, name)
            check_no_words(own, name)
            least = {"ensure_min_samples": 0, "ensure_min_features": 0}  # of a part there may be no rows, or no classes
            own = check_array(own, ensure_2d=False, dtype=np.float64, input_name=name, **least)
            if len(own) != n_samples:
                raise ValueError(f"Found input variables with inconsistent numbers of samples: {[n_samples, len(own)]}")
            if own.ndim == 2 and own.shape[1] == 1 and reset and classes is None:
                own = column_or_1d(own, warn=True)
            own = own[:, np.newaxis] if own.ndim == 1 else own
            if own.shape[1] not in (1, expert.width):
                several = f", or expert={[expert.name] * own.shape[1]!r} for as many responses" if len(ys) == 1 else ""
                wanted = "one column" if expert.width == 1 else f"1 or {expert.width} columns"
                raise ValueError(
                    f"{name} should have {wanted} for expert={expert.name!r}, got {own.shape[1]}: pass one{several}"
                )
            expert.check(name, own)
            found.append(expert.whole(own))
        return np.hstack(found)

    def _pictured_responses(self, y, n_samples, named=None):
        """What pictures show of y, a list of `PicturedResponse`: the values, the share of successes of binomial
        responses, the share of each class of multinomial ones. `_means_of_components` are the means of these, in this
        order. `named`: names of the responses, or None."""
        whole, pictured = self._checked_y(y, n_samples, reset=False), []
        experts, classes = self._experts(), self._known_classes()
        ends = np.cumsum([expert.width for expert in experts])
        if named is None or len(named) != len(experts):
            named = self._names_of_responses()
        if named is None:
            named = [f"y[{place}]" for place in range(len(experts))] if self._has_several else ["y"]
        for own, known, name, expert in zip(np.split(whole, ends[:-1], axis=1), classes, named, experts, strict=True):
            if expert.width == 1:
                pictured.append(PicturedResponse(name, own[:, 0], False))
                continue
            with np.errstate(invalid="ignore"):
                shares = own / own.sum(axis=1, keepdims=True)  # NaN without trials
            if not isinstance(expert, MultinomialExpert):
                success = "successes" if known is None else known[1]
                pictured.append(PicturedResponse(f"{name}, share of {success}", shares[:, 0], True))
            else:
                each = zip(known, shares.T, strict=True)
                pictured += [PicturedResponse(f"{name}, share of {label}", share, True) for label, share in each]
        return pictured

    # ---- fitting ----

    def _check_init_params(self, n_counted, kept):
        start = super()._check_init_params(n_counted, kept)
        # nothing but intercepts: means of random responsibilities differ so little that EM may stop there, as 5 of 21
        # fits to samples of two components, of every expert, did. Clusters of the responses are no wrong cut then
        return "kmeans" if isinstance(start, str) and start == "random" and not self.n_features_in_ else start

    @fitting
    def fit(
        self,
        X: RowsLike | Source,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
        known_labels: ArrayLike | None = None,
    ) -> Self:
        """Estimate the parameters with EM, from several starts.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or source of partitions
            What `blocks` makes, and other sources (`mixfast.partitions`), bring y and all else with them.
            A table may be without columns, `pandas.DataFrame(index=range(n_samples))`: a mixture of intercepts.
            Computed in float64; parameters are rounded to the precision of X. A sparse one stays sparse: a few hundred
            rows at a time get their zeros. The fit is that of the dense X, to the last bit, and takes as long;
            `inference` alone makes all of X dense. Of a model by `from_formula`, and of its clones, a table that the
            formula is learned of anew; what else it names there is looked up where it is not given.
        y : array-like of shape (n_samples,), default=None
            Responses, which sources alone bring with them; of 'binomial' also two labels, the second of which is the
            success, and (n_samples, 2), successes and failures; of 'multinomial' labels or (n_samples, n_classes)
            counts. Of several responses a list with such an entry for each, or a table, or an array, with a column for
            each.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; rows of weight 0 may hold anything.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group share a component: repeated measurements of one thing. Its weight, and the columns of the
            gate, should be the same in all of them.
        exposure : float or array-like of shape (n_samples,), default=None
            What the mean is proportional to, of 'poisson', 'negative_binomial' and 'gamma': above 0.
        offset : float or array-like of shape (n_samples,), default=None
            Added to the linear predictors, those of all responses.
        gate_X : array-like of shape (n_samples, n_gate_columns), default=None
            The columns of the gate, where `gate` is 'gate_X'.
        known_labels : array-like of shape (n_samples,) or (n_samples, n_components), default=None
            The components of rows where they are known, as in `GaussianMixture.fit`.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            For values of y outside the domain of the expert, with their row.
            <errors of every fit>

        Warns
        -----
        UserWarning
            Where the default of `gate_alpha` pulls slopes of a gate towards 0, since its columns hardly vary.
        """
        vars(self).pop("_stream", None)  # what partial_fit remembers is of other parameters
        given = {"groups": groups, "exposure": exposure, "offset": offset, "gate_X": gate_X}
        given["known_labels"] = known_labels
        if is_source(X):
            return self._fit_source(X, sample_weight, given | {"y": y})
        y = self._gathered(y)
        rows = rows_with(X, {"y": y, **given})
        if y is not None:
            check_consistent_length(X, y)
        return self._fit_counted(rows, sample_weight)

    def fit_predict(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Integers:
        """Fit, then the most likely component of each row: `fit(X, y).labels(X, y)`.

        Parameters
        ----------
        <X, y, sample_weight, row_data of experts>

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        return self.fit(X, y, sample_weight, **row_data).labels(X, y, **row_data)

    # ---- predictions from X ----

    def _predictors(self, X, offset=None, exposure=None):
        """The linear predictors of each response, a list of (n_components, n_samples, n_predictors)."""
        self._check_ready()
        self._check_assigned()
        data = {name: own for name, own in (("exposure", exposure), ("offset", offset)) if own is not None}
        rows = self._validate_rows(X, reset=False)
        data = self._checked_offsets(data, rows)
        params, found, first = self._collect(), [], 0
        etas = linear_forms(rows, np.asarray(params.coefficients, dtype=np.float64))
        etas += np.asarray(params.intercepts, float)[:, np.newaxis]
        if "offset" in data:
            etas += data["offset"][:, np.newaxis]
        for expert in self._experts():
            eta = etas[..., first : first + expert.n_predictors]
            first += expert.n_predictors
            if expert.takes_exposure and "exposure" in data:
                eta += np.log(data["exposure"])[:, np.newaxis]
            found.append(eta)
        return found

    def _dispersions(self):
        """The dispersions of each response, a list of float64 (n_components, n_dispersions), as `DISTRIBUTIONS` take
        them."""
        params = self._collect()
        return [
            np.column_stack([params.dispersions[:, place], params.degrees[:, place]]).astype(np.float64)[
                :, : len(distribution.dispersions)
            ]
            for place, distribution in enumerate(self._distributions())
        ]

    def _means_of_components(self, X, exposure, offset):
        """E[y | x, k] of each response, a list of (n_samples, n_components), or (n_samples, n_components,
        n_classes)."""
        of_responses = zip(
            self._distributions(), self._predictors(X, offset, exposure), self._dispersions(), strict=True
        )
        return [
            np.stack([distribution.mean(*one) for one in zip(eta, dispersions, strict=True)], axis=1)
            for distribution, eta, dispersions in of_responses
        ]

    def predict_components(
        self, X: RowsLike, *, exposure: ArrayLike | None = None, offset: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """E[y | x, k], the mean of each component.

        Parameters
        ----------
        <X, exposure, offset>

        Returns
        -------
        means : ndarray of shape (n_samples, n_components), float64
            Of 'multinomial' (n_samples, n_components, n_classes). Of several responses (n_samples, n_components,
            n_responses), or a list.
        """
        return self._side_by_side(self._means_of_components(X, exposure, offset))

    def _means(self, X, exposure, offset, gate_X):
        """E[y | x] of each response, a list."""
        shares = self.predict_proba(X, gate_X=gate_X)
        return [np.einsum("nk...,nk->n...", own, shares) for own in self._means_of_components(X, exposure, offset)]

    def predict(
        self,
        X: RowsLike,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """E[y | x], the mean over the components.

        Parameters
        ----------
        <X, exposure, offset, gate_X>

        Returns
        -------
        y : ndarray of shape (n_samples,), float64
            Of 'binomial' the probability of success, of the second of two `classes_`; of 'multinomial' (n_samples,
            n_classes), those of the classes. Of several responses (n_samples, n_responses), or a list.
        """
        return self._side_by_side(self._means(X, exposure, offset, gate_X))

    def _form_of(self, method, dtype):
        if method != "predict":
            return super()._form_of(method, np.float64 if method == "predict_proba" else dtype)
        names = self._names_of_experts()
        if not self._has_several:
            return np.dtype(np.float64), len(self.classes_) if "multinomial" in names else None
        if "multinomial" in names:
            raise TypeError(f"predictions of expert={self.expert!r} are a list, which has no place in one array")
        return np.dtype(np.float64), len(names)

    def predict_proba(self, X: RowsLike, *, gate_X: ArrayLike | None = None) -> Floats:
        """Predict p(k | x), how likely each component is before y is seen.

        Parameters
        ----------
        <X, gate_X>

        Returns
        -------
        shares : ndarray of shape (n_samples, n_components), float64
            Rows sum to one.
        """
        self._check_ready()
        self._check_assigned()
        rows = self._validate_rows(X, reset=False)
        gate = self._gate_columns(rows, gate_X)
        return self._shares(rows, {} if gate is None else {"gate": gate})

    def _shares(self, rows, data):
        """p(k | z), (n_samples, n_components), of validated rows and row data."""
        if self.gate is None:
            weights = np.asarray(self.weights_, dtype=np.float64)
            return np.tile(weights / weights.sum(), (rows.shape[0], 1))
        columns = data.get("gate", rows)
        return softmax(np.asarray(self.gate_intercept_, float) + columns @ np.asarray(self.gate_coef_, float).T, axis=1)

    def score(
        self,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
    ) -> float:
        """R^2, the coefficient of determination of `predict(X)`.

        Parameters
        ----------
        <X, y, sample_weight, exposure, offset, gate_X>

        Returns
        -------
        score : float
            Of successes and failures, and of counts of classes, that of their shares, rows weighted by their totals. Of
            several responses the mean of theirs.
        """
        predicted, y = self._means(X, exposure, offset, gate_X), self._gathered(y)
        ys = y.parts if self._has_several else (y,)
        each = zip(self._experts(), ys, predicted, self._each("classes_"), strict=True)
        return float(np.mean([self._score_of(*own, sample_weight) for own in each]))

    @staticmethod
    def _score_of(expert, y, predicted, classes, sample_weight):
        """R^2 of one response."""
        if classes is not None:
            y = np.asarray(numbers_of(expert, y, classes, "y"), dtype=np.float64)
        if y.ndim == 2 and y.shape[1] > 1:
            totals = y.sum(axis=1)
            sample_weight = totals if sample_weight is None else totals * np.asarray(sample_weight)
            y = y / np.where(totals > 0, totals, 1)[:, np.newaxis]
            y = y[:, 0] if predicted.ndim == 1 else y
        return r2_score(y, predicted, sample_weight=sample_weight)

    # ---- what y adds ----

    def posterior(self, X: RowsLike, y: ArrayLike, **row_data: ArrayLike | None) -> Floats:
        """Find p(k | x, y), the responsibilities.

        Parameters
        ----------
        <X, y, row_data of experts>

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to one.
        """
        return self._evaluate(self._with_responses(X, y, row_data, "posterior"), resp=True).resp

    def labels(self, X: RowsLike, y: ArrayLike, **row_data: ArrayLike | None) -> Integers:
        """The most likely component of each row given its response.

        Parameters
        ----------
        <X, y, row_data of experts>

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Numbers of components, from 0.
        """
        return self._evaluate(self._with_responses(X, y, row_data, "labels"), labels=True).labels

    def score_samples(self, X: RowsLike, y: ArrayLike, **row_data: ArrayLike | None) -> Floats:
        """Compute log p(y | x) of each row, in nats.

        Parameters
        ----------
        <X, y, row_data of experts>

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Of groups their log density at the first row, and 0 at the others.
        """
        return self._evaluate(self._with_responses(X, y, row_data, "score_samples"), log_norm=True).log_norm

    log_prob = score_samples

    def component_log_density(self, X: RowsLike, y: ArrayLike, **row_data: ArrayLike | None) -> Floats:
        """Compute log f(y | x, k) of each row, in nats, without the weights of the components.

        Parameters
        ----------
        <X, y, row_data of experts>

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_components)
            In nats.
        """
        return super().component_log_density(X, y=self._gathered(y), **row_data)

    def _y_of(self, method, X, y):
        """`_gathered`; TypeError where y is None and X no source, which would bring it."""
        if not is_source(X):
            check_names(method, self, {"y": y})
        return self._gathered(y)

    def bic(
        self,
        X: RowsLike | Source,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Bayesian information criterion of log p(y | x); the lower the better.

        Parameters
        ----------
        <X or source, y or none, sample_weight, n_effective, row_data of experts>

        Returns
        -------
        bic : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        y = self._y_of("bic", X, y)
        return super().bic(X, sample_weight=sample_weight, n_effective=n_effective, y=y, **row_data)

    def aic(
        self,
        X: RowsLike | Source,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Akaike information criterion of log p(y | x); the lower the better.

        Parameters
        ----------
        <X or source, y or none, sample_weight, n_effective, row_data of experts>

        Returns
        -------
        aic : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        y = self._y_of("aic", X, y)
        return super().aic(X, sample_weight=sample_weight, n_effective=n_effective, y=y, **row_data)

    def icl(
        self,
        X: RowsLike | Source,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_effective: NEffective = None,
        **row_data: ArrayLike | None,
    ) -> float:
        """Integrated completed likelihood, BIC - 2 sum log max_k p(k | x, y); the lower the better.

        Parameters
        ----------
        <X or source, y or none, sample_weight, n_effective, row_data of experts>

        Returns
        -------
        icl : float
            The criterion, in nats times two.

        Warns
        -----
        UserWarning
            <warning of n_effective>
        """
        y = self._y_of("icl", X, y)
        return super().icl(X, sample_weight=sample_weight, n_effective=n_effective, y=y, **row_data)

    def summary(
        self,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **row_data: ArrayLike | None,
    ) -> Summary:
        """What R's `summary` says of a mixture: rows, log-likelihood, criteria, sizes, and how the fit ended.

        Parameters
        ----------
        <X, y, sample_weight, row_data of experts>

        Returns
        -------
        summary : Summary
            Printed, it is a text; its attributes are the numbers.
        """
        return super().summary(X, sample_weight, y=y, **row_data)

    def to_frame(self) -> Any:
        """The components as a pandas DataFrame, a row for each component and coefficient.

        Returns
        -------
        frame : pandas.DataFrame
            Columns component, weight, column and coefficient; the intercept comes first. Of several responses there is
            a column response, their number and expert.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        self._check_ready()
        return self._frame_of_components(self.weights_, self._each("coef_"), self._each("intercept_"))

    def _frame_of_components(self, weights, coefficients, intercepts):
        """`to_frame` of these or other components, from weights (n,) and lists of coefficients (n, ...) and intercepts
        (n, ...) of each response."""
        import pandas as pd

        frames = []
        each = zip(self._names_of_experts(), coefficients, intercepts, self._each("classes_"), strict=True)
        for place, (name, own, intercept, classes) in enumerate(each):
            frame = self._frame_of(weights, own, intercept, classes)
            if self._has_several:
                frame.insert(2, "response", f"{place}: {name}")
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def _html_of_components(self):
        frame = self.to_frame()
        columns = frame["column"] if "response" not in frame else frame["response"] + ", " + frame["column"]
        return html_of_numbers(self, frame["component"], columns, frame["coefficient"])

    def _frame_of(self, weights, coefficients, intercepts, classes):
        """Of one response."""
        import pandas as pd

        coefficients, columns = np.asarray(coefficients, dtype=np.float64), self._labels_of_columns()
        if self.fit_intercept:
            intercepts = np.asarray(intercepts, dtype=np.float64)
            coefficients = np.concatenate([intercepts[..., np.newaxis], coefficients], axis=-1)
            columns = ["intercept", *columns]
        if coefficients.ndim == 3:
            columns = [f"{own}: {name}" for own in classes for name in columns]
        coefficients = coefficients.reshape(len(coefficients), -1)
        n_components, n = coefficients.shape
        return pd.DataFrame(
            {
                "component": np.repeat(np.arange(n_components), n),
                "weight": np.repeat(np.asarray(weights, dtype=np.float64), n),
                "column": columns * n_components,
                "coefficient": coefficients.ravel(),
            }
        )

    def _labels_of_rows(self, X, y, **row_data):
        return self.labels(X, y, **row_data)

    def _shares_of_rows(self, X, y, **row_data):
        return np.array(self.posterior(X, y, **row_data), dtype=np.float64)

    def _components(self, total=None):
        raise TypeError(
            "the components of a mixture of experts are those of y given x: pass X, with y in the place of rows"
        )

    def _draws(self, X, n_samples, random_state, exposure=None, offset=None, gate_X=None, **_):
        """`Draws` for overlaps: rows of X, drawn with probabilities proportional to p(k | x), with responses drawn from
        component k."""
        self._check_ready()
        rng, shares = check_random_state(random_state), self.predict_proba(X, gate_X=gate_X)
        shares = np.maximum(shares, np.finfo(float).tiny)
        weights = shares.mean(axis=0)
        labels = np.sort(np.arange(max(n_samples, len(weights))) % len(weights))
        places, log_shares = np.empty(len(labels), dtype=np.intp), np.log(shares)
        for k in range(len(weights)):
            own = labels == k
            places[own] = rng.choice(len(shares), np.count_nonzero(own), p=shares[:, k] / shares[:, k].sum())
        X, data = take(adopted(X), places), {"exposure": exposure, "offset": offset}
        data = take_data({name: own for name, own in data.items() if own is not None}, places, len(shares))
        y = self._joined(self._drawn(self._predictors(X, **data), labels, rng))
        gate_X = None if gate_X is None else take(adopted(gate_X), places)
        log_densities = self.component_log_density(X, y, gate_X=gate_X, **data) + log_shares[places] - np.log(weights)
        return Draws(log_densities, weights)

    def _drawn(self, etas, labels, rng, trials=None):
        """Draw responses given linear predictors and labels (n_samples,): a list with an array for each response, of
        `trials` numbers of successes."""
        found = []
        each = zip(
            self._distributions_in(trials, len(labels)), etas, self._dispersions(), self._each("classes_"), strict=True
        )
        for distribution, eta, dispersions, classes in each:
            y = np.empty(len(labels))
            for k in range(len(dispersions)):
                of_it = labels == k
                y[of_it] = distribution.of_rows(of_it).draw(rng, eta[k, of_it], dispersions[k])
            is_counted = trials is not None and distribution.takes_trials
            found.append(y if classes is None or is_counted else classes[y.astype(np.int64)])
        return found

    def sample(
        self,
        X: RowsLike,
        random_state: Seed = None,
        *,
        exposure: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        gate_X: ArrayLike | None = None,
        trials: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], Integers]:
        """Draw a response for each row of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own.
        <exposure, offset, gate_X, trials>

        Returns
        -------
        y : ndarray of shape (n_samples,), float64
            Of 'multinomial', and of 'binomial' fitted to labels, labels; of `trials` the numbers of successes. Of
            several responses (n_samples, n_responses), or a list.
        labels : ndarray of shape (n_samples,), int64
            The component of each row.
        """
        rng = self._rng_of_sample(1, random_state)
        etas = self._predictors(X, offset, exposure)
        ends = np.cumsum(self.predict_proba(X, gate_X=gate_X), axis=1)
        labels = drawn_of(ends, rng.random_sample(len(ends)))
        return self._side_by_side(self._drawn(etas, labels, rng, trials)), labels
