"""Merges of variational Bayes over rows that are elsewhere, of which there are sums alone.

The responsibilities of what two components become are the sums of theirs, and their entropy is not higher. So the log
evidence of the joint sums says by how much a merge raises the bound at most: pairs of which it promises nothing are
turned down without a pass over the rows, and what is left is tried by passes over all of them.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mixfast.moves import PRESENT, Merge, Problem, Search, Summary, least_rise


class SummedProblem(Problem):
    """A `Problem` whose rows are elsewhere.

    Parameters
    ----------
    encoded : Encoded
        Of no rows.
    n_features : int
    proportions : Proportions
    n_threads : int
    n : float
        The weight of all rows.
    gather : callable
        (numbers, params) -> `Gathered` of all rows at that state.
    """

    def __init__(self, encoded, n_features, proportions, n_threads, n, gather):
        super().__init__(encoded, n_features, np.float64, proportions, None, n_threads)
        self.n, self._gather = n, gather

    def course(self, n_components):
        em = self.em(n_components)
        em.visit_elsewhere(self._gather, self.n, 1.0)
        return em

    def gather(self, em, state):
        gathered = self._gather(*state)
        return Summary(gathered.counts, gathered.entropy, gathered.stats, state.params)

    def responsibilities(self, state, n_components):
        return None  # they are of rows


class MergesElsewhere(Search):
    """A `Search` whose only move is the merge, by sums alone.

    It begins where iterations have converged, and ends without components that have no rows.
    """

    def __init__(self, problem, n_components, state, tol, max_iter):
        super().__init__(problem, n_components, state, ("merge",), tol, max_iter, n_components)

    def promises(self):
        """Whether there is a pair to try, or a component without rows: one pass over the rows at most."""
        if not self._present().all():
            return True
        summary = self._summary()
        bound = self.problem.bound(summary)[0]
        return bool(self._merges(summary, None, bound, least_rise(bound, self.problem.n)))

    def _near(self, summary):
        """As many pairs as components, those first whose evidence together is the most beside what it is apart; all of
        them where components share sums, of which a part is no sum of two."""
        problem, n_components = self.problem, len(self.names)
        pairs = list(combinations(range(n_components), 2))
        if not problem.stats.all_own:
            return pairs
        apart = problem.weigh(summary)[0].components

        def rise(pair):
            joint = self.merged(problem.taken(summary, list(pair)), 0, 1, 0.0)
            return problem.weigh(joint)[0].components[0] - apart[list(pair)].sum()

        return sorted(pairs, key=rise, reverse=True)[:n_components]

    def _merges(self, summary, resp, bound, rise):
        found = []
        for pair in self._near(summary):
            key = self._key("merge", pair, summary)
            if key in self._failed:
                continue
            move = Merge(key, 0.0, self, tuple(self.names[k] for k in pair), 0.0)
            move.gain = self._gain(move, summary, bound)
            if move.gain > rise:
                found.append(move)
            else:
                self._failed.add(key)
        return self._apart(found)

    def _present(self):
        return self.state.numbers[: len(self.names)] >= PRESENT

    def _drop_empty(self):
        """Components that hold less than half a row go, whatever the bound says."""
        present = self._present()
        if present.all() or not present.any():
            return
        rest = self.problem.taken(self._summary(), np.flatnonzero(present))
        self.names = tuple(name for name, is_there in zip(self.names, present, strict=True) if is_there)
        self.state, self.em = self.problem.bound(rest)[1], self.problem.course(len(self.names))
        self.em.set_state(*self.state)
        bounds, _ = self.em.iterate(1, 0.0)
        self._take(bounds)
        self._sort()
