"""What hangs on a gateway's line has assets of its own, whatever becomes of gateway and meter."""

from pathlib import Path
from typing import Any

import cli_rig as cli
import fleet_rig as rig
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.api import routes
from fleet.db.base import Database
from fleet.identity.client import make_key_and_csr
from fleet.registry import acts, found_devices, installations, sub_devices
from fleet.registry import operations as registry
from fleet.registry.acts import Swap
from fleet.registry.labels import LabelText
from fleet.registry.operations import RegistryError
from fleet.uplink.ingest import Ingest
from fleet.wire import report

T0 = rig.NOW_US - 3600 * 1_000_000
MINUTE = 60 * 1_000_000
ENERGY, WATER, VOLTAGE, SUB, SILENT = 22, 34, 24, 99, 1060


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    now = {"us": T0}
    for module in (registry, sub_devices, installations):
        monkeypatch.setattr(module, "now_us", lambda: now["us"])
    return now


@pytest.fixture
def gateway(database: Database) -> str:
    (node_id,) = rig.add_nodes(database, 1, "gateway")
    return node_id


class Sender:
    """A gateway's journal: each record under the next number."""

    def __init__(self, ingest: Ingest, epoch: int = 7) -> None:
        self.ingest, self.epoch, self.sequence = ingest, epoch, 0

    def send(self, node: str, *records: list[tuple[int, int]], at_us: int = T0) -> str:
        bodies = []
        for values in records:
            self.sequence += 1
            body = report.encode_body(at_us // 1_000_000, report.GOOD, values)
            bodies.append((self.sequence, body))
        payload = report.encode(self.epoch, at_us // 1_000_000, bodies, {})
        (outcome,) = self.ingest.process([rig.message(node, payload)])
        return outcome.kind


@pytest.fixture
def sender(ingest: Ingest) -> Sender:
    return Sender(ingest)


def readings(path: Path) -> list[tuple[Any, ...]]:
    return rig.query(path, "SELECT asset_id, quantity, value FROM readings ORDER BY id")


def assets(database: Database, node: str) -> dict[int, int]:
    with database.read() as session:
        return {one.number: one.asset_id for one in sub_devices.list_subs(session, node)}


def test_each_sub_device_has_a_series_of_its_own(
    database: Database, path: Path, gateway: str, sender: Sender
) -> None:
    assert sender.send(
        gateway, [(SUB, 1), (VOLTAGE, 2300)], [(SUB, 2), (VOLTAGE, 2310), (ENERGY, 5)],
        [(SUB, 1), (VOLTAGE, 2301)], [(VOLTAGE, 2400)], [(SUB, 2), (SILENT, 1)],
    ) == "stored"  # fmt: skip
    of = assets(database, gateway)
    with database.read() as session:
        own = registry.show_node(session, gateway).asset_id
    assert len({own, *of.values()}) == 3
    assert readings(path) == [
        (of[1], VOLTAGE, 2300), (of[2], VOLTAGE, 2310), (of[2], ENERGY, 5), (of[1], VOLTAGE, 2301),
        (own, VOLTAGE, 2400), (of[2], SILENT, 1),
    ]  # fmt: skip
    assert sender.send(gateway, [(SUB, 2), (VOLTAGE, 2290)]) == "stored"
    assert assets(database, gateway) == of, "the next report finds the same assets"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_number_that_no_configuration_has_makes_no_asset(
    path: Path, gateway: str, sender: Sender, number: int
) -> None:
    before = rig.query(path, "SELECT count(*) FROM assets")[0][0]
    assert sender.send(gateway, [(SUB, number), (VOLTAGE, 1)]) == "stored"
    after = rig.query(path, "SELECT count(*) FROM assets")[0][0]
    assert after - before <= (1 if number in sub_devices.NUMBERS else 0)
    assert readings(path)[-1][1:] == (VOLTAGE, 1)


def test_a_wild_gateway_makes_250_assets_at_most(path: Path, gateway: str, sender: Sender) -> None:
    for first in range(0, 400, 100):
        sender.send(gateway, *([(SUB, n), (VOLTAGE, 1)] for n in range(first, first + 100)))
    assert rig.query(path, "SELECT count(*) FROM sub_devices") == [(250,)]


def test_a_meter_that_is_replaced_goes_on_where_the_old_one_stood(
    database: Database, path: Path, gateway: str, sender: Sender, clock: dict[str, int]
) -> None:
    with database.begin() as session:
        sub_devices.name_sub(session, gateway, 2, "Shop 12", "electricity-meter", "000000000161")
    sender.send(gateway, [(SUB, 2), (ENERGY, 123450), (VOLTAGE, 2300)], at_us=T0 + MINUTE)
    clock["us"] = T0 + 10 * MINUTE
    with database.begin() as session:
        sub_devices.swap_sub(session, gateway, 2, "1234.5", "7", "000000000162")
    sender.send(gateway, [(SUB, 2), (ENERGY, 800), (VOLTAGE, 2300)], at_us=T0 + 11 * MINUTE)
    # What the old meter gave before the swap may come in late.
    sender.send(gateway, [(SUB, 2), (ENERGY, 123449)], at_us=T0 + 9 * MINUTE)
    values = [value for _, quantity, value in readings(path) if quantity == ENERGY]
    assert values == [123450, 123550, 123449]
    assert {value for _, quantity, value in readings(path) if quantity == VOLTAGE} == {2300}
    assert len({asset for asset, _, _ in readings(path)}) == 1
    with database.read() as session:
        both = sub_devices.list_subs(session, gateway, history=True)
    assert [(one.address, one.to_us is None) for one in both] == [
        ("000000000161", False), ("000000000162", True),
    ]  # fmt: skip


def test_sub_devices_stay_where_they_are_when_the_gateway_is_swapped(
    database: Database, path: Path, gateway: str, sender: Sender, ingest: Ingest,
    clock: dict[str, int],
) -> None:  # fmt: skip
    sender.send(gateway, [(SUB, 1), (VOLTAGE, 2300)], at_us=T0 + MINUTE)
    (new,) = rig.add_nodes(database, 1, "gateway")
    clock["us"] = T0 + 600 * MINUTE
    with database.begin() as session:
        at_us = T0 + 10 * MINUTE
        act = Swap(acts.new_id(), at_us, "Chen", LabelText(gateway), LabelText(new), "", "")
        installations.take_in(session, act)
    Sender(ingest, 9).send(new, [(SUB, 1), (VOLTAGE, 2301)], at_us=T0 + 20 * MINUTE)
    one, other = readings(path)
    assert one[0] == other[0]


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda s, n: sub_devices.name_sub(s, n, 0), "1 to 250"),
        (lambda s, n: sub_devices.name_sub(s, n, 1, kind="toaster"), "kind 'toaster'"),
        (lambda s, n: sub_devices.name_sub(s, n, 1, address="1' OR"), "address"),
        (lambda s, n: sub_devices.name_sub(s, n, 1, name="a\nb"), "printable"),
        (lambda s, n: sub_devices.swap_sub(s, n, 3, "", "", ""), "no sub-device 3"),
    ],
)
def test_what_makes_no_sense_is_refused(
    database: Database, gateway: str, act: Any, why: str
) -> None:
    with pytest.raises(RegistryError, match=why), database.begin() as session:
        act(session, gateway)


def test_a_register_is_asked_for_where_there_is_one(database: Database, gateway: str) -> None:
    with database.begin() as session:
        sub_devices.name_sub(session, gateway, 1, kind="water-meter")
        sub_devices.name_sub(session, gateway, 2, kind="environment-station")
    for number, before, why in ((1, "", "has a register"), (2, "5", "has no register")):
        with pytest.raises(RegistryError, match=why), database.begin() as session:
            sub_devices.swap_sub(session, gateway, number, before, "", "")


def test_other_roles_have_none(database: Database, node: str) -> None:
    with database.read() as session, pytest.raises(RegistryError, match="is a drainage"):
        sub_devices.list_subs(session, node)


def test_what_a_search_found_is_kept_once(
    database: Database, path: Path, gateway: str, sender: Sender
) -> None:
    def found(protocol: int, address: int, kind: int = 0) -> list[tuple[int, int]]:
        return [(930, protocol), (931, address), (932, kind), (933, 2400)]

    sender.send(gateway, found(1, 161), found(0, 17), found(1, 161), found(1, -1))
    sender.send(gateway, found(2, 78330011223344, 0x30), found(9, 1), found(0, 10**15))
    with database.read() as session:
        rows = found_devices.list_found(session, gateway)
    assert [(one.protocol, one.address, one.meter_type) for one in rows] == [
        ("modbus", "17", 0), ("dlt645", "000000000161", 0), ("cjt188", "78330011223344", 0x30),
    ]  # fmt: skip
    assert readings(path) == [], "they are no readings"


def test_the_api(database: Database, gateway: str, node: str, sender: Sender) -> None:
    sender.send(gateway, [(SUB, 4), (VOLTAGE, 1)], [(930, 0), (931, 17), (932, 0), (933, 9600)])
    app = routes.create(database, lambda: {"ok": True}, "1")
    with TestClient(app) as client:
        (one,) = client.get(f"/api/nodes/{gateway}/sub-devices").json()
        assert (one["number"], one["kind"], one["to_us"]) == (4, "sub-device", None)
        (found,) = client.get(f"/api/nodes/{gateway}/found-devices").json()
        assert (found["protocol"], found["address"]) == ("modbus", "17")
        assert client.get(f"/api/nodes/{node}/sub-devices").status_code == 404
        assert client.get("/api/nodes/0000000000/found-devices").status_code == 404


def test_the_commands(tmp_path: Path) -> None:
    data = tmp_path / "data"
    cli.out(data, "init")
    cli.out(data, "area", "add", cli.AREA, "Tianhe")
    request = tmp_path / "n.csr"
    request.write_bytes(make_key_and_csr("1gntj14d2p")[1])
    cli.out(
        data, "node", "add", "1gntj14d2p", "--role", "gateway", "--area", cli.AREA,
        "--csr", request,
    )  # fmt: skip
    sub = ("node", "sub")
    assert cli.out_json(data, *sub, "list", "1gntj14d2p") == []
    said = cli.out(
        data, *sub, "set", "1gntj14d2p", 2, "--asset", "Shop 12", "--kind", "electricity-meter"
    )
    assert "Shop 12" in said
    said = cli.out(
        data, *sub, "swap", "1gntj14d2p", 2, "--register-old", "10", "--register-new", "1.5"
    )
    assert said.rstrip().endswith("register offset 850")
    assert len(cli.out_json(data, *sub, "list", "1gntj14d2p", "--history")) == 2
    assert "Shop 12" in cli.out(data, *sub, "list", "1gntj14d2p")
    assert cli.out_json(data, *sub, "found", "1gntj14d2p") == []
    assert "kind 'toaster'" in cli.refusal(data, *sub, "set", "1gntj14d2p", 2, "--kind", "toaster")
    assert "not registered" in cli.refusal(data, *sub, "list", "0000000000")
