"""Builds the source distribution and the wheel of the last commit twice, in folders of different names, and compares
them byte for byte: `make reproducible`. The time that files carry is that of the commit."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]


def built(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of what is built from a clone in this folder."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", HERE, folder / "source"], check=True)
    commit_time = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=folder / "source", check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder / "built", folder / "source"],
        env=os.environ | {"SOURCE_DATE_EPOCH": commit_time},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "built").iterdir())}


def main() -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory(suffix="_elsewhere") as other:
        first, second = built(Path(one)), built(Path(other))
    for name, digest in first.items():
        print(digest, name, "the same twice" if second.get(name) == digest else "DIFFERS")
    if first != second:
        sys.exit("not reproducible")


if __name__ == "__main__":
    main()
