"""What a program pays before its first fit: each time in an interpreter of its own."""


def timeraw_import():
    """mixfast alone: neither scikit-learn nor matplotlib."""
    return "import mixfast"


def timeraw_import_numpy():
    """The share of `timeraw_import` that is NumPy's, if the program has not imported it."""
    return "import numpy"


def timeraw_import_and_fit():
    """With scikit-learn's import, which is most of it."""
    return """
    import mixfast
    mixfast.GaussianMixture(2).fit([[1.0], [1.1], [5.0], [5.1]])
    """


def timeraw_import_scikit_learns():
    """What `timeraw_import_and_fit` cannot be less than."""
    return "import sklearn.base, sklearn.utils.validation"
