"""What replies mean: the time, registration, identity, signal. Total for any text."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modem_bench import jumping
from node.link import cell, nettime, replies
from node.link.modems import open_modem
from node.link.registration import parse
from scripted_modem import ScriptedModem


def seconds(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+CCLK: "24/11/23,05:22:10+32"', (seconds(2024, 11, 23, 5, 22, 10), 32)),
        ("+CCLK: 24/11/23,05:22:10+32", (seconds(2024, 11, 23, 5, 22, 10), 32)),
        ('+CCLK: "24/11/23,05:22:10-14"', (seconds(2024, 11, 23, 5, 22, 10), -14)),
        ('+CCLK: "24/11/23,05:22:10"', (seconds(2024, 11, 23, 5, 22, 10), 0)),
        ('+QLTS: "2028/02/29,23:59:59+23,0"', (seconds(2028, 2, 29, 23, 59, 59), 23)),
    ],
)
def test_written_times(line: str, expected: tuple[int, int]) -> None:
    assert nettime.written_time(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        '+QLTS: ""',
        '+CCLK: "80/01/06,00:00:21+00"',
        "+CCLK: 00/01/01,00:00:09+00",
        '+CCLK: "24/13/01,00:00:00+32"',
        '+CCLK: "24/11/23,25:00:00+32"',
        '+CCLK: "24/11/23,05:22:10+97"',
        '+CCLK: "24/11/23 05:22:10+32"',
        '+CCLK: "24/+1/23,05:22:10+32"',
        '+CCLK: "24/11/23,05:22"',
    ],
)
def test_a_clock_that_no_network_set_is_none(line: str) -> None:
    assert nettime.written_time(line) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31)), st.integers(-96, 96))
def test_every_time_round_trips(when: datetime, zone: int) -> None:
    line = f'+QLTS: "{when:%Y/%m/%d,%H:%M:%S}{zone:+03d},0"'
    expected = int(when.replace(tzinfo=UTC, microsecond=0).timestamp())
    assert nettime.written_time(line) == (expected, zone)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("+CEREG: 0,1", (False, 1, 0)),
        ("+CEREG:0,1", (False, 1, 0)),
        ('+CEREG: 3,5,"5A1C","0B2F3D11",9', (False, 5, 0)),
        ("+CEREG: 3,3,,,,0,11", (False, 3, 11)),
        ("+CEREG: 3,2,,,,1,11", (False, 2, 0)),
        ("+CEREG: 2", (True, 2, 0)),
        ('+CEREG: 1,"5A1C","0B2F3D11",9', (True, 1, 0)),
        ('+CEREG: 1,"0001","00000002",7', (True, 1, 0)),
        ("+CEREG: 3,,,,0,15", (True, 3, 15)),
        ("+CEREG: ", None),
        ("+CEREG: 0,99", None),
    ],
)
def test_query_and_urc_of_cereg_are_told_apart(line: str, expected: object) -> None:
    assert parse(line) == expected


def test_signal_and_its_unknowns() -> None:
    assert cell.signal_quality("+CSQ: 22,99") == -69
    assert cell.signal_quality("+CSQ: 99,99") is None
    assert cell.extended_quality("+CESQ: 22,0,255,255,24,51") == (-90, -80)
    assert cell.extended_quality("+CESQ: 99,99,255,255,255,255") == (None, None)


def told(family: str, question: str, answers: dict[str, str]) -> Any:
    """What the driver makes of these answers; all else is an error."""

    async def main() -> Any:
        modem = ScriptedModem({command: f"{line}\nOK" for command, line in answers.items()})
        modem.replies = {**dict.fromkeys(COMMANDS, "ERROR"), **modem.replies}
        driver = open_modem(family, modem)
        try:
            return await getattr(driver, question)()
        finally:
            driver.at.stop()

    return jumping(main)


SERVING = 'AT+QENG="servingcell"'
COMMANDS = (
    *("AT+CSQ", "AT+CESQ", "AT+QENG=0", SERVING),
    *("AT+CGSN", "AT+CGSN=1", "AT+CIMI", "AT+QCCID", "AT+CGMM", "AT+CGMR"),
)
UNKNOWN = dict.fromkeys(
    ("rssi_dbm", "rsrp_dbm", "rsrq_ddb", "snr_ddb", "ecl", "cell", "tac", "band", "earfcn", "pci")
)


@pytest.mark.parametrize(
    ("family", "answers", "expected"),
    [
        ("bc660k", {}, {}),
        ("bc660k", {"AT+QENG=0": "+QENG: 0"}, {}),
        ("bc660k", {"AT+CSQ": "+CSQ: 99,99", "AT+CESQ": "+CESQ: 99,99,255,255,255,255"}, {}),
        (
            "bc660k",
            {
                "AT+CSQ": "+CSQ: 22,0",
                "AT+CESQ": "+CESQ: 99,99,255,255,25,61",
                "AT+QENG=0": '+QENG: 0,3736,2,40,"0D68D142",-82,-13,-70,-4,8,"78A1",2,23,2',
            },
            {"rssi_dbm": -69, "rsrp_dbm": -82, "rsrq_ddb": -130, "snr_ddb": -40, "ecl": 2}
            | {"cell": 0x0D68D142, "tac": 0x78A1, "band": 8, "earfcn": 3736, "pci": 40},
        ),
        (
            "bc660k",  # what is not known yet is left empty (AT manual 4.8); CESQ still knows
            {
                "AT+CESQ": "+CESQ: 99,99,255,255,25,61",
                "AT+QENG=0": '+QENG: 0,3736,2,40,"0D68D142",,,,,8,"78A1",,128,2',
            },
            {"rsrp_dbm": -80, "rsrq_ddb": -75}
            | {"cell": 0x0D68D142, "tac": 0x78A1, "band": 8, "earfcn": 3736, "pci": 40},
        ),
        (
            "ec200",
            {
                SERVING: '+QENG: "servingcell","NOCONN","LTE","FDD",505,02,12AED4A,'
                "445,3750,8,3,3,CBE8,-99,-14,-71,53,30",
            },
            {"rsrp_dbm": -99, "rsrq_ddb": -140, "snr_ddb": -94, "plmn": 505002}
            | {"cell": 0x12AED4A, "tac": 0xCBE8, "band": 8, "earfcn": 3750, "pci": 445},
        ),
        ("ec200", {SERVING: '+QENG: "servingcell","SEARCH"'}, {}),
        (
            "ec200",
            {SERVING: '+QENG: "servingcell","LIMSRV","LTE","FDD",-,-,-,1,2,3,-,-,-'},
            {"pci": 1, "earfcn": 2, "band": 3},
        ),
    ],
)
def test_signal_has_every_key_and_none_where_unknown(
    family: str, answers: dict[str, str], expected: dict[str, int]
) -> None:
    assert told(family, "signal", answers) == UNKNOWN | expected


def test_identity_as_modems_say_it_and_none_where_they_do_not() -> None:
    assert told("bc660k", "identity", {}) == dict.fromkeys(
        ("imei", "imsi", "iccid", "model", "firmware")
    )
    assert told(
        "bc660k",
        "identity",
        {
            "AT+CGSN=1": "+CGSN: 866818039921444",
            "AT+CIMI": "+CSCON: 1\n460041234567890",  # a URC slipped in
            "AT+QCCID": "+QCCID: 89860446091891372008",
            "AT+CGMM": "Quectel_BC660K-GL",
            "AT+CGMR": "Revision: BC660KGLAAR01A03",
        },
    ) == {
        "imei": "866818039921444",
        "imsi": "460041234567890",
        "iccid": "89860446091891372008",
        "model": "Quectel_BC660K-GL",
        "firmware": "BC660KGLAAR01A03",
    }


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    for line in (text, "+X: " + text, '+CCLK: "24/' + text):
        nettime.written_time(line)
        parse(line)
        cell.signal_quality(line)
        cell.extended_quality(line)
        cell.pick(line, "cell - rsrp snr ecl")
        replies.fields(line)
