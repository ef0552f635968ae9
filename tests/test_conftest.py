"""What a test has started ends with the test, however that ends."""

import os
import sys
from pathlib import Path

import pytest

from conftest import HERE, SYSTEM, run

# How long it sleeps tells whose it is.
SLEEP = f"sleep 1000.{os.getpid()}"
TESTS = {
    "a test that fails": (f"""
    start("sh", "-c", "{SLEEP} & exec {SLEEP}")
    wait_until_sleeping(2)
    assert False, "on purpose"
""", "1 failed in"),
    "one that leaves a process": (f"""
    start("sh", "-c", "setsid {SLEEP} > /dev/null 2>&1 &")
    wait_until_sleeping(1)
    conftest.LIMIT = 0  # it need not be waited for
""", "1 passed, 1 error in")}

HEAD = """
import conftest


def wait_until_sleeping(count):
    conftest.wait_until(lambda: ["sleep"] * count == [
        line.split("\\0")[0] for line in conftest.left_behind().values()])


def test(start):"""


def sleeping():
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += (process / "cmdline").read_text() == \
                SLEEP.replace(" ", "\0") + "\0"
        except OSError:
            pass  # it has ended meanwhile
    return found


@pytest.mark.parametrize("name", TESTS)
def test_nothing_is_left_of(name, tmp_path):
    body, said = TESTS[name]
    path = tmp_path / "test_inner.py"
    path.write_text(HEAD + body)
    result = run(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null",
                 "-p", "no:cacheprovider", "-p", "conftest", path,
                 env=dict(SYSTEM, PYTHONPATH=HERE), cwd=tmp_path)
    assert said in result.stdout, result
    assert sleeping() == 0
