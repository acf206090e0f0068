"""Imports go down only: no module imports one of a floor above its own, and none imports itself by way of others."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "mixfast"

#: The rooms of each floor, lowest first: modules, and folders with all of their modules that no floor names.
FLOORS = [
    ["_kernels/"],
    [
        "status",
        "_names",
        "_docstrings",
        "_typing",
        "_version",
        "convergence",
        "_openmp",
        "_threads",
        "_warnings",
        "archive",
        "scalars",
        "read_only",
        "as_html",
        "canvas",
        "progress",
        "in_messages",
        "whole",
    ],
    ["engine/", "proportions/", "tables", "weights", "row_data", "scatter", "units", "random_partitions"],
    [
        "_em",
        *(
            f"engine/{name}"
            for name in (
                "_truncated",
                "_many",
                "_pruning",
                "_acceleration",
                "_spurious",
                "_seeding",
                "_line",
                "_views",
                "_fit",
                "_capi",
                "_gibbs",
                "_drawing",
                "_partitions",
            )
        ),
    ],
    ["families/"],
    [
        "seeding",
        "fitting",
        "hierarchy",
        "merges_elsewhere",
        "moves",
        "sampler",
        "persistence",
        "statistics",
        "design",
        "inference",
        "formula",
        "relations",
        "reading",
        "predictive",
        "checkpoints",
        "partitions",
        "mapped_files",
        "row_blocks",
        "block_files",
        "block_threads",
    ],
    [
        "estimators/",
        "parts",
        "plot",
        "maps",
        "map_pictures",
        "mixture_pictures",
        "mixture_view",
        "regression_pictures",
        "merging",
        "matching",
    ],
    ["batches/", "selection"],
    ["bootstrap", "capi", "classifier", "dask", "patch", "patched", "resampling", "spark", "spark_rows", "tasks"],
    ["__init__", "_config"],
]
#: Imports nothing of the package, and only tests import it.
ASIDE = "_reference/"

#: A statement begins a line, or follows a semicolon or a colon.
CYTHON_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n;]*)|c?import[ \t]+([^\n;]*))",
    re.MULTILINE,
)
CYTHON_INCLUDE = re.compile(r"^[ \t]*include[ \t]+['\"]", re.MULTILINE)
#: import_module("package.module") and the like.
IMPORT_BY_NAME = re.compile(r"\b(?:import_module|__import__)\(\s*[rf]?['\"]([\w.]+)['\"]")


# ---- the checker ----------------------------------------------------------------------------------------------------


def modules_of(sources):
    """name -> its files: "estimators/_base" -> [estimators/_base.py]; a folder is its `__init__`."""
    found = {}
    for path in sorted(sources.rglob("*")):
        if path.suffix in (".py", ".pyi", ".pyx", ".pxd"):
            found.setdefault(path.relative_to(sources).with_suffix("").as_posix(), []).append(path)
    return found


def imported(path):
    """(module, name or None) of each import of a file, wherever it is."""
    text = path.read_text()
    yield from ((module, None) for module in IMPORT_BY_NAME.findall(text))
    if path.suffix in (".py", ".pyi"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are written in full, from the package on"
                yield from ((node.module, alias.name) for alias in node.names)
        return
    assert not CYTHON_INCLUDE.search(text), f"{path}: what is shared is imported, not included"
    for module, names, modules in CYTHON_IMPORT.findall(text.replace("\\\n", " ")):
        assert not module.startswith("."), f"{path}: imports are written in full, from the package on"
        listed = re.sub(r"#[^\n]*", "", names or modules).strip("() \t")
        words = [item.split()[0] for item in listed.split(",") if item.strip()]
        yield from ((module, name) if module else (name, None) for name in words)


def graph_of(sources):
    """module -> the modules of the package that it imports."""
    modules, package = modules_of(sources), sources.name
    graph = {name: set() for name in modules}
    for module, paths in modules.items():
        for name, member in (found for path in paths for found in imported(path)):
            if name.partition(".")[0] != package:
                continue
            place = "/".join(name.split(".")[1:])
            candidates = (f"{place}/{member}".strip("/"), place, f"{place}/__init__".strip("/"))
            target = next((candidate for candidate in candidates if candidate in modules), None)
            assert target is not None, f"{module} imports {name}, which is no module"
            graph[module] |= {target} - {module}  # a .pyx imports its own .pxd
    return graph


def floor_of(module, floors):
    """Its own place in the table, or else that of its folder; None for neither."""
    for wanted in (module, f"{module.rpartition('/')[0]}/"):
        for floor, rooms in enumerate(floors):
            if wanted in rooms:
                return floor
    return None


def upward_imports(graph, floors):
    """What is wrong, in words."""
    for module, targets in sorted(graph.items()):
        for target in sorted(targets):
            if floor_of(module, floors) < floor_of(target, floors):
                yield f"{module} imports {target}, which is above it"


def circle_in(graph):
    """Modules that import each other in turn, the first again at the end; None where there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]


# ---- the package ----------------------------------------------------------------------------------------------------


def house():
    """The graph of all that has a floor; `test_the_twins_stand_aside` has the rest."""
    graph = graph_of(SOURCES)
    return {
        module: {target for target in targets if not target.startswith(ASIDE)}
        for module, targets in graph.items()
        if not module.startswith(ASIDE)
    }


def test_every_module_has_a_floor_and_every_room_is_there():
    modules = house()
    assert [module for module in modules if floor_of(module, FLOORS) is None] == []
    rooms = [room for floor in FLOORS for room in floor]
    assert len(rooms) == len(set(rooms))
    missing = [room for room in rooms if room not in modules and not (room.endswith("/") and (SOURCES / room).is_dir())]
    assert missing == []


def test_imports_go_down_only():
    assert list(upward_imports(house(), FLOORS)) == []


def test_no_module_imports_itself_by_way_of_others():
    assert circle_in(house()) is None


def test_the_twins_stand_aside():
    for module, targets in graph_of(SOURCES).items():
        assert all(target.startswith(ASIDE) == module.startswith(ASIDE) for target in targets), module


def test_folders_import_nothing_by_themselves():
    """Importing a module runs the `__init__` of its folder: what that imported would be below all of the folder."""
    assert {module for module, targets in house().items() if module.endswith("/__init__") and targets} == set()


@pytest.mark.parametrize("folder", ["batches/", "engine/", "estimators/", "families/", "proportions/"])
def test_a_folder_says_its_floor(folder):
    said = re.search(r"^Floors? (\d+(?: and \d+)*)", (SOURCES / folder / "__init__.py").read_text(), re.MULTILINE)
    modules = [module for module in house() if module.startswith(folder)]
    assert {int(floor) for floor in said[1].split(" and ")} == {floor_of(module, FLOORS) for module in modules}


def test_the_map_shows_the_same_floors():
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = [
        (floor, {re.sub(r"\.\w+$", "", room) for room in re.findall(r"`([^`]+)`", rooms)})
        for floor, rooms in re.findall(r"^\| (\d+|aside) \| (.*?) \|", text, re.MULTILINE)
    ]
    wanted = [(str(floor), set(rooms)) for floor, rooms in enumerate(FLOORS)]
    assert shown == [*reversed(wanted), ("aside", {ASIDE})]


# ---- the checker finds what is wrong --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A package of two floors, and a function that puts files into it."""

    (tmp_path / "small" / "up").mkdir(parents=True)

    def put(files):
        for name, text in files.items():
            (tmp_path / "small" / name).write_text(text)
        return graph_of(tmp_path / "small")

    put({"low.py": "import os\n", "up/high.py": "from small import low\n", "up/side.py": "", "up/c.pyx": ""})
    return put


TWO_FLOORS = [["low"], ["up/"]]


def test_the_small_package_is_in_order(small):
    graph = small({})
    assert graph == {"low": set(), "up/high": {"low"}, "up/side": set(), "up/c": set()}
    assert list(upward_imports(graph, TWO_FLOORS)) == []
    assert circle_in(graph) is None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("low.py", "from small.up.high import x\n"),
        ("low.py", "from small.up import high, side\n"),
        ("low.py", "import os, small.up.high as h\n"),
        ("low.py", "def f():\n    from small.up.high import x\n"),
        ("low.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import small.up.high\n"),
        ("low.pyi", "from small.up.high import x as x\n"),
        ("low.pyx", "from small.up.high cimport x, y as z\n"),
        ("low.pyx", "from small.up cimport (  # kernels, first\n    high,\n)\n"),
        ("low.pyx", "cdef int f():\n    from small.up.high import x\n"),
        ("low.pxd", "cimport small.up.high\n"),
        ("low.pyx", "import os; from small.up.high import x\n"),
        ("low.pyx", "if True: from small.up.high import x\n"),
        ("low.pyx", "from small.up.high \\\n    cimport x\n"),
        ("low.pyx", "from small.up cimport high; import os\n"),
        ("low.py", "import importlib\nimportlib.import_module('small.up.high')\n"),
        ("low.pyx", "def f():\n    return __import__('small.up.high')\n"),
    ],
)
def test_an_upward_import_is_found_wherever_it_is(file, text, small):
    assert "low imports up/high, which is above it" in list(upward_imports(small({file: text}), TWO_FLOORS))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("low.py", "from .up import high\n"),
        ("low.pyx", "from .up.high cimport x\n"),
        ("low.pyx", "include 'up/c.pyx'\n"),
    ],
)
def test_an_import_that_is_not_written_in_full_is_refused(file, text, small):
    with pytest.raises(AssertionError, match=r"imports are written in full|is imported, not included"):
        small({file: text})


def test_a_circle_within_a_floor_is_found(small):
    graph = small({"up/side.py": "from small.up.c import x\n", "up/c.pyx": "def f():\n    import small.up.side\n"})
    assert list(upward_imports(graph, TWO_FLOORS)) == []
    assert set(circle_in(graph)) == {"up/side", "up/c"}


def test_an_import_of_what_is_not_there_is_found(small):
    with pytest.raises(AssertionError, match=r"imports small\.nowhere, which is no module"):
        small({"low.py": "from small.nowhere import x\n"})
