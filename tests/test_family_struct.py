"""What a family in a package of its own may leave to the engine, and what is refused by the name of the member."""

import ctypes
import re
from pathlib import Path

import capi_calls
import numpy as np
import pytest
from twins import EVERY_FAMILY

import mixfast
from mixfast import BernoulliMixture, Status, capi, fit_many
from mixfast._em import EM
from mixfast.engine import _isa
from mixfast.engine._capsule import BoundFamily
from mixfast.engine._rows import Rows
from mixfast.families.bernoulli import Bernoulli
from mixfast.families.gaussian import DiagonalGaussian, TiedGaussian

HEADER = (Path(mixfast.get_include()) / "family.h").read_text()
CAPSULE = re.search(r'MIXFAST_FAMILY_CAPSULE "(.*)"', HEADER)[1].encode()
KINDS = {"size_t": ctypes.c_size_t, "ptrdiff_t": ctypes.c_ssize_t, "int": ctypes.c_int}
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)


def fields_in(body):
    for kind, names in re.findall(r"((?:const )?\w+) ([^;]+);", body):
        for name in names.split(","):
            yield name.strip(" *"), KINDS.get(kind, ctypes.c_void_p)


class Struct(ctypes.Structure):
    _fields_ = list(fields_in(re.search(r"struct mixfast_family \{(.*?)\n\};", CODE, re.DOTALL)[1]))


def group(name):
    """The struct of a group of verbs."""
    body = re.findall(r"typedef struct \{([^}]*)\} (\w+);", CODE)
    fields = next(list(fields_in(own)) for own, kind in body if kind == f"mixfast_{name}")
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def struct_in(capsule):
    """The struct itself, to be changed; it keeps the capsule."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    struct = Struct.from_address(pointer(capsule, CAPSULE))
    struct.capsule = capsule
    return struct


def set_member(struct, name, value):
    """`group.verb` names a verb of a group."""
    if "." in name:
        kind, name = name.split(".")
        struct = group(kind).from_address(getattr(struct, kind))
    setattr(struct, name, value)


def changed(family, members):
    """A family whose `bind` gives these members other values."""

    class Changed(type(family)):
        def bind(self, *args, **options):
            capsule = super().bind(*args, **options)
            for name, value in members.items():
                set_member(struct_in(capsule), name, value)
            return capsule

    own = Changed.__new__(Changed)
    own.__dict__.update(family.__dict__)
    return own


def binary(n_rows=400):
    return (np.random.default_rng(0).random((n_rows, 3)) < [[0.2, 0.5, 0.7]]).astype(float)


class OwnMixture(BernoulliMixture):
    members: dict = {}

    def _family(self):
        return changed(super()._family(), self.members)


def fit_with(members):
    kind = type("OwnMixture", (OwnMixture,), {"members": members})
    return kind(2, random_state=0, accelerate="auto").fit(binary())


def test_the_struct_of_the_test_is_that_of_the_header():
    struct = struct_in(DiagonalGaussian(1e-6).bind(3, 2, np.float64))
    assert (struct.n_components, struct.n_features, struct.n_params, struct.real_bytes) == (3, 2, 18, 8)
    assert struct.free_numbers
    assert not struct.owner


@pytest.mark.parametrize("member", ["prepare", "log_density", "accumulate", "maximise"])
def test_a_verb_that_no_family_can_do_without_is_named(member):
    with pytest.raises(ValueError, match=f"struct cannot be used: {member} is NULL"):
        fit_with({member: None})


@pytest.mark.parametrize(
    ("family", "members"),
    [
        (Bernoulli(1.0), "free_numbers"),
        (DiagonalGaussian(1e-6), "bounds"),
    ],
    ids=["free numbers", "bounds"],
)
def test_a_group_of_verbs_is_complete_or_not_there(family, members):
    verbs = [name for name, kind in group(members)._fields_ if kind is ctypes.c_void_p]
    assert len(verbs) > 1
    for verb in verbs:
        with pytest.raises(ValueError, match=rf"{verb} of {members} is NULL: a group of verbs is NULL or complete"):
            EM(changed(family, {f"{members}.{verb}": None}).bind(2, 3, np.float64), Rows(binary()))
    EM(changed(family, {members: None}).bind(2, 3, np.float64), Rows(binary())).step()


def test_a_package_built_before_a_member_was_there_goes_on_working():
    """Its struct is shorter: what is beyond is not looked at, and has its default."""
    optional = [name for name, _ in Struct._fields_][[name for name, _ in Struct._fields_].index("prepare_component") :]
    whole = EM(DiagonalGaussian(1e-6).bind(2, 3, np.float64), Rows(binary()))
    for name in optional:
        capsule = DiagonalGaussian(1e-6).bind(2, 3, np.float64)
        struct = struct_in(capsule)
        struct.struct_size = getattr(Struct, name).offset
        for beyond in optional[optional.index(name) :]:
            setattr(struct, beyond, 1)  # a function there would be called, and crash
        em = EM(capsule, Rows(binary()))
        for engine in (whole, em):
            engine.start_from_draws(0, 0)
        assert em.step() == whole.step()


@pytest.mark.parametrize("size", [0, Struct.prepare_component.offset - 1])
def test_a_struct_that_does_not_say_its_size_is_refused(size):
    with pytest.raises(ValueError, match=rf"struct_size is {size}, it should be sizeof\(mixfast_family\)"):
        fit_with({"struct_size": size})
    capsule = TiedGaussian(1e-6).bind(2, 3, np.float64)
    Struct.from_address(struct_in(capsule).quick).struct_size = size
    with pytest.raises(ValueError, match=f"struct_size of its quick family is {size}"):
        EM(capsule, Rows(binary()))


def test_a_newer_package_may_have_more_members():
    capsule = DiagonalGaussian(1e-6).bind(2, 3, np.float64)
    room = ctypes.create_string_buffer(ctypes.sizeof(Struct) + 64)
    ctypes.memmove(room, ctypes.addressof(struct_in(capsule)), ctypes.sizeof(Struct))
    Struct.from_buffer(room).struct_size = ctypes.sizeof(Struct) + 64
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    assert BoundFamily(new(ctypes.addressof(room), CAPSULE, None)).n_params == 18


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"real_bytes": 4}, "bind was asked for real_bytes = 8, and gave real_bytes = 4"),
        ({"real_bytes": 0}, "real_bytes is 0, it should be 4 .* or 8"),
        ({"n_components": 3}, "bind was asked for n_components = 2, and gave n_components = 3"),
        ({"n_features": 0}, "n_components is 2 and n_features 0"),
        ({"n_params": 5}, "bind gave n_params = 5, but BernoulliParams has 6 numbers"),
        ({"n_stats": 5}, "bind gave n_stats = 5, but BernoulliStats has 6 numbers"),
        ({"free_numbers.n_free": 0}, "bind gave free_numbers, but n_free = 0"),
        ({"flops_per_row": -1}, "flops_per_row is -1"),
        ({"isa": 99}, "isa is 99, for which this build has no kernels; 0 lets the engine choose"),
    ],
)
def test_a_member_that_does_not_fit_is_named(members, match):
    with pytest.raises(ValueError, match=match):
        fit_with(members)


def test_a_batch_looks_at_the_sizes_too():
    kind = type("OwnMixture", (OwnMixture,), {"members": {"n_stats": 5}})
    with pytest.raises(ValueError, match="bind gave n_stats = 5"):
        fit_many(binary().reshape(4, 100, 3), kind(2), random_state=0)


class Chunk(ctypes.Structure):
    _fields_ = list(fields_in(re.search(r"typedef struct \{([^}]*)\} mixfast_chunk;", CODE)[1]))


def failing_at(verb, n_rows):
    """A verb of a Bernoulli family that fails at chunks of so many rows, and is its own otherwise; the chunk is the
    third of its arguments."""
    places = {"log_density": 6, "accumulate": 7}[verb]
    kind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * places)
    capsule = Bernoulli(1.0).bind(2, 3, np.float64)
    usual = kind(getattr(struct_in(capsule), verb))

    def called(*args):
        return -1 if Chunk.from_address(args[2]).n_rows == n_rows else usual(*args)

    own = kind(called)
    own.usual = usual
    return own


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("verb", ["log_density", "accumulate"])
def test_a_problem_whose_family_fails_has_a_status_and_no_numbers(verb, n_threads):
    problems = [binary(40), binary(133), binary(50)]
    own = failing_at(verb, 133)
    kind = type("OwnMixture", (OwnMixture,), {"members": {verb: ctypes.cast(own, ctypes.c_void_p).value}})
    options = {"random_state": 0, "n_threads": n_threads}
    with pytest.raises(RuntimeError, match="a family's verb failed"):
        kind(2, random_state=0).fit(problems[1])
    for n_components in (None, [1, 2]):
        result = fit_many(problems, kind(2), n_components=n_components, **options)
        usual = fit_many(problems, BernoulliMixture(2), n_components=n_components, **options)
        assert result.status[1] & Status.NOT_FINITE
        assert np.all(np.isnan(result.weights[1]))
        assert np.all(np.isnan(result.probabilities[1]))
        assert np.isnan(result.lower_bound[1])
        assert n_components is None or np.all(np.isnan(result.criteria[1]))
        for i in (0, 2):
            np.testing.assert_array_equal(result.probabilities[i], usual.probabilities[i])
            assert result.lower_bound[i] == usual.lower_bound[i]
    if verb == "log_density":
        fitted = problems[::2]
        result, usual = fit_many(fitted, kind(2), **options), fit_many(fitted, BernoulliMixture(2), **options)
        rows = [binary(144 + 133), binary(60)]  # two chunks, of which the first does not fail
        labels, log_prob, resp = result.predict(rows), result.score_samples(rows), result.predict_proba(rows)
        assert np.all(labels[0] == -1)
        assert log_prob[0].shape == (277,)
        assert np.all(np.isnan(log_prob[0]))
        assert np.all(np.isnan(resp[0]))
        np.testing.assert_array_equal(labels[1], usual.predict(rows)[1])
        np.testing.assert_array_equal(log_prob[1], usual.score_samples(rows)[1])
        np.testing.assert_array_equal(resp[1], usual.predict_proba(rows)[1])


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_all_families_have_the_sizes_that_their_records_say(name):
    twins = EVERY_FAMILY[name]
    X = twins.make_rows(np.random.default_rng(0), 50, 4)
    encoded = twins.compiled.encode(X)
    encoded.check_layout(encoded.bind(3, X.dtype), 3, X.shape[1])


def test_a_capsule_of_another_version_says_what_to_do():
    with pytest.raises(TypeError, match=r"expected a capsule named 'mixfast.family_v\d+'.*compiled again"):
        BoundFamily(np.arange(3))


def test_work_that_is_not_told_is_estimated():
    X = binary(20_000)
    engines = [
        EM(changed(Bernoulli(1.0), members).bind(40, 3, np.float64), Rows(X), 2)
        for members in ({}, {"flops_per_row": 0})
    ]
    assert [em.n_threads for em in engines] == [2, 2]
    assert engines[0].n_lanes == engines[1].n_lanes


def test_the_engine_chooses_the_instruction_set_that_is_not_told():
    """The same bits as with the set that mixfast's own families take."""
    told, chosen = Bernoulli(1.0).bind(2, 3, np.float64), changed(Bernoulli(1.0), {"isa": 0}).bind(2, 3, np.float64)
    number = struct_in(told).isa
    assert number > 0
    assert struct_in(chosen).isa == 0
    assert BoundFamily(chosen).isa == number
    assert struct_in(chosen).isa == 0


@pytest.mark.parametrize("isa", _isa.available_isas())
def test_a_set_that_is_told_is_taken(isa):
    capsule = Bernoulli(1.0).bind(2, 3, np.float64, isa)
    assert BoundFamily(capsule).isa == 1 + ("base", "v2", "v3", "v4").index(isa)


@pytest.mark.parametrize(
    "member",
    [
        "prepare",
        "log_density",
        "shared_term",
        "shared_term.accumulate_common",
        "shared_term.common_evidence",
        "shared_term.loses_digits",
    ],
)
def test_what_a_quick_family_lacks_is_named(member):
    capsule = TiedGaussian(1e-6).bind(2, 3, np.float64)
    set_member(Struct.from_address(struct_in(capsule).quick), member, None)
    named = " of ".join(reversed(member.split(".")))
    with pytest.raises(ValueError, match=f"{named} of its quick family is NULL"):
        EM(capsule, Rows(binary()))


def test_a_quick_family_of_other_sizes_is_refused():
    capsule = TiedGaussian(1e-6).bind(2, 3, np.float64)
    Struct.from_address(struct_in(capsule).quick).n_stats = 6
    with pytest.raises(ValueError, match="n_stats of its quick family is 6, its own 12: they must be the same"):
        EM(capsule, Rows(binary()))
    with_none = changed(TiedGaussian(1e-6), {"quick": None}).bind(2, 3, np.float64)
    EM(with_none, Rows(binary())).step()


def test_a_family_that_draws_no_rows_is_a_bad_argument_of_sample():
    for members, code in (({}, 0), ({"draw_row": None}, -1)):
        kind = type("OwnMixture", (OwnMixture,), {"members": members})
        plan = capi.plan(kind(2), 3)
        params = np.full(plan.n_params, 0.5)
        assert capi_calls.sample(plan, np.full(2, 0.5), params, 10)[0] == code
