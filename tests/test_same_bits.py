"""A fit has the same bits on every processor with a fused multiply-add, whatever the width of its vectors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixfast.engine import _isa

FUSED = [isa for isa in _isa.available_isas() if isa not in ("base", "v2")]


def digests(isa):
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("digests.py")],
        env=os.environ | {"MIXFAST_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.skipif(
    len(FUSED) < 2, reason="this machine has one instruction set with a fused multiply-add: nothing to compare"
)
def test_every_instruction_set_with_a_fused_multiply_add():
    first, *others = (digests(isa) for isa in FUSED)
    assert len(first) > 140
    for other in others:
        assert {name for name in first if first[name] != other[name]} == set()
