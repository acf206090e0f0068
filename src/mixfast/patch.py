"""mixfast in programs that import scikit-learn's mixtures and cannot be changed.

`patch_sklearn()` first, then the imports of the program; or, with no line of it touched,

    python -m mixfast.patch script.py arguments
    python -m mixfast.patch -m module arguments
"""

from __future__ import annotations

import argparse
import copyreg
import logging
import runpy
import sys
from importlib import import_module
from pathlib import Path

LOG = logging.getLogger("mixfast.patch")

#: The modules of scikit-learn that have each of the classes.
PLACES = {
    "GaussianMixture": ("sklearn.mixture", "sklearn.mixture._gaussian_mixture"),
    "BayesianGaussianMixture": ("sklearn.mixture", "sklearn.mixture._bayesian_mixture"),
}


def _put(classes):
    """Classes by their names, where scikit-learn has its own."""
    for name, places in PLACES.items():
        for place in places:
            module = import_module(place)
            if getattr(module, name) is not classes[name]:
                setattr(module, name, classes[name])
                LOG.info("%s.%s is now %s.%s", place, name, classes[name].__module__, name)


def _theirs(name):
    """A blank model of scikit-learn's own class of this name, whoever has the name now."""
    theirs = getattr(import_module("mixfast.patched"), name)._replaces
    return theirs.__new__(theirs)


def _by_name(model):
    """How models of scikit-learn's own classes are pickled and copied while their names are those of others."""
    return _theirs, (type(model).__name__,), model.__getstate__()


def patch_sklearn() -> None:
    """Put mixfast's mixtures in the place of scikit-learn's.

    From here on `sklearn.mixture.GaussianMixture` and `sklearn.mixture.BayesianGaussianMixture` are classes of mixfast,
    for whoever imports them afterwards: call this before the imports of the program. Modules that took a class from
    scikit-learn before keep it. What was replaced, and when scikit-learn's own class is used after all, is logged as
    ``INFO`` by the logger ``"mixfast.patch"``.

    Numbers are scikit-learn's to rounding from the same start, but for those that are listed with the classes: of
    `BayesianGaussianMixture` `lower_bound_`, `score_samples`, and covariances that are not ``"full"``. Starts draw
    other random numbers, and so does `sample` where covariances are full or tied. Options of mixfast, `n_threads` for
    one, may be used.

    Scikit-learn's own class still does what mixfast has not:

    - arrays of other libraries than NumPy where scikit-learn's ``array_api_dispatch`` is on: the estimator becomes one
      of scikit-learn's in `fit`;
    - subclasses that say how a step of scikit-learn's algorithm goes (``_m_step``, ``_initialize``, ...): they are
      derived from scikit-learn's class;
    - models that were made before, and those of pickles that a program without this wrote, are scikit-learn's and stay
      so. What is pickled here is read where mixfast is installed.

    See Also
    --------
    unpatch_sklearn : Undo it.

    Examples
    --------
    >>> import mixfast
    >>> mixfast.patch_sklearn()
    >>> from sklearn.mixture import GaussianMixture
    >>> isinstance(GaussianMixture(), mixfast.GaussianMixture)
    True
    >>> mixfast.unpatch_sklearn()
    >>> from sklearn.mixture import GaussianMixture
    >>> isinstance(GaussianMixture(), mixfast.GaussianMixture)
    False
    """
    patched = import_module("mixfast.patched")
    _put({name: getattr(patched, name) for name in PLACES})
    for name in PLACES:
        copyreg.pickle(getattr(patched, name)._replaces, _by_name)


def unpatch_sklearn() -> None:
    """Put scikit-learn's own mixtures back.

    Modules that took a class in between keep it, and so do models. Nothing happens where nothing was patched.

    See Also
    --------
    patch_sklearn : What this undoes.
    """
    patched = import_module("mixfast.patched")
    _put({name: getattr(patched, name)._replaces for name in PLACES})
    for name in PLACES:
        copyreg.dispatch_table.pop(getattr(patched, name)._replaces, None)


def main(arguments: list[str] | None = None) -> None:
    """Run a program with mixfast's mixtures in the place of scikit-learn's.

    Parameters
    ----------
    arguments : list of str, default=None
        Those of the command line where None.
    """
    about = "Run a program with mixfast's mixtures in the place of scikit-learn's."
    parser = argparse.ArgumentParser(prog="python -m mixfast.patch", description=about)
    parser.add_argument("-v", "--verbose", action="store_true", help="say on stderr what is replaced")
    parser.add_argument("-m", dest="is_module", action="store_true", help="the program is a module, not a file")
    parser.add_argument("program", help="a file of Python, or with -m the name of a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the program")
    given = parser.parse_args(arguments)
    if given.verbose:
        LOG.addHandler(logging.StreamHandler())
        LOG.setLevel(logging.INFO)
    patch_sklearn()
    sys.argv = [given.program, *given.arguments]
    if given.is_module:
        runpy.run_module(given.program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(given.program).parent)  # as Python has it, of a file that it is told to run
        runpy.run_path(given.program, run_name="__main__")


if __name__ == "__main__":
    main()
