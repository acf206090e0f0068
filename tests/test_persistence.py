"""A saved model comes back to the last bit; a file that cannot be one says so."""

import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import mixfast
from mixfast import (
    BernoulliMixture,
    GaussianMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    fit_many,
    load,
    persistence,
)
from mixfast.parts import Gaussian

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3)) + np.repeat([[5.0], [0.0]], 30, axis=0)
LABELS = np.arange(60) % 2
EYE = np.eye(3)
DTYPES = (np.float64, np.float32)


def models(dtype):
    """Fitted ones, with every kind of parameter and attribute."""
    X = ROWS.astype(dtype)
    yield from (
        GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
        for covariance_type in ("full", "tied", "diag", "spherical")
    )
    yield StudentTMixture(2, covariance_type="tied", degrees_of_freedom="shared", random_state=0).fit(X)
    yield BernoulliMixture(2, alpha=0.1, binarize=0.3, random_state=np.int64(3), accelerate="auto").fit(X)
    start = {"weights_init": [0.4, 0.6], "means_init": ROWS[[0, 40]].tolist(), "precisions_init": [EYE, 2 * EYE]}
    yield GaussianMixture(2, **start, tol=np.float32(1e-2), reg_covar=0, n_threads=1).fit(X)
    yield GaussianMixture(2, init_params=LABELS, tol=0.1, verbose=False).fit(X)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        yield GaussianMixture(2, init_params=np.eye(2, dtype=np.float32)[LABELS], max_iter=1).fit(X)
    yield GaussianMixture(2, max_iter=0, random_state=0).fit(X)


def save_and_load(model, tmp_path):
    model.save(tmp_path / "model")
    return load(tmp_path / "model")


def assert_same_bits(got, wanted):
    assert type(got) is type(wanted)
    if isinstance(wanted, list):
        assert [(type(a), a) for a in got] == [(type(a), a) for a in wanted]
    elif isinstance(wanted, np.ndarray):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    else:
        assert got == wanted


@pytest.mark.parametrize("dtype", DTYPES)
def test_attributes_and_results_have_the_same_bits(dtype, tmp_path):
    for model in models(dtype):
        same = save_and_load(model, tmp_path)
        assert type(same) is type(model)
        assert vars(same).keys() == vars(model).keys()
        for name, value in vars(model).items():
            if name.endswith("_"):
                assert_same_bits(getattr(same, name), value)
        for method in ("predict", "predict_proba", "score_samples"):
            assert_same_bits(getattr(same, method)(ROWS), getattr(model, method)(ROWS))
        for got, wanted in zip(same.sample(20, random_state=1), model.sample(20, random_state=1), strict=True):
            assert_same_bits(got, wanted)


def test_parameters_come_back_and_lists_of_lists_as_arrays(tmp_path):
    for model in models(np.float64):
        same = save_and_load(model, tmp_path).get_params()
        for name, value in model.get_params().items():
            if type(value) in (bool, int, str, type(None), np.ndarray, np.int64, np.float32):
                assert_same_bits(same[name], value)
            else:
                np.testing.assert_array_equal(same[name], value)
        save_and_load(model, tmp_path).fit(ROWS.astype(model.weights_.dtype))


def test_a_loaded_model_goes_on_where_the_saved_one_stopped(tmp_path):
    options = {"init_params": LABELS, "warm_start": True, "tol": 1e-9}
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(2, max_iter=3, **options).fit(ROWS)
    same = save_and_load(model, tmp_path).set_params(max_iter=500).fit(ROWS)
    assert same.lower_bounds_ == model.set_params(max_iter=500).fit(ROWS).lower_bounds_


def test_names_of_columns_and_status_come_back(tmp_path):
    frame = pd.DataFrame(ROWS, columns=["länge", "b\0", ""])
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(2, reg_covar=0, max_iter=2, tol=0, random_state=0).fit(frame.assign(b2=frame["länge"]))
    same = save_and_load(model, tmp_path)
    assert same.feature_names_in_.dtype == object
    assert list(same.feature_names_in_) == ["länge", "b\0", "", "b2"]
    assert same.status_ is model.status_ is Status.REPAIRED_COVARIANCE | Status.MAX_ITER
    with pytest.raises(ValueError, match="feature names should match"):
        same.predict(pd.DataFrame(np.zeros((1, 4)), columns=list("abcd")))


@pytest.mark.parametrize("name", ["model", "model.npz", "model.mixfast"])
def test_the_path_is_taken_as_it_is_and_the_file_is_replaced(name, tmp_path):
    for n_components in (9, 1):
        GaussianMixture(n_components, random_state=0).fit(ROWS).save(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert load(str(tmp_path / name)).n_components == 1


def test_the_same_model_makes_the_same_bytes(tmp_path):
    for name in "ab":
        GaussianMixture(2, random_state=0).fit(ROWS).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_process_gets_the_same_batch(tmp_path):
    problems = [ROWS, ROWS[::2], ROWS[:1]]
    result = fit_many(problems, GaussianMixture(random_state=0), n_components=[1, 2])
    result.save(tmp_path / "batch")
    np.save(tmp_path / "rows.npy", ROWS)
    code = (
        "import numpy as np, mixfast\n"
        "result = mixfast.load('batch')\n"
        "X = np.load('rows.npy')\n"
        "np.save('weights.npy', result.weights)\n"
        "np.save('status.npy', result.status)\n"
        "np.save('scores.npy', np.concatenate(result.score_samples([X, X[::2], X[:1]])))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_same_bits(np.load(tmp_path / "weights.npy"), result.weights)
    assert_same_bits(np.load(tmp_path / "status.npy"), result.status)
    assert_same_bits(np.load(tmp_path / "scores.npy"), np.concatenate(result.score_samples(problems)))


def test_another_process_gets_the_same_bits(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS.astype(np.float32))
    model.save(tmp_path / "model")
    np.save(tmp_path / "rows.npy", ROWS)
    code = (
        "import sys, numpy as np, mixfast\n"
        "model = mixfast.load('model')\n"
        "np.save('resp.npy', model.predict_proba(np.load('rows.npy')))\n"
        "np.save('sample.npy', model.sample(50)[0])\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_same_bits(np.load(tmp_path / "resp.npy"), model.predict_proba(ROWS))
    assert_same_bits(np.load(tmp_path / "sample.npy"), model.sample(50)[0])


def test_numpy_and_json_alone_can_read_a_file(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    model.save(tmp_path / "model")
    with np.load(tmp_path / "model", allow_pickle=False) as entries:
        header = json.loads(entries["header.json"])
        np.testing.assert_array_equal(entries["attributes.means_"], model.means_)
    assert {name: header[name] for name in ("format", "version", "mixfast", "kind", "class")} == {
        "format": "mixfast", "version": 1, "mixfast": mixfast.__version__, "kind": "estimator",
        "class": "GaussianMixture",
    }  # fmt: skip
    assert header["sections"]["params"]["covariance_type"] == "full"
    assert header["sections"]["attributes"]["means_"] == {"form": "array", "entry": "attributes.means_"}


# ---- what cannot be saved -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", [GaussianMixture, BernoulliMixture])
def test_a_model_that_is_not_fitted_is_not_saved(mixture, tmp_path):
    with pytest.raises(NotFittedError):
        mixture().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.random.RandomState(0), object(), np.array([None])])
def test_a_parameter_that_needs_a_pickle_is_named_and_the_old_file_stays(value, tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    model.save(tmp_path / "model")
    with pytest.raises(TypeError, match=r"(?s)params.random_state is .*random_state: to an int or None"):
        model.set_params(random_state=value).save(tmp_path / "model")
    assert load(tmp_path / "model").random_state == 0


class Own(GaussianMixture):
    """A class that mixfast does not know."""


class OwnPart(Gaussian):
    """A part that mixfast does not know."""


def test_a_class_of_ones_own_is_loaded_where_it_is_given(tmp_path):
    model = Own(2, random_state=0).fit(ROWS)
    model.save(tmp_path / "model")
    same = load(tmp_path / "model", classes=[Own])
    assert type(same) is Own
    assert_same_bits(same.predict_proba(ROWS), model.predict_proba(ROWS))
    for classes in ((), [OwnPart]):
        with pytest.raises(ValueError, match=r"has no estimator 'Own': update mixfast or.* classes=\[Own\]"):
            load(tmp_path / "model", classes=classes)


def test_a_batch_of_a_class_of_ones_own_is_loaded_where_it_is_given(tmp_path):
    result = fit_many([ROWS, ROWS[:30]], Own(2), random_state=0)
    result.save(tmp_path / "batch")
    same = load(tmp_path / "batch", classes=[Own])
    assert type(same[1]) is Own
    assert_same_bits(same[1].means_, result[1].means_)
    with pytest.raises(ValueError, match=r"has no estimator 'Own'"):
        load(tmp_path / "batch")


def test_a_class_of_ones_own_within_a_model_is_loaded_where_it_is_given(tmp_path):
    model = ProductMixture([(0, 1, OwnPart())], 2, random_state=0).fit(ROWS[:, :2])
    model.save(tmp_path / "model")
    assert type(load(tmp_path / "model", classes=[OwnPart]).parts[0][-1]) is OwnPart
    with pytest.raises(ValueError, match=r"has no estimator 'OwnPart'"):
        load(tmp_path / "model")


def test_a_class_that_has_the_name_of_mixfasts_own_is_neither_saved_nor_loaded(tmp_path):
    twin = type("GaussianMixture", (GaussianMixture,), {"__init__": GaussianMixture.__init__})
    with pytest.raises(ValueError, match="has the name of mixfast's own GaussianMixture: give your class another"):
        twin().fit(ROWS).save(tmp_path / "model")
    with pytest.raises(ValueError, match="has the name of mixfast's own"):
        fit_many([ROWS], twin()).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    GaussianMixture().fit(ROWS).save(tmp_path / "model")
    with pytest.raises(ValueError, match="in classes has the name of mixfast's own GaussianMixture"):
        load(tmp_path / "model", classes=[twin])
    assert type(load(tmp_path / "model", classes=[GaussianMixture])) is GaussianMixture


@pytest.mark.parametrize("wrong", [dict, "Own", Own()])
def test_what_is_no_estimators_class_is_not_loaded(wrong, tmp_path):
    Own().fit(ROWS).save(tmp_path / "model")
    with pytest.raises(TypeError, match="classes should be estimators' classes"):
        load(tmp_path / "model", classes=[wrong])


# ---- what cannot be loaded ------------------------------------------------------------------------------------------


def archive(**entries):
    """The bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, value in entries.items():
            file.writestr(name.replace("__", "."), value)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        b"PK\x03\x04",
        pickle.dumps([1, 2]),
        npz(means=np.zeros(2)),
        archive(header__json="{"),
        archive(header__json="[1]"),
        archive(header__json='{"format": "mixfast"}'),
        archive(header__json='{"format": "another", "version": 1}'),
        archive(header__json='{"format": "mixfast", "version": 1, "kind": "estimator"}'),
        archive(header__json='{"format": "mixfast", "version": "new"}'),
    ],
    ids=range(11),
)
def test_a_file_that_mixfast_did_not_save_says_so(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"file' is no file that mixfast saved, or it is damaged .*save the model"):
        load(tmp_path / "file")


def test_a_file_that_is_no_archive_is_not_said_to_want_a_pickle(tmp_path):
    (tmp_path / "notes.txt").write_text("some notes")
    with pytest.raises(ValueError, match=r"notes.txt' is no file that mixfast saved") as caught:
        load(tmp_path / "notes.txt")
    assert "pickle" not in str(caught.value)


def test_a_pickle_in_an_array_is_not_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    header = {"format": "mixfast", "version": 1, "kind": "estimator", "class": "GaussianMixture", "sections": {}}
    array = io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object))
    (tmp_path / "file").write_bytes(archive(header__json=json.dumps(header), bomb__npy=array.getvalue()))
    with pytest.raises(ValueError, match=r"damaged .*Object arrays cannot be loaded"):
        load(tmp_path / "file")


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_a_file_that_was_cut_is_damaged(tmp_path):
    GaussianMixture(2, random_state=0).fit(ROWS).save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    for n_bytes in range(0, len(whole), 101):
        (tmp_path / "part").write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path / "part")


def test_a_changed_byte_is_found_or_is_none_of_the_models(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    model.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    n_found = 0
    places = range(0, len(whole), 13)
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 0x41
        (tmp_path / "changed").write_bytes(changed)
        try:
            same = load(tmp_path / "changed")
        except ValueError:
            n_found += 1
        else:  # times, hosts and the like in the archive's own fields
            for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
                assert_same_bits(getattr(same, name), getattr(model, name))
            assert same.get_params() == model.get_params()
    assert n_found > 0.7 * len(places)


def changed_header(tmp_path, change):
    """A file whose header `change` has changed."""
    GaussianMixture(2, random_state=0).fit(ROWS).save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as file:
        entries = {name: file.read(name) for name in file.namelist()}
    header = json.loads(entries["header.json"])
    change(header)
    (tmp_path / "changed").write_bytes(archive(**entries | {"header.json": json.dumps(header)}))
    return tmp_path / "changed"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda header: header.update(version=2, mixfast="9.9"), "version 2 of the format.*reads up to 1.*mixfast 9.9"),
        (lambda header: header.update(kind="forest"), r"holds the kind 'forest'.*knows \['batch', 'estimator'\]"),
        (lambda header: header["sections"].pop("params"), "has sections params and attributes"),
        (lambda header: header["sections"]["params"].update(n_trees=3), r"has no \['n_trees'\] in GaussianMixture"),
        (lambda header: header["sections"]["attributes"].update(fit=3), r"has no \['fit'\] in GaussianMixture"),
        (lambda header: header["sections"]["attributes"].update(__class__=3), r"has no \['__class__'\]"),
        (lambda header: header["sections"]["attributes"].update(a_={"form": "code", "value": 1}), "damaged"),
        (lambda header: header["sections"]["attributes"].update(a_={"form": "array", "entry": "b"}), "damaged"),
    ],
)
def test_a_header_of_a_later_mixfast_or_of_none_says_so(change, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        load(changed_header(tmp_path, change))


@pytest.mark.parametrize("name", ["Forest", "Status", "load", "_HOMES", "os.system", "sklearn.mixture.GaussianMixture"])
def test_only_mixfasts_own_estimators_are_loaded(name, tmp_path):
    path = changed_header(tmp_path, lambda header: header.update({"class": name}))
    with pytest.raises(ValueError, match=f"has no estimator '{name}'"):
        load(path)


def test_a_new_kind_of_content_is_a_class_of_values_in_sections(tmp_path):
    contents = persistence.Contents(
        "numbers",
        "Numbers",
        {
            "first": {"a": 1, "b": np.arange(3)},
            "second": {"c": [np.float32(2)], "d": None, "e": float("-inf"), "f": np.float64("inf")},
        },
    )
    persistence.write(tmp_path / "file", contents)
    same = persistence.read(tmp_path / "file")
    assert (same.kind, same.class_name, list(same.sections)) == ("numbers", "Numbers", ["first", "second"])
    for section, values in contents.sections.items():
        for name, value in values.items():
            assert_same_bits(same.sections[section][name], value)
