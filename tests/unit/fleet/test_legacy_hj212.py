"""HJ 212: packets go round, what the standard does not allow is refused, answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols import crc, hj212
from fleet.legacy.protocols.frame import FrameError
from fleet.legacy.protocols.hj212 import Packet

MN = "010000A8900016F000169DC0"
QN = "20160801085857223"
HEAD = f"QN={QN};ST=32;CN=2011;PW=123456;MN={MN};"
NAMES = st.sampled_from(["w01018", "a21026", "LA", "e10101", "SB1", "w99999"])
NUMBERS = st.decimals(0, 99_999, places=2).map(str)


def packed(data: str) -> bytes:
    raw = data.encode()
    return b"##%04d%b%04X\r\n" % (len(raw), raw, crc.hj212(raw))


def read(data: str) -> Packet:
    return hj212.decode(packed(data))


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    factors = draw(st.lists(NAMES, unique=True, max_size=5))
    groups: list[tuple[tuple[str, str], ...]] = [(("DataTime", "20160801080000"),)]
    groups += [
        ((f"{one}-Rtd", draw(NUMBERS)), (f"{one}-Flag", draw(st.sampled_from("NFMSDCTB"))))
        for one in factors
    ]
    numbered = draw(st.booleans())
    return Packet(
        st=draw(st.sampled_from(["31", "32", "91", "A0"])),
        cn=draw(st.sampled_from(["2011", "2051", "2061", "3020"])),
        mn=draw(st.sampled_from([MN, "88888880000001"])),
        groups=tuple(groups),
        qn=QN,
        pw="123456",
        flag=4 | draw(st.integers(0, 1)) | (2 if numbered else 0),
        pnum=9 if numbered else None,
        pno=draw(st.integers(1, 9)) if numbered else None,
        variant=draw(st.sampled_from([None, hj212.MODBUS_CRC])),
    )


@given(packets())
def test_a_packet_goes_round(packet: Packet) -> None:
    raw = hj212.encode(packet)
    again = hj212.decode(raw, hj212.MODBUS_CRC)
    if crc.modbus(raw[6:-6]) != crc.hj212(raw[6:-6]):
        assert again.variant == packet.variant
        assert (f"variant: {hj212.MODBUS_CRC}" in again.notes) == (packet.variant is not None)
    assert replace(again, notes=(), variant=packet.variant) == packet
    told = {value.key: value.value for value in hj212.values(again)}
    assert told == {k: v for group in packet.groups for k, v in group if k.endswith("-Rtd")}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (HEAD + "Flag=5;CP=&&A=1&", "does not end with &&"),
        (HEAD + "Flag=5;", "no CP=&&"),
        (HEAD + "Flag=5;CP=&&A=1&&B=2&&", "behind the && that ends CP"),
        (HEAD + "Flag=5CP=&&&&", "no ; before CP"),
        (HEAD + "Flag=5;CP=&&DataTime&&", "no name=value in CP"),
        (HEAD + "Flag=5;CP=&&DataTime=20161301000000&&", "DataTime=20161301000000 is no time"),
        (HEAD + "Flag=7;CP=&&&&", "no PNUM and PNO"),
        (HEAD + "Flag=7;PNUM=2;PNO=3;CP=&&&&", "packet 3 of 2"),
        (HEAD + "Flag=7;PNUM=2;PNO=0;CP=&&&&", "packet 0 of 2"),
        (HEAD + "Flag=256;CP=&&&&", "up to 255"),
        (HEAD + "Flag=x;CP=&&&&", "Flag=x"),
        (HEAD.replace(QN, "20160801085857") + "Flag=5;CP=&&&&", "17 digits"),
        (HEAD.replace(QN, "20160832085857223") + "Flag=5;CP=&&&&", "is no time"),
        (HEAD.replace("CN=2011", "CN=211") + "Flag=5;CP=&&&&", "CN=211: four digits"),
        (HEAD.replace("ST=32;", "") + "Flag=5;CP=&&&&", "ST is missing"),
        (HEAD.replace(f"MN={MN};", "") + "Flag=5;CP=&&&&", "MN is missing"),
        (HEAD.replace(f"QN={QN};", "") + "Flag=5;CP=&&&&", "QN is missing"),
        (HEAD + "ST=32;Flag=5;CP=&&&&", "ST twice"),
        (HEAD + "Flag=5;CP=&&" + "A" * 1000 + "=1&&", "1024 at most"),
    ],
)
def test_what_is_no_packet(data: str, why: str) -> None:
    with pytest.raises(FrameError, match=why.replace("(", r"\(")):
        read(data)


def test_its_frame_is_strict() -> None:
    good = packed(HEAD + "Flag=5;CP=&&&&")
    for bad, why in (
        (good[:-2], "cut short"),
        (good[:-2] + b"\n\n", "does not end with CR LF"),
        (good + b"\r\n", "behind the packet"),
        (b"#" + good, "the length is no four digits"),
        (good.replace(b"##00", b"##0x"), "no four digits"),
        (good[:-6] + b"12G4\r\n", "no four hexadecimal digits"),
        (b"##0002\xff\xff%04X\r\n" % crc.hj212(b"\xff\xff"), "no UTF-8"),
    ):
        with pytest.raises(FrameError, match=why):
            hj212.decode(bad)


def test_what_is_let_pass_is_noted() -> None:
    assert read(HEAD + "Flag=5;CP=&& PolId=w01018;&&").notes == (
        "a ; at the end of CP",
        "blanks around PolId",
    )
    assert read(HEAD + "Flag=4;CP=&& &&").notes == ("blanks in an empty CP",)
    told = read(HEAD + "Flag=5;CP=&&DataTime=20160801080000;w01018-Rtd=--,w01018-Flag=D&&")
    assert told.notes == ("w01018-Rtd: no number",)
    assert hj212.values(told) == []
    short = read(HEAD.replace(MN, "A110000_0001") + "Flag=8;CP=&&&&")
    assert (short.version, short.notes) == ("V2", ("MN of 12 characters: 24 in the standard",))


def test_only_answers_of_2005_lack_who_and_only_its_flag_3_lacks_numbers() -> None:
    body = f"CP=&&QN={QN};CN=2051&&"
    assert read(f"ST=91;CN=9014;{body}").mn == ""
    for bad, why in (
        (f"QN={QN};ST=91;CN=9014;Flag=4;{body}", "PW is missing"),
        (f"ST=91;CN=9014;PW=123456;Flag=4;{body}", "MN is missing"),
        (f"ST=32;CN=9014;{body}", "PW is missing"),
        (f"ST=91;CN=2051;{body}", "PW is missing"),
        (HEAD + "Flag=3;PNUM=2;CP=&&&&", "one of PNUM and PNO alone"),
        (HEAD + "Flag=7;CP=&&&&", "no PNUM and PNO"),
    ):
        with pytest.raises(FrameError, match=why):
            read(bad)


def test_length_and_crc_are_told_as_they_came() -> None:
    for data in (
        HEAD + "Flag=5;CP=&& PolId=w01018;&&",
        f"ST=32;QN={QN};CN=2011;PW=123456;MN={MN};Flag=05;CP=&&&&",
    ):
        raw = packed(data)
        packet = hj212.decode(raw)
        told = packet.as_json()
        assert (told["length"], told["crc"]) == (len(raw) - 12, raw[-6:-2].decode())
        assert hj212.encode(packet) != raw
        made = hj212.decode(hj212.encode(packet)).as_json()
        assert replace(packet, arrived=None).as_json()["crc"] == made["crc"]


@pytest.mark.parametrize(
    ("cn", "asked", "told", "name"),
    [
        ("1021", "PolId=101", "101-LowValue=1.1,101-UpValue=9.9", "get alarm limits"),
        ("1031", "", "AlarmTarget=3882566", "get address of the master station"),
        ("1041", "", "ReportTime=0800", "get time of reports"),
    ],
)
def test_commands_of_2005(cn: str, asked: str, told: str, name: str) -> None:
    head = f"ST=32;CN={cn};PW=123456;MN=88888880000001;"
    request = read(f"QN={QN};{head}Flag=3;CP=&&{asked}&&")
    assert (request.kind, request.as_json()["cn_name"]) == ("request", name)
    assert read(f"{head}CP=&&QN={QN};{told}&&").kind == "upload"
    for one in ("1001", "1022", "1032", "1042"):
        assert (
            read(head.replace(cn, one) + "CP=&&&&").as_json()["cn_name"] != "not in the standard"
        )
    sampling = head.replace(cn, "3014")
    assert read(sampling + "CP=&&&&").as_json()["cn_name"] == "set sampling period"
    assert read(f"QN={QN};{sampling}Flag=4;CP=&&&&").as_json()["cn_name"] == "sample to compare"


def test_a_log_may_hold_what_separates() -> None:
    log = "i11001-Info=//2016-08-01 08:58,reset;a=b//"
    data = HEAD + f"Flag=4;CP=&&DataTime=20160801085857;PolId=w01018,{log}&&"
    packet = read(data)
    assert packet.get("i11001-Info") == log.partition("=")[2]
    assert hj212.encode(packet) == packed(data)


def test_flags_units_and_times_of_readings() -> None:
    packet = read(
        HEAD + "Flag=5;CP=&&DataTime=20160801080000;w01018-Rtd=40.1,w01018-Flag=T,w01018-"
        "SampleTime=20160801070000;a34013-ZsRtd=5,a34013-Flag=S;011-Avg=2.5;g10201-Rtd=1.00&&"
    )
    read_ = {one.key: one for one in hj212.values(packet)}
    assert [one.quality for one in read_.values()] == ["suspect", "estimated", "good", "good"]
    assert [one.unit for one in read_.values()] == ["mg/L", "mg/m³", "mg/L", "A"]
    times = [one.time.hour for one in read_.values() if one.time]
    assert times == [7, 8, 8, 8]
    assert read_["011-Avg"].name == "chemical oxygen demand, mean"


def test_a_value_has_no_plus_and_no_point_behind_it() -> None:
    packet = read(HEAD + "Flag=4;CP=&&a01001-Rtd=+3.50,a01002-Rtd=-3.,a01006-Rtd=+0&&")
    assert [one.value for one in hj212.values(packet)] == ["3.50", "-3", "0"]


def test_answers() -> None:
    upload = read(HEAD + "Flag=5;CP=&&DataTime=20160801085857;w01001-Rtd=7.1&&")
    body = f"QN={QN};ST=91;CN=9014;PW=123456;MN={MN};Flag=4;CP=&&&&"
    assert hj212.answer(upload) == packed(body)
    modbus = replace(upload, variant=hj212.MODBUS_CRC)
    answered = hj212.answer(modbus)
    assert answered is not None
    assert hj212.decode(answered, hj212.MODBUS_CRC).variant == hj212.MODBUS_CRC
    notice = read(HEAD.replace("2011", "1013") + "Flag=5;CP=&&&&")
    assert hj212.answer(notice) == packed(body.replace("9014", "9013"))
    for silent in (
        HEAD + "Flag=4;CP=&&DataTime=20160801085857&&",
        HEAD + "Flag=5;CP=&&&&",  # a request of the master station's own
        HEAD.replace("2011", "9014") + "Flag=5;CP=&&&&",
    ):
        assert hj212.answer(read(silent)) is None
    old = read(HEAD + "Flag=1;CP=&&DataTime=20160801085857;011-Rtd=7.1&&")
    assert hj212.answer(old) == packed(
        f"ST=91;CN=9014;PW=123456;MN={MN};Flag=0;CP=&&QN={QN};CN=2011&&"
    )
