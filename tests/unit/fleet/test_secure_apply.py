"""Hardening on paper: cut at every burn, burnt by others, fuses that do not take."""

import contextlib
import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_chip import PaperChip, PowerCutError

from fleet.flashing import secure_apply
from fleet.flashing.efuse_tool import EfuseTool
from fleet.flashing.efuses import SecureError, parse
from fleet.flashing.secure_apply import Log
from fleet.flashing.secure_plan import plan, standings
from fleet.flashing.secure_steps import State

NODE = "0wmxhpw001"
KEYS = {"esp32": ["ab" * 32], "esp32s3": ["ab" * 32, "cd" * 32], "esp32c3": ["ab" * 32]}
CHIPS = list(KEYS)


def as_tool(chip: PaperChip) -> EfuseTool:
    return cast(EfuseTool, chip)


def run(chip: PaperChip, log: Log, trusted: str = "") -> list[str]:
    """Apply, start the board when it is asked for, and apply again; what was told."""
    told: list[str] = []
    steps = plan(chip.chip, KEYS[chip.chip])
    while not secure_apply.apply(as_tool(chip), steps, log, told.append, trusted):
        name = "FLASH_CRYPT_CNT" if chip.chip == "esp32" else "SPI_BOOT_CRYPT_CNT"
        chip.raw[name] |= 1
    return told


@pytest.fixture
def log(tmp_path: Path) -> Log:
    chip = PaperChip("esp32c3")
    return Log(tmp_path / "log", chip.read().node_id)


def is_hardened(chip: PaperChip) -> bool:
    steps = plan(chip.chip, KEYS[chip.chip])
    return all(state is State.DONE for _, state in standings(steps, chip.read()))


@pytest.mark.parametrize("name", CHIPS)
def test_the_power_fails_at_every_burn_in_turn(name: str, log: Log) -> None:
    whole = PaperChip(name)
    run(whole, log)
    for cut in range(len(whole.burns)):
        chip = PaperChip(name, cut)
        log.path.unlink(missing_ok=True)
        with pytest.raises(PowerCutError):
            run(chip, log)
        chip.cut = -1
        run(chip, log)
        assert is_hardened(chip)
        assert len(set(chip.flash_keys)) == 1  # never a second key over the first


@pytest.mark.parametrize("name", CHIPS)
def test_the_power_fails_at_every_second_burn(name: str, log: Log) -> None:
    chip = PaperChip(name, 1)
    for _ in range(40):
        try:
            run(chip, log)
            break
        except PowerCutError:
            chip.cut = 1
    assert is_hardened(chip)
    assert len(set(chip.flash_keys)) == 1


@pytest.mark.parametrize("name", CHIPS)
def test_what_closes_doors_comes_last(name: str, log: Log) -> None:
    chip = PaperChip(name)
    run(chip, log)
    order = " | ".join(chip.burns)
    last = "UART_DOWNLOAD_DIS" if name == "esp32" else "ENABLE_SECURITY_DOWNLOAD"
    assert chip.burns[-1] == f"burn-efuse {last} 1"
    enabled = "ABS_DONE_1" if name == "esp32" else "SECURE_BOOT_EN"
    assert (
        order.index("burn-key") < order.index("write-protect-efuse RD_DIS") < order.index(enabled)
    )


@pytest.mark.parametrize("name", CHIPS)
def test_a_hardened_chip_is_left_alone(name: str, log: Log) -> None:
    chip = PaperChip(name)
    run(chip, log)
    burns = list(chip.burns)
    assert all(line.endswith("done before") for line in run(chip, log))
    assert chip.burns == burns


def _other_digest(chip: PaperChip) -> None:
    block = "BLOCK2" if chip.chip == "esp32" else "BLOCK_KEY0"
    chip.data[block] = b"\x11" * 32


def _key_of_others(chip: PaperChip) -> None:
    block = "BLOCK1" if chip.chip == "esp32" else "BLOCK_KEY3"
    chip.data[block] = b"\x22" * 32
    chip.hidden.add(block)
    chip.fixed.add(block)
    if chip.chip != "esp32":
        chip.raw["KEY_PURPOSE_3"] = 4


def _readable_key(chip: PaperChip) -> None:
    chip.data["BLOCK1" if chip.chip == "esp32" else "BLOCK_KEY3"] = b"\x33" * 32


def _locked_without_keys(chip: PaperChip) -> None:
    chip.raw["ABS_DONE_1" if chip.chip == "esp32" else "SECURE_BOOT_EN"] = 1


def _encrypting_without_keys(chip: PaperChip) -> None:
    chip.raw["FLASH_CRYPT_CNT" if chip.chip == "esp32" else "SPI_BOOT_CRYPT_CNT"] = 1


def _fixed(chip: PaperChip) -> None:
    chip.fixed.add("JTAG_DISABLE" if chip.chip == "esp32" else "DIS_PAD_JTAG")


OTHERS = [_other_digest, _key_of_others, _readable_key, _locked_without_keys,
          _encrypting_without_keys, _fixed]  # fmt: skip


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("burnt", OTHERS)
def test_attack_a_chip_that_others_have_burnt(name: str, burnt: Any, log: Log) -> None:
    chip = PaperChip(name)
    burnt(chip)
    with pytest.raises(SecureError, match="nothing was burnt now"):
        run(chip, log)
    assert chip.burns == []


@pytest.mark.parametrize("burnt", OTHERS)
def test_sabotage_without_the_check_it_burns_such_a_chip(
    burnt: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secure_apply, "check_before", lambda *_arguments: None)
    chip = PaperChip("esp32c3")
    burnt(chip)
    with contextlib.suppress(SecureError, AssertionError):
        run(chip, log)
    assert chip.burns != []


def test_a_key_whose_log_is_lost_is_trusted_by_name_only(log: Log) -> None:
    chip = PaperChip("esp32c3", 4)
    with pytest.raises(PowerCutError):
        run(chip, log)
    chip.cut = -1
    log.path.unlink()
    with pytest.raises(SecureError, match="does not say that it is ours"):
        run(chip, log)
    run(chip, log, trusted="flash-key")
    assert is_hardened(chip)
    readable = PaperChip("esp32c3")
    _readable_key(readable)
    log.path.unlink()
    with pytest.raises(SecureError, match="somebody may have a copy"):
        run(readable, log, trusted="flash-key")


@pytest.mark.parametrize("name", CHIPS)
def test_a_fuse_that_does_not_take_ends_it(name: str, log: Log) -> None:
    """ESP-IDF's issue 9244: what works on virtual eFuses may not on real ones."""
    deaf = "JTAG_DISABLE" if name == "esp32" else "DIS_PAD_JTAG"
    chip = PaperChip(name, deaf=[deaf])
    with pytest.raises(SecureError, match="jtag does not read back: the rest is not burnt"):
        run(chip, log)
    assert chip.raw["ABS_DONE_1" if name == "esp32" else "SECURE_BOOT_EN"] == 0
    assert b'"not read back"' in log.path.read_bytes()


def test_another_chip_on_the_port_is_noticed(tmp_path: Path) -> None:
    chip = PaperChip("esp32c3")
    with pytest.raises(SecureError, match="was changed"):
        run(chip, Log(tmp_path / "log", "0000000000"))
    assert chip.burns == []


def test_the_log_has_no_secret_and_survives_a_torn_line(log: Log) -> None:
    chip = PaperChip("esp32c3")
    run(chip, log)
    (key,) = chip.flash_keys
    raw = log.path.read_bytes()
    assert key not in raw
    assert key.hex().encode() not in raw
    assert {frozenset(json.loads(line)) for line in raw.splitlines()} == {
        frozenset({"at", "node", "event", "step"})
    }
    log.path.write_bytes(b'{"node\n[1]\n' + raw)
    assert log.began("flash-key")
    assert not log.began("first-boot")


def test_numbers_of_keys() -> None:
    for chip, digests in (("esp32", ["ab" * 32, "cd" * 32]), ("esp32c3", []),
                          ("esp32c3", ["ab" * 32] * 2), ("esp8266", ["ab" * 32])):  # fmt: skip
        with pytest.raises(SecureError):
            plan(chip, digests)
    names = [step.name for step in plan("esp32s3", ["ab" * 32, "cd" * 32, "ef" * 32])]
    assert names[:3] == ["digest0", "digest1", "digest2"]
    assert "revoke-unused" not in names


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_output_is_read_or_refused(text: str) -> None:
    with pytest.raises(SecureError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["{}", '{"MAC": 1}', '{"MAC": {}}', "[" * 100_000, '{"a":' * 100_000,
     '{"MAC": {"readable": 1, "writeable": true, "raw_value": "0x0", "value": ""}}',
     '{"MAC": {"readable": true, "writeable": true, "raw_value": "x", "value": ""}}'],
)  # fmt: skip
def test_a_summary_that_is_none(text: str) -> None:
    with pytest.raises(SecureError, match="cannot be read"):
        parse(text)
