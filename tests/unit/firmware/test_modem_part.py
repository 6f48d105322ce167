"""A modem's firmware as a component: begun once, given its time and never interrupted; the modem's
version tells in the end.
"""

from typing import Any

import esp32
import pytest
from fota_rig import NEW, Node, play
from node.update.ends import Refused
from node.wire import release

from hil.virtual.modem.fota import FotaOptions

MUTES = 5  # firmware/node/link/writing.py
FAMILIES = ["ec200", "bc660k", "a7670", "sim7080"]
SLOW: dict[str, Any] = {"size": 60_000, "delay_s": 4.0}  # three minutes on its way


@pytest.mark.parametrize("family", FAMILIES)
def test_the_modem_gets_its_firmware(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    async def case(node: Node) -> None:
        await node.finish()
        twin = node.bench.twin
        assert node.ended == "done"
        assert twin.fota.version == NEW
        assert (twin.fota.begun, twin.fota.written, twin.fota.interrupted) == (1, 1, 0)
        assert node.state["fota"] == 0
        assert node.contacts < 6

    play(monkeypatch, family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_that_tells_nothing_is_found_out_by_its_version(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    async def case(node: Node) -> None:
        await node.finish()
        assert node.ended == "done"
        assert node.bench.twin.fota.begun == 1

    play(monkeypatch, family, case, fault="untold")


@pytest.mark.parametrize("family", FAMILIES)
def test_it_goes_on_fetching_while_the_node_sleeps(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    async def case(node: Node) -> None:
        await node.contact()
        assert node.bench.twin.fota.fetching, "45 s are not enough for it"
        await node.finish()
        assert node.ended == "done"
        assert node.bench.twin.fota.begun == 1

    play(monkeypatch, family, case, **SLOW)


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_touches_a_modem_that_writes(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    async def case(node: Node) -> None:
        await node.finish()
        assert node.ended == "done"
        assert len(node.errors) >= 2, "it was mute for some contacts"
        assert node.bench.twin.fota.interrupted == 0

    play(monkeypatch, family, case, write_s=1000.0)


def test_without_the_guard_it_is_reset_while_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(node: Node) -> None:
        node.guarded = False
        await node.finish(8)
        assert node.bench.twin.fota.interrupted > 0

    play(monkeypatch, "ec200", case, write_s=1000.0)


def test_one_that_stays_mute_is_brought_back_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(node: Node) -> None:
        await node.contact()
        node.bench.twin.hung = True
        for _ in range(MUTES):
            await node.contact()
            await node.sleep()
        assert node.bench.twin.hung
        await node.contact()
        assert not node.bench.twin.hung, "it was reset"
        node.bench.twin.fota.options = FotaOptions()
        await node.finish()
        assert node.ended == "done"

    play(monkeypatch, "ec200", case, fault="stall")


@pytest.mark.parametrize("family", FAMILIES)
def test_power_cuts_at_every_contact_begin_it_anew_and_never_twice_at_once(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    async def case(node: Node) -> None:
        for _ in range(3):
            await node.contact()
            node.power_cut()
            # SIM7080 says itself that nothing is on its way any more.
            if family != "sim7080":
                assert node.bench.twin.fota.begun == 1, "its time is not over"
        await node.finish()
        assert node.ended == "done"
        assert node.bench.twin.fota.version == NEW

    play(monkeypatch, family, case, **SLOW)


def test_without_the_record_it_is_begun_at_every_power_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def case(node: Node) -> None:
        for _ in range(3):
            await node.contact()
            esp32.flash.kept.pop("fota", None)
            node.power_cut()
        assert node.bench.twin.fota.begun == 3

    play(monkeypatch, "ec200", case, **SLOW)


@pytest.mark.parametrize("cut", range(1, 9))
def test_power_that_fails_at_any_write_of_the_record(
    monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    from numbers_rig import PowerCut

    async def case(node: Node) -> None:
        esp32.flash.fuse.left = cut
        try:
            await node.finish(4)
        except PowerCut:
            node.power_cut()
        esp32.flash.fuse.left = None
        await node.finish()
        assert node.ended == "done"
        assert node.bench.twin.fota.version == NEW

    play(monkeypatch, "ec200", case)


@pytest.mark.parametrize("family", FAMILIES)
def test_three_tries_and_the_modems_own_number(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    async def case(node: Node) -> None:
        node.server.files.clear()
        await node.finish()
        assert isinstance(node.ended, Refused)
        told = {"ec200": 703, "bc660k": 12, "a7670": 1005, "sim7080": 404}[family]
        assert (node.ended.result, node.ended.detail) == (release.MODEM_FAILED, told)
        assert node.bench.twin.fota.begun == 3
        assert "fota" not in esp32.flash.kept
        assert node.state["fota"] == 0

    play(monkeypatch, family, case)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fault", ["refuse", "stall", "flash", "other version"])
def test_whatever_fails_ends_in_a_refusal(
    monkeypatch: pytest.MonkeyPatch, family: str, fault: str
) -> None:
    async def case(node: Node) -> None:
        old = node.bench.twin.fota.version
        await node.finish()
        assert isinstance(node.ended, Refused)
        assert node.ended.result == release.MODEM_FAILED
        assert node.ended.detail >= release.MODEM_UNCHANGED
        assert node.bench.twin.fota.version == old
        assert node.bench.twin.fota.interrupted == 0
        assert "fota" not in esp32.flash.kept

    faults = {"other version": "none"}
    base = NEW if fault == "other version" else ""
    play(monkeypatch, family, case, fault=faults.get(fault, fault), base=base)


def test_a_family_that_has_none_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(node: Node) -> None:
        await node.finish()
        assert isinstance(node.ended, Refused)
        ended = (node.ended.result, node.ended.detail)
        assert ended == (release.MODEM_FAILED, release.MODEM_HAS_NONE)
        assert node.contacts == 1

    play(monkeypatch, "bc95", case)


def test_one_that_has_it_already_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(node: Node) -> None:
        node.bench.twin.fota.version = NEW
        await node.finish()
        assert node.ended == "done"
        assert node.bench.twin.fota.begun == 0

    play(monkeypatch, "ec200", case)


def test_behind_it_the_modem_is_put_to_sleep_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def case(node: Node) -> None:
        await node.contact()
        assert b"AT+CFUN=0" not in node.bench.written
        await node.finish()
        assert node.bench.written.endswith(b"AT+CFUN=0\r")
        await node.contact()
        assert node.state["fota"] == 0

    play(monkeypatch, "ec200", case)


def test_a_contact_asks_nvs_once_after_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    get_blob = esp32.NVS.get_blob

    def counted(nvs: esp32.NVS, key: str, buffer: bytearray) -> int:
        asked.append(key)
        length: int = get_blob(nvs, key, buffer)
        return length

    async def case(node: Node) -> None:
        monkeypatch.setattr(esp32.NVS, "get_blob", counted)
        for _ in range(3):
            await node.open_and_close()
        assert asked == ["fota"]

    play(monkeypatch, "ec200", case)


def test_what_nobody_waits_for_any_more_is_left_in_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def case(node: Node) -> None:
        await node.contact()
        assert node.state["fota"] == 1
        node.job.number = 0  # the fleet has taken the assignment back
        await node.sleep(1800)
        await node.open_and_close()
        assert node.state["fota"] == 1
        await node.sleep(1900)
        await node.open_and_close()
        assert node.state["fota"] == 0
        assert node.bench.written.endswith(b"AT+CFUN=0\r")

    play(monkeypatch, "ec200", case, fault="stall")


def test_a_clock_that_is_put_back_does_not_begin_it_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def case(node: Node) -> None:
        node.skew = 400_000
        await node.contact()
        node.skew = 0
        for _ in range(3):
            await node.contact()
        assert node.bench.twin.fota.begun == 1
        await node.finish()
        assert node.ended == "done"

    play(monkeypatch, "ec200", case, **SLOW)
