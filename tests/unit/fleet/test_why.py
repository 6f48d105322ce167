"""`kapok why`: the story of a node's updates in plain words, in both languages."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_rig import out, out_json, refusal
from fastapi.testclient import TestClient
from sqlalchemy import select
from updates_rig import NEW, City

from fleet import texts
from fleet.api import routes
from fleet.rollouts import states
from fleet.rollouts.tables import Rollout, Update
from fleet.updates import outcomes, wording
from fleet.updates.story import story
from fleet.wire import command, release


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, made once."""
    made = tmp_path_factory.mktemp("made") / "data"
    out(made, "init")
    return made


@pytest.fixture
def city(folder: Path, tmp_path: Path) -> Iterator[City]:
    """In a data folder that commands can open."""
    data = Path(shutil.copytree(folder, tmp_path / "data"))
    made = City(data)
    yield made
    made.close()


def why(city: City, *more: str) -> str:
    return out(city.path.parent, "why", city.nodes[0], "--lang", "en", *more)


def test_from_nothing_to_confirmed(city: City) -> None:
    assert "has not yet said what it runs" in why(city)
    assert "no rollout has this node" in why(city)
    ids = city.roll_out()
    assert "Waits for the node's next report" in why(city)
    node = city.node()
    node.report()
    said = why(city)
    assert "Item 1 went out" in said
    assert "runs release 7 (image" in said
    assert "MicroPython 1.29.0" in said
    assert "Waits for the node to say that it took the offer" in said
    node.report(stage=release.DOWNLOADING, mark=512)
    assert "the node has 512 of" in why(city)
    assert "Deadline: 20" in why(city)
    node.report(stage=release.CONFIRMING)
    assert "which is on trial" in why(city)
    node.runs(NEW)
    node.report((1, command.DONE, 0))
    said = why(city)
    assert "The node says of item 1: done." in said
    assert "Waits for nothing: the update to release 8 is installed and confirmed." in said
    assert len(ids) == 1


def test_why_it_went_back(city: City) -> None:
    city.roll_out()
    node = city.node()
    node.report()
    node.report((1, release.ROLLED_BACK, release.CRASHED))
    assert "it went back to the version before: the new version crashed" in why(city)
    assert "新版本崩溃" in out(city.path.parent, "why", city.nodes[0], "--lang", "zh")


def test_what_is_revoked_is_waited_for_in_vain(city: City) -> None:
    city.roll_out()
    city.revoke()
    assert "release 8 was revoked, and is handed to nobody" in why(city)


def test_what_was_taken_back(city: City) -> None:
    ids = city.roll_out()
    node = city.node()
    node.report()
    city.withdraw(ids)
    node.report()
    said = why(city)
    assert "Item 1 was withdrawn" in said
    assert "Item 2, which takes back what came before, went out." in said
    assert "A person: release 8 of rollout first is cancelled." in said


def stand(city: City, rollout: str, **update: object) -> str:
    """The story of one whose rollout and update stand so."""
    with city.database.begin() as session:
        session.scalars(select(Rollout)).one().state = rollout
        row = session.scalars(select(Update)).one()
        for name, value in {"open_for": None, **update}.items():
            setattr(row, name, value)
    return why(city)


DUE_US = 1_900_000_000_000_000


def test_a_time_at_which_it_is_looked_at_is_no_deadline(city: City) -> None:
    city.roll_out()
    failed = {"state": states.FAILED, "reason": "no-space", "attempts": 1, "due_us": DUE_US}
    said = stand(city, "running", **failed)
    assert "Waits to be tried again after 1 attempt(s): failed" in said
    assert said.endswith("Looked at again from 2030-03-17T17:46:40Z.\n")
    waits = {"state": states.SCHEDULED, "reason": "battery", "due_us": DUE_US}
    said = stand(city, "running", **waits)
    assert said.endswith("its battery is low. Looked at again from 2030-03-17T17:46:40Z.\n")
    turn = stand(city, "running", state=states.SCHEDULED, reason="", due_us=1)
    assert turn.endswith("of rollout first.\n")
    assert "Deadline" not in stand(city, "running", **failed) + said + turn


@pytest.mark.parametrize("state", [states.FAILED, states.SCHEDULED])
def test_of_a_rollout_that_is_paused_nothing_is_tried_again(city: City, state: str) -> None:
    city.roll_out()
    said = stand(city, "paused", state=state, reason="", attempts=1, due_us=DUE_US)
    assert said.endswith("Waits for rollout first (paused): kapok rollout status first.\n")
    zh = out(city.path.parent, "why", city.nodes[0], "--lang", "zh")
    assert "first（已暂停）" in zh


def test_for_programs(city: City) -> None:
    city.with_delta()
    node = city.node()
    node.report()
    city.roll_out()
    found = out_json(city.path.parent, "why", city.nodes[0])
    assert found["runs"]["sequence"] == 7
    assert {line["what"] for line in found["story"]} == {"moved-fleet", "assigned-queued"}
    assert {line.get("form") for line in found["story"]} == {None, "delta"}
    assert found["waits"]["what"] == "contact"


def test_over_http(city: City) -> None:
    city.roll_out()
    city.node().report()
    client = TestClient(routes.create(city.database, lambda: {"ok": True}, "0"))
    found = client.get(f"/api/nodes/{city.nodes[0]}/why", params={"lang": "zh"}).json()
    assert found["waits"]["what"] == "handed"
    assert "等待节点确认" in found["waits"]["says"]
    assert client.get("/api/nodes/1gntj14d2p/why").status_code == 404


def test_no_such_node(city: City) -> None:
    assert "1gntj14d2p" in refusal(city.path.parent, "why", "1gntj14d2p")
    refusal(city.path.parent, "why", "x")


def test_nothing_lacks_its_words(city: City) -> None:
    known = set(texts.known())
    assert {f"progress.{state}" for state in states.ALL} <= known
    reasons = {outcomes.end_of(n, d) for n in range(256) for d in range(10)} - {None}
    for end in reasons:
        assert end is not None
        assert end.reason in ("", "failed") or f"reason.{end.reason}" in known, end
    assert {f"waits.{state}" for state in states.OPEN if state != states.OFFERED} <= known
    for state in (
        *states.OPEN,
        "key",
        "turn",
        "condition",
        "rollout",
        "again",
        "ended",
        "contact",
    ):
        assert state == states.OFFERED or f"waits.{state}" in known


def test_every_text_is_filled(city: City) -> None:
    """No {name} is left over, whatever the stage."""
    city.roll_out()
    node = city.node()
    node.report()
    for stage in range(7):
        node.report(stage=stage, mark=100)
        with city.database.read() as session:
            found = story(session, node.node_id)
        for lang in texts.LANGUAGES:
            said = [wording.line_text(line, lang) for line in found.lines]
            said += [wording.waits_text(found.waits, lang), wording.runs_text(found, lang)]
            assert not [text for text in said if "{" in text]
