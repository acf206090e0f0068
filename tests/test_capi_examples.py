"""The programs of examples/capi are compiled and run, and find what estimators find."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mixfast
from mixfast import GaussianMixture, capi, fit_many

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples" / "capi"
FROZEN = TESTS / "data" / "capi"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are compiled as on POSIX")


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def embedding():
    """Options of a C program that embeds Python."""
    version, folder = sysconfig.get_config_var("LDVERSION"), sysconfig.get_config_var("LIBDIR")
    return f"-I{sysconfig.get_path('include')}", f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{version}", "-lm"


def environment():
    """Where an embedded Python finds what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def can_embed():
    folder = Path(sysconfig.get_config_var("LIBDIR") or "")
    return any(folder.glob(f"libpython{sysconfig.get_config_var('LDVERSION')}.*"))


needs_embedding = pytest.mark.skipif(not can_embed(), reason="there is no library of Python to embed")


def rows_of(i):
    r = np.arange(500)
    return (5 * (r % 2) + (r * (37 + i) % 101) / 101.0)[:, np.newaxis]


def check_program(output):
    lines = output.splitlines()
    assert len(lines) == 100
    for i in (0, 41, 99):
        model = GaussianMixture(2, covariance_type="diag", random_state=i).fit(rows_of(i))
        *means, n_iter, label, log_density = map(float, lines[i].split())
        assert_array_equal(means, model.means_[:, 0])
        assert (n_iter, label) == (model.n_iter_, model.predict(rows_of(i))[0])
        assert log_density == model.score_samples(rows_of(i))[0]


@needs_embedding
def test_the_program_in_c(tmp_path):
    run(
        "cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", EXAMPLES / "program.c", f"-I{mixfast.get_include()}",
        *embedding(), "-o", tmp_path / "program",
    )  # fmt: skip
    check_program(run(tmp_path / "program", env=environment()))


@needs_embedding
def test_a_program_built_against_version_1(tmp_path):
    """The header, and the program that uses it, as they were for version 1: they are never changed."""
    shutil.copy(FROZEN / "mixfast_v1.h", tmp_path / "mixfast.h")
    run("cc", FROZEN / "program_v1.c", f"-I{tmp_path}", *embedding(), "-o", tmp_path / "program")
    check_program(run(tmp_path / "program", env=environment()))


def compile_every_function(tmp_path, *options):
    """The program that calls every function in memory of exactly the size that it asks for."""
    target = tmp_path / "every_function"
    run(
        "cc", "-std=c99", "-g", "-O1", *options, FROZEN / "every_function.c", f"-I{mixfast.get_include()}",
        *embedding(), "-o", target,
    )  # fmt: skip
    return target


@needs_embedding
@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_function_in_exact_memory(tmp_path, n_threads):
    """The C library's own checks of the heap look at it, where there are some."""
    program = compile_every_function(tmp_path)
    output = run(program, n_threads, env=environment() | {"MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"})
    assert len(output.splitlines()) == 26, output


@needs_embedding
@pytest.mark.skipif("MIXFAST_VALGRIND" not in os.environ, reason="takes minutes: make test-capi-valgrind")
def test_valgrind_finds_nothing(tmp_path):
    """With kernels of v3: valgrind knows no AVX-512."""
    options = (
        "--error-exitcode=9",
        "--leak-check=no",
        "--error-limit=no",
        "-q",
        f"--suppressions={FROZEN}/python.supp",
    )
    environ = environment() | {
        "MIXFAST_ISA": "v3", "PYTHONMALLOC": "malloc", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Haswell",
    }  # fmt: skip
    run("valgrind", *options, compile_every_function(tmp_path), env=environ)


@pytest.fixture(scope="module")
def problems():
    """(plan, X (n_problems, n_rows), means (n_problems, n_components) of a batch)"""
    X = np.concatenate([rows_of(i).T for i in range(20)])
    model = GaussianMixture(2, covariance_type="diag")
    batch = fit_many(X[..., np.newaxis], model, seeds=np.arange(20), n_threads=1)
    return capi.plan(model, 1), X, np.array([batch[i].means_[:, 0] for i in range(20)])


def built(name, source, tmp_path, **options):
    """An extension module, compiled by setuptools."""
    shutil.copy(source, tmp_path / source.name)
    package = Path(mixfast.__file__).parents[1]  # Cython looks for declarations of packages where Python does, or here
    (tmp_path / "setup.py").write_text(
        "import mixfast\n"
        "from setuptools import Extension, setup\n"
        f"module = Extension({name!r}, [{source.name!r}], include_dirs=[mixfast.get_include()], "
        f"extra_compile_args={options.get('compile', [])!r}, extra_link_args={options.get('link', [])!r})\n"
        + (
            f"from Cython.Build import cythonize\nmodule, = cythonize([module], include_path=[{str(package)!r}])\n"
            if source.suffix == ".pyx"
            else ""
        )
        + f"setup(name={name!r}, ext_modules=[module])\n"
    )
    run(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", cwd=tmp_path, env=environment())
    (found,) = tmp_path.glob(f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}")
    return loaded(name, found)


def loaded(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cython(problems, tmp_path):
    plan, X, means = problems
    flags = ["-fopenmp"] if sys.platform == "linux" else []
    module = built("cython_loop", EXAMPLES / "cython_loop.pyx", tmp_path, compile=flags, link=flags)
    for n_threads in (1, 2):
        assert_array_equal(module.fit_means(plan, X, n_threads), means)


def test_cpp(problems, tmp_path):
    plan, X, means = problems
    module = built("extension", EXAMPLES / "extension.cpp", tmp_path, compile=["-std=c++11"])
    assert_array_equal(module.fit_means(plan.capsule, plan.layout["means"].offset, X), means)
    with pytest.raises(ValueError, match="two-dimensional"):
        module.fit_means(plan.capsule, 0, X[0])


def test_numba(problems):
    pytest.importorskip("numba")
    plan, X, means = problems
    assert_array_equal(loaded("numba_loop", EXAMPLES / "numba_loop.py").fit_means(plan, X), means)


def test_cffi(problems):
    pytest.importorskip("cffi")
    plan, X, means = problems
    assert_array_equal(loaded("cffi_loop", EXAMPLES / "cffi_loop.py").fit_means(plan, X), means)


def test_pkg_config():
    if shutil.which("pkg-config") is None:
        pytest.skip("there is no pkg-config")
    flags = run("pkg-config", "--cflags", "mixfast", env={**os.environ, "PKG_CONFIG_PATH": capi.get_pkgconfig()})
    (folder,) = (word[2:] for word in flags.split())
    assert Path(folder, "mixfast.h").samefile(Path(mixfast.get_include(), "mixfast.h"))


def test_meson(tmp_path):
    """`dependency("mixfast")` is found, and what depends on it compiles."""
    if shutil.which("meson") is None or shutil.which("pkg-config") is None:
        pytest.skip("there is no Meson, or no pkg-config")
    (tmp_path / "meson.build").write_text(
        "project('host', 'c')\nstatic_library('host', 'host.c', dependencies: dependency('mixfast', version: '>=1'))\n"
    )
    (tmp_path / "host.c").write_text("#include <mixfast.h>\nint version(void) { return MIXFAST_API_VERSION; }\n")
    environ = {**os.environ, "PKG_CONFIG_PATH": capi.get_pkgconfig()}
    run("meson", "setup", "build", cwd=tmp_path, env=environ)
    run("meson", "compile", "-C", "build", cwd=tmp_path, env=environ)
