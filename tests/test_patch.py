"""mixfast in the place of scikit-learn's mixtures, in programs that do not know it."""

import copy
import copyreg
import logging
import os
import pickle
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn.mixture
from sklearn.base import clone
from sklearn.mixture._gaussian_mixture import GaussianMixture as Theirs

import mixfast

X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0, 0], [6, 6]], 100, axis=0)

#: scikit-learn's tests that do not pass, with the reason.
OTHERWISE = {
    "test_compare_covar_type": "calls private methods, and asserts its own degrees of freedom of a tied matrix "
    "(test_bayesian_gaussian_mixture.py has the exact ones)",
    "test_regularisation": "asserts that equal rows raise where reg_covar=0: mixfast mends such components",
    "test_check_weights": "asserts a message that takes the largest weight for the smallest",
    "test_gaussian_mixture_precisions_init": "calls private methods",
    "test_gaussian_mixture_array_api_compliance": "asserts that NumPy's rows, which mixfast fits, and arrays of other "
    "libraries, which scikit-learn fits, have the same random start",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": "asserts that k-means is refused where arrays of "
    "other libraries would be accepted, for NumPy's rows too: mixfast has it",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "counts calls of a private function",
}


@pytest.fixture
def _patched():
    mixfast.patch_sklearn()
    yield
    mixfast.unpatch_sklearn()


def run(*arguments, **options):
    """What a Python of its own has to say."""
    options = {"check": True, "text": True, "capture_output": True, "timeout": 300} | options
    return subprocess.run([sys.executable, *map(str, arguments)], **options)


# ---- what is replaced -----------------------------------------------------------------------------------------------


def classes():
    modules = [sklearn.mixture, sklearn.mixture._gaussian_mixture, sklearn.mixture._bayesian_mixture]
    names = "GaussianMixture", "BayesianGaussianMixture"
    return [getattr(module, name) for module in modules for name in names if hasattr(module, name)]


def test_both_classes_are_replaced_wherever_scikit_learn_has_them_and_come_back(caplog):
    before = classes()
    with caplog.at_level(logging.INFO, "mixfast.patch"):
        mixfast.patch_sklearn()
        mixfast.patch_sklearn()  # once more changes nothing
    assert len(classes()) == 4
    assert all(issubclass(own, (mixfast.GaussianMixture, mixfast.BayesianGaussianMixture)) for own in classes())
    assert [record.getMessage().split(" is now ")[0] for record in caplog.records] == [
        "sklearn.mixture.GaussianMixture",
        "sklearn.mixture._gaussian_mixture.GaussianMixture",
        "sklearn.mixture.BayesianGaussianMixture",
        "sklearn.mixture._bayesian_mixture.BayesianGaussianMixture",
    ]
    mixfast.unpatch_sklearn()
    mixfast.unpatch_sklearn()
    assert classes() == before


def test_scikit_learns_own_tests_pass_but_for_those_that_are_named(tmp_path):
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore", f"--junitxml={report}"]
    program = run(
        "-m", "mixfast.patch", "-m", "pytest", "--pyargs", "sklearn.mixture", *options, cwd=tmp_path, check=False,
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
    )  # fmt: skip
    cases = ElementTree.parse(report).findall(".//testcase")
    assert sum(case.find("skipped") is None for case in cases) >= 70, program.stdout
    failed = {case.get("name").partition("[")[0] for case in cases if case.find("failure") is not None}
    assert failed == set(OTHERWISE), program.stdout
    assert not any(case.find("error") is not None for case in cases)


# ---- what programs rely on ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_a_patched_fit_has_the_bits_of_mixfasts(name):
    patched = getattr(sklearn.mixture, name)(n_components=2, random_state=0).fit(X)
    ours = getattr(mixfast, name)(2, random_state=0).fit(X)
    np.testing.assert_array_equal(patched.means_, ours.means_)
    np.testing.assert_array_equal(patched.predict_proba(X), ours.predict_proba(X))
    assert repr(patched) == repr(ours)
    again = pickle.loads(pickle.dumps(patched))
    assert type(again) is type(clone(patched)) is getattr(sklearn.mixture, name)


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_y_is_ignored_whatever_it_holds(name):
    y = np.repeat([-1, 0, 1, 5], 50)
    with_y, without = (getattr(sklearn.mixture, name)(2, random_state=0).fit(X, own) for own in (y, None))
    np.testing.assert_array_equal(with_y.means_, without.means_)
    labels = getattr(sklearn.mixture, name)(2, random_state=0).fit_predict(X, y)
    np.testing.assert_array_equal(labels, without.predict(X))


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_missing_entries_are_refused(name):
    holes = X.copy()
    holes[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        getattr(sklearn.mixture, name)(2).fit(holes)
    with pytest.raises(ValueError, match="contains NaN"):
        getattr(sklearn.mixture, name)(2).fit(X).predict(holes)


def test_who_took_a_class_before_sees_an_instance_of_it():
    before = Theirs(2).fit(X)
    mixfast.patch_sklearn()
    try:
        assert isinstance(sklearn.mixture.GaussianMixture(), Theirs)
        assert isinstance(before, sklearn.mixture.GaussianMixture)
        assert not isinstance(before, sklearn.mixture.BayesianGaussianMixture)
        assert not isinstance(mixfast.GaussianMixture(), sklearn.mixture.GaussianMixture)
    finally:
        mixfast.unpatch_sklearn()


# ---- scikit-learn's own class where mixfast has not what is asked for -----------------------------------------------


@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_pickles_of_scikit_learns_models_stay_so(name, is_fitted):
    theirs = getattr(sklearn.mixture, name)
    model = theirs(n_components=2, random_state=0)
    if is_fitted:
        model.fit(X)
    wanted, file = clone(model).fit(X).predict_proba(X), pickle.dumps(model)
    mixfast.patch_sklearn()
    try:
        again = pickle.loads(file)
        there_and_back = [copy.deepcopy(again), pickle.loads(pickle.dumps(again)), pickle.loads(pickle.dumps(model))]
        for own in (again, *there_and_back):
            assert type(own) is theirs
            assert np.array_equal((own if is_fitted else own.fit(X)).predict_proba(X), wanted)
        ours = pickle.loads(pickle.dumps(getattr(sklearn.mixture, name)(n_components=2, random_state=0).fit(X)))
        assert isinstance(ours, getattr(mixfast, name))
        sent = pickle.dumps(again)
    finally:
        mixfast.unpatch_sklearn()
    assert theirs not in copyreg.dispatch_table
    assert type(pickle.loads(sent)) is theirs
    assert type(pickle.loads(pickle.dumps(model))) is theirs


@pytest.mark.usefixtures("_patched")
def test_a_subclass_with_steps_of_its_own_is_scikit_learns():
    class Counts(sklearn.mixture.GaussianMixture):
        n_steps = 0

        def _m_step(self, X, log_resp, **options):
            self.n_steps += 1
            super()._m_step(X, log_resp, **options)

    class Named(sklearn.mixture.GaussianMixture):
        def describe(self):
            return f"{self.n_components} components"

    counts = Counts(2, random_state=0).fit(X)
    assert Counts.__mro__[1] is Theirs
    assert counts.n_steps == counts.n_iter_
    assert isinstance(Named(2).fit(X), mixfast.GaussianMixture)
    assert Named(2).describe() == "2 components"


ARRAY_API = """
import array_api_strict, logging, mixfast, numpy as np, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
mixfast.patch_sklearn()
from sklearn import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

X = np.random.default_rng(0).normal(size=(200, 2))
strict = array_api_strict.asarray(X)
with config_context(array_api_dispatch=True):
    assert isinstance(GaussianMixture(2, random_state=0).fit(X), mixfast.GaussianMixture)
    model = GaussianMixture(2, init_params="random", random_state=0).fit(strict)
    assert type(model.means_) is type(strict), type(model.means_)
    assert isinstance(model, GaussianMixture) and not isinstance(model, mixfast.GaussianMixture)
    assert type(model.predict(strict)) is type(strict)
    assert clone(model).get_params()["init_params"] == "random"
    try:
        GaussianMixture(2, n_threads=1).fit(strict)
    except ValueError as error:
        print(error)
"""


def test_arrays_of_other_libraries_are_scikit_learns():
    said = run("-c", ARRAY_API, env=os.environ | {"SCIPY_ARRAY_API": "1"}).stdout
    assert "GaussianMixture is fitted by scikit-learn's own class: X is an array of" in said
    assert "has no n_threads=1" in said


# ---- the command ----------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from beside import WORD
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
print(__name__, WORD, sys.argv[1:], GaussianMixture.__module__, BayesianGaussianMixture.__module__)
"""


@pytest.mark.parametrize("how", [["program.py"], ["-m", "program"]])
def test_the_command_runs_files_and_modules_as_python_does(tmp_path, how):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "beside.py").write_text("WORD = 'beside'")
    where = tmp_path if how[0] == "-m" else None
    how = how if where else [tmp_path / "program.py"]
    program = run("-m", "mixfast.patch", "-v", *how, "--flag", "-v", "7", cwd=where)
    assert program.stdout == "__main__ beside ['--flag', '-v', '7'] mixfast.patched mixfast.patched\n"
    assert "sklearn.mixture.GaussianMixture is now mixfast.patched.GaussianMixture" in program.stderr
    assert run("-m", "mixfast.patch", *how, cwd=where).stderr == ""


def test_the_command_says_what_it_needs():
    assert "program" in run("-m", "mixfast.patch", check=False).stderr
