"""`kapok command`, `kapok config`, `kapok group`, and the routes beside them."""

import importlib
import shutil
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fleet_rig
import pytest
from cli_rig import AREA, add_node, out, out_json, refusal, run
from coap_rig import WRAPPER
from fastapi.testclient import TestClient
from sqlalchemy import update

from fleet import texts
from fleet.api import routes
from fleet.control import desired, operations, results
from fleet.control.wording import RESULTS
from fleet.db.base import Database
from fleet.identity import hmac_keys
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal
from fleet.settings import load
from fleet.uplink.own_words import Words
from fleet.wire import command

NODE, LAMP = "1gntj14d2p", "1gntj14d2q"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a gas meter and a drainage node, both with keys for commands."""
    folder = tmp_path_factory.mktemp("made") / "data"
    out(folder, "init")
    out(folder, "area", "add", AREA, "Tianhe")
    for node_id in (NODE, LAMP):
        add_node(folder, node_id)
    with closing(Database(load(folder).database_url)) as database, database.begin() as session:
        session.execute(update(Terminal).where(Terminal.id == NODE).values(role="gas-meter"))
        for node_id in (NODE, LAMP):
            hmac_keys.next_key(session, WRAPPER, node_id)
            hmac_keys.promote(session, node_id)
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def api(data: Path) -> Iterator[TestClient]:
    with closing(Database(load(data).database_url)) as database:
        yield TestClient(routes.create(database, lambda: {"ok": True}, "0"))


def node_does(data: Path, node_id: str, number: int, result: int, detail: int = 0) -> None:
    """The node is handed its items, and tells of one."""
    with closing(Database(load(data).database_url)) as database, database.begin() as session:
        items = operations.pending(session, WRAPPER, [node_id], now_us())
        given = [item.number for item in items[node_id].items]
        operations.handed(session, {node_id: given}, now_us())
        told = {900: number, 901: result, 902: detail}
        results.told(session, [Words(node_id, 1, 1, 1, 0, told, 1, 1)])
        applied = number if result == 0 else 0
        refused = number if result else 0
        desired.told(session, operations.settle(session, {node_id: (number, applied, refused)}))


def test_a_valve_from_asked_to_executed(data: Path, api: TestClient) -> None:
    text = out(data, "command", "send", "valve-close", "--node", NODE, "--by", "Li Wei")
    assert "command 1 for 1 node(s)" in text
    assert "kapok command approve 1" in text
    assert "another person" in refusal(data, "command", "approve", 1, "--by", "li wei")
    (found,) = out_json(data, "command", "list")
    assert (found["state"], found["nodes"]) == ("waiting", {"queued": 1})
    assert "待审批" in out(data, "command", "list", "--lang", "zh")
    assert "another account" in refusal(data, "command", "approve", 1, "--by", "Wang Fang")
    fleet_rig.one_account(data)
    answer = out_json(data, "command", "approve", 1, "--by", "Wang Fang")
    assert answer["approved_by"] == "Wang Fang"
    node_does(data, NODE, 1, command.DONE)
    shown = out_json(data, "command", "show", 1)
    assert (shown["state"], shown["nodes"]) == ("over", {"executed": 1})
    assert shown["parts"][0]["text"] == "done"
    assert "已执行" in out(data, "command", "show", 1, "--lang", "zh")
    assert out_json(data, "command", "list") == []
    assert len(out_json(data, "command", "list", "--all", "--node", NODE)) == 1
    assert api.get("/api/commands").json() == []
    (listed,) = api.get("/api/commands?history=true").json()
    assert api.get("/api/commands/1").json() == listed
    (part,) = api.get("/api/commands/1/nodes?lang=zh&state=executed").json()
    assert (part["node"], part["text"]) == (NODE, "已完成")
    assert api.get("/api/commands/2").status_code == 404
    assert api.get(f"/api/commands/{10**12}/nodes").status_code == 404


def test_taken_back_and_continued(data: Path) -> None:
    for _ in range(2):
        out(data, "command", "send", "read-now", "--area", AREA)
    assert "2 node(s) do not get it" in out(data, "command", "cancel", 1)
    assert "already" in refusal(data, "command", "cancel", 1)
    assert [one["id"] for one in out_json(data, "command", "list", "--all", "--before", 2)] == [1]
    assert "taken back" in out(data, "command", "show", 1, "--lang", "en")
    assert "已撤回" in out(data, "command", "show", 1, "--lang", "zh", "--after", NODE)


def test_what_is_left_out_is_said(data: Path) -> None:
    text = out(data, "command", "send", "valve-close", "--area", AREA)
    assert "1 left out: of another role" in text
    assert out_json(data, "command", "known")[0]["two_persons"] is True
    assert "valve-arm" in out(data, "command", "known", "--lang", "zh")


def test_a_group_and_its_layer(data: Path, api: TestClient) -> None:
    out(data, "group", "add", "pilots", "--rank", 5)
    assert out_json(data, "group", "join", "pilots", NODE, LAMP)["joined"] == 2
    assert out_json(data, "group", "list") == [{"name": "pilots", "rank": 5, "nodes": 2}]
    assert api.get("/api/groups").json() == out_json(data, "group", "list")
    assert out(data, "group", "show", "pilots").split() == [NODE, LAMP]
    said = out_json(
        data, "config", "set", "--group", "pilots", "--role", "gas-meter", "report_s=7200"
    )
    assert (said["version"], said["nodes"]) == (1, 1)
    (drifting,) = out_json(data, "config", "drift")
    assert drifting["keys"] == {"report_s": {"wanted": 7200, "reported": None}}
    assert "waits for the node" in out(data, "config", "drift", "--lang", "en")
    node_does(data, NODE, 1, 23)
    assert out_json(data, "config", "drift", "--role", "drainage") == []
    shown = out_json(data, "config", "show", "--node", NODE)
    assert shown["keys"] == [
        {"key": "report_s", "wanted": 7200, "of": "group pilots, gas-meter", "reported": None}
    ]
    assert api.get(f"/api/nodes/{NODE}/config").json() == shown["keys"]
    (layer,) = api.get("/api/config/layers").json()
    assert (layer["name"], layer["values"]) == ("pilots", {"report_s": 7200})
    assert "pilots" in out(data, "config", "layers")
    assert "version 1" in out(
        data, "config", "show", "--group", "pilots", "--role", "gas-meter", "--history"
    )
    assert "has 2 nodes" in refusal(data, "group", "remove", "pilots")
    assert out_json(data, "group", "leave", "pilots", NODE, LAMP)["left"] == 2
    out(data, "group", "remove", "pilots")
    assert out_json(data, "group", "list") == []


def test_a_refused_key_is_shown_by_its_name(data: Path, api: TestClient) -> None:
    out(data, "config", "set", "--node", NODE, "report_s=7200", "apn=x")
    node_does(data, NODE, 1, 23, zlib.crc32(b"report_s"))
    assert "report_s: too large" in out(data, "config", "drift", "--lang", "en")
    assert "report_s：超过上限" in out(data, "config", "drift", "--lang", "zh")
    (found,) = api.get("/api/config/drift").json()
    assert (found["state"], found["text"]) == ("refused", "report_s: too large")
    assert found["keys"] == {"apn": ["x", None], "report_s": [7200, None]}
    assert "report_s" in out(data, "node", "downlinks", NODE)
    assert out_json(data, "config", "resend", NODE)["keys"] == 2
    node_does(data, NODE, 2, 0)
    assert out_json(data, "config", "drift") == []


def test_the_schema_is_the_firmware_s(data: Path, api: TestClient) -> None:
    found = {key["name"]: key for key in out_json(data, "config", "schema", "gas-meter")}
    assert found["report_s"] == {
        "name": "report_s", "kind": "int", "least": 60, "most": 604800, "default": 21600,
    }  # fmt: skip
    assert "pins" not in found
    assert api.get("/api/config/schema/gas-meter").json() == list(found.values())
    assert "60..604800" in out(data, "config", "schema", "lamppost")
    assert api.get("/api/config/schema/toaster").status_code == 404


def test_attack_a_report_each_minute_for_every_battery_of_a_city(data: Path) -> None:
    """Who may configure could empty them; it takes a word more than a slip of the hand."""
    words = ("config", "set", "--area", AREA, "report_s=60")
    assert "dear for every battery" in refusal(data, *words)
    assert out_json(data, "config", "layers") == []
    out(data, *words, "--costly")
    out(data, "config", "set", "--node", NODE, "report_s=60")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["command", "send", "read-now"], 2, "one of --node"),
        (["command", "send", "read-now", "--node", NODE, "--area", AREA], 2, "one of --node"),
        (["command", "send", "read-now", "--node", NODE, "--role", "x"], 2, "--role goes with"),
        (["command", "send", "read-now", "--area", AREA, "--for", "2x"], 2, "no duration"),
        (["command", "send", "read-now", "--area", AREA, "--for", "9d"], 1, "60 s to 7 days"),
        (["command", "send", "dim", "1", "--area", AREA], 1, "takes PERMILLE SECONDS"),
        (["command", "send", "fly", "--area", AREA], 1, "no such command"),
        (["command", "approve", "9"], 1, "no command 9"),
        (["command", "cancel", "9"], 1, "no command 9"),
        (["command", "show", "9"], 1, "no command 9"),
        (["command", "list", "--node", "1gntj14d2r"], 1, "not registered"),
        (["config", "set", "--node", NODE, "a=1"], 1, "no such key"),
        (["config", "set", "--node", NODE, "apn=1", "apn=2"], 2, "twice"),
        (["config", "set", "--node", NODE, "--node", LAMP, "apn=a"], 2, "a group of several"),
        (["config", "set", "--node", NODE, "apn=a", "--version", "7"], 1, "version 0, not 7"),
        (["config", "set", "--area", "99", "apn=a"], 1, "unknown"),
        (["config", "show", "--group", "x"], 1, "no such group"),
        (["config", "schema", "toaster"], 1, "one of gas-meter"),
        (["config", "resend", "1gntj14d2r"], 1, "not registered"),
        (["group", "add", "No Name"], 1, "lower-case"),
        (["group", "join", "none", NODE], 1, "no such group"),
    ],
)
def test_mistakes_give_one_line(data: Path, words: list[str], code: int, says: str) -> None:
    assert says in refusal(data, *words, code=code)
    assert out_json(data, "command", "list", "--all") == []


@pytest.mark.parametrize("group", ["command", "config", "group"])
def test_help_has_an_example(tmp_path: Path, group: str) -> None:
    module = importlib.import_module(f"fleet.cli.{group}")
    names = list(getattr(module, group).commands)
    for words in [[group], *([group, name] for name in names)]:
        assert f"Example: kapok {words[0]}" in out(tmp_path, *words, "--help")


def test_every_result_has_a_text(data: Path) -> None:
    assert {f"why.{key}" for key in RESULTS.values()} <= set(texts.known())
    assert set(range(13)) <= set(RESULTS)
    assert run(data, "command", "show", 1, "--state", "x").exit_code == 2
