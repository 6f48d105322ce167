"""A fleet's enrolment API in this process, and boards whose plug can be pulled at any byte."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from coap_rig import WRAPPER
from release_rig import some_trust
from sqlalchemy import select

from fleet.db.base import Database
from fleet.enrol import routes
from fleet.enrol.client import ClaimRefused, PolicyWanted
from fleet.enrol.limits import Limits
from fleet.enrol.types import roles
from fleet.flashing import hardware
from fleet.flashing.errors import LinkLost
from fleet.flashing.identity import Identity, Security
from fleet.flashing.provision import Done, Order, provision_board
from fleet.identity import token_text, tokens
from fleet.identity.authority import Authority
from fleet.identity.tables import Certificate
from fleet.registry import operations as registry
from fleet.releases import trusting
from fleet.wire import nodeid

NODE_TYPE = "gas-meter"
NVS_BYTES = 0x4000
SECTOR = 4096
TRUST = some_trust()
DOORS = {"mqtt": ("localhost", 8883), "coap": ("localhost", 5683)}


class CutOff(Exception):
    """The laptop died: nothing behind this point happens."""


class EnrolFleet:
    """Everything that the API needs, in `folder`."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        from fastapi.testclient import TestClient

        self.folder = folder
        self.database: Database = rig.open_database(folder)
        self.authority = Authority.open(folder / "pki")
        with self.database.begin() as session:
            registry.add_area(session, rig.AREA, "Tianhe")
            registry.add_area(session, "440305", "Nanshan")
            trusting.install(session, TRUST, "Li Wei", rig.NOW_US)
        site = routes.Site(DOORS, {"4401": {"apn": "iot.example"}})
        app = routes.create(self.database, self.authority, WRAPPER, roles(), site, limits)
        self.http = TestClient(app)

    def token(self, count: int = 1, policy: str = "ask", **more: Any) -> str:
        """The text of a token for gas meters of Tianhe."""
        asked = {"person": "Li Wei", "area": rig.AREA, "node_type": NODE_TYPE, "days": 7}
        with self.database.begin() as session:
            _, text = tokens.add(
                session, token_text.fleet_digest(self.authority.root_der), count=count,
                policy=policy, **{**asked, **more},
            )  # fmt: skip
        return text

    def used(self) -> int:
        """How much of all tokens was taken."""
        with self.database.read() as session:
            return sum(one.used for one in tokens.list_(session))

    def certificates(self, node_id: str) -> tuple[list[Certificate], list[Certificate]]:
        """(in use, waiting) of a node."""
        with self.database.read() as session:
            found = list(
                session.scalars(select(Certificate).where(Certificate.subject == node_id))
            )
        return (
            [one for one in found if one.active_for],
            [one for one in found if one.next_for],
        )

    def close(self) -> None:
        """Close the database."""
        self.http.close()
        self.database.close()


@contextmanager
def enrol_fleet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnrolFleet]:
    """A fleet, and a technician's home of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    opened = EnrolFleet(folder)
    yield opened
    opened.close()


class Calls:
    """The API as provision.py calls it; `before` and `after` are told each call by name."""

    def __init__(self, fleet: EnrolFleet, token: str) -> None:
        self._fleet, self._token = fleet, token
        self.before: Callable[[str], None] = lambda name: None
        self.after: Callable[[str], None] = lambda name: None
        self.made: list[str] = []

    def look(self, node_id: str, node_type: str, holds: dict[str, str]) -> dict[str, Any]:
        """As the client's."""
        return self._post("look", {"node": node_id, "type": node_type, **holds})

    def claim(self, asked: dict[str, str]) -> dict[str, Any]:
        """As the client's."""
        return self._post("claim", asked)

    def confirm(self, node_id: str, serial: str) -> dict[str, Any]:
        """As the client's."""
        return self._post("confirm", {"node": node_id, "serial": serial})

    def _post(self, what: str, asked: dict[str, str]) -> dict[str, Any]:
        self.before(what)
        self.made.append(what)
        response = self._fleet.http.post(f"/enrol/{what}", json={"token": self._token, **asked})
        self.after(what)
        answer: dict[str, Any] = response.json()
        if response.status_code == 409 and "--again" in answer["detail"]:
            raise PolicyWanted(answer["detail"])
        if response.status_code != 200:
            raise ClaimRefused(answer["detail"])
        return answer


class Board:
    """A board's NVS in flash; `cut_at` bytes into a write its plug is pulled."""

    def __init__(self, mac: bytes | None = None) -> None:
        self.mac = mac or nodeid.to_mac(rig.new_node_id())
        self.node_id = nodeid.from_mac(self.mac)
        self.nvs = bytearray(b"\xff" * NVS_BYTES)
        self.cut_at: int | None = None
        self.writes = 0

    def wipe(self) -> None:
        """Erase the NVS."""
        self.nvs[:] = b"\xff" * NVS_BYTES

    def identify(self) -> Identity:
        """As BoardSession's."""
        return Identity("esp32s3", self.mac, 4 << 20, Security())

    def read_partition(self, label: str) -> bytes:
        """As BoardSession's."""
        assert label == "nvs"
        return bytes(self.nvs)

    def write_partition(self, label: str, data: bytes) -> None:
        """Erases a sector, then writes it, as a NOR flash does; LinkLost where it is cut."""
        assert label == "nvs"
        assert len(data) == NVS_BYTES
        self.writes += 1
        for start in range(0, NVS_BYTES, SECTOR):
            if self.cut_at is not None and self.cut_at <= start:
                raise LinkLost("the plug was pulled")
            self.nvs[start : start + SECTOR] = b"\xff" * SECTOR
            end = start + SECTOR
            if self.cut_at is not None and self.cut_at < end:
                self.nvs[start : self.cut_at] = data[start : self.cut_at]
                raise LinkLost("the plug was pulled")
            self.nvs[start:end] = data[start:end]


def never_asked(node_id: str) -> str:
    """For orders that must not ask."""
    raise AssertionError(f"asked what is to be of {node_id}")


def order(policy: str = "", ask: Callable[[str], str] = never_asked, **more: Any) -> Order:
    """An order for gas meters."""
    return Order(hardware.load_node_type(NODE_TYPE), ask, policy=policy, **more)


def provision(calls: Calls, board: Board, wanted: Order | None = None) -> Done:
    """Provision a board that nothing is said about."""
    return provision_board("bench:1", board, calls, wanted or order(), lambda step: None)
