"""Gaussian mixtures."""

from __future__ import annotations

from sklearn.utils._param_validation import StrOptions

from mixfast.estimators._elliptical import EllipticalMixture
from mixfast.estimators._likelihood import LikelihoodMixture
from mixfast.families.gaussian import STRUCTURES


class GaussianMixture(EllipticalMixture, LikelihoodMixture):
    """Mixture of Gaussians, fitted by EM: a drop-in for scikit-learn's class of the same name.

    The density of a row is sum_k weights_k N(x; means_k, covariances_k). From the same start each iteration gives
    scikit-learn's numbers. Beyond it: weights of rows, threads, `icl`, a start from labels or responsibilities, and
    results that are the same bits for any number of threads.

    Parameters
    ----------
    n_components : int, default=1
        Number of components.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        - 'full': each component has a covariance matrix of its own;
        - 'tied': all components share one covariance matrix;
        - 'diag': each component has a variance for each column;
        - 'spherical': each component has a single variance.
    tol : float, default=1e-3
        Iterations stop when the lower bound (mean log density of a row, in nats) moves by less: in a plain step of EM,
        whatever `accelerate` is, and in the last extrapolation, where there was one.
    reg_covar : float, default=1e-6
        Added to the diagonal of every covariance, in the unit that `regularization` says.
    max_iter : int, default=100
        Largest number of iterations from a start. 0 keeps the start itself.
    n_init : int, default=1
        Number of starts; the best is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'} or array-like, default='kmeans'
        Where the first M-step's responsibilities come from:

        - 'kmeans': labels of k-means;
        - 'k-means++': one row for each component, chosen by greedy k-means++;
        - 'random_from_data': one random row for each component;
        - 'random': uniform random numbers, scaled to sum to one;
        - an array of responsibilities (n_samples, n_components), or of integer labels (n_samples,) in which -1 says
          that the row's component is not known. They belong to one X: not for cross-validation.
    weights_init : array-like of shape (n_components,), default=None
        Weights to start from. With all three given there is no random start at all.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Inverses of the covariances to start from; the shape depends on `covariance_type`, as that of `precisions_`.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts, and of `sample`. An int gives the same result each time, for any number of threads.
    warm_start : bool, default=False
        If True, a second call of `fit` goes on from the parameters of the first, and `n_init` is ignored. Other
        columns, categories, `n_components` or structure than in the first are an error.
    verbose : int, default=0
        1 prints starts and iterations, 2 also times and changes of the lower bound.
    verbose_interval : int, default=10
        Number of iterations between two lines.
    n_threads : int or None, default=None
        Threads to use at most; None is all that the process may use. The result does not depend on it.
    on_degenerate : {'repair', 'raise'}, default='repair'
        What to do about a covariance that is not positive definite: raise its diagonal by a millionth of the variance
        of all rows (tenfold until it is; see `status_`), or raise scikit-learn's ValueError.
    accelerate : {'auto'} or None, default=None
        None is plain EM. 'auto' extrapolates the course of EM where it is slow: far fewer iterations to a small `tol`,
        and no difference to one of 1e-4 or more. An extrapolation that lowers the lower bound is dropped; but where
        there are many optima, a fit may end in another one than plain EM would, better or worse. A family that has not
        the methods for it is fitted by plain EM.
    n_init_policy : {'all', 'halving'}, default='all'
        What becomes of the starts, where there are several:

        - 'all': each goes on until it converges;
        - 'halving': after a few iterations the half with the smaller lower bounds is dropped, after a few more half of
          the others, and so on until one is left to converge. Faster where EM takes many iterations, at the risk of
          dropping a start that is slow to show its worth.
    canonical_order : bool, default=False
        If True, components are numbered by `means_`: by column 0, those that are equal there by column 1, and so on, so
        that fits from different starts can be compared. Numbers then have nothing to do with those in `init_params`,
        `weights_init`, `means_init` and `precisions_init`, nor, after a warm start, with those of the fit before.
        Columns that differ by rounding alone are not equal.
    regularization : {'absolute', 'relative'}, default='absolute'
        What `reg_covar` is measured in:

        - 'absolute': the squared unit of the data, as in scikit-learn;
        - 'relative': each column's variance over the rows that `fit` gets, with their weights. Nothing then depends on
          the units of the columns: rows are fitted as (x - mean) / standard deviation, from the start by k-means on,
          and parameters and lower bounds are transformed back. 'spherical' covariances know no separate units: all
          columns are divided by one number, the root of their mean variance. A constant column has its absolute value
          for a unit, or 1 where it is zero. `fit` makes a copy of X, of the same dtype.
    weights : array-like of shape (n_components,), default=None
        Weights that stay as they are, positive numbers that sum to 1; k-means gives the largest cluster to the
        component with the largest weight. None estimates them.
    weight_concentration : float, default=None
        c >= 1 of a symmetric Dirichlet prior on the weights, of which the mode (n_k + c - 1) / (n + K (c - 1)) is
        taken, n_k being the sum of the component's responsibilities. `lower_bound_` then has the prior's log density,
        up to a constant, divided by n. None is maximum likelihood, and so is 1.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Covariances, their inverses, and the upper triangular U with U U' the inverse (its square roots where diagonal).
        The shape depends on `covariance_type`::

            (n_components, n_features, n_features) if 'full',
            (n_features, n_features)               if 'tied',
            (n_components, n_features)             if 'diag',
            (n_components,)                        if 'spherical'

        Fitted arrays, these and all others, are read-only. Every method uses what is assigned, such as
        `model.covariances_ = 4 * model.covariances_`, and the two others of these three follow.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Number of iterations of the best start; each is one pass over the rows.
    lower_bound_ : float
        The lower bound of its last iteration: the mean log density of a row at the parameters that the iteration began
        with, before its M-step.
    lower_bounds_ : list of float
        The same for each iteration; there are `n_iter_` of them, less the extrapolations that were dropped.
    status_ : mixfast.Status
        What happened, as flags: `if model.status_ & Status.REPAIRED_COVARIANCE: ...`
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where X has them and all are strings.

    Raises
    ------
    ValueError
        By `fit`, for X or weights that are empty, not finite or of the wrong shape, for fewer rows than components, and
        for sums that overflow, and for columns that vary, but with a range below 2.4e-153, or 1.7e-18 where X is
        float32, whose variances the precision cannot hold, unless `reg_covar` makes them larger.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> model.predict([[0, 0], [12, 3]]) == model.predict(X)[[0, 3]]
    array([ True,  True])
    """

    _parameter_constraints: dict = {
        **EllipticalMixture._parameter_constraints,
        "covariance_type": [StrOptions(set(STRUCTURES))],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        n_threads=None,
        on_degenerate="repair",
        accelerate=None,
        n_init_policy="all",
        canonical_order=False,
        regularization="absolute",
        weights=None,
        weight_concentration=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_threads = n_threads
        self.on_degenerate = on_degenerate
        self.accelerate = accelerate
        self.n_init_policy = n_init_policy
        self.canonical_order = canonical_order
        self.regularization = regularization
        self.weights = weights
        self.weight_concentration = weight_concentration

    @classmethod
    def from_parameters(
        cls,
        *,
        weights,
        means,
        covariances=None,
        precisions=None,
        precisions_cholesky=None,
        feature_names=None,
        **options,
    ):
        """A fitted model of given parameters, as another program or a publication has them.

        It is what a fit without iterations leaves: `converged_` is False, `n_iter_` is 0 and `lower_bound_` is -inf. A
        fit with `warm_start=True` goes on from it.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            At least 0, and summing to 1 within 0.001; taken as they are. Arrays are float32 in the model where all that
            are given are, else float64.
        means : array-like of shape (n_components, n_features)
        covariances, precisions, precisions_cholesky : array-like, default=None
            One of them, of the shape that `covariance_type` says, or several, which should agree within a hundredth:
            what is not given is computed. `covariances` and `precisions_cholesky` of a fit make a model of the same
            densities and draws to the last bit.
        feature_names : list of str of length n_features, default=None
            The names of the columns, as a fit to a data frame keeps them.
        **options
            Parameters of the constructor but `n_components`. That which has the name of a parameter above, `weights`,
            is what the constructor has for it: `set_params` sets it.

        Returns
        -------
        model : object
            Fitted.

        Raises
        ------
        ValueError
            For parameters that are no numbers or not finite, of other shapes or outside their domain; it says which.
        TypeError
            For options that the constructor does not have.

        Examples
        --------
        >>> from mixfast import GaussianMixture
        >>> model = GaussianMixture.from_parameters(
        ...     weights=[0.3, 0.7], means=[[0.0], [8.0]], covariances=[1.0, 4.0], covariance_type="spherical"
        ... )
        >>> model.predict([[1.0], [7.0]])
        array([0, 1])
        """
        parameters = {
            "means": means,
            "covariances": covariances,
            "precisions": precisions,
            "precisions_cholesky": precisions_cholesky,
        }
        return cls._of_given(weights, parameters, feature_names, options)

    def _family(self):
        return STRUCTURES[self.covariance_type](reg_covar=self.reg_covar)
