"""A saved model comes back to the last bit; a file that cannot be one says so."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators_table import REGRESSIONS, public_estimators
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import mixfast
from mixfast import (
    BatchResult,
    BernoulliMixture,
    CategoricalMixture,
    DirichletProcessMixture,
    GaussianMixture,
    ProductMixture,
    Status,
    StudentTMixture,
    fit_many,
    fit_many_groups,
    load,
    persistence,
)
from mixfast._names import PARTS
from mixfast.parts import Categorical, Gaussian

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
    expected = Status.REPAIRED_COVARIANCE | Status.SPURIOUS_COMPONENT | Status.MAX_ITER
    assert same.status_ is model.status_ is expected
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


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("random_state", np.random.RandomState(0), r"(?s)params.random_state is .*random_state: to an int or None"),
        ("random_state", object(), "'random_state' parameter of GaussianMixture must be"),
        ("means_init", np.array([1 + 2j]), "params.means_init is "),
    ],
)
def test_a_parameter_that_needs_a_pickle_is_named_and_the_old_file_stays(name, value, match, tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    model.save(tmp_path / "model")
    with pytest.raises(TypeError, match=match):
        model.set_params(**{name: value}).save(tmp_path / "model")
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

    header = {
        "format": "mixfast", "version": 1, "mixfast": "0.1.0", "kind": "estimator", "class": "GaussianMixture",
        "sections": {"attributes": {"bomb_": {"form": "array", "entry": "attributes.bomb_"}}},
    }  # fmt: skip
    array = io.BytesIO()
    np.save(array, np.array([Bomb()], dtype=object))
    (tmp_path / "file").write_bytes(
        archive(header__json=json.dumps(header), **{"attributes.bomb_.npy": array.getvalue()})
    )
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
        (lambda header: header.update(kind="forest"), r"kind 'forest'.*knows \['batch', 'estimator', 'estimators'\]"),
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


# ---- files of before, and changed ones ------------------------------------------------------------------------------

FILES = Path(__file__).parent / "data" / "files"
KNOWN = json.loads((FILES / "predictions.json").read_text())


def rows_of(name):
    """The rows that the numbers of a file are about."""
    known = KNOWN[name]
    if "columns" in known:
        return pd.DataFrame(known["rows"], columns=known["columns"])
    return np.array(known["rows"], dtype=object) if name == "categorical" else known["rows"]


@pytest.mark.parametrize("name", KNOWN)
def test_files_of_the_first_writer_are_read(name):
    model, known, rows = load(FILES / f"{name}.mixfast"), KNOWN[name], rows_of(name)
    if name == "batch":
        assert [len(one) for one in model.models] == [2, 2]
        rows = [rows, rows]
    # float32 is computed in it where the rows are, and here they are not
    given = {"y": known["y"]} if "y" in known else {}
    np.testing.assert_allclose(model.score_samples(rows, **given), known["log_density"], rtol=1e-12)
    labels = model.labels if given else model.predict
    np.testing.assert_array_equal(labels(rows, **given), known["labels"])


def test_there_is_a_file_of_every_class_that_can_be_saved():
    """Add one, and its predictions, for a new class: what is saved today is to be read by every later version."""
    found = [load(FILES / f"{name}.mixfast") for name in KNOWN]
    parts = [own[-1] for model in found if isinstance(model, ProductMixture) for own in model.parts]
    assert {type(model) for model in found} == public_estimators() | {BatchResult, DirichletProcessMixture}
    assert {type(part).__name__ for part in parts} == set(PARTS)
    assert {model.covariance_type for model in found if type(model) is GaussianMixture} >= {
        "full",
        "tied",
        "diag",
        "spherical",
    }


def test_names_in_a_file_of_the_first_writer_are_read():
    result = load(FILES / "batch_groups.mixfast")
    assert result.names == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert list(result.feature_names) == list(result[0].feature_names_in_) == ["x", "n"]


def fields_of(value, path=()):
    """The way to each field of a header, down to the last."""
    for key, own in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(own, (dict, list)):
            yield from fields_of(own, (*path, key))


def header_of(name):
    with zipfile.ZipFile(FILES / f"{name}.mixfast") as file:
        return json.loads(file.read("header.json"))


def turns_of(name):
    """The way to each field, its kind, and a number that counts on with each field of the kind, from file to file."""
    n_before = Counter()
    for path in fields_of(header_of(name)):
        is_of_values = path[-1] in ("form", "entry", "items", "value")  # of an array or a list, whichever that is
        kind = path[-1] if is_of_values else tuple("" if isinstance(key, int) else key for key in path)
        yield path, kind, FUZZED.index(name) + n_before[kind]
        n_before[kind] += 1


@pytest.fixture(scope="module")
def kinds_of_many():
    """Kinds of fields of which every remainder of the turn by `N_TURNS` occurs: parameters that estimators share."""
    found = [set() for _ in range(N_TURNS)]
    for name in FUZZED:
        for _, kind, turn in turns_of(name):
            found[turn % N_TURNS].add(kind)
    return set.intersection(*found)


def rewritten(path, header, entries):
    path.unlink(missing_ok=True)  # to write over what is there takes a file system ten times as long
    path.write_bytes(archive(**entries | {"header.json": json.dumps(header)}))
    return path


def use(model, name):
    """What a model says of rows."""
    if name.startswith("batch"):
        return [*model.score_samples([KNOWN["batch"]["rows"]] * len(model)), model.names]
    rows = rows_of(name)
    if "y" in KNOWN[name]:
        given = {"y": KNOWN[name]["y"]}
        return [model.score_samples(rows, **given), model.posterior(rows, **given), *model.sample(rows, random_state=0)]
    return [model.score_samples(rows), model.predict_proba(rows), *model.sample(3, random_state=0)]


FUZZED = [*KNOWN, "batch_groups"]
N_TURNS = 5
OTHERS = ([], ["x"], {}, {"form": "array", "entry": "x"}, None, 1, -3, 1.5, 10**30, "x")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Some rows", "ignore:invalid value")
@pytest.mark.parametrize("name", FUZZED)
def test_a_changed_header_is_a_value_error_or_a_model_that_works(name, kinds_of_many, tmp_path):
    """A number that a parameter may have cannot be told from the one that was there; a sum over the file would not be
    proof against those who mean harm. Of what there is often, each field is changed in a fifth of the ways, the next in
    others, so that every way is tried in some."""
    with zipfile.ZipFile(FILES / f"{name}.mixfast") as file:
        entries = {name: file.read(name) for name in file.namelist()}
    text = entries["header.json"]
    before = use(load(FILES / f"{name}.mixfast"), name)
    n_refused, n_tried = 0, 0
    for path, kind, turn in turns_of(name):
        for i, other in enumerate(OTHERS):
            if kind in kinds_of_many and (turn + i) % N_TURNS:
                continue
            header = json.loads(text)
            place = header
            for key in path[:-1]:
                place = place[key]
            if place[path[-1]] == other and type(place[path[-1]]) is type(other):
                continue
            is_name = isinstance(place[path[-1]], str)  # of a column, or a category: of the data perhaps
            place[path[-1]] = other
            n_tried += 1
            try:
                model = load(rewritten(tmp_path / "changed", header, entries))
            except ValueError:
                n_refused += 1
                continue
            if is_name and other == "x":
                try:
                    after = use(model, name)
                except ValueError as error:
                    if "feature names" in str(error) or "none of its categories" in str(error):
                        continue  # as it is for a table with other names
                    raise
            else:
                after = use(model, name)
            is_param = (
                "params" in path
                or any(str(key).startswith("candidate") for key in path)
                # fitted numbers, which densities are made of
                or any(str(key).endswith("prior_") or key == "concentration_" for key in path)
                or name.startswith("product")
            )
            if not is_param and "names" not in path:
                for got, wanted in zip(after, before, strict=True):
                    np.testing.assert_array_equal(got, wanted, err_msg=f"{path} {other!r}")
    assert n_refused > 0.6 * n_tried


@pytest.mark.parametrize("name", ["gaussian_full", "batch", "product"])
def test_a_missing_or_doubled_field_is_a_value_error_or_a_model_that_works(name, tmp_path):
    with zipfile.ZipFile(FILES / f"{name}.mixfast") as file:
        entries = {name: file.read(name) for name in file.namelist()}
    text = entries["header.json"]
    for path in fields_of(json.loads(text)):
        for change in (lambda place, key: place.pop(key), lambda place, key: place.insert(key, place[key])):
            header = json.loads(text)
            place = header
            for key in path[:-1]:
                place = place[key]
            if change.__code__.co_names == ("insert",) and not isinstance(place, list):
                continue
            change(place, path[-1])
            try:
                model = load(rewritten(tmp_path / "changed", header, entries))
            except ValueError:
                continue
            use(model, name)


@pytest.mark.parametrize("name", ["gsdmm", "batch", "product"])
def test_files_that_were_cut_or_have_changed_bits_are_value_errors_or_equal_in_use(name, tmp_path):
    whole = (FILES / f"{name}.mixfast").read_bytes()
    before = use(load(FILES / f"{name}.mixfast"), name)
    for n_bytes in range(0, len(whole), 997):
        (tmp_path / "part").write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path / "part")
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole), size=300):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        (tmp_path / "changed").write_bytes(changed)
        try:
            model = load(tmp_path / "changed")
        except ValueError:
            continue
        for got, wanted in zip(use(model, name), before, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_attributes_that_are_computed_or_of_no_fit_are_value_errors(tmp_path):
    changes = {
        "gsdmm": {"weights_": 1.0, "n_clusters_": 9, "probabilities_": None},
        "categorical": {"categories_": {"form": "items", "items": [{"form": "strings", "value": ["a"]}] * 2}},
        "gaussian_tied": {"feature_names_in_": {"form": "strings", "value": ["x"]}, "status_": 17},
        "product": {"columns_": 2, "weights_": {"form": "items", "items": [0.5, -0.5]}},
    }
    for name, attributes in changes.items():
        with zipfile.ZipFile(FILES / f"{name}.mixfast") as file:
            entries = {name: file.read(name) for name in file.namelist()}
        for attribute, value in attributes.items():
            header = json.loads(entries["header.json"])
            header["sections"]["attributes"][attribute] = value
            with pytest.raises(ValueError, match="damaged"):
                load(rewritten(tmp_path / "changed", header, entries))


def test_what_no_fit_leaves_is_not_saved(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(ROWS)
    with pytest.raises(ValueError, match="'tol' parameter of GaussianMixture must be"):
        model.set_params(tol=-1.0).save(tmp_path / "model")
    model.set_params(tol=1e-3).means_ = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r"means should have the shape of \(2, 3\)"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


BERLIN = ZoneInfo("Europe/Berlin")
NAMES = {
    "strings": ["a", "b\0", ""],
    "ints": [3, 2**40, -1],
    "large": [3, 2**70, 1],
    "floats": [0.5, float("inf"), 2.0],
    "bools": [True, False, True],
    "several types": [1, "1", None],
    "dates": [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)],
    "datetimes": [datetime(2024, 2, 29, 12, 30, 1, 5), datetime(1, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)],
    "zones": [datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)] + [None],
    "datetime64": list(np.array(["2024-02-29", "2024-03-01", "2024-03-02"], dtype="M8[D]")),
    "datetime64 of nanoseconds": list(np.array([1, 2, 3], dtype="M8[ns]")),
    "timestamps": list(pd.date_range("2024-02-29", periods=3, freq="7ns")),
    "timestamps with zones": list(pd.date_range("2024-03-30 12:00", periods=3, tz="Europe/Berlin")),
    "tuples": [(date(2024, 1, 1), 1), (date(2024, 1, 1), 2), (date(2024, 1, 2), 1)],
    "tuples of several types": [(1, "a"), ("1", pd.Timestamp("2024")), (None, 2.5)],
    "tuples and strings": [("a", 1), "b", ("a", 1, 2.5)],
    "decimals": [Decimal("0.10"), Decimal("1E+3"), Decimal("-Infinity")],
    "timedeltas": [timedelta(days=-3, microseconds=7), timedelta.max, timedelta.min],
    "durations": [pd.Timedelta(7, "ns"), pd.Timedelta(np.timedelta64(10**10, "s")), pd.Timedelta("-1 day")],
    "periods": [pd.Period("2024-02", "M"), pd.Period("1960-01-01", "D"), pd.Period("2024-03-01 12:00", "h")],
    "intervals": [pd.Interval(0, 1), pd.Interval(-0.5, 2.5, "left"), pd.Interval(*pd.date_range("2024", periods=2))],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_batch_keeps_its_names(names, tmp_path):
    result = fit_many([ROWS] * 3, GaussianMixture(random_state=0))
    result.names = names
    result.save(tmp_path / "batch")
    same = load(tmp_path / "batch").names
    assert same == names

    def types(value):
        return list(map(types, value)) if isinstance(value, (tuple, list)) else (type(value), getattr(value, "fold", 0))

    assert types(same) == types(names)
    for got, wanted in zip(same, names, strict=True):
        if isinstance(wanted, datetime):
            assert got.utcoffset() == wanted.utcoffset()
            assert str(got.tzinfo) == str(wanted.tzinfo)


@pytest.mark.parametrize("library", [pd, pl])
def test_groups_keyed_by_dates_are_saved(library, tmp_path):
    days = [date(2024, 1, 1 + i % 3) for i in range(60)]
    table = library.DataFrame({"day": days, "x": ROWS[:, 0], "y": ROWS[:, 1]})
    result = fit_many_groups(table, GaussianMixture(2, random_state=0), by="day", columns=["x", "y"])
    result.save(tmp_path / "batch")
    assert load(tmp_path / "batch").names == result.names == sorted(set(days))


CUT = np.random.default_rng(2).uniform(0, 90, 60)
KEYS = {
    "intervals": lambda: pd.cut(CUT, 3),
    "intervals of dates": lambda: pd.cut(pd.to_datetime("2024-01-01") + pd.to_timedelta(CUT, "D"), 3),
    "periods": lambda: pd.period_range("2024-01", periods=3, freq="M").take((CUT // 30).astype(int)),
    "durations": lambda: pd.to_timedelta(CUT // 30, "D"),
    "decimals": lambda: [Decimal(int(value)) / 10 for value in CUT // 30],
}


@pytest.mark.parametrize("kind", KEYS)
def test_groups_of_every_type_are_saved(kind, tmp_path):
    table = pd.DataFrame({"key": KEYS[kind](), "x": ROWS[:60, 0]})
    result = fit_many_groups(table, GaussianMixture(1, random_state=0), by="key")
    result.save(tmp_path / "batch")
    assert len(result) == 3
    assert load(tmp_path / "batch").names == result.names


@pytest.mark.parametrize("kind", sorted(KEYS.keys() - {"durations"}))  # which are no categories
def test_categories_of_every_type_are_saved(kind, tmp_path):
    table = pd.DataFrame({"key": pd.Categorical(KEYS[kind]())})
    for estimator in (CategoricalMixture(2, random_state=0), ProductMixture([("key", Categorical())], 2)):
        model = estimator.fit(table)
        model.save(tmp_path / "model")
        assert_same_bits(load(tmp_path / "model").score_samples(table), model.score_samples(table))


def test_names_that_no_file_can_hold_are_named(tmp_path):
    result = fit_many([ROWS], GaussianMixture(random_state=0))
    for name in (object(), pd.NaT, (1, object())):
        result.names = [name]
        with pytest.raises(TypeError, match="names"):
            result.save(tmp_path / "batch")
    assert not list(tmp_path.iterdir())


def test_lists_of_integers_come_back_as_they_were(tmp_path):
    entry = REGRESSIONS["gaussian"]
    model = entry.rows().to(entry.make(fixed=[1]).fit)
    model.save(tmp_path / "model")
    assert [type(place) for place in load(tmp_path / "model").fixed] == [int]
