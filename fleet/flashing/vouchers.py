"""The vouchers on a technician's laptop: one file, mode 0600, one holder at a time.

It holds private keys, those of the vouchers, and nothing else here does: each serves for one claim
and is removed from the file when its board is done.
"""

import base64
import binascii
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from fleet.flashing.port_lock import state_folder
from fleet.identity.files import PRIVATE, write_atomic
from fleet.wire import claim, nodeid

FRESH, TAKEN, USED = "fresh", "taken", "used"
VERSION = 1


class VoucherError(Refusal, ValueError):
    """The file cannot be used, or has no voucher; the text says what to do."""


@dataclass(frozen=True)
class Fleet:
    """What a node must know of the fleet that it claims from: its root CA (DER), its doors.

    `keys`: public keys by their name in NVS, DER in base64; `defaults`: configuration by area.
    """

    ca: bytes
    host: str
    port: int
    coap_host: str
    coap_port: int
    keys: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Voucher:
    """One voucher. `state`: fresh; taken for the board `mac`; used on it, and its keys gone."""

    claim_id: str
    person: str
    area: str
    node_type: str
    not_after: int  # s since 1970 UTC
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)  # P-256, DER
    kid: bytes
    secret: bytes = field(repr=False)
    state: str = FRESH
    mac: str = ""  # 12 hex digits

    @property
    def node_id(self) -> str:
        """The node that it was taken for."""
        return nodeid.from_mac(bytes.fromhex(self.mac)) if self.mac else ""


def default_path() -> Path:
    """`vouchers.json` in the user's state folder."""
    return state_folder() / "vouchers.json"


class VoucherFile:
    """The file `path`. Each call holds it alone, and is whole on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Voucher]:
        """Every voucher, as they were added."""
        with self._held():
            return self._read()[1]

    def fleet(self) -> Fleet:
        """The fleet that they are of; VoucherError when there is none."""
        with self._held():
            fleet = self._read()[0]
        if fleet is None:
            raise VoucherError(f"{self.path} holds no vouchers: kapok voucher pull")
        return fleet

    def add(self, fleet: Fleet, vouchers: Iterable[Voucher]) -> None:
        """Keep more; VoucherError when those at hand are of another fleet."""
        with self._held():
            before, held = self._read()
            if before is not None and held and before.ca != fleet.ca:
                raise VoucherError(f"{self.path} holds vouchers of another fleet: use --file")
            if before is not None:
                fleet = replace(fleet, defaults={**before.defaults, **fleet.defaults})
            self._write(fleet, [*held, *vouchers])

    def take(self, mac: bytes, node_type: str) -> Voucher:
        """A voucher for a board, noted as taken before it is given: never for two boards.

        A board that was cut gets the one again that it had. VoucherError when none is left.
        """
        with self._held():
            fleet, held = self._read()
            for one in held:
                if (one.state, one.mac, one.node_type) == (TAKEN, mac.hex(), node_type):
                    return one
            now = time.time()
            for at, one in enumerate(held):
                if (one.state, one.node_type) == (FRESH, node_type) and one.not_after > now:
                    held[at] = replace(one, state=TAKEN, mac=mac.hex())
                    self._write(fleet, held)
                    return held[at]
        raise VoucherError(
            f"no voucher for a {node_type} is left in {self.path}: where there is a network, "
            f"kapok voucher pull --node {node_type}"
        )

    def used(self, claim_id: str) -> None:
        """The board is written and verified: forget the keys, keep what the fleet is to hear."""
        with self._held():
            fleet, held = self._read()
            for at, one in enumerate(held):
                if one.claim_id == claim_id and one.state == TAKEN:
                    held[at] = replace(
                        one, state=USED, certificate=b"", key=b"", kid=b"", secret=b""
                    )
            self._write(fleet, held)

    def remove(self, claim_ids: Iterable[str]) -> None:
        """The fleet knows of these."""
        gone = set(claim_ids)
        with self._held():
            fleet, held = self._read()
            self._write(fleet, [one for one in held if one.claim_id not in gone])

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        # A lock of its own, since the file is replaced.
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self.path.with_name(self.path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> tuple[Fleet | None, list[Voucher]]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None, []
        try:
            raw = json.loads(text)
            if raw["version"] != VERSION:
                raise ValueError("version")
            fleet = raw["fleet"]
            held = [Voucher(**_thawed(one)) for one in raw["vouchers"]]
            for one in held:
                if not claim.is_id(one.claim_id) or (one.mac and len(bytes.fromhex(one.mac)) != 6):
                    raise ValueError("claim id")
            return None if fleet is None else Fleet(**_thawed(fleet)), held
        except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
            raise VoucherError(
                f"{self.path} is damaged: move it away and pull new vouchers"
            ) from None

    def _write(self, fleet: Fleet | None, held: list[Voucher]) -> None:
        raw = {
            "version": VERSION,
            "fleet": None if fleet is None else _frozen(asdict(fleet)),
            "vouchers": [_frozen(asdict(one)) for one in held],
        }
        write_atomic(self.path, json.dumps(raw, indent=1).encode(), PRIVATE)


_BYTES = ("ca", "certificate", "key", "kid", "secret")


def _frozen(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if name in _BYTES else value
        for name, value in values.items()
    }


def _thawed(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value, validate=True) if name in _BYTES else value
        for name, value in values.items()
    }
