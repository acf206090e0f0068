"""Dirichlet process mixtures: as many components as the rows ask for."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from mixfast import seeding
from mixfast._docstrings import described
from mixfast._threads import resolve_threads
from mixfast._typing import Floats, RowsLike, Seed
from mixfast._warnings import warn
from mixfast.convergence import Monitor
from mixfast.engine._fit import Fit
from mixfast.engine._rows import Rows
from mixfast.estimators._conjugate import (
    COMPONENTS,
    GaussianComponent,
    Moments,
    component_of,
    is_finite,
)
from mixfast.estimators._constraints import Names, WholeNumber
from mixfast.estimators._density import fitting, of_rows
from mixfast.estimators._elliptical import CONVERSIONS
from mixfast.estimators._given_totals import total_of_rows
from mixfast.estimators._parameters import unfitted_copy
from mixfast.estimators._partitions import FromPartitions
from mixfast.estimators._posterior import FLAT, PosteriorMixture
from mixfast.estimators._process_elsewhere import ProcessElsewhere
from mixfast.estimators._read_by_components import ReadByComponents
from mixfast.estimators._sampled import (
    MANY_LABELS,
    Chains,
    effective_sample_sizes,
    process_of,
    sampler_for,
    shares_of,
    sweeps_of_draw,
    what_is_wrong,
)
from mixfast.estimators._statistics import FromStatistics
from mixfast.estimators._streams import FromStreams
from mixfast.estimators._weight_priors import StickBreaking
from mixfast.families.domains import COUNT, DISTRIBUTION, NOT_NEGATIVE, POSITIVE, check_domain
from mixfast.in_messages import in_short, listed
from mixfast.moves import MOVES, PRESENT, Problem, Search, State, least_rise, n_blocks_for
from mixfast.partitions import Source, is_source
from mixfast.parts import Part
from mixfast.proportions._sticks import LearnedSticks, Sticks
from mixfast.random_partitions import coclustering, n_clusters_posterior, r_hat
from mixfast.read_only import frozen
from mixfast.row_data import warn_of_partial_labels
from mixfast.status import Status
from mixfast.weights import counted_rows

#: `init_components="auto"`: searches from one component and from so many, of at least so many rows. Of 1,000 x 8 rows
#: in 32 clusters that lie upon each other a search from one component ends 100 to 430 nats lower than from 64, with 10
#: clusters instead of 19 (normalised mutual information .44 and .55), and takes a sixth of the time. Of 10,000 x 32
#: rows in 32 clusters that lie apart it ends 600 and 9,100 nats higher, in half the time; where there are few clusters
#: both find the same (`drawn_clusters` of benchmarks/bayesian.py).
MOST_BEGUN, ROWS_OF_BEGUN = 64, 16
#: Of more rows there is the search from one component alone. Of 100,000 rows of 2 and 8 columns in 4 to 16 clusters
#: the one from 64 made 1,000 iterations and ended up to 200 nats lower, with clusters too many; of 32 clusters that lie
#: upon each other it ended 4 nats higher, with the same labels.
ROWS_OF_ONE = 50_000
#: Where the search from many converged to so few clusters there is no other: 10,000 x 2 rows in 10 took 0.37 s with it
#: instead of 0.27. What it found that was higher had 14 clusters and more in the first search.
FEW_CLUSTERS = 12


#: What the margins of a product have from the whole.
SHARED = ("counts_", "concentration_", "concentration_posterior_", "shares_")


@described
class DirichletProcessMixture(
    ReadByComponents, ProcessElsewhere, FromStatistics, FromPartitions, FromStreams, PosteriorMixture
):
    """Mixture with a Dirichlet process prior: how many components there are follows from the rows.

    Components have conjugate priors. With `algorithm="variational"` all of their parameters, the weights and, if asked
    for, the concentration are distributions that are fitted by variational Bayes. Moves divide, merge and take away
    components; each is kept only if the exact evidence lower bound, a bound of log p(X) that is reported in full,
    rises. With `algorithm="sampler"` partitions of the rows are drawn from their exact posterior, which also says how
    sure the number of clusters is.

    Parameters
    ----------
    component : {'full', 'tied', 'diag', 'spherical', 'bernoulli', 'categorical', 'multinomial', 'poisson', \
'exponential'} or list of tuple, default='full'
        What a component is: a Gaussian with such a covariance, or a product of independent distributions of the
        columns; 'multinomial' for rows of counts given their sums. For tables of mixed types the list that
        `ProductMixture` takes, such as `[("age", "height", Gaussian()), ("job", Categorical())]`, with Bernoulli,
        Categorical, Exponential, Gaussian and Poisson of `mixfast.parts`; one of these alone is for all columns. What
        they have to say of priors, as `alpha` and `reg_covar`, is said by `prior` instead.
    process : {'dirichlet', 'pitman-yor', 'mfm'}, default='dirichlet'
        The prior of partitions. The two others are for `algorithm="sampler"`.
    concentration : float or tuple (shape, rate), default=1.0
        alpha: the prior expects about alpha log(1 + n / alpha) clusters of n rows. A tuple is a Gamma prior, and alpha
        is learned.
    discount : float, default=0.0
        Of a Pitman-Yor process, from 0 to below 1.
    prior : dict or None, default=None
        Hyper-parameters by name; those that are left out have defaults that follow from the rows and do not depend on
        units:

        - 'full', 'tied': mean | covariance ~ N(m0, covariance / kappa0), covariance ~ inverse Wishart(nu0, Psi0).
          `m0` is the mean of the rows, `kappa0` 0.01, `nu0` n_features + 2, `Psi0` the covariance of the rows times
          10^(-2 / n_features): ten clusters fill the space of the rows. A column that does not vary counts for one with
          the geometric mean of the other columns' variances; where rows are no more than columns, what columns have in
          common counts half;
        - 'diag', 'spherical': the same with precisions ~ Gamma(`shape`, `rate`);
        - 'bernoulli': probabilities ~ Beta(`a`, `b`), both 1;
        - 'categorical', 'multinomial': probabilities ~ Dirichlet(`alpha`), 1;
        - 'poisson': rates ~ Gamma(`shape` 1, `rate`), whose mean is that of the column;
        - 'exponential': rates ~ Gamma(`shape` 1, `rate`): one row with the mean of the column;
        - a list of parts: a dict of these for each part, by its columns: `{"age, height": {"kappa0": 0.1}}`.
    algorithm : {'variational', 'sampler'}, default='variational'
        How the posterior is found.
    init_components : 'auto' or int, default='auto'
        Components to begin with, by k-means. 'auto' is 1 for `algorithm="sampler"` and for more than 50,000 rows. Else
        it is one for each 16 rows, but at most 64, and `max_components`; and where that ends with more than 12
        components or does not converge, there is a search from 1 too, and the one with the higher bound is kept. Where
        clusters lie upon each other moves from one component end too early; where many lie apart, those from many do.
        Without births there is the first search alone.
    max_components : int or None, default=None
        The most that there may be.
    moves : tuple of {'birth', 'merge', 'delete'}, default=('birth', 'merge', 'delete')
        Which moves are tried. An empty tuple keeps the components of the start.
    n_batches : 'auto' or int, default='auto'
        Blocks of rows after each of which parameters are updated, with the statistics of all blocks in memory. 'auto'
        is 8 where there are many rows, else 1.
    n_draws : int, default=1000
        Draws of each chain.
    burn_in : int, default=500
        Sweeps before the first draw.
    thin : 'auto' or int, default='auto'
        Sweeps for each draw. 'auto' is 20 for up to 1,000 rows, and 20,000 / n_samples, but at least 1, for more.
    n_chains : int, default=1
        Of several, every other one begins at ten random groups of rows, whatever `init_components` says.
    keep_labels : bool or None, default=None
        Whether labels of draws are kept; None keeps them where they are at most 1e9 numbers.
    n_components_prior : {'geometric', 'uniform'} or array-like, default='geometric'
        Of the number of components of `process="mfm"`, whose `concentration` is that of Dirichlet weights: 2^-K; the
        same for all up to `max_components`, or the number of rows; or log probabilities of 1, 2, .. components, none
        above 0, up to a constant: `np.log([0.5, 0.3, 0.2])`.
    tol : float, default=1e-3
        Converged when an iteration changes the lower bound by less, in nats, summed over the rows.
    max_iter : int, default=1000
        Iterations over all rows of each search, those of moves included.
    random_state : int, RandomState instance or None, default=None
        Says which rows of large components births look at.
    n_threads : int or None, default=None
        None takes what the process may use. The bits do not depend on it.
    verbose : int, default=0
        1 prints iterations and moves, 2 also times and changes of the lower bound.
    verbose_interval : int, default=10
        Number of iterations between two lines.

    Attributes
    ----------
    n_clusters_ : int
        Components that hold at least half a row.
    weights_ : ndarray of shape (n_components,)
        Expected weights, the largest first. They sum to less than 1: `remaining_weight_` is that of all components that
        no row was of.
    counts_ : ndarray of shape (n_components,)
        Expected number of rows of each component.
    concentration_ : float
        alpha, its expectation where it has a prior.
    concentration_posterior_ : ndarray (shape, rate) or None
        Of the Gamma distribution of alpha, where it has a prior.
    prior_ : dict
        All hyper-parameters, by name.
    means_, covariances_, precisions_cholesky_, mean_precision_, degrees_of_freedom_
        Of Gaussians: the posterior's m, Psi / nu and the factor of its inverse, kappa and nu, of each component.
    a_, b_, concentrations_, shapes_, rates_
        The posterior of Bernoulli, of categorical and multinomial, of Poisson and exponential components,
        (n_components, n_features); for categorical columns these lie side by side.
    components_ : dict
        Of a list of parts: for each, by its name (its columns, joined by ", "), the fitted mixture of its columns
        alone, the margin of this one, with the posterior's arrays, such as `components_["age, height"].means_`.
    columns_ : list
        Of a list of parts: the columns that these have, in the order of X, which is that of what `sample` draws.
    lower_bound_ : float
        The evidence lower bound, in nats, summed over the rows: below log p(X).
    lower_bounds_ : list of float
        After each iteration and each move that was kept. None is below the one before, but for the last: components
        that hold less than half a row go at the end, whatever the bound says, and `n_moves_` does not count them.
    n_moves_ : dict
        How many times moves of each name were kept.
    n_iter_ : int
        Iterations over all rows, of the search that was kept.
    converged_ : bool
        Of the sampler: whether draws are worth 100 independent ones of the number of clusters and of the log joint for
        each chain, and no `r_hat_` is above 1.05. What is not is said by a ConvergenceWarning.
    status_ : Status
    n_clusters_draws_, concentration_draws_, log_joint_draws_ : ndarray of shape (n_draws,) or (n_chains, n_draws)
        Of the sampler, as all from here on. log p(partition, X), given the concentration.
    n_clusters_posterior_ : dict
        K -> probability.
    labels_ : ndarray of shape (n_samples,)
        The partition of least expected variation of information from the draws, as moves of single rows find it from
        the best of them; the draw of the largest log joint where labels are not kept;
        `counts_`, `weights_` and the posterior's arrays, `predict` and `predict_proba` are about its clusters, the
        largest first. Rows of weight 0 are none of the samples here, and none that `coclustering` counts.
    labels_draws_ : ndarray of shape (n_draws of all chains, n_samples)
        Where they are kept. Numbers of clusters mean nothing across draws.
    effective_sample_size_, r_hat_ : dict
        How many independent draws those of all chains are worth, by trace: `n_clusters`, `concentration`, `log_joint`;
        NaN where all draws are equal. And where there are several chains the rank-normalised ratio of the width of all
        draws to that within halves of chains, near 1 where they agree.
    acceptance_ : dict
        Shares of the splits and merges that were accepted.
    shares_, averaged_
        How likely a new row is of each cluster of `labels_`, and of a new one; the components of at most 100 draws,
        evenly spaced, over which `score_samples` is averaged however many draws there are.
    <n_features_in_, feature_names_in_>
    categories_ : list of ndarray
        Of categorical columns: the categories of each, in the order of its probabilities.

    Raises
    ------
    ValueError
        For a prior that has no density, a concentration that is not finite and above 0, options of the sampler where
        it is not asked for; rows as in the mixtures of these components.

    Notes
    -----
    A Dirichlet process expects more clusters the more rows there are, so the number of clusters that it finds is no
    consistent estimate of a number that is fixed: Miller & Harrison, "A simple example of Dirichlet process mixture
    inconsistency for the number of components", NIPS 2013.

    Blei & Jordan, "Variational inference for Dirichlet process mixtures", Bayesian Analysis 1 (2006); Hughes &
    Sudderth, "Memoized online variational inference for Dirichlet process mixture models", NIPS 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from mixfast import DirichletProcessMixture
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(place, 1, (100, 2)) for place in (-6, 0, 6)])
    >>> model = DirichletProcessMixture(random_state=0).fit(X)
    >>> model.n_clusters_, model.counts_.round()
    (3, array([100., 100., 100.]))
    """

    _parameter_constraints: dict = {
        "component": [Names(COMPONENTS), Part, list, tuple],
        "process": [Names(["dirichlet", "pitman-yor", "mfm"])],
        "concentration": [Interval(Real, 0.0, None, closed="neither"), tuple, list, np.ndarray],
        "discount": [Interval(Real, 0.0, 1.0, closed="left")],
        "prior": [dict, None],
        "algorithm": [Names(["variational", "sampler"])],
        "init_components": [Names(["auto"]), WholeNumber(1)],
        "max_components": [WholeNumber(1), None],
        "moves": [tuple, list],
        "n_batches": [Names(["auto"]), WholeNumber(1)],
        "n_draws": [WholeNumber(1)],
        "burn_in": [WholeNumber(0)],
        "thin": [Names(["auto"]), WholeNumber(1)],
        "n_chains": [WholeNumber(1)],
        "keep_labels": ["boolean", None],
        "n_components_prior": [Names(["geometric", "uniform"]), "array-like"],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [WholeNumber(1)],
        "random_state": ["random_state"],
        "n_threads": [WholeNumber(1), None],
        "verbose": ["verbose"],
        "verbose_interval": [WholeNumber(1)],
    }

    _attribute_constraints: dict = {
        **PosteriorMixture._attribute_constraints,
        "counts_": [np.ndarray, list, tuple],
        "prior_": [dict],
        "concentration_": [Real],
        "concentration_posterior_": [np.ndarray, list, tuple, None],
        "n_moves_": [dict],
    }

    _structural: tuple[str, ...] = ("component",)

    _finds_components = True

    accelerate = None  # there is one loop

    def __init__(
        self,
        component: str | Sequence[tuple[Any, ...]] = "full",
        *,
        process: Literal["dirichlet", "pitman-yor", "mfm"] = "dirichlet",
        concentration: float | tuple[float, float] = 1.0,
        discount: float = 0.0,
        prior: dict[str, Any] | None = None,
        algorithm: Literal["variational", "sampler"] = "variational",
        init_components: Literal["auto"] | int = "auto",
        max_components: int | None = None,
        moves: Sequence[Literal["birth", "merge", "delete"]] = MOVES,
        n_batches: Literal["auto"] | int = "auto",
        n_draws: int = 1000,
        burn_in: int = 500,
        thin: Literal["auto"] | int = "auto",
        n_chains: int = 1,
        keep_labels: bool | None = None,
        n_components_prior: Literal["geometric", "uniform"] | ArrayLike = "geometric",
        tol: float = 1e-3,
        max_iter: int = 1000,
        random_state: Seed = None,
        n_threads: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.component = component
        self.process = process
        self.concentration = concentration
        self.discount = discount
        self.prior = prior
        self.algorithm = algorithm
        self.init_components = init_components
        self.max_components = max_components
        self.moves = moves
        self.n_batches = n_batches
        self.n_draws = n_draws
        self.burn_in = burn_in
        self.thin = thin
        self.n_chains = n_chains
        self.keep_labels = keep_labels
        self.n_components_prior = n_components_prior
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = self._reader().__sklearn_tags__().input_tags
        return tags

    # ---- what the parameters say ----

    def _check_options(self):
        """Raises ValueError for parameters that do not go together."""
        self._proportions()
        unknown = [move for move in self.moves if move not in MOVES]
        if unknown:
            raise ValueError(f"moves={self.moves!r} has {unknown[0]!r}: there are {', '.join(MOVES)}")
        if self.max_components is not None and self.max_components < self._least_rows:
            raise ValueError(
                f"init_components={self.init_components} is more than max_components={self.max_components}"
            )
        if self.algorithm == "sampler":
            if not self._component().has_draws:
                raise ValueError(
                    f"component={self.component!r} has no sampler, since clusters with one covariance are not "
                    "independent: take algorithm='variational', or 'full' for 'tied'"
                )
            if self.max_components is not None and not (
                self.process == "mfm"
                and isinstance(self.n_components_prior, str)
                and self.n_components_prior == "uniform"
            ):
                raise ValueError(
                    f"max_components={self.max_components} bounds no draws: it is for algorithm='variational', or for "
                    "process='mfm' with n_components_prior='uniform'. Set it to None"
                )
            if self.discount != 0 and self.process != "pitman-yor":
                raise ValueError(f"discount={self.discount} belongs to process='pitman-yor': set it to 0")
            process_of(self, 1)
            return
        if self.n_chains > 1:
            raise ValueError(f"n_chains={self.n_chains} belongs to algorithm='sampler': set it to 1")
        if self.process != "dirichlet":
            raise ValueError(
                f"process={self.process!r} has no variational algorithm: set algorithm='sampler', or "
                "process='dirichlet'"
            )
        if self.discount != 0:
            raise ValueError(
                f"discount={self.discount} belongs to process='pitman-yor' with algorithm='sampler': set it to 0"
            )

    def _proportions(self):
        """The prior of the weights; raises ValueError where the concentration makes none."""
        given = self.concentration
        numbers = tuple(given) if self._learns_concentration() else (given,)
        are_numbers = all(isinstance(number, Real) and not isinstance(number, bool) for number in numbers)
        if not (
            are_numbers
            and len(numbers) == 1 + self._learns_concentration()
            and all(0 < number < np.inf for number in numbers)
        ):
            raise ValueError(
                f"concentration={in_short(given)} should be a finite number above 0, or a tuple of two of them, "
                "the shape and the rate of a Gamma prior"
            )
        return (LearnedSticks if self._learns_concentration() else Sticks)(*map(float, numbers))

    def _learns_concentration(self):
        return isinstance(self.concentration, (tuple, list, np.ndarray))

    def _component(self):
        return component_of(self.component)

    def _family(self):
        return self._component().posterior(self.prior_, self._reader())

    def _check_for_batches(self):
        self._check_options()
        if self.algorithm == "sampler":
            raise ValueError(
                "algorithm='sampler' has no batch, since its draws are those of one X: set algorithm='variational', or "
                "call fit for each X"
            )

    @property
    def _least_rows(self):
        """That a fit needs."""
        return 1 if self.init_components == "auto" else self.init_components

    def _starts(self, problem):
        """Numbers of components to begin with, of as many searches."""
        if self.init_components != "auto":
            return [self.init_components]
        births = self.algorithm == "sampler" or "birth" in self.moves
        if births and (self.algorithm == "sampler" or problem.n_rows > ROWS_OF_ONE):
            return [1]
        several = int(min(MOST_BEGUN, problem.n // ROWS_OF_BEGUN, problem.n_rows))
        several = max(1, several if self.max_components is None else min(several, self.max_components))
        return [several, 1] if births and several > 1 else [several]

    # ---- fitting ----

    @fitting
    @of_rows
    def fit(self, X: RowsLike | Source, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the components and their posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or source of partitions
            What the mixture of such components takes: `GaussianMixture`, `BernoulliMixture` and so on. float32 rows of
            Gaussians, Bernoulli, categorical and exponential components are computed in float32 and summed in float64;
            the posterior is float64.
        y : Ignored
            Present for API consistency by convention; with a warning where it has labels of some rows only, which
            mixtures of given numbers of components take.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts. The sampler takes whole numbers: such a row stands for equal rows of one cluster.

        Returns
        -------
        self : object
            The estimator itself.

        Notes
        -----
        Rows in partitions, blocks or batches: `algorithm="variational"` searches, with all moves, in a sample of at
        most 131,072 rows. Then iterations over all rows follow, at most `max_iter` of them, with sticks sorted by the
        counts of all rows, and merges, if `moves` has them: pairs of which the sums over all rows promise something are
        tried by passes, and what holds less than half a row goes. `lower_bound_` is the exact one of all rows. Births
        and deletions are not made over all rows: a cluster that the sample does not show is not found. `n_moves_`
        counts those in the sample, too. What `prior` leaves out
        follows from all rows, and in the search from the sample; with `partial_fit` from the first batch, after which
        components are neither added nor taken away. `totals_` are those of the sample. `n_batches` is of the sample:
        after it parameters are updated once for each pass. A checkpoint has the components that its search found:
        with another `max_iter` or `tol`, which the search has too, others may be found, and it is refused.

        Ctrl-C leaves the last model as it was; once each chain of the sampler has a draw it keeps the draws that were
        made, as many of each chain, with a warning and `Status.INTERRUPTED`; the point partition is then sought among
        fewer of them.
        """
        vars(self).pop("_stream", None)  # what partial_fit remembers is of other parameters
        warn_of_partial_labels(y, self)
        self._check_options()
        if is_source(X):
            return self._fit_source(X, sample_weight, {})
        X, sample_weight, _ = counted_rows(X, sample_weight)
        if sample_weight is not None:
            self._check_unit_of_weights(sample_weight)
        X = self._read_rows(X, ensure_min_samples=1)
        if X.shape[0] < self._least_rows:
            raise ValueError(f"init_components={self.init_components} is more than n_samples={X.shape[0]}")
        try:
            self._fit_rows(X, sample_weight)
        except ValueError:
            self._check_finite(X)  # scikit-learn's assume_finite=True lets through what is not
            raise
        return self

    def _fit_rows(self, X, sample_weight):
        reader = self._reader()
        reader._learn_design(X, sample_weight)
        self._learn_from(reader)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = Moments(X, sample_weight, resolve_threads(self.n_threads))
            self.prior_ = self._component().prior(self.prior or {}, moments, reader)
        if not is_finite(self.prior_):
            raise self._status_error(Status.NOT_FINITE, X.dtype)
        for name in [*SAMPLED, *OF_BOUND]:
            vars(self).pop(name, None)
        fit = self._fit_sampler if self.algorithm == "sampler" else self._fit_variational
        fit(X, sample_weight, self._family())
        self._share_with_margins()
        self._remember_structure()
        self._note_checked()

    def _fit_variational(self, X, sample_weight, family):
        encoded = family.encode(X)
        dtype = self._kernel_dtype(encoded.family, X.dtype)
        n_batches = self.n_batches
        if n_batches == "auto":
            n_batches = n_blocks_for(X.shape[0], family.stats_layout(1, X.shape[1]).size)
        problem = Problem(
            encoded,
            X.shape[1],
            dtype,
            self._proportions(),
            sample_weight,
            resolve_threads(self.n_threads),
            n_batches,
        )
        seed = self._seed()
        search = None
        for n_components in self._starts(problem):
            other = Search(
                problem,
                n_components,
                state_of_labels(problem, self._labels_of_start(problem, n_components, seed), n_components),
                tuple(self.moves),
                self.tol,
                self.max_iter,
                self.max_components,
                seed,
                self._monitor(),
            ).run()
            is_first = search is None or not np.isfinite(search.bound)
            if is_first or other.bound > search.bound + least_rise(search.bound, problem.n):
                search = other
            if search.converged and len(search.names) <= FEW_CLUSTERS:
                break
        if search.status & Status.NOT_FINITE or not np.all(np.isfinite(search.state.params)):
            raise self._status_error(Status.NOT_FINITE, X.dtype)
        if problem.rows.is_constant():
            search.status |= Status.CONSTANT_DATA
        self._publish(search, family)

    def _fit_sampler(self, X, sample_weight, family):
        encoded = family.encode(X)
        dtype = self._kernel_dtype(encoded.family, X.dtype)
        n_threads, seed = resolve_threads(self.n_threads), self._seed()
        problem = Problem(encoded, X.shape[1], dtype, Sticks(1.0), sample_weight, n_threads)
        process = process_of(self, X.shape[0])

        def components(labels, concentration):
            sizes = np.bincount(labels, weights=sample_weight)
            params = state_of_labels(problem, labels, len(sizes)).params
            return shares_of(process, concentration, sizes), params, sizes

        n_labels = X.shape[0] * self.n_draws * self.n_chains
        keeps_labels = n_labels <= MANY_LABELS if self.keep_labels is None else self.keep_labels
        labels = self._labels_of_start(problem, *self._starts(problem), seed)
        make = sampler_for(self, X, family, process, sample_weight, labels, seed, n_threads)
        thin = sweeps_of_draw(self.thin, X.shape[0])
        chains = Chains(make, self, thin, components, keeps_labels, self._monitor()).run()
        self._publish_draws(chains, family, components, sample_weight)

    def _publish_draws(self, chains, family, components, sample_weight):
        names = {"n_clusters": "n_clusters_draws_", "concentration": "concentration_draws_"}
        traces = {name: chains.trace(name) for name in (*names, "log_joint")}
        self._publish_together(
            n_clusters_draws_=traces["n_clusters"],
            concentration_draws_=traces["concentration"],
            log_joint_draws_=traces["log_joint"],
        )
        self.n_clusters_posterior_ = n_clusters_posterior(traces["n_clusters"].ravel())
        self.effective_sample_size_ = effective_sample_sizes(traces)
        if self.n_chains > 1:
            self.r_hat_ = {name: r_hat(trace) for name, trace in traces.items()}
        self.acceptance_ = chains.acceptance()
        if chains.keeps_labels:
            self._publish_together(labels_draws_=chains.labels())
        labels = by_size(chains.point_partition(sample_weight, resolve_threads(self.n_threads)), sample_weight)
        self.concentration_ = float(np.mean(traces["concentration"]))
        shares, params, sizes = components(labels, self.concentration_)
        self._publish_together(labels_=labels, counts_=sizes.astype(np.float64), shares_=shares)
        self._publish_record(family, family.params_layout(len(sizes), self.n_features_in_).view(params))
        self._publish_averaged(family, [one for chain in chains.chains for one in chain.components])
        self.concentration_posterior_ = None
        n_draws = traces["n_clusters"].shape[-1]
        self.n_iter_ = (self.burn_in + n_draws * chains.thin) * self.n_chains
        if chains.interrupted:
            self.status_ = Status.INTERRUPTED
            wrong = f"The sampler was interrupted: the model has the {n_draws * self.n_chains} draws that were made."
        else:
            known = {name: self.effective_sample_size_[name] for name in ("n_clusters", "log_joint")}
            wrong = what_is_wrong(known, getattr(self, "r_hat_", {}), n_draws, self.n_chains, chains.thin)
            self.status_ = Status.MAX_ITER if wrong else Status.CONVERGED
        self.converged_ = not wrong
        if wrong:
            warn(wrong, ConvergenceWarning)

    def _publish_averaged(self, family, draws):
        """The components of some draws side by side, and how likely a new row is of each; the last is a new one."""
        n_features, layout = self.n_features_in_, family.params_layout
        records = [layout(len(sizes), n_features).view(params) for _, params, sizes in draws]
        weights = np.concatenate([shares[:-1] for shares, *_ in draws]) / len(draws)
        weights = np.append(weights, np.mean([shares[-1] for shares, *_ in draws]))
        self._average(family, records, weights)

    def _average(self, family, records, weights):
        margins, averaged = self._margins(), {}
        if margins:
            of_parts = zip(*map(family.split, records), strict=True)
            for own, its_family, its_records in zip(margins.values(), family.families, of_parts, strict=True):
                own._average(its_family, its_records, weights)
        else:
            averaged = {
                name: np.concatenate([getattr(record, name) for record in records])
                for name in family.Params._fields
                if name in PUBLISHED
            }
        self.averaged_ = averaged | {"weights": weights}

    def _labels_of_start(self, problem, n_clusters, seed):
        """The component that each row begins in."""
        if n_clusters == 1:
            return np.zeros(problem.n_rows, dtype=np.int64)
        seeds = problem.encoded.make_seeds()
        rows = problem.rows if seeds is None else Rows(seeds, problem.sample_weight)
        labels = seeding.kmeans(rows, n_clusters, seed, n_threads=problem.n_threads).labels
        return np.ascontiguousarray(labels, dtype=np.int64)

    def _monitor(self):
        if not self.verbose:
            return None
        monitor = Monitor(self.verbose, self.verbose_interval, 0.0)
        steps = [0, -np.inf]

        def note(bound, n_components):
            steps[0] += 1
            monitor.end_iteration(steps[0], bound - steps[1], bound)
            steps[1] = bound

        return note

    def _publish(self, search, family):
        self._publish_posterior(*search.state, family)
        self.n_moves_ = dict(search.n_moves)
        status = int(search.status) | int(Status.CONVERGED if search.converged else Status.MAX_ITER)
        self._publish_course(
            Fit(*search.state, search.bounds, search.bound, search.n_iter, search.converged, status, False)
        )

    def _publish_posterior(self, numbers, packed, family):
        n_features = self._n_fitted_features()
        n_components = len(numbers) - self._learns_concentration()
        self._publish_together(counts_=numbers[:n_components].copy())
        if self._learns_concentration():
            shape, rate = float(self.concentration[0] + n_components), float(numbers[n_components])
            self.concentration_posterior_, self.concentration_ = np.array([shape, rate]), shape / rate
        else:
            self.concentration_posterior_, self.concentration_ = None, float(self.concentration)
        self._publish_record(family, family.params_layout(n_components, n_features).view(packed.copy()))

    def _publish_course(self, found):
        self.lower_bound_, *self.lower_bounds_ = np.array([found.lower_bound, *found.lower_bounds])
        self.n_iter_, self.converged_ = found.n_iter, bool(found.converged)
        self.status_ = Status(found.status & ~int(Status.EMPTIED_COMPONENT | Status.LOWER_BOUND_FELL))
        if self.status_ & Status.MAX_ITER:
            warn(
                f"The search did not converge within max_iter={self.max_iter} iterations. Increase max_iter or tol.",
                ConvergenceWarning,
            )
        if self.status_ & Status.REPAIRED_COVARIANCE:
            warn(FLAT, ConvergenceWarning)

    def _publish_record(self, family, record):
        margins = self._margins()
        if margins:
            for own, its_family, its_record in zip(
                margins.values(), family.families, family.split(record), strict=True
            ):
                own._publish_record(its_family, its_record)
            return
        for name, array in record._asdict().items():
            if name in PUBLISHED:
                self._publish_together(**{f"{name}_": array if array.ndim else array[()]})

    #: The same in two ways: each follows the other when that is assigned.
    _followers = {"covariances_": ("precisions_cholesky_",), "precisions_cholesky_": ("covariances_",)}

    def _follow(self, name):
        given = self._followers.get(name, (name,))[0]
        if given == name or given not in vars(self):
            return super()._follow(name)
        family, values = self._family(), np.asarray(vars(self)[given], dtype=np.float64)
        try:
            with np.errstate(all="ignore"):  # what is no scale is said by name
                made = CONVERSIONS[given, name](family, values)
        except ValueError as wanted:
            raise ValueError(f"{given} should be {wanted}: component={self.component!r}") from None
        check_domain(given, values, family.domains[given.removesuffix("_")])
        return made

    def _share_with_margins(self):
        """Weights are those of all parts, and each has its own prior."""
        for name, own in self._margins().items():
            own.prior_ = self.prior_[name]
            vars(own).update((shared, vars(self)[shared]) for shared in SHARED if shared in vars(self))
            own._remember_structure()
            own._note_checked()

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name in SHARED and self._margins():  # those of all margins; a copy may share the old ones
            self.components_ = {part: copy.copy(own) for part, own in self.components_.items()}
            for own in self.components_.values():
                setattr(own, name, value)

    # ---- the fitted model ----

    @available_if(lambda self: isinstance(self._component(), GaussianComponent))
    def covariance_matrices(self) -> Floats:
        """Make matrices of the covariances of all components, which are Gaussian, whatever their structure.

        Returns
        -------
        matrices : ndarray of shape (n_components, n_features, n_features)
            Symmetric; for structures that are diagonal or shared, too.
        """
        check_is_fitted(self)
        return self._family().covariance_matrices(self._collect())

    def coclustering(self, rows: ArrayLike | None = None) -> NDArray[np.float64]:
        """How often two rows shared a cluster, after `algorithm="sampler"`.

        Parameters
        ----------
        rows : array-like of int, default=None
            Numbers of rows of the fit; None is all of them.

        Returns
        -------
        together : ndarray of shape (n_rows, n_rows)
            Probabilities.

        Raises
        ------
        AttributeError
            Where labels of draws were not kept.
        """
        check_is_fitted(self)
        if "labels_draws_" not in vars(self):
            raise AttributeError(
                "there are no labels of draws: fit with algorithm='sampler', and keep_labels=True where there are many"
            )
        return coclustering(self.labels_draws_, rows)

    def to_arviz(self) -> Any:
        """The traces as ArviZ's `InferenceData`; ImportError where that is not installed.

        Returns
        -------
        data : arviz.InferenceData
            With `n_clusters`, `concentration` and `log_joint`.
        """
        check_is_fitted(self)
        if "log_joint_draws_" not in vars(self):
            raise AttributeError("there are no draws: fit with algorithm='sampler'")
        try:
            import arviz
        except ImportError as error:
            raise ImportError("to_arviz needs ArviZ: install it with pip install arviz") from error
        names = ("n_clusters", "concentration", "log_joint")
        return arviz.from_dict(posterior={name: np.atleast_2d(getattr(self, f"{name}_draws_")) for name in names})

    def _names_of_rows(self):
        return vars(self).get("columns_", super()._names_of_rows())

    def _as_given(self, rows):
        return self._reader()._as_given(rows)

    def _expected_weights(self):
        """Those of the components, and what remains."""
        check_is_fitted(self)
        if "shares_" in vars(self):
            return self.shares_[:-1], self.shares_[-1]
        return StickBreaking.expected_weights(np.asarray(self.counts_, dtype=np.float64), self.concentration_)

    @property
    def weights_(self) -> Floats:
        return frozen(self._expected_weights()[0], copy=False)

    @property
    def remaining_weight_(self) -> float:
        """Expected weight of all components that no row was of."""
        return float(self._expected_weights()[1])

    @property
    def n_clusters_(self) -> int:
        check_is_fitted(self)
        return int(self._n_clusters_of(np.asarray(self.counts_)))

    def _arrays(self):
        """Fitted arrays of the components by name."""
        return {name: vars(self)[f"{name}_"] for name in ("counts", *PUBLISHED) if f"{name}_" in vars(self)}

    def _shapes_of_arrays(self, n_features):
        rows = np.repeat([[0.0], [1.0]], n_features, axis=1)  # which components of all kinds but given categories take
        model = unfitted_copy(self)
        model.init_components, model.max_iter, model.verbose = 1, 1, 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(rows)
        except ValueError:
            return {}
        return {name: np.shape(array) for name, array in model._arrays().items()}

    def _is_sampled(self):
        """Whether the model is a point partition of draws."""
        return "shares_" in vars(self)

    def _is_present(self):
        return np.asarray(self.counts_) >= PRESENT  # others are the prior, as wide as all rows

    def _mixing(self):
        return np.asarray(self.weights_ if self._is_sampled() else self.counts_, dtype=np.float64)

    def _proportions_of_predictions(self):
        return None if self._is_sampled() else Sticks(float(self.concentration_))

    def _dtype_of_results(self, dtype):
        return dtype  # the posterior is float64 whatever rows are

    def _collect(self):
        family = self._family()
        if self._margins():
            return family.join([own._collect() for own in self.components_.values()])
        arrays = dict(of_prior(family))
        for name in family.Params._fields:
            if name in PUBLISHED:
                arrays[name] = np.asarray(getattr(self, f"{name}_"), dtype=np.float64)
        return family.Params(**arrays)

    def _check_state(self):
        self._validate_params()
        self._check_options()
        counts = np.asarray(self.counts_)
        if counts.ndim != 1 or not len(counts):
            raise ValueError(f"counts_ should have a number for each component, got {in_short(self.counts_)}")
        if not isinstance(self._margins(), dict) or not all(
            isinstance(own, DirichletProcessMixture) for own in self._margins().values()
        ):
            raise ValueError("components_ should be a dict of DirichletProcessMixture, one for each part")
        self._check_margins()
        self._component().check_names(self.prior_, self._reader())
        super()._check_state()
        self._family().bind(len(counts), self.n_features_in_, np.float64)  # looks at the prior

    def _check_domains(self):
        check_domain("counts_", np.asarray(self.counts_), (NOT_NEGATIVE,))
        check_domain("concentration_", np.asarray(self.concentration_), (POSITIVE,))
        if "totals_" in vars(self):
            check_domain("totals_", np.asarray(self.totals_), (COUNT,))
            check_domain("total_shares_", np.asarray(self.total_shares_), DISTRIBUTION)
        if not self._margins():  # which look at theirs
            self._check_domains_of_components()

    def _check_margins(self):
        """Raises ValueError where the margins are not those of the parts."""
        if isinstance(self.component, (list, tuple)):
            reader = self._reader()
            names = [group.name for group in reader._groups(reader._column_names())]
            if list(self._margins()) != names:
                raise ValueError(
                    f"components_ should be a dict with the parts {listed(names)}, got {listed(self._margins())}"
                )
        elif self._margins():
            raise ValueError(f"component={self.component!r} has no parts, and components_ has {list(self._margins())}")

    def _predictive(self):
        weights, rest = self._expected_weights()
        return *self._family().predictive(self._collect()), np.append(weights, rest)

    def _averaged_predictive(self):
        """Over draws."""
        if "averaged_" not in vars(self):
            return self._predictive()
        return *self._family().predictive(self._averaged_record()), self.averaged_["weights"]

    def _averaged_record(self):
        family = self._family()
        if self._margins():
            return family.join([own._averaged_record() for own in self.components_.values()])
        arrays = {name: own for name, own in self.averaged_.items() if name != "weights"}
        return family.Params(**of_prior(family), **arrays)

    @property
    def _any_rows(self):
        return {"total": 1} if "totals_" in vars(self) else {}

    def _components(self, total=None):
        if "totals_" not in vars(self):
            return super()._components(total)
        return self._components_of_rows(totals=total_of_rows(self, total))

    def _averages_partitions(self):
        return "averaged_" in vars(self)

    def _drawn_row_data(self, n_samples, rng):
        if "totals_" not in vars(self):
            return ()
        return (rng.choice(self.totals_, size=n_samples, p=self.total_shares_).astype(np.int64),)


def state_of_labels(problem, labels, n_components):
    """The state that the M-step makes of labels."""
    em = problem.em(n_components)
    em.set_state(*problem.blank(n_components))
    em.start_from_labels(labels.astype(np.int64, copy=False))
    return State(*em.state())


def by_size(labels, sample_weight):
    """Labels whose clusters are numbered by their size, the largest first."""
    sizes = np.bincount(labels, weights=sample_weight)
    places = np.empty(len(sizes), dtype=np.int64)
    places[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return places[labels]


#: What the two algorithms leave that the other does not.
OF_BOUND = ("lower_bound_", "lower_bounds_", "n_moves_")
SAMPLED = (
    "n_clusters_draws_",
    "concentration_draws_",
    "log_joint_draws_",
    "labels_draws_",
    "n_clusters_posterior_",
    "effective_sample_size_",
    "r_hat_",
    "acceptance_",
    "labels_",
    "shares_",
    "averaged_",
)

#: The fields of records that are attributes; the others are those of the prior.
PUBLISHED = (
    "means",
    "covariances",
    "precisions_cholesky",
    "mean_precision",
    "degrees_of_freedom",
    "a",
    "b",
    "concentrations",
    "shapes",
    "rates",
)


def of_prior(family):
    """What records of Gaussians have of their prior."""
    if not hasattr(family, "scale0"):
        return {}
    scale = np.asarray(family.scale0, dtype=np.float64)
    return {
        "mean_prior": np.asarray(family.m0, dtype=np.float64),
        "covariance_prior": scale,
        "prior_log_determinant": np.zeros(()),  # which each M-step finds anew
    }
