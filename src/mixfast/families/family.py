"""What every family of components says about itself, and the base of those written in plain Python."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np
import scipy.sparse

from mixfast.engine._capsule import BoundFamily
from mixfast.families._python import bind_python
from mixfast.families.layout import layout_of


class Encoded(NamedTuple):
    """Rows as a pass sees them.

    family : Family, which may be a copy with what `encode` has learned from the rows
    rows : ndarray (n_samples, n_columns) or a sparse matrix in CSR form, float32 or float64
    base : float64 (n_samples,), a parameter-free term of each row's log density, or None
    seeds : rows for k-means (n_samples, any number of columns) if it should run on other rows than EM, such as
        proportions in place of counts; None if it runs on `rows`. May be a function seeds(offsets) that is called when
        a start needs the rows: problem i of a batch has rows offsets[i] to offsets[i + 1], and columns can be scaled
        within each problem
    runs : uint32 (n_samples,), contiguous: the order that E-steps of a fit visit rows in, where a family gains by rows
        that follow each other being alike; None is as they lie
    """

    family: Family
    rows: np.ndarray | scipy.sparse.csr_matrix
    base: np.ndarray | None = None
    seeds: np.ndarray | scipy.sparse.csr_matrix | Callable | None = None
    runs: np.ndarray | None = None

    def make_seeds(self, offsets=None):
        """The rows that k-means runs on; None if these are `rows`. `offsets` (n_problems + 1,): problem i has rows
        offsets[i] to offsets[i + 1]; None is a single problem of all rows."""
        if not callable(self.seeds):
            return self.seeds
        return self.seeds(np.array([0, self.rows.shape[0]]) if offsets is None else offsets)

    def bind(self, n_components, dtype, isa=None):
        """The capsule with the family's verbs for these rows, computed in `dtype`."""
        options = {"is_sparse": True} if is_sparse(self.rows) else {}
        capsule = self.family.bind(n_components, self.rows.shape[1], dtype, isa, **options)
        bound = BoundFamily(capsule)
        asked = {
            "n_components": n_components,
            "n_features": self.rows.shape[1],
            "real_bytes": np.dtype(dtype).itemsize,
        }
        for name, wanted in asked.items():
            size = getattr(bound, name)
            if size != wanted:
                raise ValueError(
                    f"{type(self.family).__name__}.bind was asked for {name} = {wanted}, and gave {name} = {size}"
                )
        return capsule

    def check_layout(self, capsule, n_components, n_features):
        """Raise ValueError where a bound family has other sizes than its `Params`, or less room than its `Stats` want;
        X has `n_features` columns."""
        bound = BoundFamily(capsule)
        name, params = type(self.family).__name__, self.family.params_layout(n_components, n_features)
        if bound.n_params != params.size:
            raise ValueError(
                f"{name}.bind gave n_params = {bound.n_params}, but {params.record.__name__} has {params.size} numbers"
            )
        stats = self.family.stats_layout(n_components, n_features)
        member, size = ("n_record", bound.n_record) if bound.has_record else ("n_stats", bound.n_stats)
        if size != stats.size:
            raise ValueError(
                f"{name}.bind gave {member} = {size}, but {stats.record.__name__} has {stats.size} numbers"
            )
        # a family whose parameters are all given has none: columns of one category
        lacks_free_numbers = bound.n_free is not None and bound.n_free < 1
        if lacks_free_numbers and self.family.n_parameters(n_components, n_features) > 0:
            raise ValueError(
                f"{name}.bind gave free_numbers, but n_free = 0: it should say how many numbers that writes"
            )


class ColumnKind(Enum):
    """What the values of a column are, and so how pictures show it."""

    REAL = "real"
    #: A real number above 0.
    POSITIVE = "positive"
    COUNT = "count"
    #: Codes 0, 1, ... of categories: a column of zeros and ones is such too.
    CATEGORY = "category"
    #: One of the counts that a row's total is divided into, as words of a text.
    SHARE = "share"
    #: A coordinate of a unit vector.
    DIRECTION = "direction"

    @property
    def is_whole(self):
        """Whether values are whole numbers."""
        return self in (ColumnKind.COUNT, ColumnKind.CATEGORY, ColumnKind.SHARE)


class Described(NamedTuple):
    """What components are like in some columns.

    columns : int (n,), their numbers, one several times where it has several numbers
    numbers : what it is -> (n_components, n)
    codes : int (n,), the categories that the numbers are of, or None
    location : which of the numbers says where a component is; None is the first
    """

    columns: np.ndarray
    numbers: dict[str, np.ndarray]
    codes: np.ndarray | None = None
    location: str | None = None

    @property
    def locations(self):
        """(n_components, n)"""
        return self.numbers[self.location or next(iter(self.numbers))]


def arrays_of(design, **kinds):
    """The arrays of a design by name; ValueError unless it has exactly the arrays `kinds` (name -> (dtype, ndim))."""
    if design.keys() != kinds.keys():
        raise ValueError(f"a design should have {sorted(kinds)}, this one has {sorted(design)}")
    for name, (dtype, ndim) in kinds.items():
        if design[name].dtype != dtype or design[name].ndim != ndim:
            raise ValueError(
                f"{name} of a design should be {np.dtype(dtype)} of {ndim} dimensions, got {design[name].dtype} of "
                f"{design[name].ndim}"
            )
    return [design[name] for name in kinds]


def columnwise_margin(family, params, columns):
    """`Family.margin` for families with independent columns and only (n_components, n_features) parameters."""
    return family, family.Params(*(np.asarray(array)[:, columns] for array in params))


def is_sparse(rows):
    """Whether rows are stored by their values that are not zero."""
    return not isinstance(rows, np.ndarray)


class Family(ABC):
    """A kind of component distribution, with its hyper-parameters, for any number of components and features.

    A family is joined to the pass by `bind`; see `_kernels/family.h` for what the compiled verbs owe. Subclasses name
    their arrays in two NamedTuples, `Params` and `Stats`, and say the shapes.
    """

    #: The precisions that `bind` has verbs for.
    dtypes: tuple = (np.float64, np.float32)

    #: name of a parameter -> `Holding`, of those that can be held while the rest is fitted.
    holdings: dict = {}
    #: The parameter about which the first array of `Stats` has first moments; None if there are no such moments.
    centred: str | None = None
    #: The parameter that a component's status flags of the M-step refer to; None: all of them.
    judged: str | None = None

    def held_fields(self, name, values):
        """Fields of `Params` from values of a parameter that are held, of all components."""
        return {name: values}

    def n_held(self, name, held, n_features):
        """How many free parameters of the components are held, `held` being a mask of the parameter's numbers."""
        return int(held.sum())

    def held_moments(self, held, n_components, n_columns, dtype):
        """Places in the statistics, ascending, of the first moments about parameters that are held; `held` has masks by
        name. Encoded rows have n_columns, and are computed in `dtype`."""
        return np.flatnonzero(held[self.centred]) if self.centred in held else np.zeros(0, dtype=np.int64)

    def held_centres(self, found, n_components, n_features):
        """(n_components, n_features): where components are whose location is held, as a whole; NaN elsewhere. `found`:
        name -> (mask, values)."""
        held, values = found.get(self.centred, (np.zeros((n_components, n_features), dtype=bool),) * 2)
        return np.where(held.all(axis=1, keepdims=True), values, np.nan)

    def judging(self):
        """Names of parameters: where they are held, what the M-step says of a component is of no meaning."""
        return list(self.holdings) if self.judged is None else [self.judged]

    #: Whether `encode` of the rows of many problems together equals `encode` of each: a compiled batch can fit these.
    batches = True

    #: NamedTuple types that name the arrays of the parameters and of the sufficient statistics.
    Params: type
    Stats: type

    #: name of an array of `Params` -> `Domain`s that parameters which are given must be in, beside being finite
    domains: dict = {}

    # What two components have in common, in closed form; None where there is none, and draws have to say it. `p` and
    # `q` are records of n components each; what is found is of p[0] and q[0], of p[1] and q[1], and so on.

    #: log_affinity(p, q) -> (n,): the logarithm of the integral of sqrt(p q), Bhattacharyya's coefficient.
    log_affinity: Callable | None = None
    #: divergence(p, q) -> (n,): the integral of p log(p / q), Kullback and Leibler's; it may be infinite.
    divergence: Callable | None = None
    #: log_ratios(p, q) -> `LogRatios`, or what has its methods: the distribution of log q / p.
    log_ratios: Callable | None = None
    #: merged(p, q, share) -> a record of n components, share[i] p[i] + (1 - share[i]) q[i] being nearest to the i-th:
    #: it has the means of the sufficient statistics.
    merged: Callable | None = None

    #: margin(params, columns) -> (family, params) of the distribution of some columns, whose numbers rise; None where
    #: that is of no family.
    margin: Callable | None = None

    #: What every column is.
    column_kind = ColumnKind.REAL

    def column_kinds(self, n_features):
        """A `ColumnKind` for each column."""
        return [self.column_kind] * n_features

    #: cdf(params, x) -> (n, n_components), of rows (n, 1): the distribution functions of components of one column; with
    #: what `sample` takes of rows beside these.
    cdf: Callable | None = None
    #: The least and the largest value of a column, and whether all are whole numbers.
    support: tuple[float, float] = (-np.inf, np.inf)
    is_discrete: bool = False

    def range_of_columns(self, n_features):
        """(least (n_features,), largest (n_features,), whether all are whole numbers) of the values of rows; None where
        the domain is another."""
        least, largest = (np.full(n_features, end) for end in self.support)
        return least, largest, self.is_discrete

    @abstractmethod
    def param_shapes(self, n_components, n_features):
        """Shapes of the fields of `Params`."""

    @abstractmethod
    def stat_shapes(self, n_components, n_features):
        """Shapes of the fields of `Stats`."""

    def encode(self, X):
        """Validated rows of the user as `Encoded`, once for a fit or a prediction."""
        return Encoded(self, X)

    def design(self):
        """What `encode` has learned of rows, as sets by name: arrays with sorted rows. Asked of the family in
        `Encoded`. The design of the rows of two parts is the union of their sets."""
        return {}

    def with_design(self, design):
        """A family whose `encode` treats rows as part of the rows of the design, whatever they hold themselves.

        Raises
        ------
        ValueError
            Where this is no design of the family's; by `encode`, for rows that it is not of.
        """
        if design:
            raise ValueError(f"{type(self).__name__} learns nothing of rows, and the design has {sorted(design)}")
        return self

    @abstractmethod
    def bind(self, n_components, n_features, dtype, isa=None):
        """A capsule with the compiled verbs for encoded rows of `n_features` columns, computed in `dtype` (float32 or
        float64). Families of sparse rows have a parameter `is_sparse=False` more."""

    @abstractmethod
    def n_parameters(self, n_components, n_features):
        """Number of free parameters of the components, without their weights."""

    def n_rows_needed(self, n_features):
        """Distinct rows that a component should take more than half of, so that its parameters are made of more than
        a few of them: `Status.SPURIOUS_COMPONENT`. 0 where none are needed, for likelihoods that have a bound."""
        return 0

    def n_begun(self, n_components):
        """How many of the components, the first ones, have parameters and begin with rows of their own."""
        return n_components

    @abstractmethod
    def sample(self, params, labels, rng):
        """One row for each label, drawn from that component: (n, n_features)."""

    def plain(self, params):
        """(family, parameters) of the components' distributions; for posteriors, at the expected parameters."""
        return self, params

    def kind(self):
        """A key; parameters of two families can be compared if their keys are equal."""
        return type(self)

    def seeds_by_row(self):
        """Whether k-means sees each row by itself, so that it sees rows in parts as it does all of them together: not
        if `Encoded.seeds` are scaled by all rows, or have means of columns in the place of missing entries."""
        return True

    def given(self, **row_data):
        """The family whose closed forms of pairs hold for rows with this row data, such as an exposure or a total."""
        return self

    def described(self, params):
        """A list of `Described`, for summaries. By default all parameters of shape (n_components, n_features)."""
        arrays = {name: np.asarray(array) for name, array in params._asdict().items()}
        shape = next(iter(arrays.values())).shape
        numbers = {name: array for name, array in arrays.items() if array.ndim == 2 and array.shape == shape}
        return [Described(np.arange(shape[1]), numbers)]

    def apart(self, params):
        """(family, parameters) of the same components in a family without shared parameters."""
        return self, params

    def blank(self, n_components, n_features):
        """The parameters at which a start gathers its first statistics, when only responsibilities are known: moments
        are then about a mean of zero, say. (n_params,), the arrays of `Params` one after the other."""
        return np.zeros(self.params_layout(n_components, n_features).size)

    def located(self, centres):
        """As `blank`, for a start from k-means: parameters (n_params,) with `centres` (n_components, n_features), the
        means of the clusters, in the place of means, so that the first M-step already has moments about them. None if
        no parameters are means: the start then makes two M-steps."""
        return None

    def canonical_order(self, params):
        """The numbers of the components, (n_components,), in an order that does not depend on where EM started: by
        their location, the first array of `params`; column 0 first, then, of equals, column 1, and so on. Components
        that are equal in all columns stay in the order that they are in."""
        location = np.asarray(params[0])
        return np.lexsort(location.reshape(len(location), -1).T[::-1])

    def reorder(self, params, order):
        """`params` with component order[k] in place k, components being the first axis of an array; an array that all
        components share stays as it is."""
        return self.Params(
            *(
                np.asarray(array)[order] if has_components else array
                for array, has_components in zip(params, self._have_components(), strict=True)
            )
        )

    def _have_components(self):
        """Of each array of the parameters, whether its first axis is that of the components."""
        # an array of (n_features, n_features) may look like one of (n_components, n_features): shapes alone cannot say
        return [one != two for one, two in zip(self.param_shapes(1, 1), self.param_shapes(2, 1), strict=True)]

    def has_own_arrays(self):
        """Whether components share no array of the parameters."""
        return all(self._have_components())

    def rounded(self, params, dtype):
        """`params`, whose arrays may have more dimensions in front, in the precision of the data. A subclass sees to it
        that nothing comes to the edge of its domain by rounding."""
        return self.Params(*(array.astype(dtype) for array in params))

    def params_layout(self, n_components, n_features):
        return layout_of(self.Params, tuple(self.param_shapes(n_components, n_features)))

    def stats_layout(self, n_components, n_features):
        return layout_of(self.Stats, tuple(self.stat_shapes(n_components, n_features)))


class PythonFamily(Family):
    """A family in plain Python: derive, say the shapes, write three methods, and every estimator feature works.

    It runs through the same pass and the same loop as the compiled families, called once per chunk of some hundred
    rows, on one thread, in float64.
    """

    dtypes: tuple = (np.float64,)
    batches = False  # a batch runs without the GIL

    #: Whether rows of one component alone may put its parameters to the edge of their domain (a probability of 0), and
    #: EM does not leave it: starts then give half of each row to all components. A prior keeps them away from it.
    starts_inside: bool = False

    #: Optional methods, both or neither, for `accelerate="auto"`: `unconstrain(params)` gives `n_parameters` numbers in
    #: an array of any shape, and `constrain(free)` makes `Params` of any such numbers in that shape: logarithms of what
    #: is positive, log odds of what lies between 0 and 1. A number may be infinite where a parameter is at the edge of
    #: its domain; it is then given back as it was.
    unconstrain = None
    constrain = None

    #: Optional method: `recentre(counts, stats, last_params, params)` gives `Stats` that were gathered at `last_params`
    #: as the same responsibilities would have given them at `params`, so that `maximise` finds there what it would have
    #: found here; `stats` themselves where these do not depend on the parameters. Only where that is exact: without it
    #: `estimator.recentre` refuses.
    recentre = None

    @abstractmethod
    def log_density(self, X, params):
        """Log density of each row under each component: (n, n_components), without the weights of the components; -inf
        where a row is impossible, never NaN."""

    @abstractmethod
    def accumulate(self, X, resp, params):
        """The `Stats` of some rows; resp (n, n_components) is already multiplied by the weights of the rows.

        Statistics must be additive: those of all rows are the sum of those of their parts.
        """

    @abstractmethod
    def maximise(self, counts, stats, params):
        """New `Params` from the total: counts (n_components,) are the sums of resp, `params` the present ones.

        They are finite even where counts[k] is 0, for a component that lost its rows: `params` has what it had. The
        fit's status then has `Status.EMPTIED_COMPONENT`; `return params, Status.CAPPED_PARAMETER` adds what else is to
        be said.
        """

    def log_prior(self, params):
        """Log density of the prior, up to a constant; added to the log-likelihood that EM increases."""
        return 0.0

    def bind(self, n_components, n_features, dtype, isa=None):
        return bind_python(self, n_components, n_features)
