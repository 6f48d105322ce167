"""A survey's steps: the drivers against their twins, among cells of three operators, and what may
be recorded of them; the modem is as before, whatever befell it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import esp32
import pytest
from modem_bench import Bench, jumping
from node.errors import LinkError
from node.link import bands, walk
from node.link.modems import open_modem
from scripted_modem import ScriptedModem

from hil.virtual.modem import ModemTwin
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.surroundings import Heard

RSRP, ECL, SNR, OPERATOR, RADIO, BAND, CELL, REFUSAL = 101, 102, 104, 105, 106, 107, 108, 125
HOME, FOREIGN, NOWHERE = 46011, 46001, 46000
AROUND = (
    Heard("46011", 5, 128.0, "CHN-CT"),
    Heard("46011", 8, 150.0, "CHN-CT"),
    Heard("46001", 8, 135.0, "CHN-UNICOM", refuse=11),
)
NEAR = (Heard("46011", 5, 115.0), Heard("46011", 8, 125.0), Heard("46001", 8, 118.0, refuse=11))
FAMILIES = {"bc660k": AROUND, "bc95": AROUND, "ec200": NEAR}
Case = Callable[[Any, Bench], Awaitable[None]]


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    def now() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    monkeypatch.setattr(time, "ticks_ms", now, raising=False)
    monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
    esp32.flash = esp32.Flash()


def play(family: str, case: Case, seed: int = 1) -> None:
    async def main() -> None:
        scenario = Scenario(cells=FAMILIES.get(family, NEAR))
        twin = ModemTwin(family, seed=seed, scenario=scenario)
        bench = Bench(twin)
        twin.power_on()
        await case(open_modem(family, bench, {}), bench)
        twin.power_off()

    jumping(main)


async def look(modem: Any, operator: int, band: int = 0, looks: int = 3) -> list[dict[int, int]]:
    found = await walk.step(modem, operator, band, 120_000, looks)
    return [dict(values) for values in found]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_each_operator_on_each_band_has_its_own_records(family: str, seed: int) -> None:
    async def case(modem: Any, bench: Bench) -> None:
        twin = bench.twin
        await modem.wake()
        for operator, band, loss_db in ((HOME, 5, 0), (HOME, 8, 1), (FOREIGN, 8, 2)):
            seen = await look(modem, operator, band)
            assert len(seen) == 3
            heard = FAMILIES[family][loss_db]
            signal, cell = twin.signal(), twin.network.cell
            assert signal is not None
            assert cell is not None
            assert twin.link.coupling_loss_db == heard.coupling_loss_db  # type: ignore[attr-defined]
            for one in seen:
                assert (one[OPERATOR], one[BAND], one[CELL]) == (operator, band, cell.ci)
                assert one[RSRP] == signal.rsrp_dbm
                assert one[RADIO] == (7 if family == "ec200" else 9)
                assert one.get(ECL) == (None if family == "ec200" else signal.ecl)
                assert abs(one[SNR] - 10 * signal.snr_db) < 10
        # Searched to the end, and nothing: known, which is not the same as not measured.
        assert await look(modem, FOREIGN, 5) == [{OPERATOR: FOREIGN, RADIO: modem.RADIO, BAND: 5}]
        assert await look(modem, NOWHERE) == [{OPERATOR: NOWHERE, RADIO: modem.RADIO}]
        # And then the modem chooses by itself, on all bands, and attaches.
        await bands.give_back(modem)
        assert (twin.surroundings.manual, twin.surroundings.bands) == ("", frozenset())
        assert bands.held() is None
        await modem.attach("", 180_000)
        await modem.sleep()

    play(family, case, seed)


@pytest.mark.parametrize("family", ["sim7080", "a7670"])
def test_a_family_without_a_command_for_bands_looks_at_what_the_modem_finds(family: str) -> None:
    async def case(modem: Any, bench: Bench) -> None:
        await modem.wake()
        seen = await look(modem, HOME, 8)
        assert [one[BAND] for one in seen] == [5, 5, 5]  # the nearest: it says which it was
        await bands.give_back(modem)
        assert bench.twin.surroundings.manual == ""

    play(family, case)


@pytest.mark.parametrize("family", ["bc660k", "bc95"])
def test_whoever_had_some_bands_only_has_these_again(family: str) -> None:
    async def case(modem: Any, bench: Bench) -> None:
        around = bench.twin.surroundings
        around.restrict(frozenset({5, 8}))
        await modem.wake()
        await look(modem, HOME, 8)
        assert around.bands == {8}
        await bands.give_back(modem)
        assert around.bands == {5, 8}
        assert bands.held() is None

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_power_cut_in_a_step_leaves_nothing_locked(family: str) -> None:
    async def case(modem: Any, bench: Bench) -> None:
        twin = bench.twin
        await modem.wake()
        step = asyncio.ensure_future(walk.step(modem, FOREIGN, 8, 120_000, 3))
        await asyncio.sleep(4)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        modem.at.stop()
        esp32.flash.reset()
        twin.power_off()
        twin.power_on()
        assert twin.surroundings.bands == {8}  # in the modem's flash
        again: Any = open_modem(family, bench, {})
        await again.wake()
        with pytest.raises(LinkError):
            await again.attach("", 60_000)
        again.at.stop()
        modem = open_modem(family, bench, {})
        await modem.wake()
        await bands.give_back(modem)
        await modem.attach("", 180_000)
        assert twin.surroundings.bands == frozenset()
        await modem.sleep()

    play(family, case)


class Stubborn(ScriptedModem):
    """A modem that camps on 460-11 whatever it is told; `mode` is of +COPS?."""

    def __init__(self, mode: str, choice: str = "OK", stat: str = "0") -> None:
        super().__init__(
            {
                'AT+COPS=1,2,"46001"': choice,
                "AT+COPS?": f"+COPS: {mode}\nOK",
                "AT+CEREG?": f"+CEREG: 3,{stat}\nOK",
                "AT+QENG=0": '+QENG: 0,3671,8,101,"00288516",-103,-9,-94,5,5,"1A2B",1,23,2\nOK',
                'AT+QENG="servingcell"': '+QENG: "servingcell","LIMSRV","LTE","FDD",460,11,'
                "5A1C,101,1825,3,5,5,1A2B,-95,-9,-66,110,40\nOK",
            }
        )


def stubborn(modem: ScriptedModem, family: str) -> list[dict[int, int]]:
    async def main() -> list[dict[int, int]]:
        driver: Any = open_modem(family, modem)
        try:
            return await look(driver, FOREIGN)
        finally:
            driver.at.stop()

    return jumping(main)


@pytest.mark.parametrize("family", ["bc660k", "ec200"])
def test_a_choice_that_the_modem_refuses_is_not_measured_as_another_s(family: str) -> None:
    # It keeps the operator that it had, so what it tells is that one's cell.
    assert stubborn(Stubborn('0,2,"46011",9', "+CME ERROR: 3", "1"), family) == []
    assert stubborn(Stubborn('1,2,"46011",9', "+CME ERROR: 3", "1"), family) == []


def test_limited_service_by_another_s_cell_is_nothing_of_the_operator() -> None:
    seen = stubborn(Stubborn("1"), "ec200")
    assert seen == [{OPERATOR: FOREIGN, RADIO: 7}]


def test_an_operator_that_turns_the_card_away_without_a_cell_is_not_one_without_coverage() -> None:
    seen = stubborn(Stubborn("1", "+CME ERROR: 32", "3,,,,0,11"), "ec200")
    assert seen == [{OPERATOR: FOREIGN, RADIO: 7, REFUSAL: 11}]


def test_no_network_service_is_an_answer_and_any_other_error_none() -> None:
    nothing = "0"
    known = stubborn(Stubborn(nothing, "+CME ERROR: 30", "2"), "ec200")
    assert known == [{OPERATOR: FOREIGN, RADIO: 7}]
    assert stubborn(Stubborn(nothing, "ERROR", "2"), "ec200") == []
