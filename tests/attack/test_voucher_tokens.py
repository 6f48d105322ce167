"""What a claim token lets its holder do with vouchers: what it is for, as often, and no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from enrol_rig import EnrolFleet

from fleet.flashing import voucher_office
from fleet.flashing.vouchers import VoucherFile
from fleet.identity import client, tokens, vouchers
from fleet.wire import nodeid

MAC = bytes.fromhex("30aea4880001")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[EnrolFleet]:
    opened = EnrolFleet(tmp_path)
    yield opened
    opened.close()


def ask(fleet: EnrolFleet, token: str, count: int = 1, **other: Any) -> Any:
    """The answer to a pull."""
    csrs = [client.make_claim_key_and_csr(vouchers.draw_id())[1].decode() for _ in range(count)]
    body = {"token": token, "type": "gas-meter", "area": rig.AREA, "days": 90, "csrs": csrs}
    return fleet.http.post("/enrol/vouchers", json=body | other)


def count(fleet: EnrolFleet) -> int:
    with fleet.database.read() as session:
        return len(vouchers.list_vouchers(session))


def test_a_laptop_pulls_keys_defaults_and_vouchers(fleet: EnrolFleet, tmp_path: Path) -> None:
    class Calls:
        def vouchers(self, node_type: str, area: str, days: int, requests: Any) -> Any:
            csrs = [request.decode() for request in requests]
            got = ask(fleet, token, type=node_type, area=area, days=days, csrs=csrs)
            assert got.status_code == 200, got.text
            return got.json()

        def voucher_used(self, claim_id: str, node_id: str) -> Any:
            body = {"token": token, "voucher": claim_id, "node": node_id}
            return fleet.http.post("/enrol/voucher-used", json=body).json()

    token = fleet.token(count=25)
    file = VoucherFile(tmp_path / "vouchers.json")
    office = voucher_office.Remote(Calls())  # type: ignore[arg-type]
    voucher_office.pull(office, file, 25, "", "gas-meter", 90)
    assert len(file.all()) == count(fleet) == fleet.used() == 25
    assert {(one.person, one.area) for one in file.all()} == {("Li Wei", rig.AREA)}
    assert file.fleet().defaults == {rig.AREA: {"apn": "iot.example"}}
    assert set(file.fleet().keys) == {"trust"}
    file.used(file.take(MAC, "gas-meter").claim_id)
    (told,) = voucher_office.push(office, file)
    assert (told.node_id, told.state) == (nodeid.from_mac(MAC), "pending")


def test_attack_a_token_is_overdrawn(fleet: EnrolFleet) -> None:
    token = fleet.token(count=3)
    assert ask(fleet, token, 4).status_code == 403
    assert (count(fleet), fleet.used()) == (0, 0)
    assert ask(fleet, token, 3).status_code == 200
    assert ask(fleet, token, 1).status_code == 403
    assert (count(fleet), fleet.used()) == (3, 3)


@pytest.mark.parametrize(
    "other",
    [{"type": "lamppost"}, {"area": "440305"}, {"days": 366}, {"days": 0}, {"csrs": []},
     {"csrs": ["no request"]}, {"csrs": [client.make_key_and_csr("1gntj14d2p")[1].decode()]}],
)  # fmt: skip
def test_attack_a_token_for_something_else(fleet: EnrolFleet, other: dict[str, Any]) -> None:
    assert ask(fleet, fleet.token(count=3), **other).status_code in (403, 422)
    assert (count(fleet), fleet.used()) == (0, 0)


def test_attack_the_token_of_a_stolen_laptop(fleet: EnrolFleet) -> None:
    token = fleet.token(count=3)
    assert ask(fleet, token).status_code == 200
    with fleet.database.begin() as session:
        tokens.revoke(session, tokens.of_person("Li Wei"))
    assert ask(fleet, token).status_code == 401
    body = {"token": token, "voucher": vouchers.draw_id(), "node": "1gntj14d2p"}
    assert fleet.http.post("/enrol/voucher-used", json=body).status_code == 401
    assert count(fleet) == 1


def test_attack_one_person_tells_of_the_voucher_of_another(fleet: EnrolFleet) -> None:
    mine, other = fleet.token(count=1), fleet.token(count=1, person="Zhang Min")
    claim_id = ask(fleet, mine).json()["vouchers"][0]["id"]
    body = {"token": other, "voucher": claim_id, "node": "1gntj14d2p"}
    assert fleet.http.post("/enrol/voucher-used", json=body).status_code == 403
    with fleet.database.read() as session:
        assert vouchers.shown(session, [claim_id])[0].state == "fresh"
