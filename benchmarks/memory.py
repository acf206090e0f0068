"""How much memory a fit needs beyond the rows: 5,000,000 x 8 float32 rows, 16 components, full covariances.

Each case runs in a process of its own and reports the growth of its largest resident size.
"""

from __future__ import annotations

import subprocess
import sys

CASES = {
    "fit from given parameters": "weights_init=W, means_init=M, precisions_init=P",
    "fit from k-means": "init_params='kmeans'",
    "fit from k-means++": "init_params='k-means++'",
}

CHILD = """
import resource, warnings
import numpy as np
from mixfast import GaussianMixture
warnings.simplefilter("ignore")
n, d, K = 5_000_000, 8, 16
rng = np.random.default_rng(0)
M = {spread} * rng.standard_normal((K, d))
X = np.empty((n, d), np.float32)
for part in np.array_split(X, 100):
    part[:] = rng.standard_normal(part.shape) + M[rng.integers(K, size=len(part))]
W, P = np.full(K, 1 / K), np.tile(np.eye(d), (K, 1, 1))
GaussianMixture(2, max_iter=2).fit(X[:5000])  # what importing and the first call cost is not a fit's
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = GaussianMixture(K, max_iter=8, tol=0, random_state=0, {options}).fit(X)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024)
"""


def main():
    print("| start | rows | MiB beyond X |\n|---|---|---|")
    for spread, rows in ((0.5, "overlapping"), (6, "separated: put in order")):
        for name, options in CASES.items():
            child = CHILD.format(options=options, spread=spread)
            result = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
            print(f"| {name} | {rows} | {float(result.stdout):.0f} |", flush=True)


if __name__ == "__main__":
    main()
