"""Tables, summaries and words that a person reads."""

import json

import numpy as np
import pandas as pd
import pytest
from estimators_table import ESTIMATORS, every_estimator
from sklearn.exceptions import NotFittedError

from mixfast import (
    GSDMM,
    CategoricalMixture,
    DirichletMultinomialMixture,
    DirichletProcessMixture,
    GaussianMixture,
    MixtureOfExperts,
    MultinomialMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    VonMisesFisherMixture,
    bootstrap_inference,
    top_words,
)
from mixfast.parts import Categorical, Gaussian, Poisson

TABLE = pd.DataFrame(
    {
        "height": [1.6, 1.7, 1.9, 1.8, 1.5, 1.65],
        "visits": [0, 3, 2, 5, 1, 2],
        "job": ["cook", "smith", "smith", "cook", None, "cook"],
        "floor": [1, 2, 1, 1, 2, 2],
    }
)


# ---- tables ----


@every_estimator
def test_every_estimator_has_a_table_of_scalars(name, tmp_path):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    frame = model.to_frame()
    assert frame.columns[:3].tolist() == ["component", "weight", "column"]
    # as the model has them: those of a process leave something to components that no row is of
    weights = frame.groupby("component")["weight"].first()
    np.testing.assert_array_equal(weights, np.asarray(model.weights_, dtype=np.float64)[: len(weights)])
    numbers = frame.columns.drop(["component", "column", "category"], errors="ignore")
    assert all(frame[own].dtype == np.float64 for own in numbers)
    assert not frame[numbers[1:]].isna().all(axis=1).any()
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.to_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), frame)
    back = pd.read_csv(tmp_path / "table.csv")
    np.testing.assert_allclose(back[numbers], frame[numbers], rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_means_and_standard_deviations(covariance_type):
    X = pd.DataFrame(ESTIMATORS["Gaussian full"].X, columns=["a", "b", "c"])
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    frame = model.to_frame().set_index(["component", "column"])
    for k in range(2):
        np.testing.assert_array_equal(frame.loc[k, "mean"], model.means_[k])
        np.testing.assert_allclose(frame.loc[k, "sd"], np.sqrt(np.diag(model.covariance_matrices()[k])))
        assert frame.loc[k].index.tolist() == ["a", "b", "c"]


def test_student_t_has_scales_and_degrees_of_freedom():
    model = StudentTMixture(2, random_state=0).fit(ESTIMATORS["Gaussian full"].X)
    frame = model.to_frame()
    assert frame.columns[3:].tolist() == ["location", "scale", "degrees_of_freedom"]
    np.testing.assert_array_equal(frame["degrees_of_freedom"], np.repeat(model.degrees_of_freedom_, 3))
    np.testing.assert_array_equal(frame["column"], ["column 0", "column 1", "column 2"] * 2)


def test_tables_of_mixed_columns_go_by_names_and_categories():
    parts = [("job", "floor", Categorical()), ("height", Gaussian()), ("visits", Poisson(alpha=1.0, beta=1.0))]
    model = ProductMixture(parts, 2, random_state=0).fit(TABLE)
    frame = model.to_frame()
    assert frame.columns.tolist() == ["component", "weight", "column", "category", "probability", "mean", "sd", "rate"]
    first = frame[frame["component"] == 0]
    assert first["column"].tolist() == ["job", "job", "floor", "floor", "height", "visits"]
    assert first["category"].tolist()[:4] == ["cook", "smith", "1", "2"]
    jobs = model.components_["job, floor"].probabilities_
    np.testing.assert_array_equal(first["probability"][:2], jobs[0][0])
    assert first["mean"].dropna().tolist() == [model.components_["height"].means_[0, 0]]
    assert frame["rate"].dropna().tolist() == model.components_["visits"].rates_[:, 0].tolist()


def test_processes_and_models_of_given_parameters():
    X = ESTIMATORS["multinomial"].X
    assert len(DirichletProcessMixture("multinomial", random_state=0).fit(X).to_frame()) % 4 == 0
    given = MultinomialMixture.from_parameters(weights=[1.0], probabilities=[[0.4, 0.6]], feature_names=["cat", "dog"])
    assert given.to_frame()["column"].tolist() == ["cat", "dog"]
    with pytest.raises(NotFittedError):
        GaussianMixture().to_frame()
    one = GaussianMixture.from_parameters(weights=[1.0], means=[[2.0]], covariances=[[[9.0]]]).to_frame()
    assert one.to_dict("list") == {
        "component": [0], "weight": [1.0], "column": ["column 0"], "mean": [2.0], "sd": [3.0]
    }  # fmt: skip


def test_a_family_in_plain_python_has_a_table():
    from typing import NamedTuple

    from mixfast.families.family import PythonFamily

    class Numbers(NamedTuple):
        rates: np.ndarray
        total: np.ndarray

    class Family(PythonFamily):
        Params = Stats = Numbers
        param_shapes = stat_shapes = lambda self, K, d: ((K, d), ())
        n_parameters = log_density = accumulate = maximise = sample = lambda self, *args: 0

    (described,) = Family().described(Numbers(np.ones((2, 3)), np.ones(())))
    assert list(described.numbers) == ["rates"]
    assert described.columns.tolist() == [0, 1, 2]


# ---- summaries ----


@every_estimator
def test_every_estimator_has_a_summary(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    said = model.summary(entry.X)
    assert said.n_samples == 60
    assert said.log_likelihood == pytest.approx(60 * model.score(entry.X), rel=1e-5)
    assert said.sizes.sum() == 60
    np.testing.assert_array_equal(said.sizes, np.bincount(model.predict(entry.X), minlength=len(said.sizes)))
    text = str(said)
    assert repr(said) == text
    assert text.startswith(type(model).__name__)
    if entry.has_likelihood:
        assert (said.bic, said.icl) == pytest.approx((model.bic(entry.X), model.icl(entry.X)), rel=1e-6)
        assert f"{said.bic:.3f}" in text
    else:
        assert said.bic is said.icl is said.n_parameters is None
        assert "BIC" not in text


@every_estimator
def test_a_summary_refuses_what_rows_do_not_have(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'weights'"):
        model.summary(entry.X, weights=np.ones(len(entry.X)))


def test_a_summary_is_this_text():
    X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [13.0]])
    model = GaussianMixture(2, random_state=0, canonical_order=True).fit(X)
    assert str(model.summary(X)).splitlines() == [
        "GaussianMixture(canonical_order=True, n_components=2, random_state=0)",
        "---------------------------------------------------------------------",
        "",
        "n  log-likelihood  parameters     BIC     ICL",
        f"7         {7 * model.score(X):.3f}           5  {model.bic(X):.3f}  {model.icl(X):.3f}",
        "",
        "component   weight       rows   share",
        "        0    0.429          3   42.9%",
        "        1    0.571          4   57.1%",
        "",
        f"The fit: converged; {model.n_iter_} iterations.",
    ]


def test_long_titles_are_folded_between_parameters():
    X = ESTIMATORS["Gaussian full"].X
    options = {"reg_covar": 1e-5, "max_iter": 1000, "n_init": 3, "tol": 1e-5, "covariance_type": "tied"}
    said = GaussianMixture(2, random_state=0, **options).fit(X).summary(X)
    first, second, rule, *_ = str(said).splitlines()
    assert f"{first} {second.strip()}" == said.title == " ".join(said.title.split())
    assert first.endswith(",")
    assert second.startswith("    ")
    assert len(first) <= 72
    assert rule == "-" * len(first)


def test_titles_leave_out_what_arrays_hold():
    answers = pd.DataFrame({"a": ["no", "yes (1)", "no", "yes (1)"] * 9, "b": ["x", "y", "y", "z"] * 9})
    categories = [np.array(own, dtype=object) for own in (["no", "yes (1)"], ["x", "y", "z"])]
    model = CategoricalMixture(2, categories=categories, random_state=0).fit(answers)
    assert model.summary(answers).title == "CategoricalMixture(categories=[...], n_components=2, random_state=0)"
    X = ESTIMATORS["Gaussian full"].X
    model = GaussianMixture(2, means_init=X[:2], random_state=0).fit(X)
    assert model.summary(X).title == "GaussianMixture(means_init=[...], n_components=2, random_state=0)"


def test_weights_of_rows_count_in_summaries():
    X = ESTIMATORS["Gaussian full"].X
    model = GaussianMixture(2, random_state=0).fit(X)
    weights = np.arange(60) % 3
    rows = X.copy()
    rows[weights == 0] = np.nan
    one, other = model.summary(rows, sample_weight=weights), model.summary(np.repeat(X, weights, axis=0))
    assert str(one) == str(other)


def test_what_is_said_of_a_fit():
    with pytest.warns(match="converge"):
        model = GaussianMixture(2, max_iter=1, tol=0, random_state=0).fit(ESTIMATORS["Gaussian full"].X)
    assert model.summary(ESTIMATORS["Gaussian full"].X).status.startswith("not converged within max_iter")
    model.status_ |= Status.REPAIRED_COVARIANCE
    assert "a covariance was repaired; 1 iterations" in model.summary(ESTIMATORS["Gaussian full"].X).status
    given = GaussianMixture.from_parameters(weights=[1.0], means=[[2.0]], covariances=[[[9.0]]])
    assert given.summary([[1.0], [2.0]]).status == "parameters were given"


def test_summaries_of_experts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 1))
    y = np.where(rng.integers(0, 2, 100), 5 + x[:, 0], -x[:, 0]) + 0.1 * rng.normal(size=100)
    model = MixtureOfExperts(2, random_state=0).fit(x, y)
    said = model.summary(x, y=y)
    assert said.log_likelihood == pytest.approx(np.sum(model.score_samples(x, y)))
    np.testing.assert_array_equal(said.sizes, np.bincount(model.labels(x, y)))


def test_summaries_of_experts_of_several_responses():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 1))
    y = [X[:, 0] + rng.normal(size=90), rng.integers(0, 4, (90, 2)) + 1]
    model = MixtureOfExperts(2, expert=["gaussian", "binomial"], random_state=0).fit(X, y)
    weights = np.arange(90) % 3
    repeated = [np.repeat(own, weights, axis=0) for own in (X, *y)]
    one, other = model.summary(X, y, weights), model.summary(repeated[0], repeated[1:])
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    np.testing.assert_array_equal(one.sizes, other.sizes)


def test_tables_of_experts_have_coefficients():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    model = MixtureOfExperts(2, random_state=0).fit(x, rng.normal(size=100))
    frame = model.to_frame()
    assert frame.columns.tolist() == ["component", "weight", "column", "coefficient"]
    assert frame["column"].tolist() == ["intercept", "a", "b"] * 2
    np.testing.assert_allclose(frame["coefficient"][:3], [model.intercept_[0], *model.coef_[0]])


def test_bad_input_of_summaries():
    with pytest.raises(NotFittedError):
        GaussianMixture().summary([[1.0]])
    model = GaussianMixture.from_parameters(weights=[1.0], means=[[2.0]], covariances=[[[9.0]]])
    with pytest.raises(ValueError, match="2 features"):
        model.summary([[1.0, 2.0]])


@every_estimator
def test_a_summary_reads_rows_once(name, monkeypatch):
    from mixfast.estimators._base import BaseMixture

    entry = ESTIMATORS[name]
    model, passes = entry.make().fit(entry.X), []
    if entry.has_likelihood:
        evaluate = BaseMixture._evaluate_pass
        monkeypatch.setattr(
            BaseMixture, "_evaluate_pass", lambda *args, **asked: passes.append(asked) or evaluate(*args, **asked)
        )
        model.summary(entry.X)
        assert len(passes) == 1


def test_a_summary_of_documents_reads_them_once(monkeypatch):
    X, passes = np.random.default_rng(0).poisson(0.5, size=(60, 8)), []
    model = GSDMM(5, random_state=0).fit(X)
    evaluate = GSDMM._evaluate
    monkeypatch.setattr(GSDMM, "_evaluate", lambda *args, **asked: passes.append(asked) or evaluate(*args, **asked))
    said = model.summary(X)
    assert len(passes) == 1
    assert said.log_likelihood == pytest.approx(model.score_samples(X).sum())
    np.testing.assert_array_equal(said.sizes, np.bincount(model.predict(X), minlength=5))


# ---- notebooks ----


@every_estimator
def test_every_estimator_shows_its_components_in_notebooks(name):
    entry = ESTIMATORS[name]
    before = entry.make()._repr_html_()
    model = entry.make().fit(entry.X)
    shown = model._repr_html_()
    assert "<caption" in shown
    assert "<caption" not in before
    found = model._components(**model._any_rows)
    rows = shown[shown.index("<caption") :].split("<tr>")[2:]
    assert len(rows) == found.n_components
    for k, row in enumerate(rows):
        assert f"</span> {k}</td>" in row
        assert f">{model.weights_[k]:.3f}</td>" in row


def test_results_are_tables_in_notebooks():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (90, 1)), rng.normal(9, 1, (90, 1)), rng.uniform(-50, 50, (20, 1))])
    model = GaussianMixture(2, noise="uniform", random_state=0).fit(X)
    shown, said = model.summary(X)._repr_html_(), str(model.summary(X))
    for text in [*said.splitlines()[3].split(), *" ".join(said.splitlines()[6:9]).split()]:
        assert text in shown
    assert shown.count("background: rgb") == 2  # noise has no colour
    assert f"The fit: {model.summary(X).status}." in shown
    found = bootstrap_inference(model, X, n_draws=9, random_state=0)
    rows = found._repr_html_().split("<tr>")[2:]
    assert len(rows) == len(found.to_frame())
    for row, (_, own) in zip(rows, found.to_frame().iterrows(), strict=True):
        for name in ("estimate", "standard_error", "lower", "upper"):
            assert f">{own[name]:.4g}<" in row
    wide = np.concatenate([rng.normal(size=(60, 6)), rng.normal(9, 1, size=(60, 6))])
    model = GaussianMixture(2, random_state=0).fit(wide)
    shown = bootstrap_inference(model, wide, n_draws=5, random_state=0)._repr_html_()
    assert shown.count("<tr>") == 41
    assert "46 more numbers" in shown  # 2 weights, 12 means, 72 covariances
    table = pd.DataFrame({"x<": rng.normal(size=100)})
    y = rng.normal(size=100)
    inference = MixtureOfExperts(1).fit(table, y).inference(table, y)
    shown = inference._repr_html_()
    assert ">x&lt;<" in shown
    for row, line in zip(shown.split("<tr>")[1:], repr(inference).splitlines(), strict=True):
        assert all(f">{cell}<" in row.replace("x&lt;", "x<") for cell in line.split())


def test_tables_of_notebooks_have_names_categories_and_coefficients():
    parts = [("job", "floor", Categorical()), ("height", Gaussian()), ("visits", Poisson(alpha=1.0, beta=1.0))]
    shown = ProductMixture(parts, 2, random_state=0).fit(TABLE)._repr_html_()
    for name in ("job, most likely", "floor, most likely", "height", "visits", "cook ("):
        assert f">{name}" in shown
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b<"])
    experts = MixtureOfExperts(2, random_state=0).fit(x, rng.normal(size=100))
    table = experts._repr_html_()
    table = table[table.index("<caption") :]
    assert ">intercept<" in table
    assert ">b&lt;<" in table
    assert f">{experts.coef_[1, 0]:.4g}<" in table
    wide = GaussianMixture(25, reg_covar=1.0, random_state=0).fit(rng.normal(size=(60, 12)))._repr_html_()
    assert "5 more components, 4 more columns" in wide


def test_the_question_mark_leads_to_the_site_of_the_package_where_it_names_one(monkeypatch):
    from mixfast.estimators import _density

    _density.site_of_package.cache_clear()
    monkeypatch.setattr(_density, "site_of_package", lambda: "https://example.org/docs")
    assert GaussianMixture()._get_doc_link() == "https://example.org/docs/reference/mixfast.GaussianMixture.html"
    assert "https://example.org/docs/reference/mixfast.GaussianMixture.html" in GaussianMixture()._repr_html_()
    own = type("Own", (GaussianMixture,), {"__module__": "elsewhere"})
    assert own()._get_doc_link() == ""
    monkeypatch.setattr(_density, "site_of_package", lambda: "")
    assert GaussianMixture()._get_doc_link() == ""
    assert "scikit-learn.org" not in GaussianMixture()._repr_html_().split("<body")[-1]


# ---- rows that are drawn ----


@every_estimator
def test_rows_are_drawn_as_frames_too(name):
    entry = ESTIMATORS[name]
    model = entry.make().fit(entry.X)
    rows, labels = model.sample(7, random_state=0)
    frame, same = model.sample(7, random_state=0, as_frame=True)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_array_equal(frame.to_numpy(dtype=rows.dtype), rows)


def test_frames_of_drawn_rows_have_the_columns_of_the_fit():
    parts = [("job", Categorical()), ("height", Gaussian()), ("visits", Poisson(alpha=1.0, beta=1.0))]
    model = ProductMixture(parts, 2, random_state=0).fit(TABLE)
    frame, _ = model.sample(5, random_state=0, as_frame=True)
    assert frame.columns.tolist() == ["height", "visits", "job"]
    assert frame["height"].dtype == np.float64
    assert model.predict(frame.assign(floor=1)[TABLE.columns]).shape == (5,)
    named = GaussianMixture(2, random_state=0).fit(TABLE[["height", "visits"]])
    assert named.sample(3, as_frame=True)[0].columns.tolist() == ["height", "visits"]


# ---- words ----

WORDS = ["the", "cat", "dog", "purrs", "barks"]
SHARES = [[0.5, 0.3, 0.0, 0.2, 0.0], [0.6, 0.0, 0.1, 0.0, 0.3]]


def test_words_by_probability_and_by_lift():
    model = MultinomialMixture.from_parameters(weights=[0.5, 0.5], probabilities=SHARES, feature_names=WORDS)
    assert top_words(model, n=2) == [["the", "cat"], ["the", "barks"]]
    assert top_words(model, n=2, by="lift") == [["cat", "purrs"], ["dog", "barks"]]
    assert top_words(model) == [["the", "cat", "purrs"], ["the", "barks", "dog"]]
    assert top_words(model, feature_names=list("abcde"), n=1) == [["a"], ["a"]]
    assert top_words(model, feature_names=np.array(list("abcde"), dtype=object), n=1) == [["a"], ["a"]]


def test_words_of_every_mixture_of_texts():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    X = np.array([rng.multinomial(12, SHARES[k]) for k in labels])
    wanted = {("cat", "purrs"), ("barks", "dog")}
    for model in (
        MultinomialMixture(2, random_state=0).fit(X),
        DirichletMultinomialMixture(2, random_state=0).fit(X),
        GSDMM(8, random_state=0).fit(X),
        DirichletProcessMixture("multinomial", random_state=0).fit(X),
        VonMisesFisherMixture(2, random_state=0).fit(X / np.linalg.norm(X, axis=1, keepdims=True)),
    ):
        found = top_words(model, WORDS, n=2, by="lift")
        assert {tuple(sorted(own)) for own in found} == wanted, type(model).__name__


def test_bad_input_of_words():
    with pytest.raises(NotFittedError):
        top_words(GSDMM())
    with pytest.raises(TypeError, match="GaussianMixture is no mixture of words"):
        top_words(GaussianMixture.from_parameters(weights=[1.0], means=[[2.0]], covariances=[[[9.0]]]))
    model = MultinomialMixture.from_parameters(weights=[0.5, 0.5], probabilities=SHARES)
    with pytest.raises(ValueError, match="feature_names has 2 names for 5 columns"):
        top_words(model, ["a", "b"])
    with pytest.raises(ValueError, match="n=0 should be"):
        top_words(model, n=0)
    with pytest.raises(ValueError, match="by='size' should be one of 'probability', 'lift'"):
        top_words(model, by="size")
    json.dumps(top_words(model))  # plain strings
