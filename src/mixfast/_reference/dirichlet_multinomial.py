"""Twin of the Dirichlet-multinomial family (`families/_dirichlet_multinomial.pyx`, `families/_cells.pyx`).

X are dense counts. Statistics are weights[K][cells] of the distinct pairs of a column and a count, by column and then
by count, the totals of the rows being one more column.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln, polygamma, xlogy

FLOOR, CAP = 1e-12, 1e12
MAX_STEPS, ENOUGH = 20, 1e-3
FIRST_SUM = 10.0
MAX_NEWTON = 100
MAX_HALVINGS = 16


def cells_of(X):
    """(columns, counts) of the distinct cells of the rows; the column of a total is the number of columns."""
    columns, counts = [], []
    for w, values in enumerate(np.column_stack([X, X.sum(axis=1)]).T):
        found = np.unique(values[values > 0])
        columns.append(np.full(len(found), w))
        counts.append(found)
    if sum(map(len, counts)) == 0:
        return np.array([X.shape[1]]), np.array([0.0])
    return np.concatenate(columns), np.concatenate(counts)


def log_ways(a, n):
    """log Gamma(a + n) / (Gamma(a) n!)"""
    return gammaln(a + n) - gammaln(a) - gammaln(n + 1)


def surrogate(a, counts, weights):
    """(u, v) such that u log a + v a has the first two derivatives of the sum of weights * log_ways(a, counts)."""
    first = digamma(a + counts) - digamma(a)
    second = polygamma(1, a + counts) - polygamma(1, a)
    return -a * a * (weights @ second), weights @ (first + a * second)


class DirichletMultinomial:
    """Every concentration is free."""

    def __init__(self, shape=0.0, rate=0.0):
        self.shape, self.rate = shape, rate

    def log_density(self, X, params):
        (concentrations,) = params
        totals = X.sum(axis=1)
        rows = [log_ways(a, X).sum(axis=1) - log_ways(a.sum(), totals) for a in concentrations]
        return np.array(rows).reshape(len(concentrations), len(X)).T

    def accumulate(self, X, resp, weights, params):
        self.columns, self.counts = cells_of(X)
        values = np.column_stack([X, X.sum(axis=1)])
        return (np.array([(values[:, w] == n) @ resp for w, n in zip(self.columns, self.counts, strict=True)]).T,)

    def common(self, X, sample_weight):
        return ()

    def maximise(self, counts, stats, weights, params, common=()):
        (cells,) = stats
        fitted = [
            self.fit_component(own if count > 0 else cells.sum(axis=0), count if count > 0 else counts.sum(), a)
            for own, count, a in zip(cells, counts, params[0], strict=True)
        ]
        return (np.array(fitted),)

    def log_prior(self, params):
        total = np.sum(xlogy(self.shape, self.free(params[0])) - self.rate * self.free(params[0]))
        if self.shape > 0 and self.rate > 0:
            total += self.free(params[0]).size * (self.shape * np.log(self.rate) - gammaln(self.shape))
        return float(total)

    def unconstrain(self, params):
        return np.log(self.free(params[0])).ravel()

    def constrain(self, free, params):
        concentrations = np.maximum(np.exp(free).reshape(self.free(params[0]).shape), FLOOR)
        return (np.array([self.within(np.broadcast_to(a, params[0].shape[1])) for a in concentrations]),)

    # ---- one component ----

    def free(self, concentrations):
        """What the prior is on."""
        return concentrations

    def within(self, a):
        """No sum of concentrations is beyond the cap."""
        return a * min(1.0, CAP / a.sum())

    def fit_component(self, cells, count, a):
        if not a.sum() > 0:
            a = self.begin(cells, len(a))
        for _ in range(MAX_STEPS):
            new, gain = self.step(cells, a)
            a = new
            if gain < ENOUGH * count:
                break
        return a

    def begin(self, cells, n_columns):
        is_word = self.columns < n_columns
        sums = np.bincount(self.columns[is_word], (cells * self.counts)[is_word], n_columns)
        if sums.sum() == 0:
            return np.ones(n_columns)
        return np.maximum(sums / sums.sum() * FIRST_SUM, FLOOR)

    def surrogates(self, cells, a):
        """Those of the columns, and that of the totals, whose sign is the other."""
        pairs = []
        for w, concentration in enumerate([*a, a.sum()]):
            own = self.columns == w
            pairs.append(surrogate(concentration, self.counts[own], cells[own]))
        u, v = np.array(pairs).T
        return u[:-1], v[:-1], u[-1], v[-1]

    def objective(self, cells, a):
        sign = np.where(self.columns < len(a), 1.0, -1.0)
        both = np.append(a, a.sum())[self.columns]
        return np.sum(sign * cells * log_ways(both, self.counts)) + self.log_prior((a[np.newaxis],))

    def step(self, cells, a):
        """A step that does not lower the objective, and what it gains."""
        before = self.objective(cells, a)
        goals = [self.goal(cells, a)]
        for _ in range(MAX_HALVINGS):
            goals.append(self.halfway(a, goals[-1]))
        for goal in [*goals, self.fixed_point(cells, a)]:
            gain = self.objective(cells, goal) - before
            if gain >= -1e-12 * abs(before):
                return goal, gain
        return a, 0.0

    def fixed_point(self, cells, a):
        """Minka's step: slow, but its gain is certain."""
        u, v, u_sum, v_sum = self.surrogates(cells, a)
        return self.within(np.maximum((u + self.shape + v * a) / (u_sum / a.sum() + v_sum + self.rate), FLOOR))

    def halfway(self, a, goal):
        return np.sqrt(a * goal)

    def multinomial(self, cells, a):
        is_word = self.columns < len(a)
        sums = np.bincount(self.columns[is_word], (cells * self.counts)[is_word], len(a)) + self.shape
        return np.maximum(CAP * sums / sums.sum(), FLOOR)

    def goal(self, cells, a):
        u, v, u_sum, v_sum = self.surrogates(cells, a)
        u, v_sum = u + self.shape, v_sum + self.rate
        s = stationary_price(u, v, u_sum, v_sum, a.sum())
        if s is None:
            s = u_sum / a.sum() + v_sum
            if u.sum() == 0:
                return a if s == 0 else np.full_like(a, FLOOR)
            if not np.sum(u + v * a) > a.sum() * s:
                return at_sum(u, v, a.sum() / 10)
            s = -np.inf
        goal = np.maximum(u / (s - v), FLOOR)
        return goal if 0 < goal.sum() < CAP and s > 0 else self.multinomial(cells, a)


class SymmetricDirichletMultinomial(DirichletMultinomial):
    """One concentration for all columns of a component."""

    def free(self, concentrations):
        return concentrations[..., 0]

    def begin(self, cells, n_columns):
        return np.full(n_columns, FIRST_SUM / n_columns)

    def goal(self, cells, a):
        u, v, u_sum, v_sum = self.surrogates(cells, a)
        u, v, d, one = u.sum() + self.shape, v.sum(), len(a), a[0]
        slope = d * v_sum + self.rate - v
        if u > u_sum and slope > 0:
            one = (u - u_sum) / slope
        elif u > 0:
            is_too_small = u + v * one > one * (d * (u_sum / a.sum() + v_sum) + self.rate)
            one = CAP if is_too_small else one / 10
        elif self.rate > 0:
            one = FLOOR
        return np.full_like(a, min(max(one, FLOOR), CAP / d))

    def fixed_point(self, cells, a):
        u, v, u_sum, v_sum = self.surrogates(cells, a)
        one = (u.sum() + self.shape + v.sum() * a[0]) / (len(a) * (u_sum / a.sum() + v_sum) + self.rate)
        return np.full_like(a, min(max(one, FLOOR), CAP / len(a)))


class FixedDirichletMultinomial(DirichletMultinomial):
    """Concentrations of every component have a given sum."""

    def __init__(self, total, shape=0.0, rate=0.0):
        super().__init__(shape, rate)
        self.total = total

    def begin(self, cells, n_columns):
        return self.within(super().begin(cells, n_columns))

    def within(self, a):
        return a * (self.total / a.sum())

    def halfway(self, a, goal):
        return self.within(super().halfway(a, goal))

    def goal(self, cells, a):
        u, v, _, _ = self.surrogates(cells, a)
        u = u + self.shape
        return at_sum(u, v, self.total) if u.sum() > 0 else a

    def fixed_point(self, cells, a):
        return a


def stationary_price(u, v, u_sum, v_sum, total):
    """The largest s at which u / (s - v) have the sum u_sum / (s - v_sum), or None.

    u_sum / sum of the first is concave in s, s - v_sum a line. Newton's steps come to the larger root from its right.
    """
    if not u.sum() > u_sum:
        return None
    u, v = u[u > 0], v[u > 0]
    low = v.max()
    s = max(u_sum / total + v_sum, np.max(v + u / total))
    is_falling = False
    for _ in range(MAX_NEWTON):
        above, slope = above_line(u, v, u_sum, v_sum, s)
        if slope < 0:
            is_falling = True
            last, s = s, s - above / slope
            if not s > low:
                return None
            if abs(s - last) <= 1e-6 * (s - low):
                return s
        elif is_falling:
            return None
        else:
            s += s - low
    return None


def above_line(u, v, u_sum, v_sum, s):
    shares = u / (s - v)
    total = shares.sum()
    return u_sum / total - (s - v_sum), u_sum * np.sum(shares / (s - v)) / total**2 - 1


def at_sum(u, v, total):
    """u / (s - v) with s such that they have this sum, but for the floor: by Newton's steps, from the left, for the
    reciprocal of the sum, which is concave."""
    kept = u > 0
    s = np.max(v[kept] + u[kept] / total)
    low = v[kept].max()
    for _ in range(MAX_NEWTON):
        shares = u[kept] / (s - v[kept])
        last, s = s, s + (1 / total - 1 / shares.sum()) * shares.sum() ** 2 / np.sum(shares / (s - v[kept]))
        if abs(s - last) <= 1e-6 * (s - low):
            break
    out = np.full(len(u), FLOOR)
    out[kept] = np.maximum(u[kept] / (s - v[kept]), FLOOR)
    return out
