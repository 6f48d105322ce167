"""A node's first start: its self-test, its time at the prompt, and what ends that."""

import json
from pathlib import Path
from typing import Any

import pytest
from board_rig import rig

from hil.virtual import scenes
from hil.virtual.node import Credentials, VirtualNode, mac_of
from hil.virtual.scenes import SECOND

START = 1_780_300_800 * SECOND
_NONE = Credentials(b"k", b"c", b"r", b"o")


class Talk:
    """What a node said on its serial line."""

    def __init__(self) -> None:
        self.sent = bytearray()

    def selftests(self) -> list[dict[str, Any]]:
        """Each self-test line that came, as JSON."""
        lines = self.sent.decode(errors="replace").split("\r\n")
        return [
            json.loads(line.removeprefix("kapok-selftest "))
            for line in lines[:-1]
            if line.startswith("kapok-selftest ")
        ]


def made(folder: Path, talk: Talk | None, *, keys: bool = False) -> VirtualNode:
    scene = scenes.gas_meter(START, 1)
    serial = None if talk is None else talk.sent.extend
    node = VirtualNode(folder / "n", mac_of("first"), scene, serial=serial)
    if keys:
        node.provision(_NONE, "nowhere.invalid", 1, awake_s=60, attach_s=20)
    return node


async def test_an_unprovisioned_node_introduces_itself_and_stays_at_the_prompt(
    tmp_path: Path,
) -> None:
    talk = Talk()
    node = made(tmp_path, talk)
    board = node.board
    try:
        await board.run_until(lambda: talk.sent.endswith(b">>> "))
        (said,) = talk.selftests()
        assert said["mac"] == mac_of("first").hex()
        assert bytes.fromhex(said["slot"]) in node.files["/a.romfs"][:64]
        assert len(said["slot"]) == 8
        assert said["runtime"].count(".") == 2
        assert (said["cause"], said["vfs"], said["nvs"]) == (1, True, True)
        assert said["provisioned"] is False
        assert said["heap"] > 10_000
        assert b"provision the node" in talk.sent
        assert board._peripherals.watchdog.timeout_us == 300 * SECOND
        board.start()
        board.type_in(b"import sys; sys.path\r")
        await board.run_until(lambda: b"['/rom', '.frozen']" in talk.sent)
        # Nobody comes: the watchdog ends it, and from then on the node sleeps as ever.
        board._peripherals.watchdog.start(500, board.now_us)
        await board.run_until(lambda: board.state == "asleep")
        assert (board.resets["watchdog"], len(talk.selftests())) == (1, 1)
        board.reset()  # the button, or a tool that opens the port
        await board.run_until(lambda: len(talk.selftests()) == 2)
    finally:
        await board.stop()


async def test_with_nobody_at_the_line_it_sleeps_after_its_time(tmp_path: Path) -> None:
    node = made(tmp_path, None)
    try:
        node.board.power_on()
        start = node.board.now_us
        await node.board.run_until(lambda: node.board.life.sleeps == 3)
        assert node.board.resets == {"power-on": 1, "watchdog": 1, "deep-sleep": 2}
        assert node.board.now_us - start >= (300 + 2 * 60) * SECOND
    finally:
        await node.board.stop()


async def test_a_provisioned_node_says_so_runs_and_lets_itself_be_interrupted(
    tmp_path: Path,
) -> None:
    talk = Talk()
    node = made(tmp_path, talk, keys=True)
    board = node.board
    try:
        await board.run_until(lambda: node.twin.commands > 3)
        assert [said["provisioned"] for said in talk.selftests()] == [True]
        board.start()
        board.type_in(b"\x03")
        await board.run_until(lambda: talk.sent.endswith(b">>> "))
        assert b"KeyboardInterrupt" in talk.sent
        assert b"deepsleep" not in talk.sent
        board.type_in(b"1 + 1\r")
        await board.run_until(lambda: b"\r\n2\r\n" in talk.sent)
        assert board.life.sleeps == 0
        before = board.life.boots
        board.type_in(b"\x04")  # a soft reset runs both files: the application again
        await board.run_until(lambda: board.life.boots > before and node.twin.commands > 6)
    finally:
        await board.stop()


async def test_a_wake_from_deep_sleep_introduces_nobody(tmp_path: Path) -> None:
    talk = Talk()
    node = made(tmp_path, talk, keys=True)
    node.twin.mute = True
    try:
        await node.board.run_until(lambda: node.board.life.wakes >= 2)
        await node.board.run_until(lambda: node.board.state == "asleep")
        assert len(talk.selftests()) == 1
        assert b">>> " not in talk.sent
    finally:
        await node.board.stop()


@pytest.mark.parametrize("name", ["wake_on_ext0", "wake_on_ext1", "PCNT"])
async def test_the_c3_lacks_what_its_port_lacks(tmp_path: Path, name: str) -> None:
    boot = f"""
        import esp32, machine
        try:
            esp32.{name}
            print("has it")
        except AttributeError:
            print("lacks it", hasattr(esp32, "wake_on_gpio"))
    """
    async with rig(tmp_path, boot, chip="esp32c3") as r:
        assert await r.line("lacks it") == "True"
