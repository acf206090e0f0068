"""Product mixtures: tables whose columns are of different kinds."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from mixfast._docstrings import described
from mixfast._typing import Accelerate, InitParams, InitPolicy, Seed
from mixfast.estimators._categories import Columns, categories_of
from mixfast.estimators._constraints import WholeNumber
from mixfast.estimators._given import check_column_names, check_weights, finish_given, of_known_names, precision_of
from mixfast.estimators._holding import masks_and_values
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.estimators._rows import check_names
from mixfast.families.product import Product
from mixfast.in_messages import among, in_short, listed, one_name
from mixfast.parts import Categorical, Part
from mixfast.row_data import separated
from mixfast.tables import Names, same_names, without_entries


class Group(NamedTuple):
    """A part with its columns as places in X."""

    name: str
    places: list
    part: Part


@described
class ProductMixture(LikelihoodMixture):
    """Mixture for tables of mixed types, fitted by EM.

    Within a component, groups of columns are independent, each with a distribution of its own.

    The density of a row is sum_k weights_k prod_g p_g(columns of group g | theta_gk); also known as latent class or
    latent profile analysis with indicators of mixed types.

    Parameters
    ----------
    parts : list of tuple
        Columns and then their family, for instance
        `[("age", "height", Gaussian()), ("smoker", Bernoulli()), ("job", Categorical())]`, with families of
        `mixfast.parts`: Bernoulli, Categorical, Exponential, Gamma, Gaussian, Poisson, StudentT. Columns are named, or
        numbered from 0, and may stand in a list; numbers are names where a table has a column of one of them for its
        name, and else places. A tuple of a family alone takes all columns that no other names;
        without such a part, columns that are not named are not looked at. Where all are named, tables are read by these
        names: they may have other columns, and in another order, than in `fit`.
    <n_components>
    <tol, max_iter, n_init, init_params>

        k-means sees Gaussian and Bernoulli columns standardised to variance 1, and a column of zeros and ones for each
        category. `accelerate` needs families that all can be extrapolated. Where a part has no prior of a pseudo-count
        or more, starts give half of each row to all components, as in `BernoulliMixture`.

    <random_state, warm_start, verbose, verbose_interval, n_threads, accelerate, n_init_policy, canonical_order>
        The parameters are those of the first part.
    <weights, weight_concentration>
    hold : dict, default=None
        Parameters that stay as they are while the others are fitted: for parts, by their names in `components_`, what
        `hold` of their mixture says, ``{"age, height": {"means": array}}``, NaN for numbers that are fitted; and
        `weights` of all. Held numbers come out to the last bit, and criteria do not count them. A mask of components,
        or of numbers, holds what the last fit has, with `warm_start=True`.

    Attributes
    ----------
    <weights_>
    components_ : dict
        For each part, by its name (its columns, joined by ", "), the fitted mixture of its columns alone, the margin of
        this one: a `GaussianMixture`, `CategoricalMixture` and so on with the same `weights_`, and their attributes,
        such as `components_["age, height"].means_`.
    column_names_in_ : list
        The names of X's columns in `fit`, where X was a table whose names are not all strings.
    columns_ : list
        The columns that parts have, in the order of X: those of what `sample` draws, so that
        `pandas.DataFrame(model.sample(9)[0], columns=model.columns_)` is a table as in `fit`.
    <converged_, n_iter_, lower_bound_, lower_bounds_, status_, n_features_in_, feature_names_in_>

    Raises
    ------
    ValueError
        For parts that name a column twice, or one that X has not, or have parameters outside their range; for values
        outside the domain of their family, and columns in which all are missing.
        <errors of every fit>

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import ProductMixture
    >>> from mixfast.parts import Categorical, Gaussian
    >>> X = np.array([[1.0, "a"], [1.5, "a"], [7.0, "b"], [7.5, None]], dtype=object)
    >>> model = ProductMixture([(0, Gaussian()), (1, Categorical())], n_components=2, random_state=0).fit(X)
    >>> labels = model.predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    >>> sorted(model.components_["0"].means_.round(2).ravel().tolist())
    [1.25, 7.25]
    """

    _parameter_constraints: dict = {**LikelihoodMixture._parameter_constraints, "parts": [list, tuple]}

    _looks_up_names = True

    def __init__(
        self,
        parts: Sequence[tuple[Any, ...]],
        n_components: int = 1,
        *,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: InitParams = "kmeans",
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_threads: int | None = None,
        accelerate: Accelerate = None,
        n_init_policy: InitPolicy = "all",
        canonical_order: bool = False,
        weights: ArrayLike | None = None,
        weight_concentration: float | None = None,
        hold: dict[str, Any] | None = None,
    ) -> None:
        self.parts = parts
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.canonical_order = canonical_order
        self.weights = weights
        self.weight_concentration = weight_concentration
        self.hold = hold

    @property
    def _accepts_missing(self):
        return any(part[-1].mixture(1)._accepts_missing for part in self.parts if is_part(part))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        kinds = [get_tags(part[-1].mixture(1)).input_tags for part in self.parts if is_part(part)]
        tags.input_tags.allow_nan = all(kind.allow_nan for kind in kinds)
        tags.input_tags.positive_only = any(kind.positive_only for kind in kinds)
        tags.input_tags.string = any(kind.string for kind in kinds)
        tags.input_tags.categorical = any(kind.categorical for kind in kinds)
        return tags

    # ---- given parameters ----

    @classmethod
    @of_known_names
    def from_parameters(
        cls,
        *,
        parts: Sequence[tuple[Any, ...]],
        weights: ArrayLike,
        components: Mapping[str, Mapping[str, ArrayLike]],
        feature_names: Sequence[str] | None = None,
        n_features: int | None = None,
        **options: Any,
    ) -> Self:
        """Make a fitted model of given parameters, as another program or a publication has them.

        Parameters
        ----------
        parts : list of tuple
            As in the constructor.
        <given weights>
        components : dict
            For each part the parameters that `from_parameters` of its mixture wants beside the weights, by the name
            that the part has in `components_`, its columns: ``{"age, height": {"means": ..., "covariances": ...}}``.
        feature_names : list of str, default=None
            The names of all columns of the table.
        n_features : int, default=None
            The number of columns, where these have no names; None is up to the last that `parts` name by number.
        <options>

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
        weights = check_weights(weights)
        model = cls(parts, len(weights), **options)
        model._validate_params()
        columns = model._given_columns(feature_names, n_features)
        groups = model._groups(columns)
        if not isinstance(components, dict) or components.keys() != {group.name for group in groups}:
            raise ValueError(
                f"components should be a dict of the parts {listed(group.name for group in groups)}, got "
                + (listed(components) if isinstance(components, dict) else in_short(components))
            )
        names = check_column_names(feature_names, len(columns))
        model.components_ = {
            group.name: _given_margin(group, weights, components[group.name], names) for group in groups
        }
        places = sorted(place for group in groups for place in group.places)
        params = model._collect()
        dtype = precision_of([weights, *(own.weights_ for own in model.components_.values())])
        return finish_given(
            model, weights, params, dtype, len(columns), feature_names, (), columns=[columns[j] for j in places]
        )

    def _given_columns(self, feature_names, n_features):
        """Names or numbers of the columns of the table."""
        if feature_names is not None:
            return list(feature_names)
        named = [column for part in self.parts if is_part(part) for column in _columns_of(part, Names(()))]
        if n_features is None:
            have_all = all(is_part(part) and _columns_of(part, Names(())) for part in self.parts)
            if not named or not have_all or not all(isinstance(column, Integral) for column in named):
                raise ValueError(
                    f"parts={self.parts} do not say which columns there are: give feature_names, or n_features where "
                    "columns have numbers"
                )
            n_features = 1 + max(named)
        if not WholeNumber(1).is_satisfied_by(n_features):
            raise ValueError(f"n_features should be a whole number of at least 1, got {n_features!r}")
        return list(range(n_features))

    # ---- parts ----

    def _groups(self, names, are_names=None):
        """The parts with their columns as places; `names` are those of X's columns, or their numbers. `are_names` says
        that numbers in parts are names too, never places; by default they are where some of them are."""
        if not self.parts:
            raise ValueError("parts is empty: name some columns and their family")
        known, taken, groups = Names(names), {}, []
        are_names = self._have_names(known) if are_names is None else are_names
        for part in self.parts:
            if not is_part(part):
                raise ValueError(
                    f"parts should hold tuples of columns and then a family of mixfast.parts, got {part!r}"
                )
            places = [_place(column, known, are_names) for column in _columns_of(part, known)]
            for place in places:
                if place in taken:
                    raise ValueError(f"parts name column {names[place]!r} twice")
                taken[place] = part
            groups.append(places)
        if sum(not places for places in groups) > 1:
            raise ValueError("parts holds several families without columns: only one can take those that are left")
        rest = [place for place in range(len(names)) if place not in taken]
        groups = [places or rest for places in groups]
        if not all(groups):
            raise ValueError(
                f"X has n_features = {len(names)}, all named by other parts: none is left for the family without "
                "columns"
            )
        labels = [", ".join(str(names[place]) for place in places) for places in groups]
        if len(set(labels)) < len(labels):  # columns of the same name, or 1 and "1"
            labels = [f"{label} at {', '.join(map(str, places))}" for label, places in zip(labels, groups, strict=True)]
        return [Group(label, places, part[-1]) for label, places, part in zip(labels, groups, self.parts, strict=True)]

    def _have_names(self, known):
        """Whether some number in parts is the name of a column."""
        columns = (column for part in self.parts if is_part(part) for column in _columns_of(part, known))
        return any(isinstance(column, Integral) and known.places_of(column) for column in columns)

    def _finds_all_by_name(self):
        """Whether every part names its columns, and these names are those of the table that was fitted."""
        fitted = Names(getattr(self, "column_names_in_", getattr(self, "feature_names_in_", ())))
        wanted = [_columns_of(part, fitted) for part in self.parts]
        return all(wanted) and all(len(fitted.places_of(column)) == 1 for part in wanted for column in part)

    def _new_components(self, groups):
        components = {}
        for group in groups:
            own = components[group.name] = group.part.mixture(self.n_components)
            try:
                own._validate_params()
            except InvalidParameterError as error:
                raise InvalidParameterError(f"Part {group.name!r}: {error}") from None
            own.n_features_in_ = len(group.places)
            if hasattr(self, "feature_names_in_"):
                own.feature_names_in_ = self.feature_names_in_[group.places]
        return components

    def _column_names(self):
        """Those of the fit; before one, numbers up to the last that parts name."""
        if hasattr(self, "column_names_in_"):
            return self.column_names_in_
        if hasattr(self, "feature_names_in_"):
            return list(self.feature_names_in_)
        if hasattr(self, "n_features_in_"):
            return list(range(self.n_features_in_))
        return list(range(1 + max(column for part in self.parts for column in _columns_of(part, Names(())))))

    def _mixtures(self):
        """Those of the parts: fitted, or else new."""
        if hasattr(self, "components_"):
            return self.components_
        return self._new_components(self._groups(self._column_names()))

    def _check_state(self):
        names = [group.name for group in self._groups(self._column_names())]
        if not isinstance(self.components_, dict) or list(self.components_) != names:
            raise ValueError(f"components_ should be a dict with the parts {listed(names)}")
        if not all(isinstance(own, LikelihoodMixture) for own in self.components_.values()):
            raise ValueError("components_ holds what is no mixture")
        if not isinstance(self.columns_, list):
            raise ValueError(f"columns_ should be a list, got {self.columns_!r}")
        super()._check_state()
        self._check_structure()

    def _family(self):
        mixtures = self._mixtures().values()
        return Product([own._family() for own in mixtures], [own.n_features_in_ for own in mixtures])

    def _published(self, params):
        parts = zip(self._mixtures().values(), self._family().split(params), strict=True)
        return tuple(chain(*(own._published(record) for own, record in parts)))

    def _publish(self, params, dtype):
        # copies: what was fitted before stays as it is, for a fit that fails after this
        self.components_ = {name: copy.copy(own) for name, own in self._mixtures().items()}
        for own, record in zip(self.components_.values(), self._family().split(params), strict=True):
            own.weights_ = self.weights_.copy()
            own._publish(record, dtype)
            own._remember_structure()

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "weights_" and "components_" in vars(self):  # those of all margins; a copy may share the old ones
            self.components_ = {name: copy.copy(own) for name, own in self.components_.items()}
            for own in self.components_.values():
                own.weights_ = self.weights_

    def _check_domains_of_components(self):
        """Parts look at theirs."""

    def _margins(self):
        return self.components_

    def _margin(self, columns):
        raise TypeError(self._no_columns_but_of_parts())

    def _of_one_column(self):
        raise TypeError(self._no_columns_but_of_parts())

    def _centres(self):
        raise TypeError(self._no_columns_but_of_parts())

    def _no_columns_but_of_parts(self):
        check_is_fitted(self)
        name = next(iter(self.components_))
        return (
            "columns of a ProductMixture are asked for part by part: each part is a fitted mixture by itself, with the "
            f"weights of all, whose marginal, condition and cdf are there, such as model.components_[{name!r}]; parts "
            f"are {in_short(list(self.components_))}"
        )

    def _check_structure(self):
        groups = self._groups(self._column_names())
        if [group.name for group in groups] != list(self.components_):
            raise ValueError(
                f"parts has the columns {[group.name for group in groups]}, and had those of "
                f"{list(self.components_)} in that fit"
            )
        for group, own in zip(groups, self.components_.values(), strict=True):
            new = group.part.mixture(self.n_components)
            if type(new) is not type(own):
                raise ValueError(
                    f"part {group.name!r} is for a {type(new).__name__}, and was for a {type(own).__name__} in that fit"
                )
            _with_parameters_of(new, own)._check_structure()

    def _labels_of_columns(self):
        names = self._column_names()
        names = [name if isinstance(name, str) else f"column {name}" for name in names]
        return [names[place] for group in self._groups(self._column_names()) for place in group.places]

    def _labels_of_categories(self):
        return [
            category
            for own in self.components_.values()
            for category in getattr(own, "categories_", [None] * own.n_features_in_)
        ]

    def _take_components(self, n_components):
        super()._take_components(n_components)
        self.parts = [(*columns, clone(part)) for *columns, part in self.parts]
        self.components_ = {name: copy.copy(own) for name, own in self.components_.items()}
        for (*_, part), own in zip(self.parts, self.components_.values(), strict=True):
            own._take_components(n_components)
            part.set_params(**{name: getattr(own, name) for name in own._shared})

    def _take_up_parameters(self):
        self.components_ = {
            group.name: _with_parameters_of(group.part.mixture(self.n_components), own)
            for group, own in zip(self._groups(self._column_names()), self.components_.values(), strict=True)
        }

    def _collect(self):
        for name, own in self.components_.items():
            if not _are_equal(own.weights_, vars(self).get("weights_", own.weights_)):
                raise ValueError(
                    f"components_[{name!r}].weights_ is {own.weights_}, and weights_ is {self.weights_}: margins have "
                    "the weights of the whole; assign those, which gives them to all margins"
                )
        return self._family().join([own._collect() for own in self.components_.values()])

    def _allows_nan(self, n_features):
        allows = np.ones(n_features, dtype=bool)  # nobody looks at columns that no part names
        for group in self._groups(list(range(n_features))):
            allows[group.places] = get_tags(group.part.mixture(1)).input_tags.allow_nan
        return allows

    def _measured(self, n_features):
        measured = np.zeros(n_features, dtype=bool)
        for group in self._groups(list(range(n_features))):
            measured[group.places] = group.part.mixture(1)._measured(len(group.places))
        return measured

    def _has_gaps(self, X):
        parts = zip(self._mixtures().values(), self._family().columns(X), strict=True)
        return any(own._has_gaps(columns) for own, columns in parts)

    def _says_nothing(self, X):
        columns = Columns(X)
        return without_entries(X, np.concatenate([group.places for group in self._groups(columns.names)]))

    def _check_missing(self, rows):
        self._check_columns_have_entries(rows)

    def _narrow_columns(self, ranges):
        of_parts = [ranges.of_columns(columns) for columns in self._family().columns(ranges.X)]
        found = [own._narrow_columns(its) for own, its in zip(self._mixtures().values(), of_parts, strict=True)]
        if all(own is None for own in found):
            return None
        return np.concatenate(
            [its.none() if own is None else own for own, its in zip(found, of_parts, strict=True)], axis=1
        )

    def _for_parts_of(self, X):
        columns = Columns(separated(X)[0])
        parts, groups = [], self._groups(columns.names)
        for (*given, _), group, of_all in zip(self.parts, groups, self._categories_of_all(groups), strict=True):
            part = clone(group.part)
            if isinstance(part, Categorical) and isinstance(part.categories, str):
                part.categories = of_all or [categories_of(columns.answers(place)) for place in group.places]
            parts.append((*given, part))
        return clone(self).set_params(parts=parts)

    def _by_place(self, names):
        return self._with_columns_anew([(*group.places, group.part) for group in self._groups(names)])

    def _by_name(self, names):
        parts = [(*(names[place] for place in _columns_of(part, Names(()))), part[-1]) for part in self.parts]
        return self._with_columns_anew(parts)

    def _reads(self, names):
        looked_at = np.zeros(len(names), dtype=bool)
        for group in self._groups(names):
            looked_at[group.places] = True
        return looked_at

    def _learn_columns(self, n_features, names):
        super()._learn_columns(n_features, names)
        self._keep_names(names)

    def _keep_names(self, names):
        vars(self).pop("column_names_in_", None)
        if names is not None and not hasattr(self, "feature_names_in_"):
            self.column_names_in_ = list(names)
        known = self._column_names()
        self.columns_ = [known[place] for place in np.flatnonzero(self._reads(known))]

    def _params_of_codes(self):
        parts, start = [], 0
        for (*_, part), own in zip(self.parts, self.components_.values(), strict=True):
            stop = start + own.n_features_in_
            parts.append((*range(start, stop), clone(part).set_params(**own._params_of_codes())))
            start = stop
        return {"parts": parts}

    def _no_rows(self, dtype):
        return np.empty((0, sum(own.n_features_in_ for own in self.components_.values())), dtype=dtype)

    def _names_of_codes(self):
        of_parts = [own._names_of_codes() for own in self._mixtures().values()]
        categories = [own for part in of_parts if part is not None for own in part]
        return categories or None

    def _columns_of_names(self):
        parts = [part for part in self.parts if is_part(part)]
        return [_said_of(part, parts) for part in parts if isinstance(part[-1], Categorical)]

    def _with_columns_anew(self, parts):
        """The estimator, not fitted, with the same parts whose columns are called otherwise."""
        other = clone(self).set_params(parts=parts)
        if self._names_of_all.columns is not None:
            self._names_of_all.check_columns(self._columns_of_names())
            other._names_of_all = self._names_of_all._replace(columns=other._columns_of_names())
        return other

    def _categories_of_all(self, groups):
        """Those that all rows have of the columns of each group, a list; None where they have none, or it is not
        known. Raises ValueError where they are of other columns."""
        if self._names_of_all.categories is not None:
            self._names_of_all.check_columns(self._columns_of_names())
            n_known = len(self._names_of_all.categories)
            n_columns = sum(len(group.places) for group in groups if _is_categorical(group))
            if n_columns != n_known:
                raise ValueError(
                    f"X has {n_columns} columns of categories, and the design is of rows with {n_known}: make one of "
                    "rows like X"
                )
        left, is_known = iter(self._names_of_all.categories or ()), self._names_of_all.categories is not None
        return [
            list(islice(left, len(group.places))) if is_known and _is_categorical(group) else None for group in groups
        ]

    def _may_meet_unseen(self):
        return any(part[-1].unseen == "missing" for part in self.parts if isinstance(part[-1], Categorical))

    def _without_default_regularization(self):
        return {
            "parts": [
                (*columns, clone(part).set_params(**part.mixture(1)._without_default_regularization()))
                for *columns, part in self.parts
            ]
        }

    # ---- parameters that are held ----

    def _held_values(self, family, n_features):
        """Those of the parts, with the number of the part in the name."""
        if not self.hold:
            return {}
        mixtures = self._mixtures()
        unknown = [name for name in self.hold if name not in mixtures and name != "weights"]
        if unknown:
            raise ValueError(f"hold has {unknown[0]!r}, and should have 'weights' or the parts {list(mixtures)}")
        found = {}
        for i, (name, own) in enumerate(mixtures.items()):
            held = self.hold.get(name, {})
            if not isinstance(held, dict) or "weights" in held:
                raise ValueError(
                    f"hold[{name!r}] should be a dict of parameters of the part, beside hold['weights'], got {held!r}"
                )
            fitted = {key: getattr(own, f"{key}_") for key in held if hasattr(own, f"{key}_")}
            try:
                part = masks_and_values(
                    held,
                    family.families[i],
                    self._n_weights(),
                    family.widths[i],
                    fitted if self._goes_on() else None,
                    f"this part, a {type(own).__name__},",
                )
            except ValueError as error:
                raise ValueError(f"Part {name!r}: {error}") from None
            found |= {f"{key}_{i}": value for key, value in part.items()}
        return found

    # ---- rows ----

    def _validate_rows(self, X, reset=True, ensure_min_samples=1):
        columns = Columns(X, ensure_min_samples)
        if not reset and columns.are_named and self._finds_all_by_name():
            return self._block(columns, self._groups(columns.names, are_names=True), self._mixtures().values())
        check_names(self, X, reset)
        fitted = getattr(self, "column_names_in_", columns.names)
        if not reset and columns.are_named and not same_names(columns.names, fitted):
            raise ValueError(f"X has the columns {columns.names}, and had {fitted} in fit")
        groups = self._groups(columns.names if reset else self._column_names())
        if reset:
            self._keep_names(columns.names if columns.are_named else None)
            self.components_ = self._new_components(groups)
        return self._block(columns, groups, self.components_.values(), reset, ensure_min_samples > 0)

    def _prepare_rows(self, X):
        return self._block(Columns(X), self._groups(self._column_names()), self._mixtures().values())

    def _block(self, columns, groups, mixtures, learns=False, needs_some=True):
        """The columns of all parts as numbers, side by side."""
        answers = [[columns.answers(place) for place in group.places] for group in groups]
        floats = [
            own for group, given in zip(groups, answers, strict=True) for own in given if not _is_categorical(group)
        ]
        is_float32 = bool(floats) and all(own.dtype == np.float32 for own in floats)
        dtype = np.float32 if is_float32 else np.float64
        blocks = []
        for group, mixture, own, of_all in zip(groups, mixtures, answers, self._categories_of_all(groups), strict=True):
            if _is_categorical(group):
                if learns:
                    mixture._learn_categories(own, of_all, needs_some)
                blocks.append(mixture._coded(own, dtype))
            else:
                blocks.append(_numbers(group, mixture, own, dtype))
        return np.concatenate(blocks, axis=1)

    # ---- missing entries: each part fills its own, given the component ----

    def _blocks(self, rows):
        """(name of a part, its mixture, its columns of rows as `_block` has them)"""
        ends = np.cumsum([own.n_features_in_ for own in self.components_.values()])
        return zip(self.components_, self.components_.values(), np.split(rows, ends[:-1], axis=1), strict=True)

    def _expected_others(self, X, columns):
        rows = np.full((len(X), sum(own.n_features_in_ for own in self.components_.values())), np.nan)
        rows[:, columns] = X
        of_parts = []
        for name, own, block in self._blocks(rows):
            there = [j for j in range(block.shape[1]) if not np.isnan(block[:, j]).any()]
            if len(there) < block.shape[1]:
                try:
                    of_parts.append(own._expected_others(block[:, there], there))
                except TypeError as error:
                    raise TypeError(f"Part {name!r}: {error}; `sample_missing` draws what is missing") from None

        def expected(k):
            means = [of_part(k) for of_part in of_parts]
            return np.concatenate([np.broadcast_to(own, (len(X), own.shape[-1])) for own in means], axis=1)

        return expected

    def _filler(self, rows):
        fillers = [own._filler(block) for _, own, block in self._blocks(rows)]

        def fill(draw, labels, rng):
            for (_, _, block), fill_block in zip(self._blocks(draw), fillers, strict=True):
                fill_block(block, labels, rng)  # a view

        return fill

    def _names_of_rows(self):
        return self.columns_

    def _as_given(self, rows):
        columns = {}
        for group, (_, mixture, block) in zip(self._groups(self._column_names()), self._blocks(rows), strict=True):
            columns.update(zip(group.places, mixture._as_given(block).T, strict=True))
        return np.column_stack([columns[place] for place in sorted(columns)])


def _given_margin(group, weights, parameters, names):
    """The mixture of a part, of given parameters."""
    wanted = group.part.mixture(len(weights))
    options = {name: value for name, value in group.part.get_params().items() if name not in parameters}
    own_names = None if names is None else names[group.places]
    try:
        own = type(wanted).from_parameters(weights=weights, feature_names=own_names, **parameters, **options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Part {group.name!r}: {error}") from None
    if own.n_features_in_ != len(group.places):
        raise ValueError(
            f"Part {group.name!r} has {len(group.places)} column(s), and parameters of {own.n_features_in_}"
        )
    own.set_params(**wanted.get_params())  # what has the name of a parameter that was given, too
    own._remember_structure()
    return own


def _with_parameters_of(new, fitted):
    """The fitted mixture of a part with the parameters that the part has now."""
    return copy.copy(fitted).set_params(**new.get_params())


def _place(column, names, are_names):
    """The place of the column of that name; a number is a place itself, unless numbers are names."""
    places = names.places_of(column)
    if len(places) > 1:
        raise ValueError(f"parts name column {column!r}, and {len(places)} columns of X are called so: name them apart")
    if places:
        return places[0]
    if not are_names and isinstance(column, Integral) and 0 <= column < len(names):
        return int(column)
    raise ValueError(f"parts name column {one_name(column)}, which X has not: {among(column, names)}")


def is_part(part):
    return isinstance(part, (tuple, list)) and len(part) > 0 and isinstance(part[-1], Part)


def _columns_of(part, names):
    """Those that a part names, one by one or in lists; a tuple is a list too, unless a column is called so."""
    columns = []
    for given in part[:-1]:
        is_list = isinstance(given, (list, np.ndarray)) or (isinstance(given, tuple) and not names.places_of(given))
        columns += list(given) if is_list else [given]
    return columns


def _are_equal(one, other):
    return one is other or np.array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64), equal_nan=True)


def _said_of(part, parts):
    """The columns of a part in words; of one that takes those that are left, which are not."""
    columns = _columns_of(part, Names(()))
    if columns:
        return ", ".join(map(str, columns))
    others = [column for other in parts for column in _columns_of(other, Names(()))]
    return f"all but {', '.join(map(str, others))}" if others else "all"


def _is_categorical(group):
    return isinstance(group.part, Categorical)


def _numbers(group, mixture, answers, dtype):
    """The columns of a part, in the form that its mixture takes."""
    kind = type(group.part).__name__
    block = np.empty((len(answers[0]), len(answers)), dtype=dtype, order="F")
    for j, own in enumerate(answers):
        if own.dtype == object and np.all(own.is_missing):  # a row, perhaps, whose only entries are of others
            block[:, j] = np.nan
            continue
        if own.dtype == object:
            raise ValueError(f"Column {own.name!r} of X should hold numbers, as it is {kind}, but it holds strings")
        block[:, j] = own.values
        if np.any(np.isinf(block[:, j])):
            row = int(np.argmax(np.isinf(block[:, j])))
            raise ValueError(f"Column {own.name!r} of X contains infinity in row {row}: leave such rows out")
        block[own.is_missing, j] = np.nan
    try:
        return mixture._prepare_rows(block)
    except ValueError as error:
        raise ValueError(f"Part {group.name!r}, whose columns are numbered from 0: {error}") from None
