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
LEAP, GROWTH = 4.0, 1.5


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
    """Every concentration is free. `accumulate` sets the cells that statistics are about."""

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
        has = [(values[:, w] == n) & (n > 0) for w, n in zip(self.columns, self.counts, strict=True)]
        return ((np.array(has).astype(float) @ resp).T,)

    def maximise(self, counts, stats, weights, params):
        """An empty component stays where it is; at the start it has the concentrations of all rows."""
        (cells,) = stats
        fitted = [
            self.fit_component(own, count, a)
            if count > 0
            else a
            if a.sum() > 0
            else self.fit_component(cells.sum(axis=0), counts.sum(), a)
            for own, count, a in zip(cells, counts, params[0], strict=True)
        ]
        return (np.array(fitted),)

    def log_prior(self, params):
        free = self.free(params[0])
        total = np.sum(xlogy(self.shape, free) - self.rate * free)
        if self.shape > 0 and self.rate > 0:
            total += free.size * (self.shape * np.log(self.rate) - gammaln(self.shape))
        return float(total)

    def unconstrain(self, params):
        return np.log(self.free(params[0])).ravel()

    def constrain(self, free, params):
        concentrations = np.exp(free).reshape(len(params[0]), -1) + np.zeros(params[0].shape)
        return (np.array([self.within(a) for a in concentrations]),)

    # ---- one component ----

    def free(self, concentrations):
        """What the prior is on."""
        return concentrations

    def within(self, a):
        """Neither below the floor nor, in all, beyond the cap."""
        return np.maximum(a * min(1.0, CAP / a.sum()), FLOOR)

    def fit_component(self, cells, count, a):
        if not a.sum() > 0:
            a = self.begin(cells, len(a))
        for _ in range(MAX_STEPS):
            before = a.sum()
            a, gain = self.step(cells, a)
            if gain < ENOUGH * count:
                break
        if a.sum() > GROWTH * before:
            limit = self.limit(cells, a)
            return limit if self.objective(cells, limit) >= self.objective(cells, a) else a
        return a

    def sums_of_counts(self, cells, n_columns):
        is_word = self.columns < n_columns
        return np.bincount(self.columns[is_word], (cells * self.counts)[is_word], n_columns)

    def begin(self, cells, n_columns):
        sums = self.sums_of_counts(cells, n_columns)
        return self.within(sums / sums.sum() * FIRST_SUM if sums.sum() > 0 else np.ones(n_columns))

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
        """To a point where the objective is not lower, and what that gains."""
        before = self.objective(cells, a)
        surrogates = self.surrogates(cells, a)
        goal = self.goal(cells, a, *surrogates)
        goals = [goal]
        for _ in range(MAX_HALVINGS - 1):
            goals.append(self.within(np.sqrt(a * goals[-1])))
        for goal in [*goals, self.fixed_point(a, *surrogates)]:
            gain = self.objective(cells, goal) - before
            if gain >= -1e-12 * abs(before):
                return goal, max(gain, 0.0)
        return a, 0.0

    def goal(self, cells, a, u, v, u_sum, v_sum):
        u, v_sum, total = u + self.shape, v_sum + self.rate, a.sum()
        if u.sum() == 0:
            return np.full_like(a, FLOOR) if v_sum > 0 else a
        s = stationary_price(u, v, u_sum, v_sum, total)
        if s is not None:
            goal = np.maximum(u / (s - v), FLOOR)
            return goal if goal.sum() <= CAP else self.limit(cells, a)
        if not np.sum(u + v * a) > u_sum + v_sum * total:
            return at_sum(u, v, min(total / LEAP, np.sqrt(total)))
        goal = self.limit(cells, a)
        if LEAP * total >= CAP or self.objective(cells, goal) > self.objective(cells, a):
            return goal
        return at_sum(u, v, LEAP * total)

    def limit(self, cells, a):
        """A multinomial distribution, nearly."""
        sums = self.sums_of_counts(cells, len(a)) + self.shape
        return np.maximum(CAP * sums / sums.sum(), FLOOR)

    def fixed_point(self, a, u, v, u_sum, v_sum):
        """Minka's step: slow, but its gain is certain."""
        price = u_sum / a.sum() + v_sum + self.rate
        return self.within((u + self.shape + v * a) / price if price > 0 else a)


class SymmetricDirichletMultinomial(DirichletMultinomial):
    """One concentration for all columns of a component."""

    def free(self, concentrations):
        return concentrations[..., 0]

    def within(self, a):
        return np.full_like(a, min(max(a[0], FLOOR), CAP / len(a)))

    def begin(self, cells, n_columns):
        return np.full(n_columns, FIRST_SUM / n_columns)

    def limit(self, cells, a):
        return np.full_like(a, CAP / len(a))

    def goal(self, cells, a, u, v, u_sum, v_sum):
        u, v, d, one = u.sum() + self.shape, v.sum(), len(a), a[0]
        slope = d * v_sum + self.rate - v
        if u > u_sum and slope > 0:
            one = (u - u_sum) / slope
        elif u + v * one > u_sum + (d * v_sum + self.rate) * one:
            one *= LEAP
        elif u > 0 or self.rate > 0:
            one = min(one / LEAP, np.sqrt(one))
        return self.within(np.full_like(a, one))

    def fixed_point(self, a, u, v, u_sum, v_sum):
        price = len(a) * (u_sum / a.sum() + v_sum) + self.rate
        one = (u.sum() + self.shape + v.sum() * a[0]) / price if price > 0 else a[0]
        return self.within(np.full_like(a, one))


class FixedDirichletMultinomial(DirichletMultinomial):
    """Concentrations of every component have a given sum."""

    def __init__(self, total, shape=0.0):
        super().__init__(shape, 0.0)
        self.total = total

    def within(self, a):
        return np.maximum(a * (self.total / a.sum()), FLOOR)

    def goal(self, cells, a, u, v, u_sum, v_sum):
        u = u + self.shape
        return at_sum(u, v, self.total) if u.sum() > 0 else a

    def fixed_point(self, a, u, v, u_sum, v_sum):
        return a

    def limit(self, cells, a):
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
