"""A new certificate on the virtual board: the power fails at each operation on NVS."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from board_rig import MAC, START, Rig, flash
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.paths import firmware_dir
from fleet.releases import slots
from fleet.wire import cbor, nodeid
from hil.virtual.board import VirtualBoard
from hil.virtual.nvs import NvsError
from hil.virtual.peripherals import Peripherals
from hil.virtual.shims import _ops
from hil.virtual.vmrun import End

NODE = nodeid.from_mac(MAC)
_MODULES = (
    *("__init__", "errors", "modules", "config", "downlink", "wire/__init__"),
    *("wire/cbor", "wire/receipt", "wire/uplink"),
)
_COUNTED = {_ops.NVS_SET, _ops.NVS_ERASE, _ops.NVS_COMMIT}
_BOOT = """
    import sys
    sys.path.append("/")
    import machine
    from node import config, downlink
    def show(name):
        held = config.credentials()
        print(name, '["%s", "%s"]' % (held["key"].hex(), held["cert"].hex()))
    show("before")
    downlink.handle([[1, 5, bytes.fromhex("{payload}")]])
    show("after")
    print("standing", downlink.standing())
    machine.deepsleep(1000)
"""
_answer = Peripherals.answer


class Cutter:
    """Cuts the board's power at the counted operation after `left` more, before or behind it."""

    def __init__(self) -> None:
        self.board: VirtualBoard | None = None
        self.left = -1
        self.behind = False

    def answer(self, peripherals: Peripherals, op: int, payload: bytes) -> bytes | None:
        if op in _COUNTED and self.left >= 0:
            self.left -= 1
            if self.left < 0:
                if self.behind:
                    with suppress(NvsError):
                        _answer(peripherals, op, payload)
                assert self.board is not None
                assert self.board.life.run is not None
                self.board.life.run.kill(End("cut"))
                return None
        return _answer(peripherals, op, payload)


@pytest.fixture
def cutter(monkeypatch: pytest.MonkeyPatch) -> Cutter:
    made = Cutter()
    monkeypatch.setattr(Peripherals, "answer", lambda *call: made.answer(*call))  # noqa: PLW0108
    return made


def belong_together(pair: list[str]) -> bool:
    """Whether the key is the one of the certificate."""
    key = load_der_private_key(bytes.fromhex(pair[0]), None).public_key()
    other = x509.load_der_x509_certificate(bytes.fromhex(pair[1])).public_key()
    how = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_bytes(*how) == other.public_bytes(*how)


def files() -> dict[str, bytes]:
    names = [f"node/{name}.py" for name in _MODULES]
    tree = slots.compile_tree(firmware_dir(), names, slots.cache_dir() / "certificate", ("-O3",))
    return {f"/{p.relative_to(tree)}": p.read_bytes() for p in sorted(tree.rglob("*.mpy"))}


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
async def test_a_power_cut_leaves_a_pair_that_belongs_together(
    tmp_path: Path, cutter: Cutter, behind: bool
) -> None:
    cutter.behind = behind
    authority = Authority.create(tmp_path / "pki")
    key, request = make_key_and_csr(NODE)
    spare, spare_request = make_key_and_csr(NODE)
    new = authority.issue_node(spare_request).der
    values = {
        "key": bytes(key), "cert": authority.issue_node(request).der, "ca": authority.root_der,
        "key2": bytes(spare),
        "csr2": x509.load_pem_x509_csr(spare_request).public_bytes(Encoding.DER),
    }  # fmt: skip
    flash(tmp_path, _BOOT.format(payload=cbor.encode([new]).hex()), files())
    lines: list[str] = []
    board = VirtualBoard(tmp_path, MAC, start=START, console=lines.append)
    cutter.board = board
    rig = Rig(board, lines)
    cuts = 0

    def shown(start: str) -> list[Any]:
        return rig.all(start)

    try:
        while True:
            for name, value in values.items():
                board.nvs.set_blob("kapok", name, value)
            board.nvs.set_i32("kapok", "down", 0)
            sleeps, cutter.left = board.life.sleeps, cuts
            lines.clear()
            board.power_on()
            await board.run_until(
                lambda: board.state == "off" or board.life.sleeps > sleeps  # noqa: B023
            )
            if board.life.sleeps > sleeps:
                assert not board.life.crashes, board.console_tail
                break
            cuts += 1
            lines.clear()
            board.power_on()
            await board.run_until(lambda: board.life.sleeps > sleeps)  # noqa: B023
            assert all(belong_together(pair) for pair in shown("before") + shown("after"))
            assert bytes.fromhex(shown("after")[-1][1]) == new
            assert shown("standing")[-1] == [0, 1, 0]
            for name in ("key2", "csr2", "pair"):
                assert board.nvs.get("kapok", name) is None
            await board.power_cut()
    finally:
        await board.stop()
    assert cuts >= 12
