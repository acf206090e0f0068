"""mixfast: mixture models by EM, fast and dependable.

The names below are imported when they are first used: `import mixfast` alone loads neither scikit-learn nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mixfast._names import HOMES as _HOMES
from mixfast._version import __version__ as __version__

if TYPE_CHECKING:
    from mixfast._config import get_include as get_include
    from mixfast._config import show_config as show_config
    from mixfast.batches.fit_many import fit_many as fit_many
    from mixfast.batches.fit_many import fit_many_columns as fit_many_columns
    from mixfast.batches.fit_many import fit_many_groups as fit_many_groups
    from mixfast.batches.result import BatchResult as BatchResult
    from mixfast.bootstrap import BootstrapLRT as BootstrapLRT
    from mixfast.bootstrap import bootstrap_lrt as bootstrap_lrt
    from mixfast.classifier import MixtureClassifier as MixtureClassifier
    from mixfast.design import Design as Design
    from mixfast.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture as BayesianGaussianMixture
    from mixfast.estimators.bernoulli_mixture import BernoulliMixture as BernoulliMixture
    from mixfast.estimators.categorical_mixture import CategoricalMixture as CategoricalMixture
    from mixfast.estimators.dirichlet_multinomial_mixture import (
        DirichletMultinomialMixture as DirichletMultinomialMixture,
    )
    from mixfast.estimators.dirichlet_process_mixture import DirichletProcessMixture as DirichletProcessMixture
    from mixfast.estimators.gamma_mixture import ExponentialMixture as ExponentialMixture
    from mixfast.estimators.gamma_mixture import GammaMixture as GammaMixture
    from mixfast.estimators.gaussian_mixture import GaussianMixture as GaussianMixture
    from mixfast.estimators.gsdmm import GSDMM as GSDMM
    from mixfast.estimators.mixture_of_experts import MixtureOfExperts as MixtureOfExperts
    from mixfast.estimators.multinomial_mixture import MultinomialMixture as MultinomialMixture
    from mixfast.estimators.poisson_mixture import PoissonMixture as PoissonMixture
    from mixfast.estimators.product_mixture import ProductMixture as ProductMixture
    from mixfast.estimators.student_t_mixture import StudentTMixture as StudentTMixture
    from mixfast.estimators.von_mises_fisher_mixture import VonMisesFisherMixture as VonMisesFisherMixture
    from mixfast.inference import Inference as Inference
    from mixfast.maps import BatchMap as BatchMap
    from mixfast.maps import MixtureMap as MixtureMap
    from mixfast.matching import match as match
    from mixfast.matching import reduce as reduce
    from mixfast.merging import MergeTree as MergeTree
    from mixfast.merging import merge_tree as merge_tree
    from mixfast.patch import patch_sklearn as patch_sklearn
    from mixfast.patch import unpatch_sklearn as unpatch_sklearn
    from mixfast.persistence import load as load
    from mixfast.plot import BatchDisplay as BatchDisplay
    from mixfast.plot import MixtureDisplay as MixtureDisplay
    from mixfast.plot import SelectionDisplay as SelectionDisplay
    from mixfast.plot import TraceDisplay as TraceDisplay
    from mixfast.plot import plot_mixture as plot_mixture
    from mixfast.reading import Summary as Summary
    from mixfast.reading import top_words as top_words
    from mixfast.resampling import BootstrapInference as BootstrapInference
    from mixfast.resampling import bootstrap_inference as bootstrap_inference
    from mixfast.row_blocks import blocks as blocks
    from mixfast.selection import Selection as Selection
    from mixfast.selection import select as select
    from mixfast.statistics import Statistics as Statistics
    from mixfast.status import Status as Status

__all__ = list(_HOMES)

#: Public modules that `import mixfast` alone finds.
_MODULES = ("capi", "maps", "partitions", "plot")


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"mixfast.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__():
    return sorted(__all__)
