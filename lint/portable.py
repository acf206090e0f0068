"""Compile the C kernels for the systems that the package is meant for, by Zig's compiler, which has the headers of all.

    python -m pip install ziglang
    python lint/portable.py

It says what does not compile, and fails. What it cannot show: that they run there, and what Cython makes of the rest.
"""

import re
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


def complaints(source, target, level, real, folder):
    """What the compiler says of a kernel file; a loop that it will not unroll is no fault."""
    command = [
        sys.executable, "-m", "ziglang", "cc", "-target", target, *OPTIONS, *LEVELS[level], f"-DMIXFAST_ISA={level}",
        f"-DMIXFAST_REAL={real}", "-Wno-pass-failed", "-c", source, "-o", Path(folder) / "kernel.o",
    ]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False).stderr


def double_only():
    """The kernel files of one precision, as the build lists them."""
    listed = re.search(r"^double_kernel_sources = files\((.*?)\)", (SOURCES / "meson.build").read_text(), re.MULTILINE)
    return {Path(name).name for name in re.findall("'(.*?)'", listed[1])}


def main():
    only_double = double_only()
    n_compiled, n_bad = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            for level in LEVELS if target.startswith("x86_64") else ["base"]:
                for source in sorted(KERNELS.glob("*.c")):
                    for real in ("double",) if source.name in only_double else ("float", "double"):
                        said = complaints(source, target, level, real, folder)
                        n_compiled += 1
                        if said:
                            n_bad += 1
                            print(f"{source.name} for {target}, {level}, {real}:\n{said}", file=sys.stderr)
    print(f"{n_compiled} compilations for {len(TARGETS)} systems: {n_bad} with errors or warnings")
    return int(n_bad > 0)


if __name__ == "__main__":
    sys.exit(main())
