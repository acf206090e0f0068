"""Von Mises-Fisher components: directions, rows of length one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.families._von_mises_fisher import bind_von_mises_fisher
from mixfast.families.domains import NOT_NEGATIVE, SAME_FOR_ALL_COMPONENTS, UNIT_VECTOR
from mixfast.families.family import Family


class VonMisesFisherParams(NamedTuple):
    """mean_directions (K, d): unit vectors; concentrations (K,): about them, 0 for none."""

    mean_directions: np.ndarray
    concentrations: np.ndarray


class VonMisesFisherStats(NamedTuple):
    """sums (K, d): weighted sums of the rows."""

    sums: np.ndarray


class VonMisesFisher(Family):
    """log p(x | k) = log C_d(kappa_k) + kappa_k mu_k'x for unit vectors x, each component with a concentration of its
    own."""

    # float32 has no digits for the log density of concentrations beyond 1e3 (d - 1), ordinary ones. With float32 rows a
    # fit takes 1.5 times as long as in float32: 50,000 x 50 dense, and 20,000 x 5,000 of which 1 % is stored, K=10.
    dtypes = (np.float64,)

    Params = VonMisesFisherParams
    Stats = VonMisesFisherStats
    domains: dict = {"mean_directions": (UNIT_VECTOR,), "concentrations": (NOT_NEGATIVE,)}

    #: Whether all components have one concentration.
    is_shared = False

    def param_shapes(self, n_components, n_features):
        return (n_components, n_features), (n_components,)

    def stat_shapes(self, n_components, n_features):
        return ((n_components, n_features),)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def n_rows_needed(self, n_features):
        return 2  # one row makes a concentration infinite

    def located(self, centres):
        return self.blank(*np.shape(centres))  # its statistics are measured from nothing

    def bind(self, n_components, n_features, dtype, isa=None, is_sparse=False):
        return bind_von_mises_fisher(n_components, n_features, isa, is_sparse, self.is_shared)

    def sample(self, params, labels, rng):
        """By rejection of the cosine with the mean direction: Wood, Commun. Statist. - Simula. 23 (1994), 157-164,
        after Ulrich, J. R. Stat. Soc. C 33 (1984), 158-163."""
        if np.any(params.concentrations < 0):
            raise ValueError(f"concentrations should not be negative, got {params.concentrations.min()}")
        # of larger ones twice is infinite; these, too, leave no digit of a row but the mean direction's
        directions, concentrations = params.mean_directions[labels], np.minimum(params.concentrations, 1e300)[labels]
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        shortfall = _one_minus_cosines(concentrations, directions.shape[1], rng)[:, np.newaxis]
        tangents = rng.standard_normal(directions.shape)
        tangents -= np.sum(tangents * directions, axis=1, keepdims=True) * directions
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        X = (1 - shortfall) * directions + np.sqrt(shortfall * (2 - shortfall)) * tangents
        return X / np.linalg.norm(X, axis=1, keepdims=True)


class SharedVonMisesFisher(VonMisesFisher):
    """The same with one concentration for all components."""

    is_shared = True
    domains: dict = VonMisesFisher.domains | {"concentrations": (NOT_NEGATIVE, SAME_FOR_ALL_COMPONENTS)}

    def n_parameters(self, n_components, n_features):
        return n_components * (n_features - 1) + 1


#: Families by the names that `concentration_type` gives them.
CONCENTRATIONS = {"own": VonMisesFisher, "shared": SharedVonMisesFisher}


def _one_minus_cosines(kappa, n_features, rng):
    """1 - mu'x of a row for each concentration: the cosine itself has no digits left where it is nearly one."""
    m = n_features - 1
    b = m / (2 * kappa + np.hypot(2 * kappa, m))
    mode = 2 * b / (1 + b)
    log_peak = m * np.log(2 * mode / (1 + b))  # of (1 - x0 w)^m exp(kappa (w - x0)) at w = x0 = 1 - mode
    found = np.empty(len(kappa))
    left = np.arange(len(kappa))
    while len(left):
        z, own, top = rng.beta(m / 2, m / 2, len(left)), b[left], mode[left]
        shortfall = 2 * own * z / (1 - (1 - own) * z)
        log_density = kappa[left] * (top - shortfall) + m * np.log(top + (1 - top) * shortfall)
        accepted = log_density - log_peak[left] >= np.log(rng.uniform(size=len(left)))
        found[left[accepted]] = shortfall[accepted]
        left = left[~accepted]
    return found
