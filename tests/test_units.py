"""The unit tests, which are programs of their own (cmocka)."""

import pytest

from conftest import BUILD, OURS, run


@pytest.mark.parametrize("name", ["unit-decoder", "unit-device"])
def test_unit(name):
    program = BUILD / "tests" / name
    if not program.exists():
        pytest.skip("built without cmocka (libcmocka-dev)")
    env = {k: v for k, v in OURS.items() if k != "LD_PRELOAD"}
    result = run(program, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
