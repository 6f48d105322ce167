"""legacy.toml, the mapping of values to quantities, and the commands that list who speaks."""

import json
from decimal import Decimal
from pathlib import Path

import legacy_rig as rig
import pytest
from cli_rig import refusal, run
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Refusal
from fleet.legacy import config, mapping, terminals
from fleet.legacy.intake import Intake, Source, Value
from fleet.legacy.limits import Bounds
from fleet.legacy.mapping import Meanings, Unmapped
from fleet.legacy.protocols import frame
from fleet.settings import SettingsError
from fleet.telemetry import derived
from fleet.wire.quantity import QUANTITIES

FULL = """
networks = ["10.64.0.0/10"]

[listen]
host = "0.0.0.0"

[limits]
connections = 500
idle_s = 60

[hj212]
port = 9000

[sl651]
port = "off"

[[dtu]]
port = 9001
kind = "phone"
heartbeats = ["FE"]
poll_s = 600

[[dtu]]
kind = "text"
opening = "REG,(?P<id>[0-9]+)"
profiles = { power-meter = "sdm630" }

[map.hj212]
a34004 = { quantity = "pm2_5", unit = "ng/m³" }
"""


def read(folder: Path, text: str) -> config.Config:
    (folder / config.FILE).write_text(text, encoding="utf-8")
    return config.load(folder)


def test_a_file_and_what_it_says(tmp_path: Path) -> None:
    found = read(tmp_path, FULL)
    assert (found.host, found.ports) == ("0.0.0.0", {"hj212": 9000, "sl651": None})  # noqa: S104
    assert (found.bounds.connections, found.bounds.idle_s) == (500, 60)
    assert [port for port, _ in found.dtus] == [9001, 9646]
    assert found.dtus[0][1].poll_s == 600
    assert found.dtus[1][1].kinds["power-meter"] == "sdm630"
    assert found.home.is_move("10.64.0.1", "10.127.0.1") is False
    told = found.meanings.hj212("2011", [frame.Value("a34004-Rtd", "35", "ng/m³")], 7)
    assert [one.quantity for one in told.values] == [29]


def test_the_file_in_the_documents_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "legacy.md").read_text(encoding="utf-8")
    found = read(tmp_path, page.partition("```toml\n")[2].partition("```")[0])
    assert found.bounds == Bounds()  # it names what is so without it
    assert found.dtus[0][0] == config.PORTS["dtu"]


def test_without_a_file_and_by_options(tmp_path: Path) -> None:
    assert config.load(tmp_path).ports == {"hj212": 9212, "sl651": 9651}
    found = config.load(tmp_path, "::1", 77, {"hj212": 0, "sl651": "off", "dtu": "off"})
    assert (found.host, found.ports) == ("::1", {"hj212": 0, "sl651": None})
    assert (found.dtus, found.bounds.connections) == ((), 77)


@pytest.mark.parametrize(
    "text",
    [
        "strange = 1",
        "[limits]\nfast = 1",
        "[limits]\nconnections = -1",
        "[limits]\nidle_s = true",
        "[hj212]\nport = 70000",
        "[hj212]\nprot = 9212",
        "[hj212.a34004]\nquantity = 'pm2_5'",
        "[sl651]\nhost = '0.0.0.0'",
        "[listen]\nhosts = '0.0.0.0'",
        "[listen]\nhost = 5",
        "[dtu]\nport = 1",
        "[[dtu]]\nkind = 'mac'",
        "[[dtu]]\nopening = '('",
        "[[dtu]]\nopening = 'x'",
        "[[dtu]]\nheartbeats = ['zz']",
        "[[dtu]]\npoll_s = 0",
        "[[dtu]]\nprofiles = { x = 'no-such' }",
        "[[dtu]]\nbaud = 1",
        "networks = ['10.0.0.1/8']",
        "[map.hj212]\nw1 = 5",
        "[map.hj212]\nw1 = { quantity = 'nothing' }",
        "[map.hj212]\nw1 = { quantity = 'crash' }",
        "[map.hj212]\nw1 = { quantity = 'cod', factor = '0' }",
        "[map.modbus]\nw1 = { quantity = 'cod' }",
        "limits = 3",
        "[",
    ],
)
def test_what_is_wrong_in_the_file_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises((Refusal, SettingsError)) as told:
        read(tmp_path, text)
    assert len(str(told.value).splitlines()) == 1


def test_another_unit_is_another_thing() -> None:
    told = Meanings().sl651([frame.Value("Z", "1.2", "cm"), frame.Value("Z", "1.2", "m")], 9)
    assert told.unmapped == [Unmapped("Z", "cm", "1.2", 9)]
    assert [one.value for one in told.values] == [1200]


@given(st.sampled_from(sorted(QUANTITIES)), st.decimals(-(10**9), 10**9, places=3))
def test_a_value_keeps_all_digits_that_its_scale_has(quantity: int, value: Decimal) -> None:
    found = mapping.scaled(quantity, format(value, "f"))
    assert found is not None
    decimals = QUANTITIES[quantity][2]
    kept = Decimal(found).scaleb(-decimals)
    assert abs(kept - value) < Decimal(1).scaleb(-decimals)
    if quantity in (1, 22, 34):
        assert kept <= value  # a register shows no more than its dial


@pytest.mark.parametrize("text", ["", "open", "NaN", "Infinity", "1e99", "--1"])
def test_what_is_no_number_has_no_value(text: str) -> None:
    assert mapping.scaled(2, text) is None


def test_statistics_have_codes_and_names_of_their_own() -> None:
    found = derived.names()
    assert len(found) == len(set(found.values()))
    assert not set(found.values()) & set(QUANTITIES)
    for name, code in found.items():
        told = derived.entry(code)
        assert told is not None
        assert told[0] == name
    assert derived.entry(19_999) is None


def test_who_speaks_and_who_is_a_stranger(tmp_path: Path) -> None:
    with rig.city(tmp_path) as database:
        taking = Intake(database)
        taking.store(Source("hj212", rig.MN), [Value(200, 10**15, 1)], 10**15)
        taking.store(Source("hj212", rig.MN), [Value(200, 10**15, 2)], 10**15)
        taking.store(Source("hj212", "NOBODY"), [Value(200, 10**15, 1)], 10**15)
        with database.begin() as session:
            terminal_id = terminals.find(session, "T3")
            (one,) = terminals.speaking(session)
            assert (one.terminal_id, one.number, one.conflicts) == (terminal_id, "T3", 1)
            (other,) = terminals.strangers(session)
            assert (other.address, other.kept, other.why) == ("NOBODY", 1, "unknown")
            assert terminals.take_in(session, other) == []
            with pytest.raises(Refusal, match="no old terminal 'T99'"):
                terminals.find(session, "T99")


def test_the_commands(tmp_path: Path) -> None:
    assert run(tmp_path, "init").exit_code == 0
    assert json.loads(run(tmp_path, "legacy", "terminals", "--json").stdout) == []
    assert json.loads(run(tmp_path, "legacy", "strangers", "--json").stdout) == []
    told = json.loads(run(tmp_path, "legacy", "strangers", "--take-in", "--json").stdout)
    assert told["taken_in"] == {"new": 0, "again": 0, "conflicts": 0}
    told = json.loads(run(tmp_path, "legacy", "strangers", "--forget", "x", "--json").stdout)
    assert told == {"forgotten": 0, "strangers": []}
    assert run(tmp_path, "legacy", "strangers", "--forget", "x", "--take-in").exit_code == 2
    line = refusal(tmp_path, "legacy", "tolerate", "T1", "--variant", "modbus-crc")
    assert "no old terminal 'T1'" in line
    refusal(tmp_path, "legacy", "serve", "--hj212-port", "many")
    refusal(tmp_path, "legacy", "serve", "--connections", "0")
