"""`kapok rollout`, `kapok node tag` and the routes: what they print, and what they refuse."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rollout_rig as rig
from cli_rig import out, out_json, refusal
from fastapi.testclient import TestClient
from fleet_rig import AREA, new_node_id, one_account
from sqlalchemy import insert

from fleet import texts
from fleet.api.routes import create
from fleet.db.base import Database
from fleet.identity.token_tables import NodeHmacKey
from fleet.registry import operations as registry
from fleet.rollouts import filling, lifecycle, moves, offering, states, tick, wording
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, Update
from fleet.settings import load
from fleet.updates.tables import Running

DRAINS = "role = drainage"


class Data:
    """A data folder with eight drainage nodes and two meters; the last drain has no key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(load(folder).database_url)
        self.offers = rig.Offers()
        self.nodes = sorted(new_node_id() for _ in range(10))
        with self.database.begin() as session:
            registry.add_area(session, AREA, "Tianhe")
            for number, node_id in enumerate(self.nodes):
                role = "gas-meter" if number > 7 else "drainage"
                registry.add_node(session, node_id, role, AREA)
            keyed = [node_id for node_id in self.nodes if node_id != self.nodes[7]]
            session.execute(
                insert(NodeHmacKey),
                [{"node_id": n, "current_for": n, "secret": b"", "created_us": 0} for n in keyed],
            )
            session.add(Running(node_id=self.nodes[0], sequence=5, image=0, runtime=0, since_us=0))
            rig.add_release(session, 5)
            rig.add_release(session, 6, "gas-meter")
            rig.add_release(session, 7, state="released")

    def rollout(self, *words: object) -> str:
        return out(self.folder, "rollout", *words, *(
            ("--lang", "en") if words[0] in ("status", "list", "nodes", "preview") else ()
        ))  # fmt: skip

    def tick(self) -> None:
        tick.tick(self.database, self.offers, registry.now_us())

    def end(self, to: str, reason: str = "", most: int = 100) -> None:
        with self.database.begin() as session:
            flying = session.query(Update.id).filter(Update.open_for.is_not(None)).limit(most)
            ids = [identifier for (identifier,) in flying]
            moves.move(session, ids, to, Actor.NODE, registry.now_us(), reason)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "data"
    out(made, "init")
    return made


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Iterator[Data]:
    made = Data(Path(shutil.copytree(folder, tmp_path / "data")))
    yield made
    made.database.close()


def make(data: Data, name: str = "july", **options: Any) -> str:
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    return data.rollout("create", name, "--release", 5, "--where", DRAINS, *words)


def test_preview_counts_and_says_why_the_others_are_left_out(data: Data) -> None:
    said = data.rollout("preview", "--release", 5, "--where", f"{DRAINS} and area = 4401",
                        "--canary", 2, "--stages", "50,50")  # fmt: skip
    assert said.splitlines()[0] == "6 node(s); groups: 2, 2, 2"
    assert f"most in areas {AREA} 6; 500 at once in each" in said
    assert "not of the query: role = drainage" in said
    assert "runs this release already" in said
    assert "has no key for assignments" in said
    found = out_json(data.folder, "rollout", "preview", "--release", 5, "--where", DRAINS)
    assert found["nodes"] == 6
    reasons = {one["reason"]: one["nodes"] for one in found["excluded"]}
    assert reasons == {"query": 2, "installed": 1, "key": 1}
    assert 6 + sum(reasons.values()) == len(data.nodes)


def test_preview_of_each_node_that_is_left_out_and_of_one(data: Data) -> None:
    words = ("rollout", "preview", "--release", 5, "--where", DRAINS)
    found = out_json(data.folder, *words, "--excluded")
    assert [one["node"] for one in found] == [data.nodes[n] for n in (0, 7, 8, 9)]
    more = out_json(data.folder, *words, "--excluded", "--after", data.nodes[0], "--limit", 1)
    assert [one["node"] for one in more] == [data.nodes[7]]
    (one,) = out_json(data.folder, *words, "--node", data.nodes[8])
    assert (one["reason"], one["source"]) == ("query", DRAINS)
    said = out(data.folder, *words, "--node", data.nodes[8], "--lang", "zh")
    assert said.strip().endswith(f"不符合查询条件：{DRAINS}")
    assert data.rollout(*words[1:], "--node", data.nodes[1]).strip().endswith(": in")


def test_from_creation_to_the_end(data: Data) -> None:
    said = make(data, canary=2, stages="100")
    assert said.splitlines() == ["rollout july for 6 node(s)", "kapok rollout start july"]
    data.rollout("start", "july")
    data.tick()
    said = data.rollout("status", "july")
    assert "rollout july, release 5: role = drainage" in said
    assert "running; 0 of 6 ended (0 %); 60 offers a minute" in said
    assert "2 offered" in said
    data.end(states.SUCCEEDED)
    found = out_json(data.folder, "rollout", "status", "july")
    assert found["counts"] == {"scheduled": 4, "succeeded": 2}
    assert [group["name"] for group in found["groups"]] == ["canary", "stage-1"]
    assert [event["kind"] for event in found["events"]] == ["group", "started", "created"]
    assert "进行中" in out(data.folder, "rollout", "status", "july", "--lang", "zh")
    assert "july" in data.rollout("list")


def test_what_stopped_it_is_said(data: Data) -> None:
    make(data, canary=6, trip=2)
    data.rollout("start", "july")
    data.tick()
    data.end(states.ROLLED_BACK, "crashed", 2)
    with data.database.begin() as session:
        lifecycle.find(session, "july").due_us = 0
    data.tick()
    said = data.rollout("status", "july")
    assert "stopped: too many of the canary failed" in said
    assert "failed: 2 the new version crashed" in said
    assert "stopped in canary: 2 of 2 that ended had failed" in said
    assert "is tried again" not in said
    said = data.rollout("nodes", "july", "--state", "rolled-back")
    assert said.count("the new version crashed") == 2
    assert "2 node(s) are tried again" in data.rollout("retry", "july")
    assert out_json(data.folder, "rollout", "list")[0]["state"] == "running"


def test_pause_resume_cancel_and_the_stop_for_all(data: Data) -> None:
    make(data)
    data.rollout("start", "july")
    assert data.rollout("pause", "july") == "rollout july paused\n"
    assert data.rollout("resume", "1") == "rollout july resumed\n".replace("july", "1")
    assert "1 rollout(s) paused" in data.rollout("pause", "--all")
    assert "is being cancelled" in data.rollout("cancel", "july")
    for _ in range(3):
        data.tick()
        with data.database.begin() as session:
            row = lifecycle.find(session, "july")
            row.due_us = None if row.due_us is None else 0
    assert out_json(data.folder, "rollout", "list") == []
    assert out_json(data.folder, "rollout", "list", "--all")[0]["state"] == "canceled"


def test_a_valve_waits_for_a_second_person(data: Data) -> None:
    said = out(data.folder, "rollout", "create", "gas", "--release", 6, "--where", "all",
               "--by", "Li Wei")  # fmt: skip
    assert "it waits for a second person: kapok rollout approve gas" in said
    assert "another account" in refusal(data.folder, "rollout", "approve", "gas", "--by", "Wang")
    one_account(data.folder)
    assert "another person" in refusal(data.folder, "rollout", "approve", "gas", "--by", "li wei")
    data.rollout("approve", "gas", "--by", "Wang Fang")
    data.rollout("start", "gas")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("create", "July", "--release", 5, "--where", "all"), "a name is a letter"),
        (("create", "x", "--release", 7, "--where", "all"), "kapok release promote 7"),
        (("create", "x", "--release", 9, "--where", "all"), "no release 9"),
        (("create", "x", "--release", 5, "--where", "role = pump"), "column 8: 'pump'"),
        (("create", "x", "--release", 5, "--where", "all", "--stages", "5,x"), "make 100"),
        (("create", "x", "--release", 5, "--where", "all", "--window", "noon"), "window 'noon'"),
        (("create", "x", "--release", 5, "--where", "version > 90"), "no node is left"),
        (("start", "nothing"), "no rollout 'nothing': kapok rollout list"),
        (("status", "nothing"), "no rollout 'nothing'"),
        (("nodes", "nothing", "--state", "gone"), "state 'gone': one of"),
        (("preview", "--release", 5, "--where", "all", "--node", "0000000000"), "not registered"),
    ],
)
def test_refusals_are_one_line(data: Data, words: tuple[object, ...], what: str) -> None:
    assert what in refusal(data.folder, "rollout", *words)


def test_one_or_all_is_paused(data: Data) -> None:
    assert "one rollout, or --all" in refusal(data.folder, "rollout", "pause", code=2)


def test_tags_and_queries_in_lists(data: Data) -> None:
    first, second, *_ = data.nodes
    out(data.folder, "node", "tag", first, second, "--add", "pilot", "--add", "old stock")
    assert out_json(data.folder, "node", "tag", first) == {first: ["old stock", "pilot"]}
    out(data.folder, "node", "tag", second, "--remove", "pilot")
    found = out_json(data.folder, "node", "list", "--where", "tag = pilot")
    assert [one["id"] for one in found] == [first]
    assert "tag ''" in refusal(data.folder, "node", "tag", first, "--add", "")
    assert "not registered" in refusal(data.folder, "node", "tag", "0000000000", "--add", "x")
    many = [word for number in range(21) for word in ("--add", f"t{number}")]
    assert "over 20 tags" in refusal(data.folder, "node", "tag", data.nodes[3], *many)
    assert "column 1" in refusal(data.folder, "node", "list", "--where", "x = 1")


def test_the_routes(data: Data) -> None:
    make(data, canary=2)
    data.rollout("start", "july")
    data.tick()
    client = TestClient(create(data.database, lambda: {"ok": True}, "0"))
    (one,) = client.get("/api/rollouts").json()
    assert (one["name"], one["text"], one["counts"]) == (
        "july", "running", {"offered": 2, "scheduled": 4},
    )  # fmt: skip
    status = client.get("/api/rollouts/july", params={"lang": "zh"}).json()
    assert status["rollout"]["text"] == "进行中"
    assert status["plan"]["canary"] == 2
    parts = client.get("/api/rollouts/1/nodes", params={"state": "offered"}).json()
    assert [part["place"] for part in parts] == [1, 2]
    seen = client.get("/api/rollouts/preview", params={"release": 5, "where": DRAINS}).json()
    assert seen["nodes"] == 6
    left = client.get(
        "/api/rollouts/preview/excluded", params={"release": 5, "where": DRAINS, "limit": 1}
    ).json()
    assert left[0]["text"] == "runs this release already"
    assert client.get("/api/rollouts/nothing").status_code == 404
    wrong = client.get("/api/rollouts/preview", params={"release": 5, "where": "x = 1"})
    assert (wrong.status_code, wrong.json()["detail"][:15]) == (422, "query, column 1")
    gone = client.get("/api/rollouts/preview", params={"release": 99, "where": "all"})
    assert gone.status_code == 422
    nodes = client.get("/api/nodes", params={"where": "role = gas-meter"}).json()
    assert [each["id"] for each in nodes] == data.nodes[8:]


def test_in_chinese_no_word_is_english(data: Data) -> None:
    make(data, canary=2)
    data.rollout("start", "july")
    data.tick()
    data.end(states.FAILED, most=1)
    words = ("--release", 6, "--where", "role = gas-meter", "--canary", 2)
    said = " ".join(
        out(data.folder, "rollout", *each, "--lang", "zh")
        for each in (("status", "july"), ("list",), ("nodes", "july"), ("preview", *words))
    )
    with data.database.read() as session:
        names = [*data.nodes, session.get_one(Rollout, 1).asked_by, "july", DRAINS, "gas-meter"]
    for name in names:
        said = said.replace(name, "")
    assert set(re.findall(r"[A-Za-z]{2,}", said)) == {"role"}  # of a query


def test_the_routes_refuse_what_the_command_refuses(data: Data) -> None:
    make(data)
    client = TestClient(create(data.database, lambda: {"ok": True}, "0"))
    seen = {"release": 5, "where": DRAINS}
    for canary in (-5, 0, 100_001):
        wrong = client.get("/api/rollouts/preview", params={**seen, "canary": canary})
        assert wrong.status_code == 422
    assert client.get("/api/rollouts/july/nodes", params={"state": "xyz"}).status_code == 422
    for state in ("", "rolled-back"):
        found = client.get("/api/rollouts/july/nodes", params={"state": state})
        assert found.status_code == 200


def test_a_live_picture_is_for_people(data: Data) -> None:
    make(data)
    said = refusal(data.folder, "rollout", "status", "july", "--watch", "--json", code=2)
    assert "--watch is for people" in said


def test_whatever_is_said_has_a_text() -> None:
    known = texts.known()
    for state in lifecycle.STATES:
        assert f"rollout-state.{state}" in known
    for state in states.ALL:
        assert f"progress.{state}" in known
    for reason in (*offering.LATER_US, "gone", "newer", "stopped", "retry", "too-late", "again",
                   "canceled", "silent", "slow", "urgent", "window"):  # fmt: skip
        assert f"reason.{reason}" in known
    for why in ("trip", "errors", "silent", "window", "revoked", "too-late", "expired", "delta"):
        assert f"rollout-why.{why}" in known
    for kind in ("created", "approved", "started", "paused", "resumed", "retried", "group",
                 "stopped", "revoked", "joined", "canceled", *lifecycle.OVER):  # fmt: skip
        assert f"rollout-event.{kind}" in known
    for group in (filling.CANARY, filling.STAGE, filling.LATE):
        assert f"rollout-group.{group}" in known
    for state in (filling.WAITING, filling.OPEN, filling.DONE, filling.NEVER):
        assert f"rollout-group-state.{state}" in known


@pytest.mark.parametrize("state", states.BAD)
def test_what_failed_for_a_reason_that_nobody_told_has_one(state: str) -> None:
    """It is found by it; and is said in words."""
    assert wording.reason_text(state, "zh") != state
