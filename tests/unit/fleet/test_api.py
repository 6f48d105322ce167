"""The HTTP API: pages, caps, clear refusals, and what it says when the database is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from fastapi.testclient import TestClient

from fleet.api import routes
from fleet.api.metrics import Counters
from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.uplink.ingest import Ingest
from fleet.wire import report


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def health() -> dict[str, Any]:
    """What the fleet says of its parts; a test may change it."""
    return {"ok": True, "broker": True}


@pytest.fixture
def api(database: Database, health: dict[str, Any]) -> Iterator[TestClient]:
    app = routes.create(database, lambda: dict(health), "1.2.3")
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def nodes(database: Database) -> list[str]:
    return sorted(rig.add_nodes(database, 3))


def test_areas_are_pages(api: TestClient, database: Database) -> None:
    with database.begin() as session:
        for code in ("44", "4401", "440106"):
            registry.add_area(session, code, f"area {code}")
    assert api.get("/api/areas", params={"limit": 2}).json() == [
        {"code": "44", "name": "area 44"},
        {"code": "4401", "name": "area 4401"},
    ]
    assert [a["code"] for a in api.get("/api/areas?after=4401").json()] == ["440106"]


def test_nodes_are_pages_and_can_be_selected(api: TestClient, nodes: list[str]) -> None:
    def ids(query: str) -> list[str]:
        return [node["id"] for node in api.get(f"/api/nodes?{query}").json()]

    assert ids("") == nodes
    assert ids("limit=2") == nodes[:2]
    assert ids(f"after={nodes[1]}") == nodes[2:]
    assert ids("area=44") == nodes
    assert ids("area=45") == ids("role=lamppost") == ids("area=%25") == []


def test_one_node_and_its_newest_status(
    api: TestClient, database: Database, nodes: list[str]
) -> None:
    payload = rig.make_report(1, [1], {report.DEPTH: 5})
    Ingest(database).process([rig.message(nodes[0], payload)])
    found = api.get(f"/api/nodes/{nodes[0]}")
    assert found.status_code == 200
    assert found.json() == {
        "id": nodes[0],
        "role": "drainage",
        "state": "active",
        "area": rig.AREA,
        "asset_id": found.json()["asset_id"],
        "last_report_us": rig.NOW_US,
        "status": {"0": 5},
    }


@pytest.mark.parametrize("node_id", ["0000000000", "nonsense", "%00", "%FF", "x" * 5000])
def test_no_such_node_is_404_in_one_line(api: TestClient, node_id: str) -> None:
    answer = api.get(f"/api/nodes/{node_id}")
    assert answer.status_code == 404
    assert len(answer.json()["detail"].splitlines()) == 1


def test_readings_continue_behind_a_page(
    api: TestClient, database: Database, nodes: list[str]
) -> None:
    Ingest(database).process([rig.message(nodes[0], rig.make_report(1, range(1, 8)))])
    seen: list[int] = []
    after: str | None = ""
    while after is not None:
        page = api.get("/api/readings", params={"after": after, "limit": 3}).json()
        seen += [reading["value"] for reading in page["readings"]]
        after = page["after"]
    assert seen == [rig.value_of(1, n) for n in range(1, 8)]


def test_a_reading_is_exact_and_in_words(
    api: TestClient, database: Database, nodes: list[str]
) -> None:
    body = report.encode_body(0, report.ESTIMATED, [(2, -(1 << 63)), (60000, (1 << 63) - 1)])
    Ingest(database).process([rig.message(nodes[0], report.encode(1, 0, [(1, body)], {}))])
    level, other = api.get(f"/api/readings?node={nodes[0]}").json()["readings"]
    assert (level["quantity"], level["value"]) == ("level", -(1 << 63))
    assert level["text"] == "-9223372036854775.808 m"
    assert (other["quantity"], other["text"]) == ("60000", str((1 << 63) - 1))
    assert (level["quality"], level["trust"], level["clock_off"]) == ("estimated", "tls", True)
    assert (level["time_us"], level["received_us"]) == (0, rig.NOW_US)
    assert api.get("/api/readings?quantity=level").json()["readings"] == [level]
    assert api.get(f"/api/readings?asset={level['asset_id'] + 1}").json()["readings"] == []
    assert api.get("/api/readings?since_us=1").json()["readings"] == []


@pytest.mark.parametrize(
    "url",
    [
        "/api/areas?limit=0",
        "/api/areas?limit=1001",
        "/api/nodes?limit=-1",
        "/api/nodes?limit=x",
        "/api/readings?limit=1001",
        "/api/readings?after=1",
        "/api/readings?after=1-2-3",
        f"/api/readings?after={'9' * 30}-1",
        f"/api/readings?asset={10**30}",
        f"/api/readings?since_us={10**30}",
        f"/api/readings?until_us=-{10**30}",
        f"/api/readings?quantity={10**30}",
        f"/api/readings?quantity={'9' * 5000}",
        "/api/readings?quantity=mood",
        "/api/readings?asset=x",
    ],
)
def test_bad_input_is_422_and_never_500(api: TestClient, nodes: list[str], url: str) -> None:
    answer = api.get(url)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_an_unknown_path_is_404(api: TestClient) -> None:
    assert api.get("/api/nothing").status_code == 404


def test_nothing_can_be_written(api: TestClient, nodes: list[str]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert api.request(method, f"/api/nodes/{nodes[0]}").status_code == 405


def test_healthy_is_200_and_each_part_can_fail(
    api: TestClient, health: dict[str, Any], nodes: list[str]
) -> None:
    answer = api.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"ok": True, "broker": True, "database": True}
    health.update(ok=False, broker=False)
    answer = api.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "broker": False, "database": True}


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_without_its_database_every_route_is_503(
    api: TestClient, database: Database, tmp_path: Path, nodes: list[str], how: str
) -> None:
    path = tmp_path / "kapok.db"
    database.close()  # the pool: so that damage is not hidden by what a connection remembers
    if how == "deleted":
        path.rename(tmp_path / "aside")
    else:
        with path.open("r+b") as file:
            file.write(b"nonsense" * 512)
    for url in ("/api/areas", "/api/nodes", f"/api/nodes/{nodes[0]}", "/api/readings"):
        answer = api.get(url)
        assert answer.status_code == 503, url
        assert "database" in answer.json()["detail"]
    answer = api.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "broker": True, "database": False}
    if how == "deleted":
        (tmp_path / "aside").rename(path)
        assert api.get("/healthz").status_code == 200


def test_readers_wait_for_no_writer(api: TestClient, tmp_path: Path, nodes: list[str]) -> None:
    with rig.writer_elsewhere(tmp_path / "kapok.db"):
        assert api.get("/healthz").status_code == 200
        assert len(api.get("/api/nodes").json()) == 3


def test_openapi_describes_every_route(api: TestClient) -> None:
    described = api.get("/openapi.json").json()
    assert described["info"] == {"title": "Kapok", "version": "1.2.3"}
    assert set(described["paths"]) == {
        "/healthz",
        "/api/alarms",
        "/api/alarms/{alarm_id}",
        *(
            f"/api/alarms/{{alarm_id}}/{act}"
            for act in ("acknowledge", "assign", "comment", "clear")
        ),
        "/api/maintenance",
        "/api/maintenance/{number}/end",
        "/metrics",
        "/api/areas",
        "/api/nodes",
        "/api/nodes/{node_id}",
        "/api/nodes/{node_id}/sub-devices",
        "/api/nodes/{node_id}/found-devices",
        "/api/readings",
        "/api/rollouts",
        "/api/rollouts/preview",
        "/api/rollouts/preview/excluded",
        "/api/rollouts/{name}",
        "/api/rollouts/{name}/nodes",
        "/api/commands",
        "/api/commands/{identifier}",
        "/api/commands/{identifier}/nodes",
        "/api/groups",
        "/api/config/layers",
        "/api/config/drift",
        "/api/config/schema/{role}",
        "/api/nodes/{node_id}/config",
        "/api/nodes/{node_id}/why",
    }
    for path in described["paths"].values():
        assert all(method["description"] for method in path.values())
    limit = next(
        p for p in described["paths"]["/api/nodes"]["get"]["parameters"] if p["name"] == "limit"
    )
    assert limit["schema"]["maximum"] == 1000


def test_metrics_are_read_when_they_are_asked_for(api: TestClient) -> None:
    counts = {"stored": 3}
    counters = Counters({"test_ingest": lambda: counts})
    counters.register()
    try:
        assert 'kapok_test_ingest_total{kind="stored"} 3.0' in api.get("/metrics").text
        counts["stored"] = 4
        assert 'kapok_test_ingest_total{kind="stored"} 4.0' in api.get("/metrics").text
    finally:
        counters.unregister()
    assert "kapok_test_ingest" not in api.get("/metrics").text
