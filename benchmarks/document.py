"""Tables in documents that a command regenerates: they stand between two comments that name them."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def heading(command):
    """Where, with what and when a table was made."""
    from mixfast.engine._isa import CHOSEN_ISA  # after compare.py has said how many threads libraries may start

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"`{command}`: {processor()}, {processors} processors, kernels for {CHOSEN_ISA}, Python "
        f"{platform.python_version()}, mixfast {version('mixfast')}, {datetime.datetime.now(datetime.UTC).date()}"
    )


def replace_table(path, name, lines):
    """Put the lines between `<!-- begin name -->` and `<!-- end name -->` of a document."""
    document = Path(path)
    text = document.read_text()
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{path} has no table named {name}")
    body = "\n".join(lines) + "\n"
    document.write_text(pattern.sub(lambda match: match[1] + body + match[2], text))
