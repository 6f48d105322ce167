"""Lines by which modems tell how firmware of their own comes along, one by one; and eDRX where the
cell has none.
"""

import asyncio
import types
from typing import Any

import pytest
from node.link import fota, saving

UNTOLD = fota.UNTOLD


def heard(line: str) -> tuple[int | None, bool, object]:
    """(error, whether the file is there, what the engine is told) behind one line."""
    made: Any = fota.Fota.__new__(fota.Fota)
    made.error, made._fetched, made._moved = None, False, asyncio.Event()
    given = made._on_line(line, None)
    assert made._moved.is_set() is (given is None)
    return made.error, made._fetched, given


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('+QIND: "FOTA","HTTPSTART"', None),
        ('+QIND: "FOTA","HTTPEND",0', None),
        ('+QIND: "FOTA","HTTPEND",701', 701),
        ('+QIND: "FOTA","START"', None),
        ('+QIND: "FOTA","UPDATING",7', None),
        ('+QIND: "FOTA","END",0', 0),
        ('+QIND: "FOTA","END",504', 504),
        ('+QIND: "FOTA","END",', UNTOLD),
    ],
)
def test_quectels(line: str, error: int | None) -> None:
    assert heard(line) == (error, False, None)


@pytest.mark.parametrize(
    ("line", "error", "fetched"),
    [
        ("+HTTPTOFS: 200,500000", None, True),
        ("+HTTPTOFS: 0", None, False),  # idle
        ("+HTTPTOFS: 1", None, False),  # busy
        ("+HTTPTOFS: 2", 2, False),
        ("+HTTPTOFS: 404,0", 404, False),
        ("+HTTPTOFS: ,0", None, False),
        ("+HTTPTOFS: x", None, False),
    ],
)
def test_simcoms_download(line: str, error: int | None, fetched: bool) -> None:
    assert heard(line) == (error, fetched, None)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("+CFOTA: SUCCESS", 0),
        ("+CFOTA: Update success", 0),
        ("+CFOTA: FAIL", UNTOLD),
        ("+CFOTA: failed", UNTOLD),
        ("+CFOTA: 99", 99),
        ("+CFOTA: 0", 0),
        ("+CFOTA: 100", None),  # it restarts in 8 s
        ("+CFOTA: DOWNLOADING,99", None),
        ("+CFOTA: WHATEVER", None),
    ],
)
def test_simcoms_writing(line: str, error: int | None) -> None:
    assert heard(line) == (error, False, None)


def test_a_start_is_the_commands_own_answer() -> None:
    assert heard("+CFOTA: START") == (None, False, False)


@pytest.mark.parametrize(
    ("told", "granted"),
    [
        ('+CEDRXRDP: 5,"0011","0011","0011"', (40_960, 10_240)),
        ('+CEDRXRDP: 0,"0011","0011","0011"', None),  # the cell does not use it
        ('+CEDRXRDP: 5,"0","0011","0011"', (40_960, 10_240)),
        ('+CEDRXRDP: 5,"0011","0011"', None),
        ('+CEDRXRDP: 5,"0011","x","0011"', None),
        ('+CEDRXRDP: 5,"0011","0011","x"', None),
    ],
)
def test_edrx_by_what_the_network_granted(told: str, granted: object) -> None:
    async def line(command: str, prefix: str) -> str:
        assert (command, prefix) == ("AT+CEDRXRDP", "+CEDRXRDP:")
        return told

    modem = types.SimpleNamespace(line=line)
    assert asyncio.run(saving.granted_edrx(modem)) == granted
