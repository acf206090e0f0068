"""Compile the C kernels for the systems that the package is meant for, by Zig's compiler, which has the headers of all.

    python -m pip install ziglang
    python lint/portable.py
    python lint/portable.py --here    # this machine's compiler, for this machine, which only reads: 4 seconds

It says what does not compile, and what compilers warn of, and fails. What it cannot show: that kernels run there, and
what Cython makes of the rest.
"""

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src" / "mixfast"
KERNELS = SOURCES / "_kernels"
TARGETS = [
    "aarch64-linux-gnu",
    "aarch64-macos",
    "aarch64-windows-gnu",
    "x86_64-linux-gnu.2.28",
    "x86_64-linux-musl",
    "x86_64-macos",
    "x86_64-windows-gnu",
]
#: As in src/mixfast/meson.build; Zig writes the levels of x86-64 with an underscore.
OPTIONS = ["-std=gnu17", "-O2", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra"]
LEVELS = {"base": [], "v2": ["-march=x86_64_v2"], "v3": ["-march=x86_64_v3"], "v4": ["-march=x86_64_v4"]}


def complaints(compiler, source, level, real):
    """What a compiler, its command, says of a kernel file."""
    command = [*compiler, *OPTIONS, f"-DMIXFAST_ISA={level}", f"-DMIXFAST_REAL={real}", source]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False).stderr


def elsewhere(folder):
    """(system, level, command) of Zig's compiler for all systems; a loop that it will not unroll is no fault."""
    for target in TARGETS:
        for level in LEVELS if target.startswith("x86_64") else ["base"]:
            command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *LEVELS[level]]
            yield target, level, [*command, "-Wno-pass-failed", "-c", "-o", Path(folder) / "kernel.o"]


def here():
    """The same of this machine's compiler, which only reads; what compilers warn of while they make code differs."""
    for level in LEVELS if platform.machine() in ("x86_64", "AMD64") else ["base"]:
        options = [option.replace("_", "-") for option in LEVELS[level]]
        yield "this machine", level, [*shlex.split(os.environ.get("CC", "cc")), *options, "-fsyntax-only"]


def double_only():
    """The kernel files of one precision, as the build lists them."""
    listed = re.search(r"^double_kernel_sources = files\((.*?)\)", (SOURCES / "meson.build").read_text(), re.M | re.S)
    return {Path(name).name for name in re.findall("'(.*?)'", listed[1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--here", action="store_true", help="by this machine's compiler, without making code")
    is_here = parser.parse_args().here
    only_double = double_only()
    n_compiled, n_bad = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for system, level, compiler in here() if is_here else elsewhere(folder):
            for source in sorted(KERNELS.glob("*.c")):
                for real in ("double",) if source.name in only_double else ("float", "double"):
                    said = complaints(compiler, source, level, real)
                    n_compiled += 1
                    if said:
                        n_bad += 1
                        print(f"{source.name} for {system}, {level}, {real}:\n{said}", file=sys.stderr)
    print(f"{n_compiled} compilations: {n_bad} with errors or warnings")
    return int(n_bad > 0)


if __name__ == "__main__":
    sys.exit(main())
