"""Experts: distributions of responses given linear predictors of the other columns of a row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import gammaln

from mixfast.families._experts import KINDS, bind_experts
from mixfast.families.domains import COUNT, POSITIVE
from mixfast.families.family import Encoded, Family, is_sparse
from mixfast.families.holding import NUMBER, Holding
from mixfast.row_data import separated
from mixfast.tables import canonical

#: Whether a coefficient is 0, one for each component, or the same for all: the codes of `_experts.pyx`.
LEFT_OUT, OWN, SHARED = 0, 1, 2

#: The stage in `frame` of parameters that were given or published: intercepts about the origin, the rest unknown.
GIVEN = 2.0


class ExpertParams(NamedTuple):
    """Parameters of K components, R responses with E linear predictors in all, and p columns of x.

    coefficients : (K, E, p)
    intercepts : (K, E), such that eta = intercept + coefficients . (x - pivot) + offset
    dispersions : (K, R), standard deviations, scales or shapes by the kind of expert; 1 for kinds without one
    degrees : (K, R), degrees of freedom, of Student-t experts
    frame : (p + 1 + R + q,), what a fit knows of its rows: the pivot of x (p,); the stage of a start, see
    `_experts.pyx`;
        a lower bound of the variance of each response (R,); the pivot of the q columns that only the gate sees
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    dispersions: np.ndarray
    degrees: np.ndarray
    frame: np.ndarray


class ExpertStats(NamedTuple):
    """Gradients and information for one step of Newton's method at the parameters of the pass, and sums for
    dispersions; see `_kernels/experts.h`."""

    gradients: np.ndarray
    information: np.ndarray
    sums: np.ndarray
    columns: np.ndarray


def refuse(name, y, wrong, wanted):
    """Raises ValueError, with its place, for the first value of y (n, columns) where the mask `wrong` is True. `name`
    is the argument, `wanted` says what it should be."""
    if np.any(wrong):
        row, column = map(int, np.argwhere(wrong)[0])
        where = f"row {row}" if y.shape[1] == 1 else f"row {row}, column {column}"
        raise ValueError(f"{name} should be {wanted}, in {where} it is {y[row, column]}")


def log_orders(y):
    """The logarithms of the multinomial coefficients of counts y (n, width), (n,); None where each row is one trial, so
    that all are 0."""
    if np.all(y.sum(axis=1) == 1):
        return None
    return gammaln(y.sum(axis=1) + 1) - gammaln(y + 1).sum(axis=1)


def dense(rows):
    """Rows, dense or sparse, as a dense float64 array."""
    return np.asarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)


def linear_forms(rows, coefficients):
    """The products coefficients (K, E, p) . rows (n, p), dense or sparse: float64 (K, n, E)."""
    n_components, n_predictors, n_features = coefficients.shape
    if not is_sparse(rows):
        return np.einsum("np,kep->kne", rows.astype(np.float64, copy=False), coefficients)
    found = rows @ coefficients.reshape(-1, n_features).T
    return found.reshape(-1, n_components, n_predictors).transpose(1, 0, 2)


# ---- experts --------------------------------------------------------------------------------------------------------


class Expert:
    """A kind of conditional distribution f(y | eta, dispersion): its name, sizes, and how y is checked and encoded. The
    loops of a fit are in `_kernels/experts.c`; means, quantiles and draws in `conditional.py`, by the same names."""

    name: str

    #: Name of the fitted attribute of the dispersion; None for kinds without one.
    dispersion_name: str | None = None
    #: Whether the link is the logarithm, so that an exposure is an offset log(exposure).
    takes_exposure = False
    #: Numbers of columns of y, of linear predictors, and of dispersions of a component.
    width = 1
    n_predictors = 1
    n_dispersions = 0
    #: Whether the likelihood is unbounded where a component fits too few rows exactly.
    is_unbounded = False
    #: Degrees of freedom; None where they are estimated. Only Student-t experts look at them.
    degrees: float | None = 1.0

    def check(self, name, y):
        """Raises ValueError for the first value of y (n, columns) outside the distribution's domain; `name` is the
        argument."""

    def whole(self, y):
        """y as (n, width), from any form that `check` accepts."""
        return y

    def columns(self, y):
        """The columns that the kernel reads for y (n, width), (n, n_y): see `_kernels/experts.c`."""
        return y

    def of_classes(self, counts):
        """y (n, width) of counts of classes (n, n_classes), of kinds whose responses may have classes."""
        return counts

    def base(self, y):
        """The terms of the log density that do not depend on parameters, (n,); None where they are 0."""
        return None


class GaussianExpert(Expert):
    """y = eta + sigma times a standard normal variate."""

    name = "gaussian"
    dispersion_name = "sigma_"
    n_dispersions = 1
    is_unbounded = True


class StudentTExpert(Expert):
    """y = eta + sigma times a Student-t variate.

    Parameters
    ----------
    degrees : float or None
        None where each component has its own, to be estimated.
    """

    name = "student_t"
    dispersion_name = "sigma_"
    n_dispersions = 1
    is_unbounded = True

    def __init__(self, degrees):
        self.degrees = degrees


class PoissonExpert(Expert):
    """Counts of mean exp(eta)."""

    name = "poisson"
    takes_exposure = True

    def check(self, name, y):
        refuse(name, y, COUNT.is_outside(y), "counts, whole numbers of at least 0")

    def base(self, y):
        return -gammaln(y[:, 0] + 1)


class BinomialExpert(Expert):
    """Successes of a number of trials, each with probability 1 / (1 + exp(-eta)); y of one column are single trials."""

    name = "binomial"
    width = 2

    def check(self, name, y):
        if y.shape[1] == 1:
            refuse(name, y, (y != 0) & (y != 1), "0 or 1, or two columns of successes and failures")
        else:
            refuse(name, y, COUNT.is_outside(y), "counts of successes and failures, whole numbers")

    def whole(self, y):
        return np.column_stack([y, 1 - y]) if y.shape[1] == 1 else y

    def of_classes(self, counts):
        return counts[:, ::-1]  # the second class is the success

    def columns(self, y):
        return np.column_stack([y[:, 0], y.sum(axis=1)])

    def base(self, y):
        return log_orders(y)


class GammaExpert(Expert):
    """A Gamma distribution of mean exp(eta)."""

    name = "gamma"
    dispersion_name = "shape_"
    n_dispersions = 1
    is_unbounded = True
    takes_exposure = True

    def check(self, name, y):
        refuse(name, y, ~(y > 0), "above 0")

    def columns(self, y):
        return np.column_stack([y[:, 0], np.log(y[:, 0])])


class NegativeBinomialExpert(Expert):
    """Counts of mean exp(eta) and variance mean + mean^2 / theta."""

    name = "negative_binomial"
    dispersion_name = "theta_"
    n_dispersions = 1
    takes_exposure = True

    def check(self, name, y):
        refuse(name, y, COUNT.is_outside(y), "counts, whole numbers of at least 0")

    def base(self, y):
        return -gammaln(y[:, 0] + 1)


class MultinomialExpert(Expert):
    """Counts of categories: the log odds of each but the first against that are its linear predictors.

    Parameters
    ----------
    n_categories : int
        At least 2; y has a column for each.
    """

    name = "multinomial"

    def __init__(self, n_categories):
        self.width = n_categories
        self.n_predictors = n_categories - 1

    def check(self, name, y):
        refuse(name, y, COUNT.is_outside(y), "counts of categories, whole numbers of at least 0")

    def columns(self, y):
        return np.column_stack([y[:, 1:], y.sum(axis=1)])

    def base(self, y):
        return log_orders(y)


# ---- the family -----------------------------------------------------------------------------------------------------


class Experts(Family):
    """log p(y | x, k) = sum over responses of log f(y; intercept_k + coefficients_k . x + offset, dispersion_k)

    Rows are a `RowData` of X and 'y', and optionally 'exposure', 'offset', 'gate' (columns for the gate alone),
    'groups'.

    Parameters
    ----------
    responses : tuple of Expert
    alpha : float
        Ridge penalty: alpha / 2 times the sum of squares of the slopes that components do not share is subtracted from
        the log-likelihood.
    is_common : bool
        Whether components share dispersions.
    fixed : tuple of int
        Columns of X whose coefficients all components share.
    columns : tuple of tuple of int, or None
        For each response the columns of X that its predictors depend on; None is all of them.
    has_intercept : bool
    corrects_variance : bool
        Whether variances are multiplied by n / (n - number of coefficients of a component that are not held), n the sum
        of the weights.
    n_beside : int
        Number of columns that the gate alone depends on.
    held : (n_components, n_predictors, 1 + n_columns) bool, or None
        Which intercepts and coefficients stay as they are.
    centres : bool
        Whether intercepts may be about a pivot in a fit: not where some of them, or of the gate, are held.
    layout : tuple or None
        (number of columns of X, for each response the `response` of `bind_experts`), set by `encode`.
    """

    # counts times predictors nearly cancel, and responses far from 0 would lose their digits
    dtypes = (np.float64,)

    Params: type = ExpertParams
    Stats: type = ExpertStats
    domains = {"dispersions": (POSITIVE,), "degrees": (POSITIVE,)}
    holdings = {
        "coefficients": Holding(NUMBER),
        "intercepts": Holding(NUMBER),
        "dispersions": Holding(NUMBER),
        "degrees": Holding(NUMBER),
    }

    def __init__(
        self,
        responses,
        alpha=0.0,
        is_common=False,
        fixed=(),
        columns=None,
        has_intercept=True,
        corrects_variance=False,
        n_beside=0,
        held=None,
        centres=True,
        layout=None,
    ):
        self.responses = tuple(responses)
        self.alpha = alpha
        self.is_common = is_common
        self.fixed = tuple(fixed)
        self.columns = columns
        self.has_intercept = has_intercept
        self.corrects_variance = corrects_variance
        self.n_beside = n_beside
        self.held = held
        self.centres = centres
        self._layout = layout

    @property
    def n_predictors(self):
        return sum(expert.n_predictors for expert in self.responses)

    def param_shapes(self, n_components, n_features):
        n_predictors, n_responses = self.n_predictors, len(self.responses)
        return (
            (n_components, n_predictors, n_features),
            (n_components, n_predictors),
            (n_components, n_responses),
            (n_components, n_responses),
            (n_features + 1 + n_responses + self.n_beside,),
        )

    def stat_shapes(self, n_components, n_features):
        width = 1 + n_features
        n_blocks = sum(own.n_predictors * (own.n_predictors + 1) // 2 for own in self.responses)
        return (
            (n_components, self.n_predictors, width),
            (n_components, n_blocks, width * (width + 1) // 2),
            (n_components, len(self.responses), 3),
            (n_features + self.n_beside,),
        )

    def use(self, n_features):
        """LEFT_OUT, OWN or SHARED for the intercept and each coefficient, (n_responses, 1 + n_features)."""
        use = np.full((len(self.responses), 1 + n_features), OWN)
        use[:, 0] = OWN if self.has_intercept else LEFT_OUT
        use[:, [1 + column for column in self.fixed]] = SHARED
        for own, columns in zip(use, self.columns or (), strict=False):
            own[1:][~np.isin(np.arange(n_features), columns)] = LEFT_OUT
        return use

    def n_parameters(self, n_components, n_features):
        total = 0
        for expert, use in zip(self.responses, self.use(n_features), strict=True):
            own, shared = np.sum(use == OWN), np.sum(use == SHARED)
            total += expert.n_predictors * int(n_components * own + shared)
            total += expert.n_dispersions * (1 if self.is_common else n_components)
            total += n_components * (expert.degrees is None)
        return total

    def _of_responses(self, per_predictor):
        """Views of an array (n_components, n_predictors, ...) for each response."""
        return np.split(per_predictor, np.cumsum([expert.n_predictors for expert in self.responses])[:-1], axis=1)

    def n_held(self, name, held, n_features):
        if name in ("coefficients", "intercepts"):
            use = self.use(n_features)
            use = use[:, 1:] if name == "coefficients" else use[:, :1]
            held = held if name == "coefficients" else held[..., np.newaxis]
            # what components share is held in all of them, and counts once
            each = [
                np.sum(own & (which == OWN)) + np.sum(own[:1] & (which == SHARED))
                for own, which in zip(self._of_responses(held), use, strict=True)
            ]
            return int(sum(each))
        if name == "dispersions":
            own = held[:1] if self.is_common else held
            return int(sum(own[:, j].sum() * expert.n_dispersions for j, expert in enumerate(self.responses)))
        return int(sum(held[:, j].sum() for j, expert in enumerate(self.responses) if expert.degrees is None))

    def judging(self):
        names = ["coefficients", "intercepts"]
        names += ["dispersions"] if any(expert.n_dispersions for expert in self.responses) else []
        return names + (["degrees"] if any(expert.degrees is None for expert in self.responses) else [])

    def n_rows_needed(self, n_features):
        return n_features + 2 if any(expert.is_unbounded for expert in self.responses) else 0

    def encode(self, X):
        """Rows with the columns of X, those of the gate alone, those of the responses and offsets, in this order;
        sparse where X is (the engine packs chunks with their zeros). `base` are the terms without parameters."""
        values, data = separated(X)
        values = values.astype(np.float64, copy=False)
        columns, layout, bases = [values], [], []
        if "gate" in data:
            columns.append(data["gate"])
        place = sum(own.shape[1] for own in columns)
        for expert, own in zip(self.responses, self.split(data["y"]), strict=True):
            seen = expert.columns(own)
            columns.append(seen)
            layout.append([KINDS[expert.name], place, -1, expert.n_predictors])
            place += seen.shape[1]
            bases.append(expert.base(own))
        offset = data.get("offset")
        for takes_exposure in (False, True):
            own = offset
            if takes_exposure and "exposure" in data:
                own = np.log(data["exposure"]) + (0.0 if offset is None else offset)
            if own is None:
                continue
            mine = [i for i, expert in enumerate(self.responses) if expert.takes_exposure == takes_exposure]
            for i in mine:
                layout[i][2] = place
            if mine:
                columns.append(np.reshape(own, (-1, 1)))
                place += 1
        bases = [base for base in bases if base is not None]
        knows = Experts(
            self.responses,
            self.alpha,
            self.is_common,
            self.fixed,
            self.columns,
            self.has_intercept,
            self.corrects_variance,
            self.n_beside,
            self.held,
            self.centres,
            (values.shape[1], [tuple(own) for own in layout]),
        )
        base = sum(bases) if bases else None
        if is_sparse(values):
            return Encoded(knows, canonical(hstack([csr_array(own) for own in columns], format="csr")), base)
        return Encoded(knows, np.column_stack(columns), base)

    def split(self, y):
        """y of all responses, (n, sum of widths), split into a list of (n, width)."""
        ends = np.cumsum([expert.width for expert in self.responses])[:-1]
        return np.split(y, ends, axis=1)

    def blank(self, n_components, n_features):
        return np.zeros(self.params_layout(n_components, n_features).size)

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        n_columns, layout = self._layout
        use = self.use(n_columns)
        degrees = [own.degrees for own in self.responses if isinstance(own, StudentTExpert)]
        return bind_experts(
            n_components,
            n_features,
            isa,
            n_columns,
            self.n_beside,
            layout,
            use.tolist(),
            self.alpha,
            self.is_common,
            degrees[0] if degrees else 1.0,
            self.corrects_variance,
            None if self.held is None else np.ascontiguousarray(self.held, dtype=np.uint8),
            self.centres,
        )

    def about_origin(self, params):
        """The same experts with intercepts about the origin and a frame that holds no more than the stage GIVEN, as
        they are published. Arrays may have further axes in front."""
        n_features = params.coefficients.shape[-1]
        pivot = params.frame[..., :n_features]
        intercepts = params.intercepts - np.einsum("...kep,...p->...ke", params.coefficients, pivot)
        frame = np.zeros_like(params.frame)
        frame[..., n_features] = GIVEN
        return params._replace(intercepts=intercepts, frame=frame)

    def about_pivot(self, params, pivot):
        """Parameters about the origin, as they are published, with intercepts about a pivot of the columns of x, which
        those that the gate alone sees follow."""
        frame, n_features = params.frame.copy(), params.coefficients.shape[-1]
        frame[..., :n_features] = pivot[:n_features]
        frame[..., frame.shape[-1] - self.n_beside :] = pivot[n_features:]
        return params._replace(intercepts=params.intercepts + params.coefficients @ pivot[:n_features], frame=frame)

    def rounded(self, params, dtype):
        return super().rounded(self.about_origin(params), dtype)

    def sample(self, params, labels, rng):
        raise NotImplementedError("responses are drawn given X: see MixtureOfExperts.sample")
