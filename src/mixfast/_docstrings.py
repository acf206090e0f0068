"""What docstrings of several estimators or functions say in the same words, said once.

A docstring has a line `<tol, max_iter>` where these entries go; `described` puts them there when the class or function
is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import cleandoc
from textwrap import indent
from typing import TypeVar

#: Entries by name: a parameter or an attribute as numpydoc wants it, or words that belong below an exception.
ENTRIES = {
    # ---- parameters of constructors ----
    "n_components": """
        n_components : int, default=1
            Number of components.
        """,
    "tol": """
        tol : float, default=1e-3
            Iterations stop when the lower bound (mean log density of a row, in nats) moves by less: in a plain step of
            EM, whatever `accelerate` is, and in the last extrapolation, where there was one.
        """,
    "max_iter": """
        max_iter : int, default=100
            Largest number of iterations from a start. 0 keeps the start itself.
        """,
    "n_init": """
        n_init : int, default=1
            Number of starts; the best is kept.
        """,
    "init_params": """
        init_params : {'kmeans', 'k-means++', 'k-means||', 'random', 'random_from_data'} or array-like, default='kmeans'
            Where the first M-step's responsibilities come from:

            - 'kmeans': labels of k-means;
            - 'k-means++': one row for each component, chosen by greedy k-means++;
            - 'k-means||': labels of k-means||, for rows in partitions and blocks alone, where the others look at a
              sample: it looks at all rows, eight times, and finds clusters of few rows too (docs/large.md);
            - 'random_from_data': one random row for each component;
            - 'random': uniform random numbers, scaled to sum to one;
            - an array of responsibilities (n_samples, n_components), or of integer labels (n_samples,) in which -1 says
              that the row's component is not known. They are a start, which EM leaves (`known_labels` of `fit` stay),
              and belong to one X: not for cross-validation.
        """,
    "init_params of gaussians": """
        init_params : {'auto', 'kmeans', 'k-means++', 'k-means||', 'random', 'random_from_data'} or array-like, \
default='auto'
            Where the first M-step's responsibilities come from:

            - 'auto': the best of several views of the rows. Labels of k-means, and those of Ward's hierarchies of some
              hundred rows, once with standardised columns and once along those principal axes alone in which rows are
              spread evenly, so that clusters which are long in the same direction are seen apart. Of the starts that
              these make the one goes on that gives some of the rows the highest density, or the `n_init` best of so
              many starts of k-means and the views. Where they see the same clusters, or something is said of
              components (`known_labels`, `groups`, `hold`, `noise`, `trim`, `weights`, `means_init` and the like), for
              sparse rows, with `max_active`, in batches and in C it is 'kmeans', and where parameters of all starts
              would take more room than the rows, and than 8 MB. Fits take 1.2 times as long in the median;
            - 'kmeans': labels of k-means, as in scikit-learn;
            - 'k-means++': one row for each component, chosen by greedy k-means++;
            - 'k-means||': labels of k-means||, for rows in partitions and blocks alone, where the others look at a
              sample: it looks at all rows, eight times, and finds clusters of few rows too (docs/large.md);
            - 'random_from_data': one random row for each component;
            - 'random': uniform random numbers, scaled to sum to one;
            - an array of responsibilities (n_samples, n_components), or of integer labels (n_samples,) in which -1 says
              that the row's component is not known. They are a start, which EM leaves (`known_labels` of `fit` stay),
              and belong to one X: not for cross-validation.
        """,
    "random_state": """
        random_state : int, RandomState instance or None, default=None
            Seed of the starts, and of `sample`. An int gives the same result each time, for any number of threads.
        """,
    "warm_start": """
        warm_start : bool, default=False
            If True, a second call of `fit` goes on from the parameters of the first, and `n_init` is ignored. Other
            columns, categories, `n_components` or structure than in the first are an error. Components that had lost
            all their rows begin anew with clusters of k-means, those that the others explain least, with a warning.
        """,
    "verbose": """
        verbose : int, default=0
            1 prints starts and iterations, 2 also times and changes of the lower bound.
        """,
    "verbose_interval": """
        verbose_interval : int, default=10
            Number of iterations between two lines.
        """,
    "n_threads": """
        n_threads : int or None, default=None
            Threads to use at most; None is all that the process may use: its affinity, the quota of a container,
            `OMP_NUM_THREADS` and limits of threadpoolctl count. The result does not depend on it.
        """,
    "accelerate": """
        accelerate : {'auto'} or None, default=None
            None is plain EM. 'auto' extrapolates the course of EM where it is slow: far fewer iterations to a small
            `tol`, and no difference to one of 1e-4 or more. An extrapolation that lowers the lower bound is dropped;
            but where there are many optima, a fit may end in another one than plain EM would, better or worse. A family
            that has not the methods for it is fitted by plain EM.
        """,
    "n_init_policy": """
        n_init_policy : {'all', 'halving'}, default='all'
            What becomes of the starts, where there are several:

            - 'all': each goes on until it converges;
            - 'halving': after a few iterations the half with the smaller lower bounds is dropped, after a few more half
              of the others, and so on until one is left to converge. Faster where EM takes many iterations, at the risk
              of dropping a start that is slow to show its worth.
        """,
    "canonical_order": """
        canonical_order : bool, default=False
            If True, components are numbered by a fitted parameter, so that fits from different starts can be compared:
            by its column 0, those that are equal there by column 1, and so on. Numbers then have nothing to do with
            those of a start that is given, nor, after a warm start, with those of the fit before. Columns that differ
            by rounding alone are not equal.
        """,
    "weights": """
        weights : array-like of shape (n_components,), default=None
            Weights that stay as they are, positive numbers that sum to 1; k-means gives the largest cluster to the
            component with the largest weight. None estimates them.
        """,
    "weight_concentration": """
        weight_concentration : float, default=None
            The concentration c >= 1 of a symmetric Dirichlet prior on the weights, of which the mode (n_k + c - 1) /
            (n + K (c - 1)) is taken, n_k being the sum of the component's responsibilities. `lower_bound_` then has the
            prior's log density, up to a constant, divided by n. None is maximum likelihood, and so is 1.
        """,
    "noise": """
        noise : 'uniform' or float, default=None
            One component more, the last, whose density is 1 / `noise_volume_` everywhere, for rows that are of no
            cluster (Banfield & Raftery, Biometrics 49 (1993), as R's mclust has it). `weights_` and `predict_proba`
            have it as their last entry, `predict` and `sample` call it -1, and labels in `known_labels` and
            `init_params` -2 (there responsibilities, and sets of components, have n_components + 1 columns). A number
            is the share of the rows that noise begins with, those with the fewest others around them; 'uniform' finds
            it, as two intensities of rows make it likely (Byers & Raftery, JASA 93 (1998)). Labels of a start that name
            noise say it themselves. Criteria count its weight and its volume. A start is 'kmeans', 'k-means++' (each
            row goes to the nearest of the rows that are chosen), 'random' or given. In rows with missing entries noise
            is uniform in the sides of `noise_box_` of the columns that are there.
        """,
    "noise_volume": """
        noise_volume : float, default=None
            The volume that noise has, in the product of the columns' units. None is that of the rows' region, the
            smaller of the boxes around them along the columns and along their principal axes; along the columns where
            entries are missing. A number makes that box larger or smaller, with sides in proportion, so that it says
            the volume of some columns too. Needed where the rows are not there together: in `from_parameters`, for
            partitions and for `partial_fit` without a fit before.
        """,
    "noise_volume_": """
        noise_volume_ : float
            Where there is `noise`: the volume that its density is 1 over.
        """,
    "noise_box_": """
        noise_box_ : ndarray of shape (n_features + 1, n_features)
            Where noise is uniform, as `sample`, `marginal` and `cdf` take it: a corner, and the edges from it. It is
            made larger or smaller about its centre where `noise_volume_` is another volume than its own. Of given
            parameters it holds the means and three standard deviations on both sides, in proportion.
        """,
    "hold": """
        hold : dict, default=None
            Parameters that stay as they are while the others are fitted, by the names of the attributes without the
            underscore: ``{"means": array}`` of the attribute's shape, NaN for numbers that are fitted. Held numbers
            come out to the last bit, and criteria do not count them. A mask of components, or of numbers, holds what
            the last fit has, with `warm_start=True`. `weights` of some components may be held as well. What cannot be
            held by itself, because the M-step of the rest would not be exact, is an error that says what can.
        """,
    "trim": """
        trim : float, default=None
            The share of the rows, by weight, that each M-step leaves out, those of the lowest density (trimmed
            likelihood; with `eigenvalue_ratio` as R's tclust has it). `lower_bound_`, which never falls, is the sum of
            the log densities of the rows that are kept, over the weight of all rows. `predict` gives -1 to rows whose
            log density is below `trim_level_`: of the rows of the fit those that were left out. `predict_proba` and
            `score` are of all rows that they are given, `bic`, `aic` and `icl` of the share that is kept: -2 times the
            log-likelihood of these rows, and n what they weigh (trimmed BIC; Neykov, Filzmoser, Dimova & Neytchev,
            "Robust fitting of mixtures using the trimmed likelihood estimator", Computational Statistics & Data
            Analysis 52 (2007), doi:10.1016/j.csda.2006.12.024). They compare fits of one `trim`. Not with `noise`,
            groups or missing entries.
        """,
    "trim_level_": """
        trim_level_ : float
            Where there is `trim`: the least log density of a row that was kept.
        """,
    "weights_init": """
        weights_init : array-like of shape (n_components,), default=None
            Weights to start from. With all three given there is no random start at all.
        """,
    "means_init": """
        means_init : array-like of shape (n_components, n_features), default=None
            Means to start from.
        """,
    "precisions_init": """
        precisions_init : array-like, default=None
            Inverses of the covariances to start from; the shape depends on `covariance_type`, as that of `precisions_`.
        """,
    "reg_covar": """
        reg_covar : float, default=1e-6
            Added to the diagonal of every covariance, in the unit that `regularization` says.
        """,
    "on_degenerate": """
        on_degenerate : {'repair', 'raise'}, default='repair'
            What to do about a covariance that is not positive definite: raise its diagonal by a millionth of the
            variance of all rows (tenfold until it is; see `status_`), or raise scikit-learn's ValueError.
        """,
    "regularization": """
        regularization : {'absolute', 'relative'}, default='absolute'
            What `reg_covar` is measured in:

            - 'absolute': the squared unit of the data, as in scikit-learn;
            - 'relative': each column's variance over the rows that `fit` gets, with their weights. Nothing then depends
              on the units of the columns: rows are fitted as (x - mean) / standard deviation, from the start by k-means
              on, and parameters and lower bounds are transformed back. 'spherical' covariances know no separate units:
              all columns are divided by one number, the root of their mean variance. A constant column has its absolute
              value for a unit, or 1 where it is zero. `fit` makes a copy of X, of the same dtype.
        """,
    # ---- attributes ----
    "weights_": """
        weights_ : ndarray of shape (n_components,)
            How likely each component is before a row is seen; they sum to 1.
        """,
    "converged_": """
        converged_ : bool
            Whether the best start converged.
        """,
    "n_iter_": """
        n_iter_ : int
            Number of iterations of the best start; each is one pass over the rows.
        """,
    "lower_bound_": """
        lower_bound_ : float
            The lower bound of its last iteration: the mean log density of a row at the parameters that the iteration
            began with, before its M-step; with what priors add to it.
        """,
    "lower_bounds_": """
        lower_bounds_ : list of float
            The same for each iteration; there are `n_iter_` of them, less the extrapolations that were dropped.
        """,
    "status_": """
        status_ : mixfast.Status
            What happened, as flags: `if model.status_ & Status.REPAIRED_COVARIANCE: ...`
        """,
    "n_features_in_": """
        n_features_in_ : int
            Number of columns seen by `fit`.
        """,
    "feature_names_in_": """
        feature_names_in_ : ndarray of shape (n_features,)
            Names of the columns, where X has them and all are strings.
        """,
    # ---- errors ----
    "errors of every fit": """
        By `fit` also for X or weights that are empty, not finite or of the wrong shape, for fewer rows than components,
        and for sums that overflow.
        """,
    # ---- from_parameters ----
    "given weights": """
        weights : array-like of shape (n_components,)
            At least 0, and summing to 1 within 0.001; taken as they are. Arrays are float32 in the model where all that
            are given are, else float64.
        """,
    "feature_names": """
        feature_names : list of str of length n_features, default=None
            The names of the columns, as a fit to a data frame keeps them.
        """,
    "options": """
        **options
            Parameters of the constructor but `n_components`. That which has the name of a parameter above is what the
            constructor has for it: `set_params` sets it.
        """,
    "given model": """
        Fitted, as a fit without iterations leaves it: `converged_` is False, `n_iter_` is 0 and `lower_bound_` is -inf.
        A fit with `warm_start=True` goes on from it.
        """,
    "errors of given parameters": """
        For parameters that are no numbers or not finite, of other shapes or outside their domain; it says which.
        """,
    "errors of options": """
        For options that the constructor does not have.
        """,
    # ---- what rows have, in methods ----
    "X": """
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns that `fit` had.
        """,
    "X or source": """
        X : array-like of shape (n_samples, n_features), or source of partitions
            The rows, with the columns that `fit` had. What `blocks` makes brings its weights with it, and what else
            rows have.
        """,
    "y or none": """
        y : array-like of shape (n_samples,), default=None
            The responses, in the form that `fit` takes; None where a source of partitions brings them.
        """,
    "row_data": """
        **row_data
            What the rows have beside their values, as in `fit`.
        """,
    "y": """
        y : array-like of shape (n_samples,)
            The responses, in the form that `fit` takes.
        """,
    "sample_weight": """
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts: 2 equals repeating it, 0 leaving it out. None is 1 for all.
        """,
    "n_effective": """
        n_effective : {'sum', 'kish'} or float, default=None
            The number n of independent rows that the weights stand for:

            - 'sum': the sum of the weights, right where they count rows;
            - 'kish': (sum w)^2 / sum w^2, for weights that are only relative, such as those of a survey: n_samples
              where all are equal, less the more unequal they are. Kish, "Survey Sampling" (1965), section 11.7;
            - a number of at least 1;
            - None: 'sum', with a warning where that is more than 3 times n_samples, or less than a third.

            The criterion is that of weights scaled to the sum n: -2 (n / sum w) sum_i w_i log p(x_i) + n_parameters
            log(n), the pseudo-likelihood of Lumley & Scott, "AIC and BIC for modeling with complex survey data",
            Journal of Survey Statistics and Methodology 3 (2015), doi:10.1093/jssam/smu021, with n for their sample
            size. Multiplying all weights by a number so changes it for 'sum' alone.
        """,
    "warning of n_effective": """
        Where the weights' sum is far from the number of rows and `n_effective` is None.
        """,
    "row_data of experts": """
        **row_data
            `groups`, `exposure`, `offset` and `gate_X`, as in `fit`.
        """,
    "models of problems": """
        n_components : int or list of int, default=None
            Numbers of components to try, in place of the estimator's.
        covariance_type : str or list of str, default=None
            Structures of the covariance to try, likewise. 'all' is mclust's fourteen shapes, of one column 'E' and 'V'.
        criterion : {'bic', 'aic', 'icl', 'laplace', 'heldout'}, default='bic'
            Where there are several models for each problem, the one with the least is kept. They are then fitted with
            `reg_covar=0`, unless the estimator has another `reg_covar` or `regularization` than its class' defaults:
            1e-6 of the squared unit of the data distorts columns of small scale. A singular covariance is repaired.
            'laplace' is for `DirichletMultinomialMixture`, which alone has it.
            'heldout' is minus the mean log density of a row under the fit to four fifths of the rows that it does not
            belong to; the fifths are drawn from the problem's seed. Each model is then fitted six times.
        keep : {'best', 'all'}, default='best'
            'all' keeps the fits of all models, in `result.models`, and of a single one its criterion as well, which
            takes a pass more; what is kept as estimators, such as mixtures with noise, has none.
        allow_spurious : bool, default=False
            Whether a model may be chosen whose fit has a spurious component, `Status.SPURIOUS_COMPONENT`, as in
            `select`. By default it is only where there is no other, and then the one with the fewest parameters.
        """,
    "fits of problems": """
        n_effective : {'sum', 'kish'} or float, default=None
            The number of independent rows that the weights of a problem stand for, as in `GaussianMixture.bic`; a
            number is that of every problem. 'heldout' has no use for it. None is 'sum', with a warning where that is
            far from the number of rows of a problem.
        seeds : array-like of int of shape (n_problems,), default=None
            A seed for each problem, from 0 to 2**32 - 1.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's. An int is the seed of every problem; otherwise each draws its own.
        n_threads : int or None, default=None
            None is all that the process may use.
        progress : bool, default=False
            Show a bar with fits per second and the number of those without usable parameters (needs tqdm).
        """,
    "trials": """
        trials : int or array-like of shape (n_samples,), default=None
            Of 'binomial': y is the number of successes in so many trials; None: in one, whatever the fit had.
        """,
    "exposure": """
        exposure : float or array-like of shape (n_samples,), default=None
            What counts are proportional to, the time or area of each row; None is 1.
        """,
    "offset": """
        offset : float or array-like of shape (n_samples,), default=None
            Added to the linear predictors of each row; None is 0.
        """,
    "gate_X": """
        gate_X : array-like of shape (n_samples, n_gate_columns), default=None
            The columns of the gate, for `gate='gate_X'`.
        """,
    "n_samples": """
        n_samples : int, default=1
            Number of rows to draw.
        """,
    "drawing random_state": """
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`; if that is an int, each call gives the same rows.
        """,
    "drawn rows": """
        X : ndarray of shape (n_samples, n_features)
            Grouped by component, in the form of the rows in `fit`: values of `categories_` and, of parts, columns in
            the order of `columns_`. No entry is missing. float64; with categories of a numeric dtype where all columns
            are numbers, else of objects.
        """,
    "as_frame": """
        as_frame : bool, default=False
            True gives the rows as a pandas DataFrame with the names of the columns.
        """,
}

ENTRIES["init_params of student-t components"] = ENTRIES["init_params of gaussians"].replace(
    "default='auto'", "default='kmeans'"
)

PLACE = re.compile(r"^( *)<([^<>]+)>$", flags=re.MULTILINE)

Described = TypeVar("Described", bound=Callable[..., object])


def filled(docstring: str) -> str:
    """A docstring with the entries that it names; KeyError for names that there are none of."""

    def entries(place: re.Match[str]) -> str:
        names = re.split(r",\s*", place[2])
        return indent("\n".join(cleandoc(ENTRIES[name]) for name in names), place[1])

    return PLACE.sub(entries, docstring)


def described(cls: Described) -> Described:
    """Fills in the docstring of a function, or those of a class and of its own methods."""
    for described_object in (cls, *(getattr(member, "__func__", member) for member in vars(cls).values())):
        docstring = getattr(described_object, "__doc__", None)
        if docstring and PLACE.search(docstring):
            described_object.__doc__ = filled(docstring)
    return cls
