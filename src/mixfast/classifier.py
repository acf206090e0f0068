"""Classes of rows by mixtures: discriminant analysis with a mixture for each class, or a component for each."""

from __future__ import annotations

from abc import ABCMeta
from itertools import product
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import assert_all_finite, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted, column_or_1d

from mixfast._typing import RowsLike
from mixfast.estimators._constraints import Names
from mixfast.estimators._density import fitting
from mixfast.estimators._likelihood import LikelihoodMixture, check_comparable, check_criterion
from mixfast.estimators._parameters import CheckedParameters
from mixfast.estimators.gaussian_mixture import GaussianMixture
from mixfast.in_messages import among, in_short, listed, one_name
from mixfast.row_data import distinct
from mixfast.selection import select
from mixfast.tables import adopted, is_table
from mixfast.weights import counted_rows, take


def _of_each_class(classifier, X, codes, sample_weight):
    """A mixture of the rows of each class."""
    models = []
    for k, label in enumerate(classifier.classes_.tolist()):
        rows = np.flatnonzero(codes == k)
        own = None if sample_weight is None else sample_weight[rows]
        if len(rows) == 1 and own is not None and own[0] >= 2:  # a row that counts several times is several rows
            rows, own = np.repeat(rows, 2), np.repeat(own / 2, 2)
        try:
            models.append(classifier._chosen(take(X, rows), own))
        except ValueError as error:
            raise ValueError(f"class {label!r}, of {len(rows)} rows: {error}") from None
    return models


def _of_all(classifier, X, codes, sample_weight):
    """One mixture of all rows, whose components are the classes."""
    grid = dict(classifier.grid or {})
    n_components = {"n_components": len(classifier.classes_)}
    if "n_components" in grid:
        raise ValueError("grid has n_components, and kind='component' has one for each class: leave it out")
    known = classifier._template().get_params()
    unknown = next((name for name in grid if name not in known), None)
    if unknown is not None:
        raise ValueError(f"grid has {one_name(unknown)}, which is no parameter: {among(unknown, known)}")
    found = []
    for values in product(*grid.values()):
        model = classifier._template().set_params(**n_components, **dict(zip(grid, values, strict=True)))
        model.fit(X, sample_weight=sample_weight, known_labels=codes)
        found.append((getattr(model, classifier.criterion)(X, sample_weight=sample_weight) if grid else 0.0, model))
    return [min(found, key=lambda pair: pair[0])[1]]


#: What makes the mixtures of each kind: (classifier, X, codes of classes, weights) -> list of fitted models.
KINDS = {"mixture": _of_each_class, "component": _of_all}


class ByLikelihood(HasMethods, metaclass=ABCMeta):
    """A constraint: a mixture that is fitted by maximum likelihood; errors name public classes."""

    def __init__(self):
        super().__init__(["fit"])

    def is_satisfied_by(self, val):
        return isinstance(val, LikelihoodMixture)

    def __str__(self):
        return (
            "a mixture that is fitted by maximum likelihood, such as GaussianMixture(), StudentTMixture() or "
            "ProductMixture(parts=...), and no class"
        )


class MixtureClassifier(ClassifierMixin, CheckedParameters):
    """Classes by the densities of mixtures, discriminant analysis: mclust's MclustDA and EDDA.

    A row is of the class that has the largest weight times density of the row.

    Parameters
    ----------
    estimator : object, default=None
        The mixture of a class, fitted by maximum likelihood, with its parameters; None is ``GaussianMixture()``.
    kind : {'mixture', 'component'}, default='mixture'
        - 'mixture': each class has a mixture of its own (Hastie & Tibshirani 1996; MclustDA);
        - 'component': each class is a component of one mixture of all rows, so that classes may share what components
          share, as `covariance_type='tied'`, linear discriminant analysis (Bensmail & Celeux 1996; EDDA).
    grid : dict, default=None
        Parameters of the estimator to choose from by the criterion, lists by name: ``{"n_components": [1, 2, 3],
        "covariance_type": ["full", "tied"]}``. For each class by itself, by `select`, where each has a mixture.
    criterion : {'bic', 'aic', 'icl'}, default='bic'
        What is least for the mixture that is chosen from the grid.
    class_weights : array-like of shape (n_classes,), default=None
        How likely the classes are before a row is seen; None takes their shares of the rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes, sorted.
    class_weights_ : ndarray of shape (n_classes,)
        They sum to 1.
    mixtures_ : list
        Fitted: the mixture of each class, or the one of all.
    n_parameters_ : int
        Free parameters of the mixtures; the class weights are not counted, as in mclust.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where they all have names that are strings.

    Notes
    -----
    Hastie & Tibshirani, "Discriminant analysis by Gaussian mixtures", JRSS B 58 (1996). Bensmail & Celeux, "Regularized
    Gaussian discriminant analysis through eigenvalue decomposition", JASA 91 (1996). Fraley & Raftery, JASA 97 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture, MixtureClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(m, 1, (50, 2)) for m in (-4, 4, 0)])
    >>> y = np.repeat(["outside", "outside", "between"], 50)  # of two clusters and of one
    >>> grid = {"n_components": [1, 2]}
    >>> model = MixtureClassifier(GaussianMixture(random_state=0), grid=grid).fit(X, y)
    >>> [own.n_components for own in model.mixtures_], bool(model.score(X, y) > 0.95)
    ([1, 2], True)
    """

    _parameter_constraints: dict = {
        "estimator": [ByLikelihood(), None],
        "kind": [Names(KINDS)],
        "grid": [dict, None],
        "criterion": [Names(["bic", "aic", "icl"])],
        "class_weights": ["array-like", None],
    }

    def __init__(
        self,
        estimator: LikelihoodMixture | None = None,
        *,
        kind: Literal["mixture", "component"] = "mixture",
        grid: dict[str, Any] | None = None,
        criterion: Literal["bic", "aic", "icl"] = "bic",
        class_weights: ArrayLike | None = None,
    ) -> None:
        self.estimator = estimator
        self.kind = kind
        self.grid = grid
        self.criterion = criterion
        self.class_weights = class_weights

    def _template(self):
        return GaussianMixture() if self.estimator is None else clone(self.estimator)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._template()).input_tags
        return tags

    def _chosen(self, X, sample_weight):
        """The mixture of a class."""
        template = self._template()
        if not self.grid:
            return template.fit(X, sample_weight=sample_weight)
        options = {"n_components": [template.n_components], **self.grid}
        return select(X, template, criterion=self.criterion, sample_weight=sample_weight, **options).best_

    @fitting
    def fit(self, X: RowsLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the mixtures of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As the mixture takes them.
        y : array-like of shape (n_samples,)
            Labels of the classes.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError
            For rows that the mixture refuses, with the class that they are of, and for labels that are no classes.
        TypeError
            For an estimator that is not fitted by maximum likelihood.
        """
        check_comparable(self._template())
        check_criterion(self._template(), self.criterion)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        self._template()._read_rows(X, ensure_min_samples=2)  # says what is wrong with them, whatever their classes
        labels = column_or_1d(y, warn=True)
        check_consistent_length(X, labels)
        X = adopted(X)
        if not is_table(X) and hasattr(X, "__array__"):
            X = np.asarray(X)
        X, sample_weight, kept = counted_rows(X, sample_weight)
        labels = labels if kept is None else labels[kept]
        self.classes_, codes = distinct("y", labels, return_inverse=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        codes = codes.astype(np.int64)
        weights = np.ones(len(codes)) if sample_weight is None else sample_weight
        self.class_weights_ = self._checked_class_weights(np.bincount(codes, weights))
        self.mixtures_ = KINDS[self.kind](self, X, codes, sample_weight)
        # the shares of components of one mixture are those of classes, which mclust does not count either
        own = len(self.classes_) - 1 if self.kind == "component" else 0
        self.n_parameters_ = sum(model._n_parameters() for model in self.mixtures_) - own
        self.n_features_in_ = self.mixtures_[0].n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.mixtures_[0], "feature_names_in_"):
            self.feature_names_in_ = self.mixtures_[0].feature_names_in_
        return self

    def _checked_class_weights(self, counts):
        if self.class_weights is None:
            return counts / counts.sum()
        given = np.asarray(self.class_weights, dtype=np.float64)
        if given.shape != counts.shape or not np.all((given >= 0) & (given < np.inf)) or not given.sum() > 0:
            raise ValueError(
                f"class_weights={in_short(self.class_weights)} should be {len(counts)} numbers of at least 0, one for "
                f"each of the classes {listed(self.classes_)}"
            )
        return given / given.sum()

    def _form_of(self, method, dtype):
        """As that of mixtures."""
        if method == "predict":
            return self.classes_.dtype, None
        return np.dtype(np.float64), len(self.classes_) if method == "predict_proba" else None

    def _log_joint(self, X):
        """log class weight + log density of the class: (n_samples, n_classes)."""
        check_is_fitted(self)
        X = adopted(X)
        if self.kind == "component":
            logs = self.mixtures_[0].component_log_density(X).astype(np.float64)
        else:
            logs = np.column_stack([model.score_samples(X) for model in self.mixtures_]).astype(np.float64)
        with np.errstate(divide="ignore"):
            return logs + np.log(self.class_weights_)

    def predict_log_proba(self, X: RowsLike) -> NDArray[np.float64]:
        """The logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), float64
            In the order of `classes_`; rows that no class can have made have the class weights.
        """
        joint = self._log_joint(X)
        joint[np.all(np.isneginf(joint), axis=1)] = np.log(self.class_weights_)
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def predict_proba(self, X: RowsLike) -> NDArray[np.float64]:
        """The probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            In the order of `classes_`; rows sum to 1.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: RowsLike) -> NDArray[Any]:
        """The most likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Of `classes_`.
        """
        best = np.argmax(self._log_joint(X), axis=1)
        return self.classes_[best]

    def score_samples(self, X: RowsLike) -> NDArray[np.float64]:
        """The log density of each row, whatever its class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            In nats.
        """
        return np.logaddexp.reduce(self._log_joint(X), axis=1)

    def bic(self, X: RowsLike) -> float:
        """Bayesian information criterion of the density of all classes together; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        bic : float
            -2 log-likelihood + `n_parameters_` log(n_samples), minus mclust's.
        """
        return float(-2 * np.sum(self.score_samples(X)) + self.n_parameters_ * np.log(_num_samples(X)))
