"""The package that docs/extending.md points to is built and used: a family in C, outside mixfast."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mixfast import fit_many, select

EXAMPLE = Path(__file__).parent / "extending_example"
DOCUMENT = Path(__file__).parent.parent / "docs" / "extending.md"


def copy_example(source):
    """Building leaves files beside the sources."""
    for path in sorted(EXAMPLE.rglob("*")):
        if path.suffix in {".py", ".c", ".toml"}:
            copy = source / path.relative_to(EXAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def install(source, target):
    """Built against the mixfast that is installed, and put where nothing else is."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--target",
        target,
    ]
    subprocess.run([*command, source], check=True)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    target, source = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source") / "example"
    copy_example(source)
    install(source, target)
    sys.path.insert(0, str(target))
    try:
        yield importlib.import_module("geometric_mixture")
    finally:
        sys.path.remove(str(target))


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.geometric(rng.choice([0.7, 0.05], size=(3000, 1)), size=(3000, 2)) - 1.0


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_it_finds_the_components(example, X, init_params):
    model = example.GeometricMixture(2, init_params=init_params, random_state=0).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-9
    assert_allclose(np.sort(model.probabilities_, axis=0), [[0.05, 0.05], [0.7, 0.7]], atol=0.05)


def test_its_densities_are_those_of_the_formula(example, X):
    model = example.GeometricMixture(2, random_state=0).fit(X)
    p = model.probabilities_[:, np.newaxis]
    log_density = np.sum(X * np.log1p(-p) + np.log(p), axis=2)
    expected = np.logaddexp.reduce(np.log(model.weights_)[:, np.newaxis] + log_density)
    assert_allclose(model.score_samples(X), expected, rtol=1e-12)


def test_its_parameters_are_those_of_the_closed_form(example, X):
    model = example.GeometricMixture(1).fit(X)
    assert_allclose(model.probabilities_[0], (len(X) + 1) / (len(X) + X.sum(axis=0) + 2), rtol=1e-12)


def test_threads_change_no_bit(example, X):
    one, two = (example.GeometricMixture(2, random_state=0, n_threads=n).fit(X) for n in (1, 2))
    assert_array_equal(one.probabilities_, two.probabilities_)


def test_its_samples_come_from_it(example, X):
    model = example.GeometricMixture(2, random_state=0).fit(X)
    rows, _ = model.sample(20_000, random_state=1)
    again = example.GeometricMixture(2, random_state=0).fit(rows)
    assert_allclose(np.sort(again.probabilities_, axis=0), np.sort(model.probabilities_, axis=0), rtol=0.1)


def test_batches_and_choices_take_it(example, X):
    problems = X[:600].reshape(6, 100, 2)
    result = fit_many(problems, example.GeometricMixture(2), random_state=0)
    alone = example.GeometricMixture(2, random_state=0).fit(problems[3])
    assert_array_equal(result[3].probabilities_, alone.probabilities_)
    assert select(X, example.GeometricMixture(), n_components=[1, 2, 3], random_state=0).best_params_ == {
        "n_components": 2
    }


def test_the_recipe_for_meson_python_builds_it(example, X, tmp_path):
    recipe = DOCUMENT.read_text()
    source, target = tmp_path / "source", tmp_path / "installed"
    copy_example(source)
    (source / "setup.py").unlink()
    for name, language in (("meson.build", "meson"), ("pyproject.toml", "toml")):
        (block,) = re.findall(rf"```{language}\n(.*?)```", recipe, flags=re.DOTALL)
        (source / name).write_text(block)
    install(source, target)
    np.save(tmp_path / "rows.npy", X)
    code = (
        "import numpy as np, geometric_mixture\n"
        "model = geometric_mixture.GeometricMixture(2, random_state=0).fit(np.load('rows.npy'))\n"
        "np.save('probabilities.npy', model.probabilities_)\n"
        f"assert geometric_mixture.__file__.startswith({str(target)!r})\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(target)!r})\n{code}"]
    subprocess.run(command, cwd=tmp_path, check=True)
    expected = example.GeometricMixture(2, random_state=0).fit(X).probabilities_
    assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, rtol=1e-9)
