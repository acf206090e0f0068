"""mixfast: mixture models by EM, fast and dependable.

The names below are imported when they are first used: `import mixfast` alone loads neither scikit-learn nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mixfast._config import get_include, show_config
    from mixfast.batches.fit_many import fit_many, fit_many_columns, fit_many_groups
    from mixfast.batches.result import BatchResult
    from mixfast.bootstrap import BootstrapLRT, bootstrap_lrt
    from mixfast.estimators.bernoulli_mixture import BernoulliMixture
    from mixfast.estimators.categorical_mixture import CategoricalMixture
    from mixfast.estimators.dirichlet_multinomial_mixture import DirichletMultinomialMixture
    from mixfast.estimators.gamma_mixture import ExponentialMixture, GammaMixture
    from mixfast.estimators.gaussian_mixture import GaussianMixture
    from mixfast.estimators.gsdmm import GSDMM
    from mixfast.estimators.multinomial_mixture import MultinomialMixture
    from mixfast.estimators.poisson_mixture import PoissonMixture
    from mixfast.estimators.product_mixture import ProductMixture
    from mixfast.estimators.student_t_mixture import StudentTMixture
    from mixfast.estimators.von_mises_fisher_mixture import VonMisesFisherMixture
    from mixfast.persistence import load
    from mixfast.plotting import plot_mixture
    from mixfast.selection import Selection, select
    from mixfast.status import Status

#: Where each public name lives.
_HOMES = {
    "BatchResult": "mixfast.batches.result",
    "BernoulliMixture": "mixfast.estimators.bernoulli_mixture",
    "BootstrapLRT": "mixfast.bootstrap",
    "CategoricalMixture": "mixfast.estimators.categorical_mixture",
    "DirichletMultinomialMixture": "mixfast.estimators.dirichlet_multinomial_mixture",
    "ExponentialMixture": "mixfast.estimators.gamma_mixture",
    "GSDMM": "mixfast.estimators.gsdmm",
    "GammaMixture": "mixfast.estimators.gamma_mixture",
    "GaussianMixture": "mixfast.estimators.gaussian_mixture",
    "MultinomialMixture": "mixfast.estimators.multinomial_mixture",
    "PoissonMixture": "mixfast.estimators.poisson_mixture",
    "ProductMixture": "mixfast.estimators.product_mixture",
    "Selection": "mixfast.selection",
    "Status": "mixfast.status",
    "StudentTMixture": "mixfast.estimators.student_t_mixture",
    "VonMisesFisherMixture": "mixfast.estimators.von_mises_fisher_mixture",
    "bootstrap_lrt": "mixfast.bootstrap",
    "fit_many": "mixfast.batches.fit_many",
    "fit_many_columns": "mixfast.batches.fit_many",
    "fit_many_groups": "mixfast.batches.fit_many",
    "get_include": "mixfast._config",
    "load": "mixfast.persistence",
    "plot_mixture": "mixfast.plotting",
    "select": "mixfast.selection",
    "show_config": "mixfast._config",
}

__all__ = [
    "GSDMM",
    "BatchResult",
    "BernoulliMixture",
    "BootstrapLRT",
    "CategoricalMixture",
    "DirichletMultinomialMixture",
    "ExponentialMixture",
    "GammaMixture",
    "GaussianMixture",
    "MultinomialMixture",
    "PoissonMixture",
    "ProductMixture",
    "Selection",
    "Status",
    "StudentTMixture",
    "VonMisesFisherMixture",
    "bootstrap_lrt",
    "fit_many",
    "fit_many_columns",
    "fit_many_groups",
    "get_include",
    "load",
    "plot_mixture",
    "select",
    "show_config",
]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *_HOMES])
