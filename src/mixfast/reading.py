"""What a person reads of a mixture: its components as a table, a summary as R prints it, the words of its clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixfast.relations import Components, check_mixture, check_option
from mixfast.row_data import rows_with, separated
from mixfast.status import Status
from mixfast.weights import counted_rows

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


def frame_of(model: Any) -> _pandas.DataFrame:
    """What `to_frame` of a fitted model returns."""
    components = model._components(**model._any_rows)
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


@dataclass(frozen=True, eq=False)
class Summary:
    """What `summary` says of a fitted mixture and some rows; printed, it is a text.

    Attributes
    ----------
    title : str
        The class and the parameters that are not what they are by default.
    n_samples : float
        The rows, or the sum of their weights.
    log_likelihood : float
        In nats; of a posterior the log predictive density.
    n_parameters : int or None
    bic, icl : float or None
        The lower the better; None for posteriors.
    weights : ndarray of shape (n_components,)
    sizes : ndarray of shape (n_components,)
        How many rows each component is the most likely one of.
    status : str
        How the fit ended, in words.
    """

    title: str
    n_samples: float
    log_likelihood: float
    n_parameters: int | None
    bic: float | None
    icl: float | None
    weights: NDArray[np.float64]
    sizes: NDArray[np.float64]
    status: str

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
        rows, weights, _ = counted_rows(rows_with(X, row_data), sample_weight)
        rows, data = separated(rows)
        log_density = np.asarray(model.score_samples(rows, **data), dtype=np.float64)
        resp = model._shares_of_rows(rows, **data)
        counted = np.ones(len(resp)) if weights is None else weights
        criteria: dict[str, float | None] = {"bic": None, "icl": None}
        n_parameters = None
        if hasattr(model, "bic"):
            options = {"sample_weight": weights, "n_effective": "sum", **data}
            criteria = {name: float(getattr(model, name)(rows, **options)) for name in criteria}
            n_parameters = int(model._n_parameters())
        labels = np.argmax(resp, axis=1)
        return cls(
            title=" ".join(repr(model).split()),
            n_samples=float(counted.sum()),
            log_likelihood=float(counted @ log_density),
            n_parameters=n_parameters,
            **criteria,
            weights=np.asarray(model.weights_, dtype=np.float64),
            sizes=np.bincount(labels, weights=counted, minlength=resp.shape[1]).astype(np.float64, copy=False),
            status=status_in_words(model),
        )

    def __str__(self) -> str:
        numbers = {"n": f"{self.n_samples:.10g}", "log-likelihood": f"{self.log_likelihood:.3f}"}
        if self.n_parameters is not None:
            numbers |= {"parameters": str(self.n_parameters), "BIC": f"{self.bic:.3f}", "ICL": f"{self.icl:.3f}"}
        lines = [self.title, "-" * min(len(self.title), 72), "", *_columns(numbers), ""]
        lines += [f"{'component':>9} {'weight':>8} {'rows':>10} {'share':>7}"]
        for k, (weight, size) in enumerate(zip(self.weights, self.sizes, strict=False)):
            lines.append(f"{k:>9} {weight:>8.3f} {size:>10.10g} {size / self.n_samples:>7.1%}")
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
    check_mixture(model)
    check_option("by", by, ("probability", "lift"))
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n={n!r} should be a whole number of at least 1")
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
