"""PSM and eDRX: what the network grants is read back, whatever was asked for; in jumping time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from modem_bench import Bench, Echo, jumping
from node.errors import AtError
from node.link import saving
from node.link.modems import open_modem
from scripted_modem import ScriptedModem

from hil.virtual.modem import ModemTwin
from hil.virtual.modem.saving import Grants
from hil.virtual.modem.scenario import Scenario

HOUR = 3600
NONE = '+CEREG: 4,1,"5A1C","0B2F3D11",9\nOK'


def granted(active: str, tau: str, quote: str = '"') -> str:
    """The answer to CEREG? with these timers."""
    area = f"{quote}5A1C{quote},{quote}0B2F3D11{quote}"
    return f"+CEREG: 4,1,{area},9,,,{quote}{active}{quote},{quote}{tau}{quote}\nOK"


def ask(
    modem: ScriptedModem, question: Callable[[Any], Awaitable[object]], family: str = "bc660k"
) -> object:
    """What the driver says, before the wake's deadlines."""

    async def main() -> object:
        driver = open_modem(family, modem)
        try:
            return await question(driver)
        finally:
            driver.at.stop()

    return jumping(main)


def test_psm_is_asked_for_in_bits_and_the_grant_read_back() -> None:
    modem = ScriptedModem({"AT+CEREG?": [NONE, NONE, granted("00100001", "01000111")]})
    assert ask(modem, lambda m: m.power_saving(70 * HOUR, 60)) == (70 * HOUR, 60)
    assert 'AT+CPSMS=1,,,"01000111","00011110"' in modem.log  # 60 s as 30 x 2 s


def test_another_grant_than_was_asked_for_is_what_is_told() -> None:
    modem = ScriptedModem({"AT+CEREG?": [NONE, NONE, granted("00100100", "00000110")]})
    assert ask(modem, lambda m: m.power_saving(70 * HOUR, 2)) == (HOUR, 240)


def test_the_same_grant_in_another_encoding_ends_the_wait() -> None:
    modem = ScriptedModem({"AT+CEREG?": granted("00100001", "01000001")})  # 1 min, 1 x 10 h
    began = len(modem.log)
    assert ask(modem, lambda m: m.power_saving(10 * HOUR, 60)) == (10 * HOUR, 60)
    assert len(modem.log) - began < 12


def test_a_network_without_psm_grants_none_and_is_waited_for_only_so_long() -> None:
    async def main() -> float:
        modem = open_modem("bc660k", ScriptedModem({"AT+CEREG?": NONE}))
        assert await modem.power_saving(10 * HOUR, 10) is None
        modem.at.stop()
        return asyncio.get_running_loop().time()

    assert jumping(main) < 20


def test_before_the_attach_nothing_is_waited_for() -> None:
    modem = ScriptedModem({"AT+CEREG?": "+CEREG: 4,2\nOK"})
    assert ask(modem, lambda m: m.power_saving(10 * HOUR, 10)) is None
    assert modem.count("AT+CEREG?") == 3


def test_psm_is_switched_off() -> None:
    modem = ScriptedModem({"AT+CEREG?": [granted("00000101", "01000001"), NONE]})
    assert ask(modem, lambda m: m.power_saving(None, None)) is None
    assert "AT+CPSMS=0" in modem.log


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (granted("00100011", "01000011"), (30 * HOUR, 180)),
        (granted("00100011", "01000011", ""), (30 * HOUR, 180)),  # Neul
        ('+CEREG: 4,1,"5A1C","0B2F3D11",9,,,"00100011"\nOK', (None, 180)),
        (granted("00000101", "11100000"), (None, 10)),
        (granted("11100000", "01000011"), None),
        (granted("", ""), None),
        ("+CEREG: 4,1\nOK", None),
        ("ERROR", None),
    ],
)
def test_grants_as_modems_say_them(line: str, expected: object) -> None:
    assert ask(ScriptedModem({"AT+CEREG?": line}), saving.granted) == expected


def test_a_refused_request_is_an_error_and_a_firmware_without_cereg_4_tells_nothing() -> None:
    with pytest.raises(AtError):
        ask(ScriptedModem({"AT+CPSMS=0": "+CME ERROR: 50"}), lambda m: m.power_saving(None, None))
    silent = ScriptedModem({"AT+CEREG=4": "+CME ERROR: 50"})
    assert ask(silent, saving.granted) is None


def test_a_family_without_psm_or_edrx_is_not_asked() -> None:
    modem = ScriptedModem()
    assert ask(modem, lambda m: m.power_saving(HOUR, 10), "ec200") is None
    assert ask(modem, lambda m: m.edrx(20_480), "ec200") is None
    assert not modem.log


def test_edrx_is_asked_for_and_the_grant_read_back() -> None:
    modem = ScriptedModem(
        {
            "AT+CEDRXRDP": ["+CEDRXRDP: 0\nOK", '+CEDRXRDP: 5,"0101","0010","0011"\nOK'],
            "AT+CEREG?": NONE,
        }
    )
    assert ask(modem, lambda m: m.edrx(100_000)) == (20_480, 10_240)
    assert 'AT+CEDRXS=1,5,"0101"' in modem.log  # 81.92 s: no longer than asked for


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+CEDRXRDP: 5,"0011","0011","0011"\nOK', (40_960, 10_240)),
        ("+CEDRXRDP: 0\nOK", None),
        ('+CEDRXRDP: 5,"0011"\nOK', None),
        ("ERROR", None),
    ],
)
def test_edrx_grants_as_modems_say_them(line: str, expected: object) -> None:
    assert ask(ScriptedModem({"AT+CEDRXRDP": line}), saving.granted_edrx) == expected


def test_a_node_asks_once_even_where_the_network_grants_something_else() -> None:
    modem = ScriptedModem(
        {
            "AT+CPSMS?": ["+CPSMS: 0\nOK", '+CPSMS: 1,,,"01000111","00000101"\nOK'],
            "AT+CEREG?": [NONE, granted("00100100", "00000110")],
        }
    )

    async def three_wakes(m: Any) -> None:
        for _ in range(3):
            assert await saving.ensure_psm(m, 70 * HOUR, 10) == (HOUR, 240)

    ask(modem, three_wakes)
    assert modem.count("AT+CPSMS=") == 1


# Against the twin's network: T3324 and T3412 that really run.


def play(case: Callable[[Any, Bench], Awaitable[None]], **grants: Any) -> None:
    async def main() -> None:
        scenario = Scenario(grants=Grants(**grants))
        bench = Bench(ModemTwin("bc660k", seed=3, scenario=scenario, attach_delay_s=(2, 4)))
        async with Echo():
            bench.twin.power_on()
            modem = open_modem("bc660k", bench)
            await modem.wake()
            await modem.attach("", 180_000)
            await case(modem, bench)
            modem.at.stop()
            bench.twin.power_off()

    jumping(main)


def test_the_twins_network_grants_what_it_likes() -> None:
    async def wish(modem: Any, bench: Bench) -> None:
        assert await modem.power_saving(70 * HOUR, 10) == (70 * HOUR, 10)
        assert await modem.power_saving(None, None) is None

    async def otherwise(modem: Any, bench: Bench) -> None:
        assert await modem.power_saving(70 * HOUR, 10) == (2 * HOUR, 30)
        assert await modem.edrx(81_920) == (20_480, 10_240)

    async def nothing(modem: Any, bench: Bench) -> None:
        assert await modem.power_saving(70 * HOUR, 10) is None
        assert await modem.edrx(81_920) is None

    play(wish)
    play(otherwise, tau_s=2 * HOUR, active_s=30, cycle_bits="0010")
    play(nothing, psm=False, edrx=False)


def test_a_contact_with_a_sleeping_modem_that_went_into_psm() -> None:
    async def case(modem: Any, bench: Bench) -> None:
        assert await modem.power_saving(10 * HOUR, 2) == (10 * HOUR, 2)
        await modem.sleep()
        await asyncio.sleep(1800)
        assert bench.twin.saving.in_psm
        await modem.wake()
        await modem.attach("", 60_000)
        assert not bench.twin.saving.in_psm or bench.twin.network.registered
        assert await saving.granted(modem) == (10 * HOUR, 2)

    play(case)


def test_edrx_is_asked_for_once_and_taken_back_once() -> None:
    grant = '+CEDRXRDP: 5,"0101","0101","0011"\nOK'
    modem = ScriptedModem(
        {
            "AT+CEDRXS?": ["OK", '+CEDRXS: 5,"0101"\nOK'],
            "AT+CEDRXRDP": ["+CEDRXRDP: 0\nOK", grant],
            "AT+CEREG?": NONE,
        }
    )

    async def three_wakes(m: Any) -> None:
        for _ in range(3):
            assert await saving.ensure_edrx(m, 81_920) == (81_920, 10_240)

    ask(modem, three_wakes)
    assert modem.count("AT+CEDRXS=") == 1
    off = ScriptedModem({"AT+CEDRXS?": "OK"})
    assert ask(off, lambda m: saving.ensure_edrx(m, 0)) is None
    assert off.count("AT+CEDRXS=") == 0
    assert ask(ScriptedModem(), lambda m: saving.ensure_edrx(m, 20_480), "ec200") is None
