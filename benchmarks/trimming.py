"""Why `trim` refuses rows with missing entries: which rows could be left out of a Gaussian, and what comes of it.

python benchmarks/trimming.py

Rows of five columns, three tenths of whose entries are missing, a twentieth of them outliers; a tenth is left out. Rows
are left out first that have the lowest density of what is there; the same relative to a uniform density, over the range
or over the interquartile range of the columns that are there; or the least probable squared distance, which is
chi-squared with as many degrees of freedom as there are entries.
"""

from functools import partial

import numpy as np
from scipy.stats import chi2

N_ROWS, N_COLUMNS, MISSING, OUTLIERS, TRIM, N_STEPS, N_SEEDS = 400, 5, 0.3, 0.05, 0.1, 60, 6


def drawn(rng):
    """(rows, of which the first n are outliers; n)"""
    mixing = np.eye(N_COLUMNS) + 0.5 * rng.normal(size=(N_COLUMNS, N_COLUMNS))
    rows, n_outliers = rng.normal(size=(N_ROWS, N_COLUMNS)) @ mixing, round(OUTLIERS * N_ROWS)
    rows[:n_outliers] = 25 + 3 * rng.normal(size=(n_outliers, N_COLUMNS))
    missing = rng.random(rows.shape) < MISSING
    missing[np.arange(N_ROWS), rng.integers(N_COLUMNS, size=N_ROWS)] = False
    rows[missing] = np.nan
    return rows, n_outliers


def widths(rows, percentiles):
    return np.subtract(*np.nanpercentile(rows, percentiles, axis=0))


def densities(rows, mean, covariance):
    """(squared distances, log densities) of what is there."""
    distance, log_density = np.empty((2, len(rows)))
    for i, row in enumerate(rows):
        there = ~np.isnan(row)
        own = covariance[np.ix_(there, there)]
        away = row[there] - mean[there]
        distance[i] = away @ np.linalg.solve(own, away)
        log_density[i] = -0.5 * (distance[i] + np.linalg.slogdet(2 * np.pi * own)[1])
    return distance, log_density


def step(rows, mean, covariance):
    """An iteration of EM: mean and covariance of rows in which what is missing is imputed."""
    filled, added = rows.copy(), np.zeros_like(covariance)
    for row in filled:
        gone = np.isnan(row)
        there = ~gone
        slopes = np.linalg.solve(covariance[np.ix_(there, there)], covariance[np.ix_(there, gone)]).T
        row[gone] = mean[gone] + slopes @ (row[there] - mean[there])
        added[np.ix_(gone, gone)] += covariance[np.ix_(gone, gone)] - slopes @ covariance[np.ix_(there, gone)]
    mean = filled.mean(axis=0)
    return mean, ((filled - mean).T @ (filled - mean) + added) / len(rows)


def by_density(rows, distance, log_density):
    return log_density


def beside_uniform(percentiles, rows, distance, log_density):
    return log_density + ~np.isnan(rows) @ np.log(widths(rows, percentiles))


def by_probability(rows, distance, log_density):
    return chi2.logsf(distance, (~np.isnan(rows)).sum(axis=1))


#: Name: (what is compared, what is added up over the rows that are kept).
RULES = {
    "density": (by_density, by_density),
    "beside uniform, range": (partial(beside_uniform, [100, 0]),) * 2,
    "beside uniform, quartiles": (partial(beside_uniform, [75, 25]),) * 2,
    "probability of the distance": (by_probability, by_density),
}


def trimmed(rows, compared, added_up):
    """(objectives, whether each row is kept at the end)"""
    mean, covariance = np.nanmedian(rows, axis=0), np.diag((widths(rows, [75, 25]) / 1.35) ** 2)
    objectives, kept = [], np.ones(len(rows), dtype=bool)
    for _ in range(N_STEPS):
        found = rows, *densities(rows, mean, covariance)
        kept[:] = True
        kept[np.argsort(compared(*found), kind="stable")[: round(TRIM * len(rows))]] = False
        objectives.append(added_up(*found)[kept].sum() / len(rows))
        mean, covariance = step(rows[kept], mean, covariance)
    return objectives, kept


def main():
    columns = "compared by", "largest fall", "outliers left out", "others, of 2, 3, 4, 5 entries", "in other units"
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---|")
    for name, rule in RULES.items():
        falls, found, others, same = [], [], [], []
        for seed in range(N_SEEDS):
            rows, n_outliers = drawn(np.random.default_rng(seed))
            objectives, kept = trimmed(rows, *rule)
            _, kept_in_other_units = trimmed(rows * np.append(1e-3, np.ones(N_COLUMNS - 1)), *rule)
            n_there = (~np.isnan(rows)).sum(axis=1)[n_outliers:]
            falls.append(-min(np.diff(objectives)))
            found.append(np.mean(~kept[:n_outliers]))
            others.append([np.mean(~kept[n_outliers:][n_there == n]) for n in range(2, N_COLUMNS + 1)])
            same.append(np.sum(~kept & ~kept_in_other_units) / np.sum(~kept))
        shares = ", ".join(f"{share:.0%}" for share in np.mean(others, axis=0))
        print(f"| {name} | {max(falls):.0e} | {np.mean(found):.0%} | {shares} | {np.mean(same):.0%} the same |")


if __name__ == "__main__":
    main()
