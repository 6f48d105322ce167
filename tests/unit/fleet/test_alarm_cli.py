"""`kapok alarm` with channels, packs and maintenance, and the routes that do the same."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_rig import AREA, add_node, initialised, out, out_json, refusal, run
from fastapi.testclient import TestClient
from hook_server import hook_server

from fleet.alarms.operations import About, raise_alarm
from fleet.alarms.packs import built_in
from fleet.api import routes
from fleet.db.base import Database
from fleet.settings import load

NODE = "1gntj14d2p"
GROUPS = {
    "alarm": ["list", "show", "ack", "assign", "comment", "clear"],
    "alarm channel": ["add", "list", "test", "remove"],
    "alarm pack": ["list", "show", "check", "add", "switch", "remove"],
    "alarm maintenance": ["start", "end", "list"],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a node, and a door that is open there."""
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    add_node(folder, NODE)
    with closing(Database(load(folder).database_url)) as database, database.begin() as session:
        about = About("", NODE, 1, AREA, 1_795_411_800_000_000)
        detail: dict[str, str | int] = {
            "asset": "Manhole 17", "node": NODE, "since": 1_795_411_800_000_000, "measured": "",
        }  # fmt: skip
        raise_alarm(session, "door", "asset-1", detail, about)
    return folder


@pytest.fixture
def api(data: Path) -> Iterator[TestClient]:
    with closing(Database(load(data).database_url)) as database:
        yield TestClient(routes.create(database, lambda: {"ok": True}, "0"))


@pytest.mark.parametrize(
    ("group", "command"), [(group, each) for group, some in GROUPS.items() for each in some]
)
def test_every_command_has_an_example(tmp_path: Path, group: str, command: str) -> None:
    text = out(tmp_path, *group.split(), command, "--help")
    assert f"Example: kapok {group} {command}" in text


def test_an_alarm_is_seen_to(data: Path) -> None:
    assert "检修门" in out(data, "alarm", "list", "--lang", "zh")
    assigned = out_json(data, "alarm", "assign", 1, "--to", "Wang Fang", "--by", "Li Wei")
    assert assigned["assigned_to"] == "Wang Fang"
    out(data, "alarm", "comment", 1, "key is at the desk", "--by", "Li Wei")
    out(data, "alarm", "clear", 1, "--by", "Wang Fang")
    shown = out_json(data, "alarm", "show", 1)
    assert [(act["act"], act["person"]) for act in shown["acts"]] == [
        ("acknowledged", "Li Wei"), ("assigned", "Li Wei"), ("comment", "Li Wei"),
        ("cleared", "Wang Fang"),
    ]  # fmt: skip
    text = out(data, "alarm", "show", 1, "--lang", "en")
    assert "assigned to: Wang Fang" in text
    assert "key is at the desk" in text
    assert "since 2026-11-23 13:30" in text, "China's time"
    assert "not open" in refusal(data, "alarm", "assign", 1, "--to", "Li Wei")
    assert "there is no alarm 9" in refusal(data, "alarm", "show", 9)
    assert "there is no alarm 9" in refusal(data, "alarm", "comment", 9, "x")
    assert "1 to 1000 printable" in refusal(data, "alarm", "comment", 1, "")


@pytest.mark.parametrize(
    ("option", "count"),
    [(("--node", NODE), 1), (("--node", "1gntj14d2q"), 0), (("--asset", 1), 1),
     (("--asset", 2), 0), (("--area", "4401"), 1), (("--area", "4403"), 0),
     (("--severity", "warning"), 1), (("--severity", "critical"), 0), (("--to", "x"), 0),
     (("--subject", "asset-1"), 1), (("--after", 1), 0)],
)  # fmt: skip
def test_lists_are_narrowed(data: Path, option: tuple[object, ...], count: int) -> None:
    assert len(out_json(data, "alarm", "list", *option)) == count


def test_maintenance_from_beginning_to_end(data: Path) -> None:
    words = ("alarm", "maintenance")
    started = out_json(
        data, *words, "start", "--area", AREA, "--hours", 4, "--reason", "new cabinet"
    )
    assert started["id"] == 1
    assert out_json(data, "alarm", "list") == []
    (kept,) = out_json(data, "alarm", "list", "--silenced")
    assert kept["silenced_by"] == "maintenance 1"
    assert "silenced by maintenance 1" in out(data, "alarm", "list", "--silenced", "--lang", "en")
    assert "new cabinet" in out(data, *words, "list")
    out(data, *words, "end", 1)
    assert len(out_json(data, "alarm", "list")) == 1
    assert out_json(data, *words, "list") == []
    assert len(out_json(data, *words, "list", "--all")) == 1
    assert "no such maintenance" in refusal(data, *words, "end", 1)
    for wrong in (
        ("--hours", 1), ("--area", AREA, "--node", NODE, "--hours", 1), ("--area", AREA),
        ("--area", AREA, "--hours", 1, "--until", "2030-01-01"),
        ("--area", AREA, "--until", "tomorrow"),
    ):  # fmt: skip
        assert run(data, *words, "start", "--reason", "x", *wrong).exit_code == 2
    past = ("--area", AREA, "--until", "2020-01-01T08:00")
    assert "a time to come" in refusal(data, *words, "start", "--reason", "x", *past)


def test_packs_by_the_command_line(data: Path, tmp_path: Path) -> None:
    listed = {each["name"]: each for each in out_json(data, "alarm", "pack", "list")}
    assert set(listed) == set(built_in())
    file = tmp_path / "flood.toml"
    file.write_text(out(data, "alarm", "pack", "show", "flood"))
    assert "flood.rise" in out_json(data, "alarm", "pack", "check", file)["rules"]
    file.write_text(file.read_text().replace("rise = 0.5", "rise = 0.8", 1))
    out(data, "alarm", "pack", "add", file, "--by", "Li Wei")
    assert "replaced" in out(data, "alarm", "pack", "list", "--lang", "en")
    out(data, "alarm", "pack", "switch", "flood", "off")
    out(data, "alarm", "pack", "remove", "flood")
    file.write_text("name = 7")
    assert "the pack: name: a text" in refusal(data, "alarm", "pack", "check", file)
    file.write_bytes(b"\xff")
    assert "not UTF-8" in refusal(data, "alarm", "pack", "add", file)
    assert "no rule pack" in refusal(data, "alarm", "pack", "show", "nowhere")


def test_a_channel_by_the_command_line(data: Path) -> None:
    with hook_server() as hook:
        added = out_json(data, "alarm", "channel", "add", "duty", "--webhook", hook.url)
        assert len(bytes.fromhex(added["secret"])) == 32
        assert out_json(data, "alarm", "channel", "test", "duty") == {
            "name": "duty", "taken": True,
        }  # fmt: skip
        assert "测试" in hook.posts[0].document["alarm"]["text"]["zh"]
        hook.answers = [500]
        assert "answered 500" in refusal(data, "alarm", "channel", "test", "duty")
    assert added["secret"] not in out(data, "alarm", "channel", "list")
    assert "there is a channel duty" in refusal(
        data, "alarm", "channel", "add", "duty", "--webhook", "https://x/"
    )
    assert "no [mail]" in refusal(data, "alarm", "channel", "add", "m", "--mail", "a@b.cd")
    both = ("--webhook", "https://x/", "--mail", "a@b.cd")
    assert run(data, "alarm", "channel", "add", "m", *both).exit_code == 2
    out(data, "alarm", "channel", "remove", "duty")
    assert out_json(data, "alarm", "channel", "list") == []
    assert "no channel" in refusal(data, "alarm", "channel", "remove", "duty")
    assert "no channel" in refusal(data, "alarm", "channel", "test", "duty")


def test_a_mail_channel_needs_a_server(data: Path) -> None:
    settings = data / "kapok.toml"
    text = settings.read_text()
    settings.write_text(f'{text}\n[mail]\nhost = "localhost"\nsender = "k@example.org"\n')
    out(data, "alarm", "channel", "add", "chief", "--mail", "chief@example.org", "--after", 600)
    (found,) = out_json(data, "alarm", "channel", "list")
    assert (found["kind"], found["after_s"]) == ("mail", 600)


def test_the_routes_do_the_same(api: TestClient) -> None:
    (listed,) = api.get("/api/alarms", params={"area": "4401", "severity": "warning"}).json()
    assert listed["silenced_by"] == ""
    by = {"by": "Li Wei"}
    assert api.post("/api/alarms/1/acknowledge", json=by).json()["state"] == "acknowledged"
    assert api.post("/api/alarms/1/assign", json={**by, "to": "Wang"}).json()["assigned_to"]
    assert api.post("/api/alarms/1/comment", json={**by, "text": "x"}).status_code == 200
    begun = api.post(
        "/api/maintenance",
        json={**by, "scope": "node", "target": NODE, "until_us": 4_000_000_000_000_000,
              "reason": "x"},
    )  # fmt: skip
    assert begun.status_code == 422, "over 90 days ahead"
    assert api.get("/api/maintenance").json() == []
    assert api.post("/api/alarms/1/clear", json=by).json()["state"] == "cleared"
    shown = api.get("/api/alarms/1?lang=zh").json()
    assert [act["act"] for act in shown["acts"]] == [
        "acknowledged", "assigned", "comment", "cleared",
    ]  # fmt: skip
    assert api.post("/api/alarms/1/clear", json=by).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/alarms/9/acknowledge", {"by": "x"}), ("/api/alarms/1/acknowledge", {}),
     ("/api/alarms/1/acknowledge", {"by": ""}), ("/api/alarms/1/acknowledge", {"by": "a\nb"}),
     (f"/api/alarms/{1 << 70}/clear", {"by": "x"}), ("/api/alarms/-1/clear", {"by": "x"}),
     ("/api/alarms/1/assign", {"by": "x", "to": "y" * 65}),
     ("/api/maintenance/7/end", {"by": "x"}),
     ("/api/maintenance", {"by": "x", "scope": "area", "target": "9", "until_us": 1,
                           "reason": "x"})],
)  # fmt: skip
def test_what_is_wrong_is_refused(api: TestClient, path: str, body: dict[str, str]) -> None:
    answer = api.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_attack_a_form_of_a_foreign_page_does_nothing(api: TestClient, kind: str) -> None:
    """What a browser sends across origins without asking is never taken for JSON."""
    body = json.dumps({"by": "evil"})
    answer = api.post("/api/alarms/1/clear", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert api.get("/api/alarms/1").json()["state"] == "open"


def test_hours_that_are_no_number(data: Path) -> None:
    given = ("--area", "440106", "--hours", "nan", "--reason", "x")
    assert "--hours is a number" in refusal(data, "alarm", "maintenance", "start", *given, code=2)
