"""Plug-ins per model: what is sent so that a terminal changes its network by itself."""

from pathlib import Path

import pytest

from fleet.migration import answers, plugins
from fleet.migration.errors import MigrationError
from fleet.migration.plugins import Answer, Step

OWN = plugins.load()


def one(by: str, send: str, expects: str = "") -> str:
    """A file of one plug-in with one step."""
    step = f'{{ send = "{send}", expects = "{expects}" }}'
    return f'[a]\ntitle = "A"\nby = "{by}"\nto = {{ Cat1 = [{step}] }}'


def test_a_quectel_is_told_its_apn_and_its_network_and_can_be_told_back() -> None:
    said = plugins.steps(OWN["quectel-lte"], "Cat1", {"apn": "cmiot"})
    assert [one.send for one in said] == [
        'AT+CGDCONT=1,"IP","cmiot"', 'AT+QCFG="nwscanmode",3,1'
    ]  # fmt: skip
    assert plugins.undo(OWN["quectel-lte"], "Cat1", {})[0].send == 'AT+QCFG="nwscanmode",0,1'
    with pytest.raises(MigrationError, match="no way to NB-IoT"):
        plugins.steps(OWN["quectel-lte"], "NB-IoT", {"apn": "cmiot"})


@pytest.mark.parametrize("apn", ["", 'x"\r\nAT+CFUN=0', "a b", "x" * 64, "x;AT"])
def test_attack_a_value_ends_no_command_and_begins_no_other(apn: str) -> None:
    with pytest.raises(MigrationError, match="needs apn"):
        plugins.steps(OWN["simcom"], "Cat1", {"apn": apn})


def test_each_way_there_has_its_way_back() -> None:
    for one in OWN.values():
        assert set(one.to) == set(one.back)


async def test_what_is_not_answered_as_expected_ends_it() -> None:
    several = plugins.steps(OWN["quectel-nb"], "NB-IoT", {"apn": "cmnbiot"})
    sent: list[Step] = []

    async def send(step: Step) -> str:
        sent.append(step)
        return "\r\nOK\r\n" if len(sent) < 2 else "\r\nERROR\r\n"

    done = await plugins.carry_out(several, send)
    assert sent == several[:2]
    assert [one.good for one in done] == [True, False]
    assert done[1] == Answer(several[1], "\r\nERROR\r\n", False)


def test_a_data_folder_has_plug_ins_of_its_own(tmp_path: Path) -> None:
    (tmp_path / plugins.LOCAL).write_text(
        '[acme]\ntitle = "Acme"\nby = "sms"\n'
        '[acme.to]\nCat1 = [{ send = "#{password}#NET=4G#", expects = "done" }]\n'
    )
    found = plugins.load(tmp_path)
    assert set(found) == {*OWN, "acme"}
    (step,) = plugins.steps(found["acme"], "Cat1", {"password": "1234"})
    assert step == Step("sms", "#1234#NET=4G#", "done")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[a", "no TOML"),
        ('[a]\ntitle = "A"', "by is missing"),
        ('[a]\ntitle = "A"\nby = "post"\nto = {}', "by is sms or connection"),
        ('[a]\ntitle = "A"\nby = "sms"\nto = { "6G" = [] }', "'6G' is none of"),
        (
            '[a]\ntitle = "A"\nby = "sms"\nto = { Cat1 = [{ send = "{x}", expects = "" }] }',
            "{x} is none",
        ),
        (
            '[a]\ntitle = "A"\nby = "sms"\nto = { Cat1 = [{ send = "a", expects = "(" }] }',
            "a:",
        ),
        ("a = 1", "a:"),
        (
            one("connection", "{password}"),
            "{password} is not sent by connection",
        ),
        (
            one("connection", "AT+P={password}").replace("\nto", "\nto = {}\nback"),
            "{password} is not sent by connection",
        ),
        (one("sms", "a", "x" * 201), "200 characters"),
    ],
)
def test_plug_ins_that_cannot_be_are_refused(text: str, why: str) -> None:
    with pytest.raises(MigrationError, match=why.replace("{", "[{]")) as refused:
        plugins.read(text, "p.toml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("send", ["AT\\r\\nAT", "##0101QN=1", ":0105000000FFFB", ""])
def test_attack_what_is_no_words_is_not_sent_by_a_connection(send: str) -> None:
    found = plugins.read(one("connection", send), "p.toml")
    with pytest.raises(MigrationError, match="is not sent to a box"):
        plugins.steps(found["a"], "Cat1", {})


def test_an_outline_names_what_is_not_told_and_never_tells_the_password() -> None:
    plugin = plugins.read(one("sms", "{password} {apn} {host}"), "p.toml")["a"]
    to, back = plugins.outline(plugin, "Cat1", {"apn": "cm", "password": "1234"})
    assert ([one.send for one in to], back) == (["{password} cm {host}"], [])
    with pytest.raises(MigrationError, match="needs apn"):
        plugins.outline(plugin, "Cat1", {"apn": "c m"})
    assert plugins.masked("1234 and 1234", {"password": "1234"}) == "*** and ***"


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ("\r\nOK\r\n", True), ("AT+X=OK\r\r\nERROR\r\n", False), ("AT+X=OK\r\r\nOK\r\n", True),
        ("AT+X=O", False), ("", False), ("+CME ERROR: 3 OK", False), ("OK, no ERROR", True),
    ],
)  # fmt: skip
def test_an_echo_is_no_answer_and_an_error_no_ok(answer: str, good: bool) -> None:
    assert answers.is_good("AT+X=OK", "OK", answer) is good
