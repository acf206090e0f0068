"""Small hostile problems: a short run of benchmarks/hostile.py."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent.parent / "benchmarks" / "hostile.py"


def run(*arguments):
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True)


def test_thousands_of_hostile_problems_harm_nothing(tmp_path):
    state = tmp_path / "state.json"
    first = run("--problems", "2500", "--seed", "5", "--workers", "1", "--state", state)
    assert first.returncode == 0, first.stdout
    assert first.stdout.splitlines()[-1] == "0 wrong"
    # it goes on where it was
    second = run("--problems", "5000", "--seed", "5", "--workers", "1", "--state", state)
    assert second.returncode == 0, second.stdout
    assert "5,000 problems of --seed 5, 2,500 now" in second.stdout


def test_what_is_wrong_is_found(tmp_path):
    """A status that lies: fits that failed are called good."""
    program = f"""
import sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import hostile
hostile.WITHOUT_PARAMETERS = 0
wrong = [text for number in range(20) for text in hostile.check_block(5, number)[0]]
assert any("statuses and parameters disagree" in text for text in wrong), wrong
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
