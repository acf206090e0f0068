"""The setup.py of a module of the tests, the only one in its folder.

It is built against the declarations in the sources of mixfast, which no wheel has: MIXFAST_SOURCES says where they are.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = Path(os.environ["MIXFAST_SOURCES"])
(MODULE,) = Path().glob("*.pyx")

setup(
    name=MODULE.stem,
    ext_modules=cythonize(
        [Extension(MODULE.stem, [str(MODULE)], include_dirs=[str(SOURCES / "mixfast" / "_kernels")])],
        include_path=[str(SOURCES)],
        compiler_directives={"language_level": 3, "cdivision": True, "wraparound": False},
    ),
)
