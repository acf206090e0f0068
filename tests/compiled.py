"""Extension modules that tests build against the sources of mixfast."""

import fcntl
import importlib
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def build(folder, module, tmp_path_factory):
    """The extension module of a .pyx file in a folder of the tests; see `build_text`."""
    return build_text(module, (TESTS / folder / f"{module}.pyx").read_text(), tmp_path_factory)


def build_text(module, text, tmp_path_factory):
    """The extension module of Cython source text, by `compiled_setup.py`.

    The workers of pytest-xdist share it: the first builds, others wait.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    source, target = root / f"{module}_source", root / f"{module}_built"
    with open(root / f"{module}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            source.mkdir()
            (source / f"{module}.pyx").write_text(text)
            (source / "setup.py").write_bytes((TESTS / "compiled_setup.py").read_bytes())
            command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", "built"]
            sources = str(TESTS.parent / "src")
            subprocess.run(command, cwd=source, env={**os.environ, "MIXFAST_SOURCES": sources}, check=True)
            (source / "built").rename(target)
    sys.path.insert(0, str(target))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(target))
