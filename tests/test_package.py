"""What is installed, what importing costs, and that the documents tell the truth."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import mixfast
from mixfast._names import HOMES, KINDS, PARTS

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "mixfast"
INSTALLED = Path(mixfast.__file__).parent
IS_EDITABLE = SOURCES in INSTALLED.parents or INSTALLED == SOURCES


def test_the_suite_runs_against_the_installed_package_when_it_says_so():
    assert not (os.environ.get("MIXFAST_INSTALLED") and IS_EDITABLE)


@pytest.mark.skipif(IS_EDITABLE, reason="an editable install has no files of its own; `make test` runs this")
def test_every_source_file_is_installed():
    wanted = {path.relative_to(SOURCES) for pattern in ("*.py", "*.pyi", "py.typed") for path in SOURCES.rglob(pattern)}
    installed = {path.relative_to(INSTALLED) for path in INSTALLED.rglob("*") if path.is_file()}
    assert wanted <= installed, wanted - installed
    built = {path for path in installed if path.suffix in {".c", ".a", ".h"}}
    # for families, and for programs, that are compiled elsewhere
    assert built == {Path("_kernels/family.h"), Path("_kernels/mixfast.h")}


def test_every_compiled_module_has_a_stub():
    for path in SOURCES.rglob("*.pyx"):
        assert path.with_suffix(".pyi").exists(), path


def test_reference_twins_import_nothing_compiled():
    twins = sorted(path.stem for path in (SOURCES / "_reference").glob("*.py"))
    code = (
        f"import sys, importlib\n[importlib.import_module('mixfast._reference.' + name) for name in {twins}]\n"
        "print([name for name, module in sys.modules.items() if name.startswith('mixfast') "
        "and not str(module.__file__).endswith('.py')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_demo_shows_what_mclust_finds(tmp_path):
    """BIC of mclust over our four structures: faithful, EEE with 3 components 2314.316; iris, VVV with 2 574.018."""
    picture = tmp_path / "demo.png"
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), str(picture)], capture_output=True, text=True, check=True
    )
    chosen = [float(value) for value in re.findall(r"([\d.]+)\*$", result.stdout.replace("*", "*\n"), re.MULTILINE)]
    assert chosen[:2] == pytest.approx([2314.3, 574.02], abs=0.05)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not result.stderr


def test_importing_mixfast_is_light():
    heavy = ("sklearn", "scipy", "matplotlib", "pandas")
    code = f"import sys, mixfast; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_estimators_do_not_import_scikit_learns_mixtures_or_clusters():
    heavy = ("sklearn.mixture", "sklearn.cluster", "matplotlib")  # scikit-learn's base loads pandas where it is there
    code = f"import sys; from mixfast import GaussianMixture; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_version_is_the_same_everywhere():
    assert mixfast.__version__ == metadata.version("mixfast")
    assert f"version: '{mixfast.__version__}'" in (ROOT / "meson.build").read_text()
    assert f"\nversion: {mixfast.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_all_public_names_can_be_had_and_nothing_else():
    for name in mixfast.__all__:
        assert getattr(mixfast, name) is not None
    assert dir(mixfast) == sorted(mixfast.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Gausian'"):
        mixfast.Gausian  # noqa: B018


def test_the_table_of_names_says_where_they_live():
    assert mixfast.__all__ == list(HOMES)
    for name, home in [*HOMES.items(), *PARTS.items()]:
        assert getattr(import_module(home), name).__module__ == home, name
    for home, name in filter(None, KINDS.values()):
        assert getattr(import_module(home), name).__module__ == home, name


def test_type_checkers_are_told_the_same_names():
    """They read the imports of `__init__.py` that are never run."""
    tree = ast.parse((SOURCES / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = [(alias.asname, node.module) for node in block.body for alias in node.names]
    assert sorted(told) == sorted(HOMES.items())


def test_show_config_says_what_runs(capsys):
    mixfast.show_config()
    printed = capsys.readouterr().out
    for word in (mixfast.__version__, "instruction set", "OpenMP", "threads", "blas", "scikit-learn"):
        assert word in printed


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        *(
            f"docs/{name}.md"
            for name in (
                "acceleration",
                "batch",
                "bayesian",
                "choose",
                "experts",
                "extending",
                "families",
                "index",
                "install",
                "known",
                "maps",
                "selection",
                "large",
                "statistics",
            )
        ),
    ],
)
def test_the_code_in_the_documents_runs(document, tmp_path, monkeypatch, capsys):
    """All Python blocks of a document, in order, as one program; a block of text that follows is what it prints.
    What draws print depends on last bits, and is in blocks of no language."""
    blocks = re.findall(r"```(python|text)\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    program = {"__name__": "document"}
    for kind, block in blocks:
        if kind == "python":
            capsys.readouterr()
            exec(compile(block, document, "exec"), program)
        else:
            assert lines_of(capsys.readouterr().out) == lines_of(block)


def lines_of(text):
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", [name for name in mixfast.__all__ if ">>>" in (getattr(mixfast, name).__doc__ or "")])
def test_the_examples_in_docstrings_run(name):
    import doctest

    module = sys.modules[getattr(mixfast, name).__module__]
    failures, tried = doctest.testmod(module)
    assert tried > 0
    assert failures == 0


def test_the_reference_lists_every_public_name():
    listed = re.findall(r"^   ([A-Za-z]\w+)$", (ROOT / "docs" / "reference.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(mixfast.__all__)


def test_doc_links_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"
