"""An update's life with the power cut at each of its flash operations: no brick, no mixed slot, no
record of the journal lost, and the next attempt completes. tests/vm/cuts.py plays it;
`make soak-cuts` cuts over 100,000 times.
"""

from pathlib import Path
from typing import Any

import cuts_rig
import pytest


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cuts_rig.build(tmp_path_factory.mktemp("cuts"))


# At every operation in every mode on the smallest; in three modes by turns on the others.
@pytest.mark.parametrize(
    ("layout", "first", "step"), [("odd", 0, 1), ("4MiB", 0, 2), ("8MiB", 1, 2)]
)
def test_a_cut_at_any_operation_of_an_update_bricks_and_mixes_and_loses_nothing(
    world: Path, layout: str, first: int, step: int
) -> None:
    done: dict[str, Any] = {
        scene: cuts_rig.run(world, scene, layout, first=first, step=step)
        for scene in cuts_rig.SCENES
    }
    assert {scene: each["bad"] for scene, each in done.items() if each["bad"]} == {}
    cuts = {scene: each["cuts"] for scene, each in done.items()}
    print(f"{layout}: {sum(cuts.values())} cuts: {cuts}")
    assert all(each["cuts"] >= 3 * each["operations"] // step for each in done.values())
    assert sum(cuts.values()) > 2_400 // step  # 5,000 in the three layouts


@pytest.mark.parametrize("scene", cuts_rig.SCENES)
def test_five_cuts_in_a_row_neither(world: Path, scene: str) -> None:
    result = cuts_rig.run(world, scene, "odd", cuts="random", count=12, seed=1)
    assert result["bad"] == []
    assert result["cuts"] >= 24


@pytest.mark.parametrize(
    ("sabotage", "scene", "seen"),
    [
        ("pointer in place", "full", "does not end"),
        ("digest unchecked", "damaged", "mixed slot"),
        ("head with its block", "full", "mixed slot"),
        ("supervisor first", "lost", "does not outlive"),
        ("no look for boot.py", "lost", "does not outlive"),
        ("formatted unseen", "misread", "lost a record"),
        ("marked unseen", "runtime_back", "the new runtime runs"),
        ("nobody counts", "revert", "does not end"),
        ("runtime kept unconfirmed", "runtime", "it ended with 55"),
    ],
)
def test_the_campaign_notices_a_guard_that_is_gone(
    world: Path, sabotage: str, scene: str, seen: str
) -> None:
    # That one is seen late, and then wherever the power is cut.
    step = 7 if sabotage == "runtime kept unconfirmed" else 1
    result = cuts_rig.run(world, scene, "odd", step=step, sabotage=sabotage)
    assert any(seen in what for _, what in result["bad"]), result
