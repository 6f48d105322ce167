"""`kapok alarm`, and /api/alarms."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_rig import add_node, initialised, out, out_json, refusal, run
from fastapi.testclient import TestClient

from fleet.alarms.operations import raise_alarm
from fleet.api import routes
from fleet.api.metrics import Gauges
from fleet.clones import operations as clones
from fleet.db.base import Database
from fleet.identity.authority import Authority
from fleet.settings import load
from fleet.upkeep import Upkeep

NODE = "1gntj14d2p"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an open alarm."""
    folder = tmp_path / "data"
    initialised(folder)
    with closing(Database(load(folder).database_url)) as database, database.begin() as session:
        detail: dict[str, str | int] = {"node": NODE, "evidence": "epochs", "one": 1, "other": 2}
        raise_alarm(session, "clone", NODE, detail)
    return folder


def test_from_open_to_cleared(data: Path) -> None:
    assert NODE in out(data, "alarm", "list", "--lang", "en")
    assert "已被隔离" in out(data, "alarm", "list", "--lang", "zh")
    assert out_json(data, "alarm", "ack", 1, "--by", "Li Wei")["acknowledged_by"] == "Li Wei"
    (found,) = out_json(data, "alarm", "list", "--subject", NODE)
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "Li Wei")
    out(data, "alarm", "clear", 1)
    assert out(data, "alarm", "list", "--lang", "en") == "no alarms\n"
    assert out_json(data, "alarm", "list", "--all")[0]["state"] == "cleared"
    assert "not open" in refusal(data, "alarm", "clear", 1)
    assert "not open" in refusal(data, "alarm", "ack", 99)
    assert run(data, "alarm", "list", "--lang", "tlh").exit_code == 2


def test_by_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "告警" in out(data, "alarm", "list")


def test_the_route(data: Path) -> None:
    with closing(Database(load(data).database_url)) as database:
        client = TestClient(routes.create(database, lambda: {"ok": True}, "0"))
        listed: Any = client.get("/api/alarms").json()
        (found,) = listed
        assert (found["kind"], found["subject"]) == ("clone", NODE)
        assert "隔离" in client.get("/api/alarms?lang=zh").json()[0]["text"]
        assert client.get("/api/alarms?lang=xx").status_code == 422
        assert client.get(f"/api/alarms?after={1 << 63}").status_code == 422


def test_the_end_of_a_quarantine(data: Path) -> None:
    out(data, "area", "add", "440106", "Tianhe")
    add_node(data, NODE, "--oscore-out", data.parent / "osc")
    assert "is active, not quarantined" in refusal(data, "node", "release", NODE)
    with closing(Database(load(data).database_url)) as database, database.begin() as session:
        assert not clones.flag(session, NODE, "epochs", one=1, other=2), "it is open already"
    assert out_json(data, "node", "show", NODE)["state"] == "quarantined"
    assert f"kapok node rotate {NODE}" in out(data, "node", "release", NODE, "--by", "Li Wei")
    assert out_json(data, "node", "show", NODE)["state"] == "active"
    (found,) = out_json(data, "alarm", "list", "--all")
    assert (found["state"], found["cleared_by"]) == ("cleared", "Li Wei")
    assert "not registered" in refusal(data, "node", "release", "1gntj14d2q")


def test_a_revoked_node_stays_revoked(data: Path) -> None:
    out(data, "area", "add", "440106", "Tianhe")
    add_node(data, NODE)
    out(data, "node", "revoke", NODE)
    with closing(Database(load(data).database_url)) as database, database.begin() as session:
        clones.flag(session, NODE, "epochs", one=1, other=2)
        assert not clones.flag(session, "1gntj14d2q", "epochs"), "it is not registered"
    assert out_json(data, "node", "show", NODE)["state"] == "revoked"


def test_prometheus_is_told_what_is_open(data: Path) -> None:
    (data / "kapok.toml").write_text("")
    settings = load(data)
    with closing(Database(settings.database_url)) as database:
        care = Upkeep(settings, database, Authority.load(settings.pki))
        (family,) = Gauges({"open_alarms": care.open_alarms}).collect()
        assert {s.labels["kind"]: s.value for s in family.samples}["clone"] == 1
        database.close()
        (data / "kapok.db").unlink()
    assert list(Gauges({"open_alarms": care.open_alarms}).collect()) == []
