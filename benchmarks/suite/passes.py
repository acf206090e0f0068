"""One pass of EM over the rows: the kernels, without anything that an estimator does around them."""

import numpy as np
from data import generate
from pruning import N_ITER, engine, groups

from mixfast._em import EM
from mixfast._threads import allowed_threads
from mixfast.engine._rows import Rows
from mixfast.families.bernoulli import Bernoulli
from mixfast.families.gaussian import STRUCTURES

from . import SMALL


class Pass:
    params = [list(SMALL)]
    param_names = ["case"]

    def setup(self, letter):
        problem = generate(SMALL[letter])
        case = problem.case
        family = Bernoulli() if case.family == "bernoulli" else STRUCTURES[case.family]()
        self.one, self.all = (self._engine(family, problem, threads) for threads in (1, allowed_threads()))

    @staticmethod
    def _engine(family, problem, n_threads):
        case = problem.case
        capsule = family.bind(case.n_components, case.n_features, problem.X.dtype)
        em = EM(capsule, Rows(problem.X), n_threads)
        em.set_state(problem.weights, family.blank(case.n_components, case.n_features))
        em.start_from_labels(problem.labels.astype(np.int64))
        return em

    def time_pass_one_thread(self, letter):
        self.one.gather()

    def time_pass_all_threads(self, letter):
        self.all.gather()


class LateStep:
    """A step of EM when most responsibilities are nothing, with and without leaving those out."""

    params = [[64, 256], [True, False]]
    param_names = ["components", "prunes"]

    def setup(self, n_components, prunes):
        X, means = groups(20_000, 16, n_components, 3.0)
        self.em = engine("full", X, means, prunes, allowed_threads())
        for _ in range(N_ITER):
            self.em.step()

    def time_step(self, n_components, prunes):
        self.em.step()
