"""Dirichlet process mixtures of rows that are elsewhere: what follows from sums over these, iterations, and merges."""

from __future__ import annotations

import copy

import numpy as np

from mixfast._threads import resolve_threads
from mixfast.engine._fit import Fit
from mixfast.estimators._conjugate import MomentsElsewhere, column_means, common_of, is_finite
from mixfast.estimators._given import without_iterations
from mixfast.estimators._partitions import SumRows
from mixfast.merges_elsewhere import MergesElsewhere, SummedProblem
from mixfast.moves import Pieces, State
from mixfast.scatter import Scatter
from mixfast.status import Status


class ProcessElsewhere:
    """Base of `DirichletProcessMixture`, before those of fits to sums and to partitions."""

    def _check_sees_all_rows(self):
        super()._check_sees_all_rows()
        if self.algorithm == "sampler" or self._is_sampled():
            raise ValueError(
                "algorithm='sampler' draws the labels of all rows, which have to be here, in one array: set "
                "algorithm='variational' for rows in partitions, blocks or batches, and fit anew"
            )

    def _scatter_of(self, rows, sample_weight):
        asked = self._component().follows_from
        if asked in ("covariance", "variances"):
            structure = "full" if asked == "covariance" else "diag"
            return Scatter.about(*common_of(rows, sample_weight, resolve_threads(self.n_threads), structure))
        if asked == "means":
            weight = float(rows.shape[0] if sample_weight is None else np.sum(sample_weight))
            return Scatter(weight, column_means(rows, sample_weight), np.empty((0, 0)))
        return None

    def _learn_of_all(self, design):
        if design._scatter is None:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            self.prior_ = self._component().prior(self.prior or {}, MomentsElsewhere(design._scatter), self._reader())
        if not is_finite(self.prior_):
            raise self._status_error(Status.NOT_FINITE, np.dtype(np.float64))
        self._share_with_margins()

    def _family_of_design(self):
        return self._reader()._family()  # what is learned of rows is that of the plain family

    def _no_rows(self, dtype):
        readers = self._margins().values() or [self]
        return np.empty((0, sum(own.n_features_in_ for own in readers)), dtype=dtype)

    def _names_of_codes(self):
        return self._reader()._names_of_codes()

    def _columns_of_names(self):
        return self._reader()._columns_of_names()

    def _state_of_fit(self, layout):
        counts, params = self._packed_state(layout)
        return (np.append(counts, self.concentration_posterior_[1]) if self._learns_concentration() else counts), params

    def _in_order(self, course):
        n_components = len(self.weights_)
        order = np.argsort(-course.weights[:n_components], kind="stable")
        if np.array_equal(order, np.arange(n_components)):
            return course
        pieces = Pieces(lambda n: self._family().params_layout(n, self._n_fitted_features()))
        numbers = np.concatenate([course.weights[order], course.weights[n_components:]])
        params = pieces.take(course.params, n_components, order)
        return course._replace(weights=numbers, params=params, converged=False)

    def _iterated(self, passes, survey, checkpoints, progress):
        super()._iterated(passes, survey, checkpoints, progress)
        if self.converged_ and "merge" in self.moves and len(self.counts_) > 1 and self.n_iter_ < self.max_iter:
            self._merge_over(passes, survey)

    def _merge_over(self, passes, survey):
        """Merges that sums over all rows promise, from where iterations have converged."""
        encoded, units, _ = self._engine_of_design(survey.design, np.dtype(np.float64))
        n_features, proportions = self._n_fitted_features(), self._proportions()

        def gather(numbers, params):
            model = copy.copy(self)
            model._finish(without_iterations(numbers, params), None, None)
            statistics = passes(SumRows(model, survey.design), (numbers, params))
            return model._as_gathered(encoded, units, statistics)

        problem = SummedProblem(
            encoded, n_features, proportions, resolve_threads(self.n_threads), survey.design.weight, gather
        )
        state = State(*self._state_of_fit(encoded.family.params_layout(len(self.counts_), n_features)))
        search = MergesElsewhere(problem, len(self.counts_), state, self.tol, self.max_iter - self.n_iter_)
        if not search.promises():
            return
        search.run()
        if search.status & Status.NOT_FINITE:
            return
        status = int(search.status) | int(Status.CONVERGED if search.converged else Status.MAX_ITER)
        bounds, n_iter = [*self.lower_bounds_, *search.bounds], self.n_iter_ + search.n_iter
        self._finish(Fit(*search.state, bounds, search.bound, n_iter, search.converged, status, False), None, None)
        self.n_moves_ = self.n_moves_ | {"merge": self.n_moves_["merge"] + search.n_moves["merge"]}

    def _raise_failure(self, fit, dtype):
        raise self._status_error(fit.status, dtype)

    def _finish(self, found, layout, dtype, reorders=True):
        """Publish what iterations at so many components have found; components stay in their places."""
        self.components_ = {name: copy.copy(own) for name, own in self._margins().items()}  # copies may share them
        if not self.components_:
            del self.components_
        self._publish_posterior(found.weights, found.params, self._family())
        self._publish_course(found)
        self._share_with_margins()
        self._remember_structure()
        self._note_checked()
