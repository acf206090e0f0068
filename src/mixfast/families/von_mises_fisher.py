"""Von Mises-Fisher components: directions, rows of length one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixfast.engine._special import concentration, log_bessel_i_reduced, mean_resultant_length
from mixfast.families._von_mises_fisher import bind_von_mises_fisher
from mixfast.families.domains import NOT_NEGATIVE, SAME_FOR_ALL_COMPONENTS, UNIT_VECTOR
from mixfast.families.family import ColumnKind, Described, Family
from mixfast.families.holding import ALL, COMPONENT, Holding
from mixfast.families.pairs import between


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
    column_kind = ColumnKind.DIRECTION

    #: Whether all components have one concentration.
    is_shared = False

    def range_of_columns(self, n_features):
        return None  # rows are unit vectors

    #: A concentration is found from how far the sum of the rows is along its own direction.
    holdings: dict = {
        "mean_directions": Holding(COMPONENT, ("concentrations",)),
        "concentrations": Holding(COMPONENT),
    }

    def n_held(self, name, held, n_features):
        n_components = int(held.reshape(len(held), -1).any(axis=1).sum())
        if name == "mean_directions":
            return n_components * (n_features - 1)
        return min(n_components, 1) if self.is_shared else n_components

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

    def log_affinity(self, p, q):
        d = p.mean_directions.shape[1]
        joined = np.linalg.norm(_natural(p) + _natural(q), axis=1) / 2
        return np.minimum(_growth(d, joined) - (_growth(d, p.concentrations) + _growth(d, q.concentrations)) / 2, 0.0)

    def divergence(self, p, q):
        d = p.mean_directions.shape[1]
        toward = np.sum(_mean(p) * (_natural(p) - _natural(q)), axis=1)
        return np.maximum(toward - _growth(d, p.concentrations) + _growth(d, q.concentrations), 0.0)

    def merged(self, p, q, share):
        """Components with the mean resultant vector of each pair's mixture."""
        resultants = between(_mean(p), _mean(q), share)
        lengths = np.linalg.norm(resultants, axis=1)
        directions = np.where(
            lengths[:, np.newaxis] > 0,
            resultants / np.where(lengths > 0, lengths, 1)[:, np.newaxis],
            p.mean_directions,  # of what has none
        )
        return self.Params(directions, _concentrations(resultants.shape[1], lengths))

    def word_shares(self, params):
        """Share of each column in the mean direction, (n_components, n_features); negative coordinates count as 0."""
        return np.maximum(params.mean_directions, 0)

    def described(self, params):
        numbers = {
            "mean_direction": params.mean_directions,
            "concentration": np.broadcast_to(params.concentrations[:, np.newaxis], params.mean_directions.shape),
        }
        return [Described(np.arange(params.mean_directions.shape[1]), numbers)]

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
    holdings: dict = VonMisesFisher.holdings | {"concentrations": Holding(ALL)}
    merged = None  # type: ignore[assignment]  # a concentration that all share is not that of two of them

    def apart(self, params):
        return VonMisesFisher(), params

    domains: dict = VonMisesFisher.domains | {"concentrations": (NOT_NEGATIVE, SAME_FOR_ALL_COMPONENTS)}

    def n_parameters(self, n_components, n_features):
        return n_components * (n_features - 1) + 1


#: Families by the names that `concentration_type` gives them.
CONCENTRATIONS = {"own": VonMisesFisher, "shared": SharedVonMisesFisher}


def _each(function):
    """Vectorise a function of (dimension, number) over an array of numbers."""
    return np.vectorize(function, otypes=[np.float64])


#: log of I_nu(kappa) / kappa^nu, nu = d / 2 - 1, less its value at 0: minus the logarithm of the normaliser.
_growth = _each(lambda d, kappa: log_bessel_i_reduced(0.5 * d - 1, kappa))
_lengths = _each(mean_resultant_length)
_concentrations = _each(concentration)


def _natural(params):
    return params.concentrations[:, np.newaxis] * params.mean_directions


def _mean(params):
    """Mean resultant vectors, (n, d)."""
    lengths = _lengths(params.mean_directions.shape[1], params.concentrations)
    return lengths[:, np.newaxis] * params.mean_directions


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
