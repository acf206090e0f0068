"""One adapter for each library that compare.py can run. The table of them, `SYSTEMS`, is at the end.

An adapter is made for a problem (which turns rows and start into the library's own arrays, untimed) and then fits it as
often as wanted, always from the same start, for exactly the number of iterations asked. No system adds to its
covariances, and none stops early. A library is imported when its adapter is first asked whether it is there.

Left out: R's mclust (another language: no same process), OpenCV's EM (adds to covariances and cannot be told not to),
scikit-learn's BayesianGaussianMixture (another model).
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from importlib.metadata import version

import numpy as np


class System:
    """What compare.py asks of an adapter."""

    name = ""  # of the distribution too, so that its version can be asked for
    module = ""
    families: tuple = ()
    dtypes: tuple = ("float64", "float32")
    predicts = False  # predict_proba and score_samples, for case H
    fits_by_default = False  # a whole fit with scikit-learn's defaults, for case G

    def __init__(self, problem):
        self.problem = problem

    @classmethod
    def load(cls, n_threads):
        """Import the library and have it use n_threads; raises ImportError where it is missing."""
        import_module(cls.module)

    @classmethod
    def version(cls):
        return version(cls.name)

    @classmethod
    def covers(cls, case):
        return case.family in cls.families and case.dtype in cls.dtypes

    def fit(self, n_iter):
        """A model after n_iter iterations from the start of the problem."""
        raise NotImplementedError

    def fit_by_default(self, seed):
        """A model from a start of the library's own, stopped by its own tolerance."""
        raise NotImplementedError

    def parameters(self, model):
        """(weights, locations, covariances), shaped as in `data.Problem`."""
        raise NotImplementedError

    def n_iterations(self, model):
        """The number of iterations made, where the library says it; None where it does not."""
        return None


class ScikitLearn(System):
    """Start: weights, means and precisions, exactly. Nothing unequal."""

    name = "scikit-learn"
    module = "sklearn.mixture"
    families = ("full", "tied", "diag")
    predicts = fits_by_default = True

    def _gaussian(self, **options):
        case = self.problem.case
        estimator = import_module(self.module).GaussianMixture
        return estimator(case.n_components, covariance_type=case.family, **options)

    def fit(self, n_iter):
        _, X, _, weights, means, covariances = self.problem
        precisions = 1 / covariances if self.problem.case.family == "diag" else np.linalg.inv(covariances)
        start = {"weights_init": weights, "means_init": means, "precisions_init": precisions}
        start = {name: values.astype(X.dtype) for name, values in start.items()}  # float64 would make a float32 fit so
        return self._gaussian(max_iter=n_iter, tol=0, reg_covar=0, **start).fit(X)

    def fit_by_default(self, seed):
        return self._gaussian(random_state=seed).fit(self.problem.X)

    def parameters(self, model):
        return model.weights_, model.means_, model.covariances_

    def n_iterations(self, model):
        return model.n_iter_

    def predict_proba(self, model):
        return model.predict_proba(self.problem.X)

    def score_samples(self, model):
        return model.score_samples(self.problem.X)


class Mixfast(ScikitLearn):
    """Start: as scikit-learn; Bernoulli components from the parameters by a warm start."""

    name = "mixfast"
    module = "mixfast"
    families = ("full", "tied", "diag", "bernoulli")

    def fit(self, n_iter):
        if self.problem.case.family != "bernoulli":
            return super().fit(n_iter)
        model = import_module(self.module).BernoulliMixture.from_parameters(
            weights=self.problem.weights,
            probabilities=self.problem.locations,
            alpha=0,
            max_iter=n_iter,
            tol=0,
            warm_start=True,
        )
        return model.fit(self.problem.X)

    def parameters(self, model):
        if self.problem.case.family == "bernoulli":
            return model.weights_, model.probabilities_, None
        return super().parameters(model)


class Daal4py(System):
    """Start: weights, means and covariances, exactly. Its setting for ill-conditioned covariances stays at the default:
    it changes nothing unless a factorisation fails. It stops when the log-likelihood does not move at all, which its
    smallest tolerance, 0, does not prevent; that is reported as a failure. It has no predictions for mixtures."""

    name = module = "daal4py"
    families = ("full", "diag")
    library = None

    @classmethod
    def load(cls, n_threads):
        try:
            cls.library = import_module("daal4py")
        except ImportError:
            # Its patches of scikit-learn fail to import beside a new scikit-learn; the compiled part, which is what is
            # timed here, needs none of them and is loaded by then.
            if "daal4py._daal4py" not in sys.modules:
                raise
            cls.library = sys.modules["daal4py._daal4py"]
        cls.library.daalinit(n_threads)

    def fit(self, n_iter):
        case, X, _, weights, means, covariances = self.problem
        algorithm = self.library.em_gmm(
            nComponents=case.n_components,
            fptype="float" if case.dtype == "float32" else "double",
            maxIterations=n_iter,
            accuracyThreshold=0.0,
            covarianceStorage="diagonal" if case.family == "diag" else "full",
        )
        matrices = [np.ascontiguousarray(matrix.reshape(-1, case.n_features), X.dtype) for matrix in covariances]
        return algorithm.compute(X, weights.astype(X.dtype)[np.newaxis], means.astype(X.dtype), matrices)

    def parameters(self, model):
        covariances = np.reshape(model.covariances, self.problem.covariances.shape)
        return np.ravel(model.weights), model.means, covariances

    def n_iterations(self, model):
        return int(np.ravel(model.nIterations)[0])


class StepMix(System):
    """Start: weights and probabilities, exactly, through a subclass that replaces its random start by them. Its
    Gaussian measurements call scikit-learn's own functions and are not run."""

    name = "stepmix"
    module = "stepmix.stepmix"
    families = ("bernoulli",)

    def fit(self, n_iter):
        problem = self.problem

        class Started(import_module(self.module).StepMix):
            def _initialize_parameters(self, X, random_state):
                self._initialize_parameters_measurement(X, random_state, init_emission=False)
                self._mm.set_parameters({"pis": problem.locations})
                self.weights_ = problem.weights

        return Started(
            problem.case.n_components, measurement="binary", max_iter=n_iter, abs_tol=0, rel_tol=0, progress_bar=0
        ).fit(problem.X)

    def parameters(self, model):
        fitted = model.get_parameters()
        return fitted["weights"], fitted["measurement"]["pis"], None

    def n_iterations(self, model):
        return model.n_iter_


class Pomegranate(System):
    """Start: weights, means and covariances or probabilities, exactly. Its checks of the values of X are switched off,
    which makes it faster. torch's default type is set to that of the data: else a float64 fit is summed in float32."""

    name = "pomegranate"
    module = "pomegranate.gmm"
    families = ("full", "diag", "bernoulli")
    predicts = True

    @classmethod
    def load(cls, n_threads):
        super().load(n_threads)
        import_module("torch").set_num_threads(n_threads)

    def __init__(self, problem):
        super().__init__(problem)
        torch = import_module("torch")
        torch.set_default_dtype(getattr(torch, problem.case.dtype))  # what it makes by itself is of this type
        self.X = torch.from_numpy(problem.X)

    def _components(self):
        distributions = import_module("pomegranate.distributions")
        locations = self.problem.locations.astype(self.problem.X.dtype)
        if self.problem.case.family == "bernoulli":
            return [distributions.Bernoulli(p, check_data=False) for p in locations]
        covariances = self.problem.covariances.astype(self.problem.X.dtype)
        options = {"covariance_type": self.problem.case.family, "check_data": False}
        return [distributions.Normal(*of_one, **options) for of_one in zip(locations, covariances, strict=True)]

    def fit(self, n_iter):
        weights = self.problem.weights.astype(self.problem.X.dtype)
        options = {"max_iter": n_iter, "tol": -math.inf, "check_data": False}
        return import_module(self.module).GeneralMixtureModel(self._components(), weights, **options).fit(self.X)

    def parameters(self, model):
        parts = model.distributions
        if self.problem.case.family == "bernoulli":
            return model.priors.numpy(), np.stack([part.probs.numpy() for part in parts]), None
        means, covariances = ([getattr(part, name).numpy() for part in parts] for name in ("means", "covs"))
        return model.priors.numpy(), np.stack(means), np.stack(covariances)

    def predict_proba(self, model):
        return model.predict_proba(self.X)

    def score_samples(self, model):
        return model.log_probability(self.X)


class Gmmx(System):
    """Start: weights, means and covariances, exactly. It refuses float64, so it runs on float32 cases only. Compilation
    for a number of iterations happens in the first, untimed, fit of that number."""

    name = module = "gmmx"
    families = ("full", "diag")
    dtypes = ("float32",)

    def __init__(self, problem):
        super().__init__(problem)
        as_array = import_module("jax.numpy").asarray
        self.X = as_array(problem.X)
        start = (as_array(part, dtype="float32") for part in (problem.locations, problem.covariances, problem.weights))
        self.start = import_module("gmmx").GaussianMixtureModelJax.from_squeezed(*start, problem.case.family)

    def fit(self, n_iter):
        model = import_module("gmmx").EMFitter(max_iter=n_iter, tol=0.0, reg_covar=0.0).fit(self.X, self.start)
        return import_module("jax").block_until_ready(model)  # fit returns before the work is done

    def parameters(self, model):
        covariances = np.reshape(model.gmm.covariances.values_numpy, self.problem.covariances.shape)
        return model.gmm.weights_numpy, model.gmm.means_numpy, covariances

    def n_iterations(self, model):
        return int(model.n_iter)


#: mixfast first: the others are measured against it.
SYSTEMS = (Mixfast, ScikitLearn, Daal4py, StepMix, Pomegranate, Gmmx)
