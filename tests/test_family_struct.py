"""What a family in a package of its own may leave to the engine, and what is refused by the name of the member."""

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest
from twins import EVERY_FAMILY

import mixfast
from mixfast import BernoulliMixture, fit_many
from mixfast._em import EM, Rows
from mixfast.engine import _isa
from mixfast.engine._capsule import sizes_in
from mixfast.families.bernoulli import Bernoulli
from mixfast.families.gaussian import DiagonalGaussian, TiedGaussian

HEADER = (Path(mixfast.get_include()) / "family.h").read_text()
CAPSULE = re.search(r'MIXFAST_FAMILY_CAPSULE "(.*)"', HEADER)[1].encode()
KINDS = {"ptrdiff_t": ctypes.c_ssize_t, "int": ctypes.c_int}


def fields_of_struct():
    body = re.sub(
        r"/\*.*?\*/", "", re.search(r"struct mixfast_family \{(.*?)\n\};", HEADER, re.DOTALL)[1], flags=re.DOTALL
    )
    for kind, names in re.findall(r"((?:const )?\w+) ([^;]+);", body):
        for name in names.split(","):
            yield name.strip(" *"), KINDS.get(kind, ctypes.c_void_p)


class Struct(ctypes.Structure):
    _fields_ = list(fields_of_struct())


def struct_in(capsule):
    """The struct itself, to be changed; it keeps the capsule."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    struct = Struct.from_address(pointer(capsule, CAPSULE))
    struct.capsule = capsule
    return struct


def changed(family, **members):
    """A family whose `bind` gives these members other values."""

    class Changed(type(family)):
        def bind(self, *args, **options):
            capsule = super().bind(*args, **options)
            for name, value in members.items():
                setattr(struct_in(capsule), name, value)
            return capsule

    own = Changed.__new__(Changed)
    own.__dict__.update(family.__dict__)
    return own


def binary(n_rows=400):
    return (np.random.default_rng(0).random((n_rows, 3)) < [[0.2, 0.5, 0.7]]).astype(float)


class OwnMixture(BernoulliMixture):
    members: dict = {}

    def _family(self):
        return changed(super()._family(), **self.members)


def fit_with(X=None, **members):
    kind = type("OwnMixture", (OwnMixture,), {"members": members})
    return kind(2, random_state=0, accelerate="auto").fit(binary() if X is None else X)


def test_the_struct_of_the_test_is_that_of_the_header():
    struct = struct_in(DiagonalGaussian(1e-6).bind(3, 2, np.float64))
    assert (struct.n_components, struct.n_features, struct.n_params, struct.real_bytes) == (3, 2, 18, 8)
    assert struct.constrain
    assert not struct.owner


@pytest.mark.parametrize("member", ["prepare", "log_density", "accumulate", "maximise"])
def test_a_verb_that_no_family_can_do_without_is_named(member):
    with pytest.raises(ValueError, match=f"struct cannot be used: {member} is NULL"):
        fit_with(**{member: None})


@pytest.mark.parametrize(
    ("family", "members"),
    [
        (Bernoulli(1.0), ("unconstrain", "constrain")),
        (DiagonalGaussian(1e-6), ("bounded_log_density", "prepare_carry", "carry")),
    ],
    ids=["free numbers", "bounds"],
)
def test_verbs_that_need_each_other_are_named(family, members):
    for member in members:
        with pytest.raises(ValueError, match=rf"{member} is NULL: of {', '.join(members)} there must be all or none"):
            EM(changed(family, **{member: None}).bind(2, 3, np.float64), Rows(binary()))
    EM(changed(family, **dict.fromkeys(members)).bind(2, 3, np.float64), Rows(binary()))


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"real_bytes": 4}, "bind was asked for real_bytes = 8, and gave real_bytes = 4"),
        ({"real_bytes": 0}, "real_bytes is 0, it should be 4 .* or 8"),
        ({"n_components": 3}, "bind was asked for n_components = 2, and gave n_components = 3"),
        ({"n_features": 0}, "n_components is 2 and n_features 0"),
        ({"n_params": 5}, "bind gave n_params = 5, but BernoulliParams has 6 numbers"),
        ({"n_stats": 5}, "bind gave n_stats = 5, but BernoulliStats has 6 numbers"),
        ({"n_free": 0}, "bind gave unconstrain, but n_free = 0"),
        ({"flops_per_row": -1}, "flops_per_row is -1"),
        ({"isa": 99}, "isa is 99, for which this build has no kernels; 0 lets the engine choose"),
    ],
)
def test_a_member_that_does_not_fit_is_named(members, match):
    with pytest.raises(ValueError, match=match):
        fit_with(**members)


def test_a_batch_looks_at_the_sizes_too():
    kind = type("OwnMixture", (OwnMixture,), {"members": {"n_stats": 5}})
    with pytest.raises(ValueError, match="bind gave n_stats = 5"):
        fit_many(binary().reshape(4, 100, 3), kind(2), random_state=0)


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_all_families_have_the_sizes_that_their_records_say(name):
    twins = EVERY_FAMILY[name]
    X = twins.make_rows(np.random.default_rng(0), 50, 4)
    encoded = twins.compiled.encode(X)
    encoded.check_layout(encoded.bind(3, X.dtype), 3, X.shape[1])


def test_a_capsule_of_another_version_says_what_to_do():
    with pytest.raises(TypeError, match=r"expected a capsule named 'mixfast.family_v\d+'.*compiled again"):
        sizes_in(np.arange(3))


def test_work_that_is_not_told_is_estimated():
    X = binary(20_000)
    engines = [
        EM(changed(Bernoulli(1.0), **members).bind(40, 3, np.float64), Rows(X), 2)
        for members in ({}, {"flops_per_row": 0})
    ]
    assert [em.n_threads for em in engines] == [2, 2]
    assert engines[0].n_lanes == engines[1].n_lanes


def test_the_engine_chooses_the_instruction_set_that_is_not_told():
    """The same bits as with the set that mixfast's own families take."""
    told, chosen = Bernoulli(1.0).bind(2, 3, np.float64), changed(Bernoulli(1.0), isa=0).bind(2, 3, np.float64)
    number = struct_in(told).isa
    assert number > 0
    assert struct_in(chosen).isa == 0
    EM(chosen, Rows(binary()))
    assert struct_in(chosen).isa == number


@pytest.mark.parametrize("isa", _isa.available_isas())
def test_a_set_that_is_told_is_taken(isa):
    capsule = Bernoulli(1.0).bind(2, 3, np.float64, isa)
    EM(capsule, Rows(binary()))
    assert struct_in(capsule).isa == 1 + ("base", "v2", "v3", "v4").index(isa)


@pytest.mark.parametrize("member", ["prepare", "log_density", "accumulate_common", "common_evidence", "loses_digits"])
def test_what_a_quick_family_lacks_is_named(member):
    capsule = TiedGaussian(1e-6).bind(2, 3, np.float64)
    setattr(Struct.from_address(struct_in(capsule).quick), member, None)
    with pytest.raises(ValueError, match=f"{member} of its quick family is NULL"):
        EM(capsule, Rows(binary()))


def test_a_quick_family_of_other_sizes_is_refused():
    capsule = TiedGaussian(1e-6).bind(2, 3, np.float64)
    Struct.from_address(struct_in(capsule).quick).n_stats = 6
    with pytest.raises(ValueError, match="n_stats of its quick family is 6, its own 12: they must be the same"):
        EM(capsule, Rows(binary()))
    with_none = changed(TiedGaussian(1e-6), quick=None).bind(2, 3, np.float64)
    EM(with_none, Rows(binary())).step()
