"""The journal against a model: whatever the order of records, receipts and reboots."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vm.journal_model import EPOCH, Model, random_steps

ROOT = Path(__file__).parents[3]

BODIES = st.binary(min_size=1, max_size=200)
RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), BODIES, st.integers(0, 2)),
        st.tuples(st.just("append"), st.just(b"a reading"), st.just(0)),
        st.tuples(st.just("trim"), st.sampled_from([EPOCH, EPOCH, EPOCH, 1]), RANGES),
        st.tuples(st.just("oldest"), st.integers(0, 500), st.integers(0, 10)),
        st.tuples(st.just("reopen")),
    ),
    max_size=60,
)


@given(steps=STEPS, segments=st.integers(1, 6), size=st.sampled_from([209, 256, 1024]))
@settings(max_examples=200, deadline=None)
def test_journal_does_what_the_model_does(
    steps: list[tuple[Any, ...]], segments: int, size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Model(folder, size, segments)
        for name, *arguments in steps:
            if name == "trim":
                arguments[1] = [(first, first + more) for first, more in arguments[1]]
            getattr(model, name)(*arguments)


@pytest.mark.parametrize("seed", [3, 14])
def test_the_vm_does_what_cpython_does(tmp_path: Path, micropython: list[str], seed: int) -> None:
    model = Model(str(tmp_path / "c"))
    random_steps(model, seed, 300)
    script, folder = ROOT / "tests/vm/journal_model.py", tmp_path / "m"
    ran = subprocess.run(
        [*micropython, str(script), str(ROOT / "firmware"), str(folder), str(seed), "300"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = f"{model.digest} {model.given} {sum(model.dropped.values())}"
    assert ran.stdout.split("\n")[0] == expected, ran.stderr
    assert sum(model.dropped.values()) > 10


def test_a_model_that_forgets_a_drop_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: the oldest file goes, whatever its importance."""
    from node.store.segments import Segments

    def all_alike(self: Any, priority: int, first: int, base: int) -> int:
        return 0

    monkeypatch.setattr(Segments, "count", all_alike)
    model = Model(str(tmp_path / "j"))
    with pytest.raises(AssertionError):
        random_steps(model, 3, 300)
