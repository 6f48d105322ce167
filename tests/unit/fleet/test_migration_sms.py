"""SMS by a modem at the office's PC: what is said to it, what it says, what of that is heard."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sms_modem import Answers, SmsModem, modem

from fleet.migration import by_sms, sms
from fleet.migration.by_sms import BySms
from fleet.migration.plugins import Step
from fleet.migration.sending import Said
from fleet.migration.sms import Modem, ModemError

NUMBER = "13800138003"
STEP = Step("sms", "#1234#NET=NB#", "^OK$")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "_LOOK_S", 0.01)
    monkeypatch.setattr(by_sms, "_LOOK_S", 0.01)
    monkeypatch.setattr(sms, "_QUIET_S", 0.05)


@pytest.fixture
def works() -> Iterator[SmsModem]:
    with modem(lambda number, _: [(f"+86{number}", "OK")]) as made:
        yield made


def ask(peer: SmsModem, wait_s: float = 20.0, number: str = NUMBER) -> Said:
    """One step by that modem."""
    with sms.opened(peer.path) as port:
        made = Modem(port)
        made.begin(wait_s)
        return asyncio.run(BySms(made, number, wait_s).ask(STEP))


def test_a_text_goes_out_and_the_answer_comes_in_though_it_is_an_ok_itself(
    works: SmsModem,
) -> None:
    works.comes(f"+86{NUMBER}", "an old one")
    assert ask(works) == Said("OK")
    assert works.sent == [(NUMBER, STEP.send)]
    assert works.commands[:5] == ["AT", "ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+CMGF=1"]
    assert "AT+CSMP=17,0,0,0" in works.commands  # the network keeps it 5 minutes, and no longer
    assert works.commands[-1] == "AT+CMGD=2"


@pytest.mark.parametrize(
    ("answers", "noise", "said"),
    [
        (lambda *_: [("+8613911112222", "no"), (NUMBER, "done")], "", "done"),
        (lambda *_: [(NUMBER, "4F60597D")], "", "\u4f60\u597d"),
        (
            lambda *_: [(NUMBER, "line one\r\nOK\r\nline three")],
            "",
            "line one\r\nOK\r\nline three",
        ),
        (lambda *_: [(NUMBER, "done")], '\r\n+CMTI: "SM",3\r\n\r\nRING\r\n^RSSI:20\r\n', "done"),
    ],
    ids=["another's", "UCS2", "lines", "unasked"],
)
def test_what_is_heard(answers: Answers, noise: str, said: str) -> None:
    with modem(answers, noise=noise) as peer:
        assert ask(peer) == Said(said)


@pytest.mark.parametrize(
    ("says", "why", "was_sent"),
    [
        (
            "\r\n+CMS ERROR: 331\r\n",
            "AT+CMGS with +CMS ERROR: 331: the modem has no network",
            False,
        ),
        ("\r\n+CMS ERROR: 517\r\n", "AT+CMGS with +CMS ERROR: 517", False),
        ("\r\nERROR\r\n", "AT+CMGS with ERROR", False),
        ("\r\n+CMGS: 3\r\n", "did not say within", True),
    ],
)
def test_what_the_modem_refuses_is_said_with_its_number(
    monkeypatch: pytest.MonkeyPatch, says: str, why: str, was_sent: bool
) -> None:
    monkeypatch.setattr(sms, "_SEND_S", 0.3)
    with modem(says={"CMGS": says}) as peer:
        said = ask(peer)
    assert (said.answer, said.was_sent) == ("", was_sent)
    assert why in said.why


def test_a_terminal_that_does_not_answer_in_time() -> None:
    with modem() as peer:
        assert ask(peer, 1.0) == Said("", f"no SMS from {NUMBER} within 1 s")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"CPIN": "\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n"}, "wants its PIN"),
        ({"CPIN": "\r\n+CME ERROR: 10\r\n"}, r"AT\+CPIN\? with \+CME ERROR: 10$"),
        ({"CPMS": '\r\n+CPMS: "SM",20,20,"SM",20,20\r\n\r\nOK\r\n'}, r"is full \(20\)"),
        ({"CMGF": "\r\nERROR\r\n"}, r"AT\+CMGF=1 with ERROR"),
    ],
)
def test_a_modem_that_cannot_is_refused_before_anything_is_sent(
    says: dict[str, str], why: str
) -> None:
    with modem(says=says) as peer:
        with pytest.raises(ModemError, match=why) as refused:
            ask(peer)
        assert peer.sent == []
    assert "\n" not in str(refused.value)


def test_a_port_that_is_not_there_or_in_use(works: SmsModem) -> None:
    with pytest.raises(ModemError, match=r"ttyUSB99: is not there$"), sms.opened("/dev/ttyUSB99"):
        pass
    with (
        sms.opened(works.path),
        pytest.raises(ModemError, match="in use"),
        sms.opened(works.path),
    ):
        pass


def test_what_is_no_modem_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            self.now += 0.5
            return self.now

    class Mute:
        def write(self, data: bytes) -> int:
            return len(data)

        def read(self, size: int) -> bytes:
            return b""

    class Chatter(Mute):
        def read(self, size: int) -> bytes:
            return b"x" * size

    with pytest.raises(ModemError, match=r"did not answer AT$"):
        Modem(Mute(), Clock()).begin(300)
    with pytest.raises(ModemError, match="does not stop talking"):
        Modem(Chatter(), Clock()).begin(300)


@pytest.mark.parametrize(
    ("sender", "number", "same"),
    [
        ("+8613800138003", "13800138003", True), ("8613800138003", "+8613800138003", True),
        ("13800138003", "13800138004", False), ("", "", False), ("ACME", "13800138003", False),
        ("10086", "10086", True), ("1064812345678", "64812345678", True),
    ],
)  # fmt: skip
def test_who_it_is_from(sender: str, number: str, same: bool) -> None:
    assert sms.is_from(sender, number) is same


def test_a_number_with_its_country_is_dialled_with_a_plus() -> None:
    assert sms.with_country("8613800138003") == "+8613800138003"
    assert sms.with_country("1064812345678") == "1064812345678"


@pytest.mark.parametrize(
    ("wait_s", "value"), [(1, 0), (300, 0), (301, 1), (43_200, 143), (43_201, 144), (86_400, 167)]
)
def test_a_network_keeps_it_no_longer_than_its_answer_is_awaited(wait_s: int, value: int) -> None:
    assert sms._validity(wait_s) == value


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_whatever_a_modem_says_is_read(said: bytes) -> None:
    sms.message(1, said)
    assert sms.places(said + b'\r\n+CMGL: 17,"REC UNREAD","138",,\r\ndone\r\n')[-1] == 17
    found = sms.message(3, b'\r\n+CMGR: "REC READ","138",,\r\n' + said)
    assert found is not None
    assert found.sender == "138"
    assert found.text.replace("\r", "").replace("\n", "").isprintable()


def test_attack_a_message_that_looks_like_another_ones_head_is_not_its() -> None:
    forged = f'x\r\n+CMGL: 1,"REC UNREAD","+86{NUMBER}",,"26/11/26,18:00:00+32"\r\nOK'
    with modem(lambda *_: [("+8613911112222", forged)]) as peer:
        assert ask(peer, 1.0).why == f"no SMS from {NUMBER} within 1 s"


@pytest.mark.parametrize("text", ["", "a\rb", "x" * 161, "\x1a", "设"])
def test_attack_a_text_that_would_end_itself_is_not_sent(works: SmsModem, text: str) -> None:
    with sms.opened(works.path) as port, pytest.raises(ModemError, match="printable ASCII"):
        Modem(port).send(NUMBER, text)
    assert works.commands == []


def test_attack_a_number_that_ends_the_command_is_none(works: SmsModem) -> None:
    with sms.opened(works.path) as port, pytest.raises(ModemError, match="no number"):
        Modem(port).send('1"\rAT+CFUN=0', "x")
    assert works.commands == []
