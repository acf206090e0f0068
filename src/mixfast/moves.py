"""Variational Bayes that finds the number of components: moves add, join and take away components.

Everything here is algebra of statistics. A move replaces those of some components by others, which passes over the
rows of these components alone have gathered; the log evidence of statistics, that of counts and the entropy of
responsibilities then say what the bound would be. A move that promises to raise it is made, two iterations over all
rows follow, and it is kept if their exact bound is higher by more than rounding.

    sort     sticks in the order of their counts, descending: never lowers the bound
    merge    two components become one
    birth    one becomes two, cut along the principal axis of its rows
    delete   the rows of one go to the others

Hughes & Sudderth, "Memoized online variational inference for Dirichlet process mixture models", NIPS 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse

from mixfast._em import EM
from mixfast.engine._predictions import evaluate
from mixfast.engine._rows import Rows
from mixfast.families.family import is_sparse
from mixfast.status import Status

#: The names of the moves that one may ask for.
MOVES = ("birth", "merge", "delete")
NOT_FINITE = int(Status.NOT_FINITE)

# `benchmarks/moves.py` has measured what follows, on 120 searches from one component in 2,000 to 3,000 rows, 11 s of
# one core. "Lower" is by how many nats all bounds together were lower that were lower by more than one, and in how
# many searches.

#: A row belongs to what is deleted with more than this (1e-4: no change), and to what is divided with more than that
#: (0.5: lower by 1,653 in 16; 0.01: by 158 in 10).
TOUCHED, DIVIDED = 1e-8, 0.1
#: Expected rows of a component that is there, and those that a birth must give to both of its parts (0.5, 3: no
#: change).
PRESENT, BORN = 0.5, 1.0
#: Where births cut the principal axis, one after the other. The median alone divides three clusters in a row through
#: the middle one, and finds nothing: lower by 8,728 in 24. With 0.1 and 0.9 higher by 70 in 6, in 1.3 times the time.
CUTS = (0.5, 0.25, 0.75)
#: Births that do not raise the bound by themselves may do so after the iterations that follow: so many are tried when
#: nothing else is left (0: lower by 4,355 in 20; 2: by 6 in 1; 20: no change), those that lose less than so much for
#: each row of the component (0.005: lower by 117 in 14; 0.1: higher by 80 in 5, in 1.15 times the time).
HOPEFUL, HOPE = 5, 0.02
#: Iterations: of the two parts by themselves (3: lower by 8,089 in 18; 30: by 455 in 11, higher by 203 in 13), of all
#: after a move (1: lower by 9,282 in 11; 5: by 614 in 5, higher by 97 in 7), and between moves before all have
#: converged (3: lower by 628 in 12, higher by 84 in 9; 30: by 113 in 7, by 142 in 10, in 1.4 times the iterations).
INNER, AFTER, BETWEEN = 10, 2, 10
#: Passes over the rows of a component that is deleted (1: no change; 5: higher by 62 in 5).
DELETING = 2
#: Two parts are fitted to so many rows of a component at most (1,000: lower by 609 in 6, higher by 82 in 5).
MOST_ROWS = 10_000
#: Responsibilities of so many pairs of a row and a component are looked at at a time.
BLOCK_PAIRS = 1 << 22


def least_rise(bound, n):
    """By how much more than this a bound must rise that rounding is no reason."""
    return 1e-6 * abs(bound) / max(n, 1) + 1e-3


#: From so many rows on statistics are kept for so many blocks of them, where those of a component are not more numbers
#: than this: all blocks have work space of their own.
MANY_ROWS, N_BLOCKS, SMALL_RECORD = 65_536, 8, 4096


def n_blocks_for(n_rows, n_numbers):
    """How many blocks of rows pay, for so many statistics of one component. Of 100,000 rows of 8 columns in 30 clusters
    the search took 7.0 s of one core with 8 blocks and 9.7 s with one, 300 instead of 606 iterations."""
    return N_BLOCKS if n_rows >= MANY_ROWS and n_numbers <= SMALL_RECORD else 1


# ---- arrays of some components ---------------------------------------------------------------------------------------


class Pieces:
    """Packed arrays, of which some have an axis of components: some components of them, or those of two together.

    Parameters
    ----------
    layout_of : callable
        The `Layout` for a number of components.
    """

    def __init__(self, layout_of):
        self.layout_of = lru_cache(maxsize=None)(layout_of)
        self.axes = [
            next((axis for axis, (a, b) in enumerate(zip(two, three, strict=True)) if a != b), None)
            for two, three in zip(layout_of(2).shapes, layout_of(3).shapes, strict=True)
        ]

    @property
    def all_own(self):
        """Whether components share no parameters."""
        return None not in self.axes

    def _pack(self, arrays):
        return np.concatenate([np.ravel(array) for array in arrays]) if arrays else np.empty(0)

    def _arrays(self, buffer, n_components):
        return zip(self.layout_of(n_components).view(buffer), self.axes, strict=True)

    def take(self, buffer, n_components, which):
        """Components `which` in that order; what they share stays."""
        return self._pack(
            [
                array if axis is None else np.take(array, which, axis=axis)
                for array, axis in self._arrays(buffer, n_components)
            ]
        )

    def join(self, buffer, n_components, other, n_others, add=False):
        """The components of both; what they share is that of the first, or the sum."""
        pairs = zip(self._arrays(buffer, n_components), self._arrays(other, n_others), strict=True)
        return self._pack(
            [
                (first + second if add else first) if axis is None else np.concatenate([first, second], axis=axis)
                for (first, axis), (second, _) in pairs
            ]
        )


class Summary(NamedTuple):
    """What responsibilities come to.

    counts (K,), their sums; entropy, in nats; record, the packed statistics, about the centres in the packed `params`
    """

    counts: np.ndarray
    entropy: float
    record: np.ndarray
    params: np.ndarray


class State(NamedTuple):
    """What a pass is made at: the numbers of the proportions, and packed parameters."""

    numbers: np.ndarray
    params: np.ndarray


# ---- the rows and their family ---------------------------------------------------------------------------------------


class Problem:
    """Rows, and the posterior of their components and of the proportions.

    Parameters
    ----------
    encoded : Encoded
        Of a family that is a posterior with a prior that does not depend on the rows, for parts of them are fitted too.
    n_features : int
        Columns of the user's rows.
    dtype : float32 or float64
    proportions : Proportions
    sample_weight : float64 (n_samples,) or None
    n_threads : int
    n_batches : int
        Blocks of rows whose statistics are kept, so that the M-step is made after each of them.
    """

    def __init__(self, encoded, n_features, dtype, proportions, sample_weight=None, n_threads=1, n_batches=1):
        self.encoded, self.dtype, self.proportions, self.n_threads = encoded, np.dtype(dtype), proportions, n_threads
        self.sample_weight = sample_weight
        family = encoded.family
        self.params = Pieces(lambda n_components: family.params_layout(n_components, n_features))
        self.stats = Pieces(lambda n_components: family.stats_layout(n_components, n_features))
        self.rows = Rows(encoded.rows, sample_weight, encoded.base)
        self.n_rows = encoded.rows.shape[0]
        self.n = self.rows.total_weight
        self.edges = np.linspace(0, self.n_rows, min(n_batches, self.n_rows) + 1).astype(int)
        self.total_base = 0.0
        if encoded.base is not None:
            self.total_base = float(encoded.base.sum() if sample_weight is None else sample_weight @ encoded.base)
        self._measures, self._features = {}, None
        self._seeds = encoded.make_seeds()  # which may have other columns than the rows: one for each category
        self._n_places = (encoded.rows if self._seeds is None else self._seeds).shape[1]

    def em(self, n_components, rows=None):
        return EM(
            self.encoded.bind(n_components, self.dtype),
            self.rows if rows is None else rows,
            self.n_threads,
            None,
            self.proportions,
        )

    def course(self, n_components):
        """The object that iterates over all rows: an `EM`, or `Blocks`."""
        return self.em(n_components) if len(self.edges) == 2 else Blocks(self, n_components)

    def block(self, first, last):
        """Some rows one after the other."""
        weight = None if self.sample_weight is None else self.sample_weight[first:last]
        return Rows(self.encoded.rows[first:last], weight)

    def part(self, index, shares=None):
        """A subset of the rows, with responsibilities of one component as weights."""
        weight = None if self.sample_weight is None else self.sample_weight[index]
        if shares is not None:
            weight = shares if weight is None else weight * shares
        return Rows(self.encoded.rows[index], None if weight is None else np.ascontiguousarray(weight))

    def blank(self, n_components):
        """A state to start from labels at."""
        numbers = self.proportions.begun(np.full(n_components, 1.0 / n_components))
        size = self.params.layout_of(n_components).size
        located = self.encoded.family.located(np.zeros((n_components, self._n_places)))
        return State(numbers, np.ones(size) if located is None else located)

    @property
    def features(self):
        """The rows in which births look for principal axes: columns that have no unit."""
        if self._features is None:
            seeds, rows = self._seeds, self.encoded.rows
            if seeds is None and not is_sparse(rows):
                scale = weighted_deviations(rows, self.sample_weight)
                scale[~(scale > 1e-12 * np.abs(rows).max(axis=0))] = np.inf  # a constant column has no direction
                self._features = lambda index: rows[index].astype(np.float64) / scale
            else:
                seeds = rows if seeds is None else seeds
                self._features = lambda index: seeds[index]
        return self._features

    # ---- the algebra -------------------------------------------------------------------------------------------------

    def _measure(self, n_components):
        """An EM that is only asked what statistics come to; a few are kept."""
        if n_components not in self._measures:
            if len(self._measures) > 8:
                self._measures.clear()
            row = self.encoded.rows[:1]
            row = row.astype(np.float64)
            rows = Rows(row if is_sparse(row) else np.ascontiguousarray(row))
            capsule = self.encoded.bind(n_components, np.float64)
            self._measures[n_components] = EM(capsule, rows, self.n_threads, None, self.proportions)
        return self._measures[n_components]

    def weigh(self, summary):
        """(LogEvidence, State) of the M-step on a summary."""
        em = self._measure(len(summary.counts))
        em.set_state(self.proportions.begun(summary.counts), summary.params)
        em.maximise(summary.counts, summary.record, self.rows.least_weight)
        return em.log_evidence(), State(*em.state())

    def bound(self, summary):
        """The evidence lower bound of a summary, and the state that the M-step makes of it."""
        evidence, state = self.weigh(summary)
        total = evidence.components.sum() + evidence.common + evidence.proportions
        return total + summary.entropy + self.total_base, state

    def status_of_bound(self, n_components):
        """Status flags of the last M-step that `bound` made with this number of components."""
        return self._measure(n_components).status

    def gather(self, em, state):
        """The summary of the rows of `em` at a state."""
        em.set_state(*state)
        gathered = em.gather()
        return Summary(gathered.counts, gathered.entropy, gathered.stats, state.params)

    def moved(self, summary, params):
        """The same about other centres."""
        em = self._measure(len(summary.counts))
        numbers = self.proportions.begun(summary.counts)
        em.set_state(numbers, summary.params)
        record = em.recentre(summary.counts, summary.record, numbers, params)
        return summary._replace(record=record, params=params)

    def taken(self, summary, which):
        """The summary of some components."""
        n_components = len(summary.counts)
        return Summary(
            summary.counts[which],
            summary.entropy,
            self.stats.take(summary.record, n_components, which),
            self.params.take(summary.params, n_components, which),
        )

    def joined(self, first, second):
        """A summary with the components of both, one after the other."""
        sizes = len(first.counts), len(second.counts)
        return Summary(
            np.concatenate([first.counts, second.counts]),
            first.entropy + second.entropy,
            self.stats.join(first.record, sizes[0], second.record, sizes[1], add=True),
            self.params.join(first.params, sizes[0], second.params, sizes[1]),
        )

    def plus(self, first, second, sign=1.0):
        """The sum of two summaries whose moments are about the same centres."""
        return Summary(
            first.counts + sign * second.counts,
            first.entropy + sign * second.entropy,
            first.record + sign * second.record,
            first.params,
        )

    def sorted(self, summary, names):
        """Components by their counts, descending."""
        order = np.argsort(-summary.counts, kind="stable")
        return self.taken(summary, order), tuple(names[k] for k in order)

    def sorted_state(self, state, names):
        n_components = len(names)
        order = np.argsort(-state.numbers[:n_components], kind="stable")
        numbers = np.concatenate([state.numbers[:n_components][order], state.numbers[n_components:]])
        return State(numbers, self.params.take(state.params, n_components, order)), tuple(names[k] for k in order)

    def responsibilities(self, state, n_components):
        """Those above 1e-8, a sparse matrix by columns (n_samples, n_components)."""
        X, size = self.encoded.rows, max(1, BLOCK_PAIRS // n_components)
        blocks = []
        for first in range(0, self.n_rows, size):
            em = self.em(n_components, Rows(X[first : first + size]))
            em.set_state(*state)
            resp = np.empty((min(size, self.n_rows - first), n_components), dtype=em.dtype)
            evaluate(em, resp=resp)
            resp[resp <= TOUCHED] = 0
            blocks.append(scipy.sparse.csr_matrix(resp))
        return scipy.sparse.vstack(blocks, format="csc").astype(np.float64)


class Blocks:
    """Incremental EM: after each block of rows the block's old statistics are replaced by new ones in the total, and an
    M-step follows. The first iteration is an ordinary one over all rows. The bound is exact after each block."""

    def __init__(self, problem, n_components):
        self.problem, self.n_components, self.status = problem, n_components, 0
        self._state = problem.blank(n_components)
        self._ems = [problem.em(n_components, problem.block(*block)) for block in pairwise(problem.edges)]

    def set_state(self, numbers, params):
        self._state = State(numbers, params)

    def state(self):
        return self._state

    def _visit(self, em):
        gathered = em.revisit(*self._state)
        return Summary(gathered.counts, gathered.entropy, gathered.stats, self._state.params)

    def _maximise(self, total):
        """The bound of the sums over all blocks; the state becomes that of the M-step on them."""
        bound, self._state = self.problem.bound(total)
        # numbers that one block spoils may be mended by the next
        self.status = self.status & ~NOT_FINITE | self.problem.status_of_bound(self.n_components)
        return bound

    def iterate(self, n_steps, tol, earlier=()):
        """As that of `EM`; a step is a lap over the blocks."""
        problem, previous = self.problem, earlier[-1] if earlier else -np.inf
        known = [self._visit(em) for em in self._ems]
        total = known[0]
        for other in known[1:]:
            total = problem.plus(total, other)
        bound = self._maximise(total)
        bounds = [bound]
        while abs(bounds[-1] - previous) >= tol and len(bounds) < n_steps:
            previous = bounds[-1]
            for i, em in enumerate(self._ems):
                params = self._state.params
                new = self._visit(em)
                total = problem.plus(problem.moved(total, params), problem.moved(known[i], params), -1.0)
                total, known[i] = problem.plus(total, new), new
                bound = self._maximise(total)
            bounds.append(bound)
        return bounds, abs(bounds[-1] - previous) < tol


def weighted_deviations(rows, weights):
    """The standard deviations of dense columns."""
    centre = np.average(rows, axis=0, weights=weights)
    return np.sqrt(np.average(np.square(rows - centre), axis=0, weights=weights))


def direction(features, weights):
    """The principal axis of rows, by power iteration from the row that is farthest out."""
    mean = features.T @ weights / weights.sum()
    if is_sparse(features):
        squares = np.asarray(features.multiply(features).sum(axis=1)).reshape(-1) - 2 * (features @ mean)
        axis = features[int(np.argmax(squares))].toarray().reshape(-1) - mean
    else:
        centred = features - mean
        axis = centred[int(np.argmax(np.einsum("ij,ij->i", centred, centred)))].copy()
    for _ in range(20):
        length = np.linalg.norm(axis)
        if not length > 0:
            return None
        axis = axis / length
        along = weights * (features @ axis - mean @ axis)
        axis = features.T @ along - along.sum() * mean
    return axis


def behind(features, weights, at):
    """Mask of the rows beyond a quantile along their principal axis; None if all rows would be on one side."""
    axis = direction(features, weights)
    if axis is None or not np.linalg.norm(axis) > 0:
        return None
    along = features @ (axis / np.linalg.norm(axis))
    order = np.argsort(along, kind="stable")
    places = np.cumsum(weights[order])
    cut = along[order[min(np.searchsorted(places, at * places[-1]), len(order) - 1)]]
    beyond = along > cut
    return beyond if 0 < beyond.sum() < len(beyond) else None


# ---- moves -----------------------------------------------------------------------------------------------------------


class Search:
    """The course of a fit with moves.

    Parameters
    ----------
    problem : Problem
    n_components : int
    state : State
        To begin with.
    moves : tuple of str
        Of `MOVES`.
    tol : float
        Converged when an iteration changes the bound by less, in nats.
    max_iter : int
        Iterations over all rows at most.
    max_components : int or None
        The most that there may be; None is as many as rows.
    seed : int
        Says which rows of large components births look at.
    note : callable or None
        Told of each iteration: note(bound, n_components).
    """

    def __init__(
        self, problem, n_components, state, moves=MOVES, tol=1e-3, max_iter=1000, max_components=None, seed=0, note=None
    ):
        self.problem, self.moves, self.tol, self.max_iter = problem, moves, tol, max_iter
        self.most = problem.n_rows if max_components is None else max_components
        self.seed, self.note = seed, note
        self.names, self.state = tuple(range(n_components)), state
        self.n_names = len(self.names)
        self.n_iter, self.bounds, self.converged, self.status = 0, [], False, 0
        self.n_moves = dict.fromkeys(MOVES, 0)
        self._failed, self._hopeful = set(), []
        self.em = problem.course(n_components)

    @property
    def bound(self):
        return self.bounds[-1] if self.bounds else -np.inf

    def new_names(self, n):
        self.n_names += n
        return tuple(range(self.n_names - n, self.n_names))

    def run(self):
        """Until no move raises the bound; self."""
        settled = False  # whether the last iterations converged, and no move was kept since
        while not self.converged:
            settled = self._iterate(self.max_iter if settled or not self.moves else BETWEEN)
            if self.moves and self._sort():
                settled = False  # the bound is higher now
            if not self.moves:
                self.converged = settled
            if self.status & NOT_FINITE or not self.moves or self.n_iter >= self.max_iter:
                break
            if self._move(settled):
                settled = False
            elif settled:
                self.converged = True
            else:
                settled = True
        if self.moves and not self.status & NOT_FINITE:
            self._drop_empty()
        return self

    def _iterate(self, n_steps):
        """Iterations; whether they converged."""
        self.em.set_state(*self.state)
        n_steps = min(n_steps, self.max_iter - self.n_iter)
        if n_steps <= 0:
            return False
        bounds, converged = self.em.iterate(n_steps, self.tol, [self.bound])
        self._take(bounds)
        return bool(converged)

    def _take(self, bounds):
        self.bounds.extend(bounds)
        self.n_iter += len(bounds)
        self.state, self.status = State(*self.em.state()), self.status | self.em.status
        if self.note is not None:
            for bound in bounds:
                self.note(bound, len(self.names))

    def _sort(self):
        """Whether that changed anything."""
        before = self.names
        self.state, self.names = self.problem.sorted_state(self.state, self.names)
        return self.names != before

    def _summary(self):
        """Of all rows at the present state."""
        return self.problem.gather(self.problem.em(len(self.names)), self.state)

    def _key(self, kind, places, summary):
        """What a move that failed is remembered by, so that it is tried again when something has changed: the names of
        its components, which each change but iterations gives them anew, and their counts to 1 %."""
        return (kind, *((self.names[k], round(100 * np.log(max(summary.counts[k], 1e-9)))) for k in places))

    def _move(self, settled):
        """Whether a move was kept."""
        problem = self.problem
        summary = self._summary()
        resp = problem.responsibilities(self.state, len(self.names))
        bound = problem.bound(summary)[0]
        rise = least_rise(bound, problem.n)
        searches = [("merge", self._merges)]
        searches += [("birth", lambda *known, at=at: self._births(*known, at)) for at in CUTS]
        if settled:
            searches.append(("delete", self._deletes))
        self._hopeful = []
        for kind, search in searches:
            if kind in self.moves:
                found = search(summary, resp, bound, rise)
                if self._keep_best(kind, found, summary, bound, rise):
                    return True
        return settled and self._keep_hopeful(summary, bound, rise)

    def _keep_hopeful(self, summary, bound, rise):
        """Births one by one that the iterations after them may make worth while."""
        hopeful = sorted(self._hopeful, key=lambda move: -move.gain)
        self._failed.update(move.key for move in hopeful)
        return any(
            self._try("birth", self._combined(summary, [move]), bound, rise)
            for move in hopeful[: HOPEFUL if len(self.names) < self.most else 0]
        )

    def _keep_best(self, kind, found, summary, bound, rise):
        """All of the moves at once; if that fails, the first that can be kept by itself."""
        found = sorted(found, key=lambda move: -move.gain)
        if len(found) > 1 and self._try(kind, self._combined(summary, found), bound, rise):
            return True
        for move in found:
            if self._try(kind, self._combined(summary, [move]), bound, rise):
                return True
            self._failed.add(move.key)
        return False

    def _combined(self, summary, found):
        """The summary after moves that touch different components."""
        problem, names = self.problem, self.names
        for move in found:
            summary, names = move.apply(summary, names)
        return problem.sorted(summary, names)

    def _gain(self, move, summary, bound):
        """By how much a move raises the bound by itself."""
        return self.problem.bound(self._combined(summary, [move])[0])[0] - bound

    def _try(self, kind, changed, bound, rise):
        """Iterations from a summary; kept if the bound rises."""
        summary, names = changed
        problem, n_components = self.problem, len(names)
        state = problem.bound(summary)[1]
        em = problem.course(n_components)
        em.set_state(*state)
        bounds, _ = em.iterate(AFTER, 0.0)
        self.n_iter += len(bounds)
        counts = em.state()[0][:n_components]
        if not bounds[-1] > max(bound, self.bound) + rise or (kind == "birth" and counts.min() < BORN):
            return False
        self.em, self.names = em, names
        self.n_iter -= 1
        self._take(bounds[-1:])
        self._sort()
        self.n_moves[kind] += 1
        return True

    def with_empty(self, n_components):
        """(bound, state) of one M-step more, on the components that are there and so many without rows that there are
        n_components."""
        problem, n_empty = self.problem, n_components - len(self.names)
        summary = self._summary()
        if n_empty:
            record = np.zeros(problem.stats.layout_of(n_empty).size)
            centres = problem.params.take(summary.params, len(self.names), np.zeros(n_empty, dtype=int))
            summary = problem.joined(summary, Summary(np.zeros(n_empty), 0.0, record, centres))
        return problem.bound(summary)

    # ---- merge -------------------------------------------------------------------------------------------------------

    def _merges(self, summary, resp, bound, rise):
        """Pairs that share no component, the best first."""
        problem, names = self.problem, self.names
        n_components = len(names)
        pairs = []
        overlap = (resp.T @ resp).toarray() if n_components > 1 else np.zeros((1, 1))
        for k in range(n_components):
            near = [other for other in range(k + 1, n_components) if overlap[k, other] > 0]
            pairs += [(k, other) for other in near if self._key("merge", (k, other), summary) not in self._failed]
        pairs = sorted(pairs, key=lambda pair: -overlap[pair])[:n_components]
        found = []
        for pair in pairs:
            change = _entropy_change(resp, *pair, problem.sample_weight)
            move = Merge(self._key("merge", pair, summary), 0.0, self, (names[pair[0]], names[pair[1]]), change)
            move.gain = self._gain(move, summary, bound)
            if move.gain > rise:
                found.append(move)
            else:
                self._failed.add(move.key)
        return self._apart(found)

    @staticmethod
    def _apart(found):
        """The best of these merges that share no component."""
        chosen, taken = [], set()
        for move in sorted(found, key=lambda move: -move.gain):
            if not taken & set(move.pair):
                chosen.append(move)
                taken |= set(move.pair)
        return chosen

    def merged(self, summary, k, other, entropy_change):
        """Component `other` becomes part of k, and is gone."""
        problem, n_components = self.problem, len(summary.counts)
        which = np.arange(n_components)
        which[other] = k
        at_one = problem.params.take(summary.params, n_components, which)
        at_one = problem.moved(summary, at_one)
        own = problem.stats.take(at_one.record, n_components, np.arange(n_components))
        view = problem.stats.layout_of(n_components).view(own)
        for array, axis in zip(view, problem.stats.axes, strict=True):
            if axis is not None:
                place = [slice(None)] * array.ndim
                place[axis] = k
                added = [slice(None)] * array.ndim
                added[axis] = other
                array[tuple(place)] += array[tuple(added)]
        counts = summary.counts.copy()
        counts[k] += counts[other]
        joint = Summary(counts, summary.entropy + entropy_change, own, at_one.params)
        return problem.taken(joint, np.delete(np.arange(n_components), other))

    # ---- birth -------------------------------------------------------------------------------------------------------

    def _births(self, summary, resp, bound, rise, at):
        found = []
        for k in range(len(self.names)):
            key = (*self._key("birth", (k,), summary), at)
            if key in self._failed or summary.counts[k] < 2 * BORN:
                continue
            parts = self._divided(summary, resp, k, at)
            if parts is not None:
                move = _Birth(key, 0.0, self, self.names[k], parts)
                move.gain = self._gain(move, summary, bound)
                if move.gain > rise - HOPE * summary.counts[k]:
                    (found if move.gain > rise else self._hopeful).append(move)
                    continue
            self._failed.add(key)
        found = sorted(found, key=lambda move: -move.gain)
        return found[: max(self.most - len(self.names), 0)]

    def _divided(self, summary, resp, k, at):
        """A summary with component k replaced by two. Statistics that components share lose k's part and gain
        theirs."""
        problem = self.problem
        own, shares = _column(resp, k)
        many = shares > DIVIDED
        index, weights = own[many], shares[many]
        if len(index) > MOST_ROWS:
            rng = np.random.default_rng([self.seed, self.names[k], self.n_iter])
            chosen = np.sort(rng.choice(len(index), MOST_ROWS, replace=False))
            index, weights = index[chosen], weights[chosen]
        if len(index) < 2:
            return None
        whole = weights if problem.sample_weight is None else weights * problem.sample_weight[index]
        beyond = behind(problem.features(index), whole, at)
        if beyond is None:
            return None
        em = problem.em(2, problem.part(index, weights))
        em.set_state(*problem.blank(2))
        em.start_from_labels(beyond.astype(np.int64))
        em.iterate(INNER, self.tol)
        state = State(*em.state())
        if not np.all(np.isfinite(state.params)) or state.numbers[:2].min() < BORN:
            return None
        parts = problem.gather(problem.em(2, problem.part(own, shares)), state)
        if problem.stats.all_own:
            return parts
        n_components = len(summary.counts)
        alone = State(
            problem.proportions.begun(summary.counts[[k]]), problem.params.take(summary.params, n_components, [k])
        )
        before = problem.gather(problem.em(1, problem.part(own, shares)), alone)
        layout = problem.stats.layout_of
        for array, less, axis in zip(
            layout(2).view(parts.record), layout(1).view(before.record), problem.stats.axes, strict=True
        ):
            if axis is None:
                array -= less
        return parts

    # ---- delete ------------------------------------------------------------------------------------------------------

    def _deletes(self, summary, resp, bound, rise):
        """At most one: others may be where its rows would go."""
        n_components = len(self.names)
        for k in np.argsort(summary.counts, kind="stable"):
            key = self._key("delete", (int(k),), summary)
            if key in self._failed or n_components == 1:
                continue
            move = _Delete(key, 0.0, self, self.names[k], self._deleted(summary, resp, int(k)))
            move.gain = self._gain(move, summary, bound)
            if move.gain > rise:
                return [move]
            self._failed.add(key)
        return []

    def _deleted(self, summary, resp, k):
        """The summary without component k; its rows are divided among the other components by their
        responsibilities."""
        problem, n_components = self.problem, len(summary.counts)
        index = _column(resp, k)[0]
        if len(index) == 0:
            return problem.taken(summary, np.delete(np.arange(n_components), k))
        rows = problem.part(index)
        state = State(problem.proportions.begun(summary.counts), summary.params)
        # the numbers of the pass that gathered them: the state of the search
        own = problem.gather(problem.em(n_components, rows), State(self.state.numbers, state.params))
        others = np.delete(np.arange(n_components), k)
        rest = problem.taken(problem.plus(summary, own, -1.0), others)
        em = problem.em(n_components - 1, rows)
        numbers, params = problem.bound(problem.taken(summary, others))[1]  # of what the rows have left
        for _ in range(DELETING):
            shared = problem.gather(em, State(numbers, params))
            rest = problem.moved(rest, params)
            total = problem.plus(rest, shared)
            numbers, params = problem.bound(total)[1]
        return total

    def _drop_empty(self):
        """Components that hold less than half a row go, smallest first, whatever the bound says."""
        problem = self.problem
        n_components = len(self.names)
        counts = self.state.numbers[:n_components]
        if n_components == 1 or counts.min() >= PRESENT:
            return
        while len(self.names) > 1 and self.state.numbers[: len(self.names)].min() < PRESENT:
            n_components = len(self.names)
            k = int(np.argmin(self.state.numbers[:n_components]))
            summary = self._summary()
            resp = problem.responsibilities(self.state, n_components)
            changed = self._deleted(summary, resp, k)
            self.names = tuple(np.delete(self.names, k).tolist())
            self.state = problem.bound(changed)[1]
            self.em = problem.course(n_components - 1)
            self._sort()
        self.em.set_state(*self.state)
        bounds, _ = self.em.iterate(1, 0.0)
        self._take(bounds)
        self._sort()


@dataclass
class _Move:
    key: tuple
    gain: float
    search: Search


@dataclass
class Merge(_Move):
    pair: tuple
    entropy_change: float

    def apply(self, summary, names):
        k, other = (names.index(name) for name in self.pair)
        left = list(names)
        left[k] = self.search.new_names(1)[0]
        del left[other]
        return self.search.merged(summary, k, other, self.entropy_change), tuple(left)


@dataclass
class _Birth(_Move):
    name: int
    parts: Summary

    def apply(self, summary, names):
        problem, k = self.search.problem, names.index(self.name)
        others = np.delete(np.arange(len(names)), k)
        left = tuple(names[i] for i in others) + self.search.new_names(2)
        return problem.joined(problem.taken(summary, others), self.parts), left


@dataclass
class _Delete(_Move):
    name: int
    changed: Summary

    def apply(self, summary, names):
        k = names.index(self.name)
        return self.changed, names[:k] + names[k + 1 :]


def _column(resp, k):
    """Rows and values of a column."""
    inside = slice(resp.indptr[k], resp.indptr[k + 1])
    return resp.indices[inside].astype(np.int64), resp.data[inside]


def _entropy_change(resp, k, other, weights):
    """Of the responsibilities when two components become one: only rows that both have something of count."""
    rows, first = _column(resp, k)
    others, second = _column(resp, other)
    common, i, j = np.intersect1d(rows, others, assume_unique=True, return_indices=True)
    a, b = first[i], second[j]
    change = a * np.log(a) + b * np.log(b) - (a + b) * np.log(a + b)
    return float(change.sum() if weights is None else weights[common] @ change)
