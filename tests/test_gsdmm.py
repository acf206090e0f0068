"""GSDMM: the sampler and its twin, the posterior it draws from, densities of documents, input, and what a fit tells."""

import itertools
import pickle

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from mixfast import GSDMM, load
from mixfast._reference import gibbs as twin
from mixfast.engine._gibbs import Chains, Documents, evaluate
from mixfast.engine._isa import available_isas

ISAS = available_isas()


def corpus(n_documents=300, n_words=60, n_topics=5, mean_length=7, seed=0):
    """Short documents about topics with words mostly of their own, and which topic each is about."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_words, 0.08), n_topics)
    labels = rng.integers(n_topics, size=n_documents)
    lengths = rng.poisson(mean_length, size=n_documents)
    X = np.array([rng.multinomial(n, topics[z]) for n, z in zip(lengths, labels, strict=True)])
    return X, labels


def documents(X):
    X = sparse.csr_array(X)
    return Documents(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data.astype(float), X.shape[1])


def swept(X, n_clusters, alpha, beta, seed, n_sweeps, n_chains=1, **options):
    """(n_sweeps, n_chains, n_documents) labels and (n_sweeps, n_chains) log joint probabilities after each sweep."""
    chains = Chains(documents(X), n_clusters, alpha, beta, seed, n_chains, **options)
    log_joints, labels = zip(*((chains.sweep()[0], chains.labels) for _ in range(n_sweeps)), strict=True)
    return np.array(labels), np.array(log_joints)


# ---- the sampler ----------------------------------------------------------------------------------------------------

PROBLEMS = {  # X, n_clusters, alpha, beta
    "topics": (corpus(60, 25, 3)[0], 40, 0.1, 0.1),
    "few clusters": (corpus(60, 25, 3)[0], 5, 0.1, 0.1),
    "as many as fit a block": (corpus(60, 25, 3)[0], 16, 1.0, 0.05),
    "clusters come and go": (corpus(60, 25, 3)[0], 37, 20.0, 0.02),
    "clusters that open take more blocks": (corpus(90, 40, 30, seed=3)[0], 90, 50.0, 1e-3),
    "one word": (np.arange(20)[:, np.newaxis] % 3, 10, 0.1, 0.1),
    "no words": (np.zeros((20, 3), int), 10, 0.5, 0.1),
    "long documents": (corpus(40, 50, 3, mean_length=150)[0], 12, 0.1, 0.1),
    "tiny pseudo-counts": (corpus(40, 25, 3, mean_length=30)[0], 12, 1e-90, 1e-100),
    "huge pseudo-counts": (corpus(40, 25, 3, mean_length=30)[0], 12, 1e90, 1e7),
    "many repeats": (corpus(40, 25, 3)[0] * 997, 12, 0.1, 0.1),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_labels_equal_the_twins_after_each_sweep(name, isa):
    problem = PROBLEMS[name]
    n_sweeps = 4
    own, _ = swept(*problem, 7, n_sweeps, n_chains=2, isa=isa)
    for chain in range(2):
        np.testing.assert_array_equal(own[:, chain], twin.sweeps(*problem, 7, chain, n_sweeps))


def test_a_problem_opens_blocks_of_slots_and_another_gives_them_up():
    """The twin's problems reach these corners."""
    X, *rest = PROBLEMS["clusters that open take more blocks"]
    n_used = [len(np.unique(labels)) for labels in twin.sweeps(X, *rest, 7, 0, 4)]
    assert max(np.diff(n_used)) > 0
    assert max(n_used) > 40
    X, n_clusters, *rest = PROBLEMS["topics"]
    last = twin.sweeps(X, n_clusters, *rest, 7, 0, 4)[-1]
    assert last.max() < 16 < n_clusters - 16


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["topics", "long documents", "clusters come and go"])
def test_the_seed_alone_determines_the_bits(name, isa):
    """Products and sums have one order in all instruction sets."""
    problem = PROBLEMS[name]
    usual, log_joints = swept(*problem, 3, 5, n_chains=5, isa="base")
    for n_threads in (1, 2, 7):
        own, own_log_joints = swept(*problem, 3, 5, n_chains=5, n_threads=n_threads, isa=isa)
        np.testing.assert_array_equal(own, usual)
        np.testing.assert_array_equal(own_log_joints, log_joints)
    assert len({tuple(labels) for labels in usual[-1]}) > 1
    assert not np.array_equal(swept(*problem, 4, 5)[0], usual[:, :1])


def test_chains_on_threads_are_those_on_one():
    X = corpus(3000, 500, 20, mean_length=60)[0]
    usual = Chains(documents(X), 200, 0.1, 0.1, 0, 4)
    log_joints = usual.sweep(4)
    for n_threads in (2, 3):
        chains = Chains(documents(X), 200, 0.1, 0.1, 0, 4, n_threads)
        assert chains.n_threads == n_threads
        np.testing.assert_array_equal(chains.sweep(4), log_joints)
        np.testing.assert_array_equal(chains.labels, usual.labels)


def test_sweeps_at_once_are_those_one_by_one():
    """A long run is cut between two documents, wherever that is in a sweep."""
    X = corpus(3000, 500, 20, mean_length=60)[0]
    chains = Chains(documents(X), 200, 0.1, 0.1, 0, 3)
    at_once = chains.sweep(12)
    one_by_one, log_joints = swept(X, 200, 0.1, 0.1, 0, 12, n_chains=3)
    np.testing.assert_array_equal(at_once, log_joints)
    np.testing.assert_array_equal(chains.log_joints, log_joints[-1])
    np.testing.assert_array_equal(chains.labels, one_by_one[-1])
    assert chains.n_sweeps == 12


def test_partitions_come_as_often_as_their_posterior_probability_says():
    X = np.array([[2, 0, 1], [1, 0, 0], [0, 1, 1], [0, 2, 0]])
    n_clusters, alpha, beta, n_sweeps = 3, 0.7, 0.5, 40_000
    partitions = {}
    for labels in itertools.product(range(n_clusters), repeat=len(X)):
        probability = np.exp(twin.log_joint(X, np.array(labels), n_clusters, alpha, beta))
        key = tuple(labels[i] == labels[j] for i, j in itertools.combinations(range(len(X)), 2))
        partitions[key] = partitions.get(key, 0) + probability
    history, _ = swept(X, n_clusters, alpha, beta, 0, n_sweeps)
    pairs = [history[:, 0, i] == history[:, 0, j] for i, j in itertools.combinations(range(len(X)), 2)]
    total = sum(partitions.values())
    for key, probability in partitions.items():
        frequency = np.mean(np.all(np.transpose(pairs) == key, axis=1))
        share = probability / total
        # neighbours in the chain are alike: a tenth as many independent draws is a cautious guess
        assert abs(frequency - share) < 4 * np.sqrt(share * (1 - share) / (n_sweeps / 10)), (key, share)


def log_joint(X, labels, n_clusters, alpha, beta):
    """log p(X, labels), with 260 digits: pseudo-counts of 1e100 hide what is beside them."""
    with mpmath.workdps(260):
        alpha, beta = mpmath.mpf(alpha), mpmath.mpf(beta)

        def rising(x, n):  # x (x + 1) ... (x + n - 1)
            return mpmath.loggamma(x + int(n)) - mpmath.loggamma(x)

        members = labels == np.arange(n_clusters)[:, np.newaxis]
        coefficients = sum(rising(1, n) for n in X.sum(axis=1)) - sum(rising(1, n) for n in X[X > 0])
        counts = members @ X
        words = sum(rising(beta, n) for n in counts[counts > 0]) - sum(
            rising(X.shape[1] * beta, n) for n in counts.sum(axis=1)
        )
        partition = sum(rising(alpha, n) for n in members.sum(axis=1)) - rising(n_clusters * alpha, len(X))
        return float(coefficients + words + partition)


@pytest.mark.parametrize("name", PROBLEMS)
def test_log_joint_probabilities_are_those_of_the_labels_however_many_steps_they_add_up(name):
    X, n_clusters, alpha, beta = PROBLEMS[name]
    for n_iter in (1, 20):
        model = GSDMM(n_clusters, alpha=alpha, beta=beta, n_iter=n_iter, random_state=5).fit(X)
        assert model.log_joint_.shape == (n_iter,)
        np.testing.assert_allclose(
            model.log_joint_[-1], log_joint(X, model.labels_, n_clusters, alpha, beta), rtol=1e-12
        )


# ---- densities ------------------------------------------------------------------------------------------------------


def log_probability(document, counts, beta):
    """With 260 digits: pseudo-counts of 1e100 hide what is beside them."""
    with mpmath.workdps(260):
        beta = mpmath.mpf(beta)

        def rising(x, n):  # x (x + 1) ... (x + n - 1) / n!
            return mpmath.loggamma(x + n) - mpmath.loggamma(x) - mpmath.loggamma(mpmath.mpf(n) + 1)

        above = sum(rising(int(known) + beta, int(n)) for known, n in zip(counts, document, strict=True))
        return float(above - rising(int(sum(counts)) + beta * len(counts), int(sum(document))))


def evaluated(document, counts, beta, isa=None):
    """The log probability of a document in one cluster, by the kernel."""
    words = np.flatnonzero(document)
    log_norm = np.empty(1)
    evaluate(
        Documents(np.array([0, len(words)]), np.arange(len(words), dtype=np.int32), document[words], len(words)),
        np.ascontiguousarray(counts[words][:, np.newaxis]), counts.sum(keepdims=True), np.ones(1), 1, len(counts), beta,
        log_norm=log_norm, isa=isa,
    )  # fmt: skip
    return log_norm[0]


@pytest.mark.parametrize("isa", ISAS)
def test_log_probabilities_match_mpmath_for_counts_and_pseudo_counts_of_any_size(isa):
    rng = np.random.default_rng(1)
    n_by_logarithms = 0
    for case in range(150):
        n_words = int(rng.integers(1, 30))
        longest, most_known = 10 ** rng.uniform(0, 9.3, 2)
        share = rng.dirichlet(np.ones(n_words), 2)
        if case % 2:  # a document like its cluster: large terms cancel
            share[1] = share[0]
        document, counts = np.floor(share[0] * longest), np.floor(share[1] * most_known)
        document[0] += 1
        beta = 10 ** (rng.uniform(-4, 2) if case % 3 else rng.uniform(-100, 100))
        n_by_logarithms += document.sum() > 256 * np.count_nonzero(document)
        np.testing.assert_allclose(
            evaluated(document, counts, beta, isa), log_probability(document, counts, beta), rtol=1e-12, atol=1e-14
        )
    assert 30 < n_by_logarithms < 120


def test_a_word_that_comes_a_billion_times_takes_no_time_and_is_exact():
    X = np.array([[1e9, 3, 0], [0, 2, 1e9], [1e9, 0, 1], [0, 0, 1e9]])
    model = GSDMM(10, n_iter=20, random_state=0).fit(X)
    np.testing.assert_array_equal(model.labels_[[0, 1]], model.labels_[[2, 3]])
    assert model.word_counts_.sum() == X.sum()
    assert np.all(np.isfinite(model.log_joint_))


def fitted(**params):
    X, _ = corpus()
    return GSDMM(**{"n_components": 12, "random_state": 0, **params}).fit(X)


def test_scores_and_probabilities_are_those_of_the_formula():
    model = fitted()
    X = corpus(50, seed=1)[0]
    logs = np.array([twin.log_probabilities(document, model.word_counts_, model.beta) for document in X])
    logs += np.log(model.weights_)
    expected = np.logaddexp.reduce(logs, axis=1)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-12, atol=1e-14)  # 0 for one without words
    np.testing.assert_allclose(model.predict_proba(X), np.exp(logs - expected[:, np.newaxis]), rtol=1e-10)
    np.testing.assert_array_equal(model.predict(X), logs.argmax(axis=1))
    assert model.score(X) == pytest.approx(expected.mean())
    weight = np.arange(50.0)
    assert model.score(X, sample_weight=weight) == pytest.approx(expected @ weight / weight.sum())


def test_probabilities_of_all_documents_of_one_length_sum_to_one():
    X = np.array([[2, 1, 0], [3, 0, 0], [0, 1, 4], [0, 0, 2]])
    model = GSDMM(4, n_iter=3, random_state=0).fit(X)
    every = np.array([c for c in itertools.product(range(6), repeat=3) if sum(c) == 5])
    assert np.exp(model.score_samples(every)).sum() == pytest.approx(1, rel=1e-12)


def test_results_of_a_document_do_not_depend_on_others_or_threads():
    model, X = fitted(), corpus(80, seed=2)[0]
    together = model.score_samples(X)
    np.testing.assert_array_equal([model.score_samples(row[np.newaxis])[0] for row in X], together)
    np.testing.assert_array_equal(model.set_params(n_threads=3).score_samples(X), together)


def test_empty_clusters_share_alike_and_take_what_fits_no_other():
    model = fitted(n_components=20, alpha=2.0)
    n_used = model.n_clusters_
    assert 1 < n_used < 19
    resp = model.predict_proba(corpus(30, seed=1)[0])
    assert resp.shape == (30, 20)
    np.testing.assert_array_equal(resp[:, n_used:], np.repeat(resp[:, n_used : n_used + 1], 20 - n_used, axis=1))
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-12)
    strange = model.word_counts_.sum(axis=0) == 0
    assert strange.any()
    assert model.predict(3 * strange[np.newaxis].astype(int)) == n_used


def test_a_document_without_words_has_probability_one_and_is_of_any_cluster():
    model = fitted()
    nothing = np.zeros((1, 60))
    assert model.score_samples(nothing)[0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(model.predict_proba(nothing)[0], model.weights_, rtol=1e-12)
    assert model.predict(nothing) == 0
    X = np.vstack([corpus()[0], np.zeros((5, 60), int)])
    assert GSDMM(12, random_state=0).fit(X).document_counts_.sum() == len(X)


# ---- fits -----------------------------------------------------------------------------------------------------------


def test_topics_are_found_and_spare_clusters_emptied():
    X, labels = corpus(1000, 100, 6, mean_length=8)
    model = GSDMM(60, random_state=0).fit(X)
    assert adjusted_rand_score(labels, model.labels_) > 0.9
    assert 6 <= model.n_clusters_ < 20
    np.testing.assert_array_equal(model.fit_predict(X), model.labels_)
    new, new_labels = corpus(1000, 100, 6, mean_length=8, seed=0)
    assert adjusted_rand_score(new_labels, model.predict(new)) > 0.9


def test_attributes_are_sums_of_the_data_by_label():
    X, _ = corpus()
    model = fitted(n_init=2, n_iter=4)
    members = model.labels_ == np.arange(12)[:, np.newaxis]
    np.testing.assert_array_equal(model.document_counts_, members.sum(axis=1))
    np.testing.assert_array_equal(model.word_counts_, members @ X)
    np.testing.assert_array_equal(model.word_totals_, (members @ X).sum(axis=1))
    assert np.all(np.diff(model.document_counts_) <= 0)
    assert model.n_clusters_ == len(np.unique(model.labels_)) == model.labels_.max() + 1
    assert model.labels_.dtype == np.int64
    assert (model.n_iter_, model.log_joint_.shape) == (4, (4,))
    np.testing.assert_allclose(model.weights_, (model.document_counts_ + 0.1) / (len(X) + 1.2))
    np.testing.assert_allclose(model.probabilities_, (members @ X + 0.1) / ((members @ X).sum(axis=1)[:, None] + 6))
    np.testing.assert_allclose(model.probabilities_.sum(axis=1), 1)


def test_the_chain_with_the_largest_joint_probability_is_kept():
    X, _ = corpus()
    history, _ = swept(X, 12, 0.1, 0.1, 3, 2, n_chains=6)
    ends = [twin.log_joint(X, labels, 12, 0.1, 0.1) for labels in history[-1]]
    model = GSDMM(12, n_iter=2, n_init=6, random_state=3).fit(X)
    assert np.ptp(ends) > 1
    assert model.log_joint_[-1] == pytest.approx(max(ends), rel=1e-12)
    assert adjusted_rand_score(history[-1][np.argmax(ends)], model.labels_) == 1


def formats(X):
    """The same counts in other memory."""
    csr = sparse.csr_array(X)
    tokens = [np.repeat(np.arange(X.shape[1]), row) for row in X]  # each word as often as it comes, unsorted
    begin = np.concatenate([[0], np.cumsum(X.sum(axis=1))])
    words = np.concatenate([own[::-1] for own in tokens])
    with_zeros = sparse.csr_array(np.where(X == 0, 1, X))
    with_zeros.data = X.ravel().copy()
    return {
        "CSR": csr,
        "CSR matrix": sparse.csr_matrix(X),
        "CSC": sparse.csc_array(X),
        "float32": csr.astype(np.float32),
        "words twice in a row": sparse.csr_array((np.ones(len(words)), words, begin), X.shape),
        "stored zeros": with_zeros,
        "long indices": sparse.csr_array(
            (csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)), X.shape
        ),
        "columns first": np.asfortranarray(X),
        "bytes": X.astype(np.uint8),
        "list": X.tolist(),
        "table": pd.DataFrame(X, columns=[f"word{j}" for j in range(X.shape[1])]),
    }


def test_any_form_of_the_same_counts_gives_the_same_fit_and_is_not_changed():
    X, _ = corpus()
    usual = fitted()
    for how, same in formats(X).items():
        before = pickle.dumps(same)
        model = GSDMM(12, random_state=0).fit(same)
        np.testing.assert_array_equal(model.labels_, usual.labels_, how)
        np.testing.assert_array_equal(model.log_joint_, usual.log_joint_, how)
        np.testing.assert_array_equal(model.score_samples(same), usual.score_samples(X), how)
        assert pickle.dumps(same) == before, how


def test_sparse_stays_sparse():
    """A million documents of a million words: eight terabytes, if they were dense."""
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.3, 2_000_000), 1_000_000) - 1
    X = sparse.csr_array((np.ones(2_000_000), words, np.arange(0, 2_000_001, 2)))
    assert X.shape == (1_000_000, 1_000_000)
    model = GSDMM(4, n_iter=1, random_state=0).fit(X)
    assert model.word_counts_.sum() == 2_000_000
    assert np.all(np.isfinite(model.score_samples(X[:1000])))


def test_texts_go_through_a_pipeline():
    texts = ["rain and wind", "wind rain cloud", "cloud and rain", "goal match team", "team goal", "match goal team"]
    pipeline = make_pipeline(CountVectorizer(stop_words=["and"]), GSDMM(6, random_state=0))
    assert adjusted_rand_score([0, 0, 0, 1, 1, 1], pipeline.fit_predict(texts)) == 1
    assert pipeline.predict(["rain wind"]) != pipeline.predict(["team match"])


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("value", "match"),
    [
        (-2, r"Negative values in data: column 1 of X is not all counts, row 2 is -2.0. Pass whole numbers from 0"),
        (0.5, r"Column 1 of X is not all counts, row 2 is 0.5. Pass whole numbers from 0"),
        (np.nan, "contains NaN"),
        (np.inf, "contains infinity"),
        (2.0**53, r"sum to 9.01e\+15, but whole numbers are exact up to 2"),
    ],
)
def test_what_is_no_count_is_named(value, match, make):
    X = np.array([[1, 0, 2], [0, 1, 0], [3, 1, 0.0]])
    model = GSDMM(2, random_state=0).fit(make(X))
    X[2, 1] = value
    for method in (GSDMM(2).fit, model.predict, model.predict_proba, model.score_samples):
        with pytest.raises(ValueError, match=match):
            method(make(X))


@pytest.mark.parametrize(
    "params", [{"alpha": 0}, {"beta": 0.0}, {"beta": 1e-101}, {"alpha": np.inf}, {"n_components": 0}, {"n_iter": 0}]
)
def test_parameters_out_of_range_are_named(params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of GSDMM must be"):
        GSDMM(**params).fit([[1, 2]])


def test_weights_of_rows_are_not_taken():
    with pytest.raises(TypeError, match="sample_weight"):
        GSDMM().fit([[1, 2]], sample_weight=[1])


def test_predictions_need_a_fit():
    for method in ("predict", "predict_proba", "score_samples", "score", "sample"):
        with pytest.raises(NotFittedError):
            getattr(GSDMM(), method)(*([] if method == "sample" else [[[1, 2]]]))
    assert not hasattr(GSDMM(), "weights_")
    assert not hasattr(GSDMM(), "probabilities_")


# ---- samples --------------------------------------------------------------------------------------------------------


def test_samples_have_the_totals_that_are_asked_for_and_the_probabilities_of_their_scores():
    X = np.array([[2, 1], [2, 2], [0, 4], [1, 5], [3, 0]])
    model = GSDMM(3, alpha=1.0, beta=0.5, n_iter=5, random_state=1).fit(X)
    n_samples = 40_000
    sample, labels = model.sample(n_samples, totals=3)
    assert np.all(sample.sum(axis=1) == 3)
    np.testing.assert_allclose(np.bincount(labels, minlength=3) / n_samples, model.weights_, atol=0.01)
    every = np.array([[3, 0], [2, 1], [1, 2], [0, 3]])
    frequency = [np.mean(sample[:, 1] == n) for n in range(4)]
    np.testing.assert_allclose(frequency, np.exp(model.score_samples(every)), atol=4 * 0.5 / np.sqrt(n_samples))
    sample, _ = model.sample(6, totals=np.arange(6))
    np.testing.assert_array_equal(sample.sum(axis=1), np.arange(6))
    np.testing.assert_array_equal(sample, model.sample(6, totals=np.arange(6))[0])
    assert np.any(sample != model.sample(6, random_state=5, totals=np.arange(6))[0])


def test_samples_have_the_totals_of_the_rows_unless_others_are_asked_for():
    X, _ = corpus()
    totals = fitted().sample(5000)[0].sum(axis=1)
    assert set(totals) <= set(X.sum(axis=1))
    assert totals.mean() == pytest.approx(X.sum(axis=1).mean(), abs=0.3)


# ---- what estimators do ---------------------------------------------------------------------------------------------


def test_a_saved_model_has_the_same_bits(tmp_path):
    model, X = fitted(n_init=2), corpus(40, seed=1)[0]
    model.save(tmp_path / "model")
    same = load(tmp_path / "model")
    assert same.get_params() == model.get_params() == clone(model).get_params()
    assert vars(same).keys() == vars(model).keys()
    for name in ("labels_", "log_joint_", "word_counts_", "word_totals_", "document_counts_"):
        assert getattr(same, name).dtype == getattr(model, name).dtype
        np.testing.assert_array_equal(getattr(same, name), getattr(model, name))
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(same, method)(X), getattr(model, method)(X))
        np.testing.assert_array_equal(getattr(pickle.loads(pickle.dumps(model)), method)(X), getattr(model, method)(X))


def test_verbose_prints_iterations(capsys):
    fitted(n_iter=4)
    assert capsys.readouterr().out == ""
    fitted(n_iter=4, verbose=1, verbose_interval=2, n_init=2)
    assert capsys.readouterr().out == "Initialization 0\nInitialization 1\n  Iteration 2\n  Iteration 4\n"
    fitted(n_iter=1, verbose=2, verbose_interval=1)
    assert "  Iteration 1\t time lapse 0." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["word_counts_", "document_counts_", "totals_", "total_shares_"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_row_is_drawn_from_numbers_that_are_not_finite(name, value):
    model = fitted()
    model.sample(3)
    setattr(model, name, np.full(getattr(model, name).shape, value))
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="should be finite"):
        model.sample(3)
