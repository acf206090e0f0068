"""What a person reads of a mixture: its components as a table, a summary as R prints it, the words of its clusters."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixfast.as_html import html_table
from mixfast.canvas import colour_of
from mixfast.relations import Components, check_is_fitted_mixture, check_option
from mixfast.row_data import counted_and_separated
from mixfast.status import Status
from mixfast.whole import check_whole

if TYPE_CHECKING:
    import pandas as _pandas  # stubtest takes public names for those of the module

#: What flags of a status are in words, in the order in which they are said.
SAID = {
    Status.CONVERGED: "converged",
    Status.MAX_ITER: "not converged within max_iter",
    Status.REPAIRED_COVARIANCE: "a covariance was repaired",
    Status.EMPTIED_COMPONENT: "a component lost all its rows",
    Status.CAPPED_PARAMETER: "a parameter was kept at its maximum",
    Status.SPURIOUS_COMPONENT: "a component has hardly rows of its own",
    Status.CONSTANT_DATA: "all rows are equal",
    Status.IMPOSSIBLE_ROWS: "some rows are impossible under every component",
    Status.LOWER_BOUND_FELL: "the lower bound fell",
}


def weights_of(model: Any, components: Components) -> NDArray[np.float64]:
    """Those of the components as `weights_` has them. They leave something to noise, and to the components that a
    posterior has for new rows."""
    return np.asarray(model.weights_, dtype=np.float64)[: components.n_components]


def frame_of(model: Any) -> _pandas.DataFrame:
    """What `to_frame` of a fitted model returns."""
    components = model._components(**model._any_rows)
    components = components._replace(weights=weights_of(model, components))
    return described_frame(components, model, component=np.arange(components.n_components))


def described_frame(components: Components, model: Any, **of_component: ArrayLike) -> _pandas.DataFrame:
    """A row for each of the components and each column, or category of a column, of which `model` knows the names;
    `of_component` are further columns, with a value for each component, by which rows are sorted."""
    import pandas as pd

    names, categories = np.array(model._labels_of_columns(), dtype=object), model._labels_of_categories()
    K, tables = components.n_components, []
    for own in components.family.described(components.params):
        n = len(own.columns)
        table = {"component of all": np.repeat(np.arange(K), n), "column": np.tile(own.columns, K)}
        if own.codes is not None:
            labels = [categories[j][code] for j, code in zip(own.columns, own.codes, strict=True)]
            table["category"] = np.tile(np.array([None, *labels], dtype=object)[1:], K)
        tables.append(pd.DataFrame(table | {name: np.ravel(array) for name, array in own.numbers.items()}))
    frame = pd.concat(tables, ignore_index=True).sort_values(["component of all", "column"], kind="stable")
    places = frame.pop("component of all").to_numpy()
    leading = {name: np.asarray(values)[places] for name, values in of_component.items()}
    leading |= {"weight": components.weights[places], "column": names[frame.pop("column")]}
    if "category" in frame:
        category = frame.pop("category")
        if len({type(own) for own in category.dropna()}) > 1:
            category = category.map(str, na_action="ignore")  # one type, as files want it
        leading["category"] = category.infer_objects().to_numpy()
    return pd.DataFrame(leading | {name: frame[name].to_numpy() for name in frame})


class Readings(NamedTuple):
    """What a summary wants to know of rows.

    log_density : float64 (n_samples,)
    labels : int64 (n_samples,), -1 for rows that are left out
    log_likelihood : of the rows that criteria are of
    n_parameters, bic, icl : None of posteriors
    """

    log_density: np.ndarray
    labels: np.ndarray
    log_likelihood: float
    n_parameters: int | None = None
    bic: float | None = None
    icl: float | None = None


#: Lists of arrays in the representation of an estimator, such as categories that were found, and arrays alone.
ARRAY = r"array\((?:[^()]|\([^()]*\))*\)"
ARRAYS = re.compile(rf"\[{ARRAY}(?:, {ARRAY})*\]|{ARRAY}")

#: Characters of a line of the title of a summary, at most.
WIDTH = 72

#: Components and columns in the table of a notebook at most.
MOST_ROWS, MOST_COLUMNS = 20, 8


def html_of(model: Any) -> str:
    """The fitted components as a table: a row for each, and what it is like in the first columns."""
    components = model._components(**model._any_rows)
    weights = weights_of(model, components)
    names, categories = model._labels_of_columns(), model._labels_of_categories()
    cells: list[Any] = []
    shown = range(min(components.n_components, MOST_ROWS))
    for own in components.family.described(components.params):
        for j in dict.fromkeys(int(column) for column in own.columns):
            if len(cells) == MOST_COLUMNS:
                break
            places = np.flatnonzero(own.columns == j)
            if own.codes is None:
                cells.append((str(names[j]), [_in_column(own, k, places[0]) for k in shown]))
                continue
            codes, shares = own.codes[places], own.locations[:, places]
            best = np.argmax(shares, axis=1)
            said = [f"{categories[j][codes[best[k]]]} ({shares[k, best[k]]:.2g})" for k in shown]
            cells.append((f"{names[j]}, most likely", said))
    return _html(model, weights, cells, components.n_features)


def html_of_numbers(model: Any, numbers: Any, columns: Any, values: Any) -> str:
    """The same of a number for each component and column, whose names and components stand beside it."""
    cells: dict[str, list[str]] = {}
    for k, name, value in zip(numbers, columns, values, strict=True):
        if k < MOST_ROWS:
            cells.setdefault(str(name), []).append(f"{value:.4g}")
    shown = list(cells.items())[:MOST_COLUMNS]
    return _html(model, np.asarray(model.weights_, dtype=np.float64), shown, len(cells))


def _html(model, weights, cells, n_columns):
    shown = range(min(len(weights), MOST_ROWS))
    header = ["component", "weight", *(name for name, _ in cells)]
    rows = [[str(k), f"{weights[k]:.3f}", *(column[k] for _, column in cells)] for k in shown]
    left = [
        f"{n - most:,} more {what}"
        for n, most, what in ((len(weights), MOST_ROWS, "components"), (n_columns, MOST_COLUMNS, "columns"))
        if n > most
    ]
    caption = f"{status_in_words(model)}{': ' if left else ''}{', '.join(left)}"
    return html_table(caption, header, rows, colours=[colour_of(k) for k in shown])


def _in_column(own: Any, k: int, place: int) -> str:
    spread = next((own.numbers[name] for name in ("sd", "scale") if name in own.numbers), None)
    said = f"{own.locations[k, place]:.4g}"
    return said if spread is None or own.location is not None else f"{said} \u00b1 {spread[k, place]:.2g}"


@dataclass(frozen=True, eq=False)
class Summary:
    """What `summary` says of a fitted mixture and some rows; printed, it is a text.

    Attributes
    ----------
    title : str
        The class and the parameters that are not what they are by default; arrays are ``[...]``.
    n_samples : float
        The rows, or the sum of their weights.
    log_likelihood : float
        In nats; of a posterior the log predictive density, with `trim` of the share of the rows that is kept, as
        criteria are.
    n_parameters : int or None
    bic, icl : float or None
        The lower the better; None for posteriors.
    weights : ndarray of shape (n_components,)
    sizes : ndarray of shape (n_components,)
        How many rows each component is the most likely one of, without those that are left out.
    n_left_out : float
        How many rows a model with `trim` leaves out, as `predict` does.
    status : str
        How the fit ended, in words.
    names : list of str
        What the weights are of: numbers of components, and noise where there is some.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from mixfast import GaussianMixture
    >>> X = load_iris().data
    >>> said = GaussianMixture(3, random_state=0).fit(X).summary(X)
    >>> said.n_parameters, sorted(said.sizes.astype(int).tolist())
    (44, [45, 50, 55])
    """

    title: str
    n_samples: float
    log_likelihood: float
    n_parameters: int | None
    bic: float | None
    icl: float | None
    weights: NDArray[np.float64]
    sizes: NDArray[np.float64]
    n_left_out: float
    status: str
    names: list[str]

    @classmethod
    def of(cls, model: Any, X: ArrayLike, sample_weight: ArrayLike | None, row_data: dict) -> Summary:
        """Summarise a fitted mixture.

        Parameters
        ----------
        model : mixture
            Fitted.
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        sample_weight : array-like of shape (n_samples,) or None
            How often each row counts: 2 equals repeating it, 0 leaving it out. None is 1 for all.
        row_data : dict
            What the rows have beside their values, by name.

        Returns
        -------
        summary : Summary
            Printed, it is a text; its attributes are the numbers.
        """
        rows, weights, data = counted_and_separated(X, sample_weight, model._gathered_data(row_data))
        rows, data = model._rows_and_data(rows, **data)
        found = model._readings(rows, weights, data)
        counted = np.ones(len(found.labels)) if weights is None else weights
        kept = found.labels >= 0
        return cls(
            title=ARRAYS.sub("[...]", " ".join(repr(model).split())),
            n_samples=float(counted.sum()),
            log_likelihood=float(found.log_likelihood),
            n_parameters=found.n_parameters,
            bic=found.bic,
            icl=found.icl,
            weights=np.asarray(model.weights_, dtype=np.float64),
            sizes=np.bincount(found.labels[kept], weights=counted[kept], minlength=len(model.weights_)).astype(
                np.float64, copy=False
            ),
            n_left_out=float(counted[~kept].sum()),
            status=status_in_words(model),
            names=model._names_of_weights(),
        )

    def _numbers(self):
        """The numbers of all rows, as texts by their names."""
        numbers = {"n": f"{self.n_samples:.10g}", "log-likelihood": f"{self.log_likelihood:.3f}"}
        if self.n_parameters is not None:
            numbers |= {"parameters": str(self.n_parameters), "BIC": f"{self.bic:.3f}", "ICL": f"{self.icl:.3f}"}
        return numbers

    def _cells(self):
        """The components as texts, a header and a row for each, and for rows that are left out."""
        rows = [("component", "weight", "rows", "share")]
        for name, weight, size in zip(self.names, self.weights, self.sizes, strict=False):
            rows.append((name, f"{weight:.3f}", f"{size:.10g}", f"{size / self.n_samples:.1%}"))
        if self.n_left_out:
            rows.append(("left out", "", f"{self.n_left_out:.10g}", f"{self.n_left_out / self.n_samples:.1%}"))
        return rows

    def _repr_html_(self) -> str:
        numbers = ", ".join(f"{name} {number}" for name, number in self._numbers().items())
        header, *rows = self._cells()
        colours = [colour_of(k) for k, name in enumerate(self.names) if name.isdigit()]
        return html_table(f"{self.title}: {numbers}. The fit: {self.status}.", header, rows, colours=colours)

    def __str__(self) -> str:
        title = textwrap.wrap(
            self.title, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )
        lines = [*title, "-" * min(max(map(len, title)), WIDTH), "", *_columns(self._numbers()), ""]
        lines += [f"{name:>9} {weight:>8} {size:>10} {share:>7}" for name, weight, size, share in self._cells()]
        return "\n".join([*lines, "", f"The fit: {self.status}."])

    def __repr__(self) -> str:
        return str(self)


def _columns(numbers: dict[str, str]) -> list[str]:
    """Names, and below them their numbers."""
    widths = [max(len(name), len(number)) for name, number in numbers.items()]
    return [
        "  ".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True))
        for words in (numbers.keys(), numbers.values())
    ]


def status_in_words(model: Any) -> str:
    """How the fit of a model ended."""
    status, n_iter = getattr(model, "status_", Status.OK), getattr(model, "n_iter_", 0)
    said = [words for flag, words in SAID.items() if status & flag]
    if not said:
        return f"{n_iter} iterations" if n_iter else "parameters were given"
    return f"{', '.join(said)}; {n_iter} iterations"


def top_words(
    model: Any,
    feature_names: ArrayLike | None = None,
    n: int = 10,
    by: Literal["probability", "lift"] = "probability",
) -> list[list[str]]:
    """The words that say what each cluster of texts is about.

    Parameters
    ----------
    model : estimator
        A fitted mixture of counts of words or of directions: `GSDMM`, `MultinomialMixture`,
        `DirichletMultinomialMixture`, `VonMisesFisherMixture`, or a `DirichletProcessMixture` of multinomials.
    feature_names : array-like of str of shape (n_features,), default=None
        The words of the columns, as `CountVectorizer.get_feature_names_out()` has them. None takes those of the fit.
    n : int, default=10
        Words of each cluster.
    by : {'probability', 'lift'}, default='probability'
        The most likely words, or those whose probability is the largest multiple of that in the whole mixture: what
        sets the cluster apart. Of directions, the largest entries of the mean direction.

    Returns
    -------
    words : list of list of str
        For each component, the first first. Words of probability 0 are left out.

    Raises
    ------
    NotFittedError
        Before `fit`.
    TypeError
        For mixtures of something else.
    ValueError
        For a number of names that is not that of the columns, and options out of range.

    Examples
    --------
    >>> from mixfast import MultinomialMixture, top_words
    >>> model = MultinomialMixture.from_parameters(
    ...     weights=[0.5, 0.5], probabilities=[[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]], feature_names=["the", "cat", "dog"]
    ... )
    >>> top_words(model, n=2), top_words(model, n=1, by="lift")
    ([['the', 'cat'], ['the', 'dog']], [['cat'], ['dog']])
    """
    check_is_fitted_mixture(model, feature_names, "top_words(model, feature_names)")
    check_option("by", by, ("probability", "lift"))
    check_whole("n", n)
    components = model._components(**model._any_rows)
    shares = components.family.word_shares(components.params) if hasattr(components.family, "word_shares") else None
    if shares is None:
        raise TypeError(
            f"{type(model).__name__} is no mixture of words: top_words is for counts of words, and directions"
        )
    if feature_names is None:
        feature_names = model._labels_of_columns()
    names = [str(name) for name in np.asarray(feature_names, dtype=object).ravel()]
    if len(names) != shares.shape[1]:
        raise ValueError(f"feature_names has {len(names)} names for {shares.shape[1]} columns")
    scores = shares
    if by == "lift":
        whole = components.weights @ shares
        scores = np.divide(shares, whole, out=np.zeros(shares.shape), where=whole > 0)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return [[names[j] for j in own if shares[k, j] > 0] for k, own in enumerate(order)]
