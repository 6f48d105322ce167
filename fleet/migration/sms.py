"""A GSM modem at the office's PC in text mode (3GPP TS 27.005), for SMS to terminals and back."""

import contextlib
import re
import termios
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from fleet.migration.errors import MigrationError

BAUD = 115_200
MOST_READ = 65_536  # bytes of an answer of the modem
_LOOK_S = 0.1  # that a read waits
_MOST_CLEARED = 100  # reads
_MOST_MESSAGES = 50  # that are looked at in one go
_QUIET_S = 0.5  # behind OK: a message may consist of an OK itself
_ANSWER_S = 5.0
_SEND_S = 60.0  # TS 27.005 leaves it open; networks take up to a minute
_CTRL_Z, _ESC = b"\x1a", b"\x1b"
_WORDS = re.compile(r"[ -~]{1,160}")
_OTHERWISE = set("@$_`{}[]\\^|~")  # what is another code in the GSM alphabet, or none
_FINAL = re.compile(rb"(?:^|\n)(OK|ERROR|\+CM[ES] ERROR: ?([^\r\n]*))\r?\n")
_LISTED = re.compile(rb"(?:^|(?<=\n))\+CMGL: ?(\d{1,5}),")
_HEAD = re.compile(rb'\s*\+CMGR: ?"[^"\r\n]*","([^"\r\n]*)"[^\r\n]*\r?\n')
_UNASKED = re.compile(
    rb"(?:^|(?<=\n))(?:RING|NO CARRIER|\^[^\r\n]*"
    rb"|\+(?:CMTI|CDSI|C[GE]?REG|CRING|CIEV|CLIP)\b[^\r\n]*)\r?\n"
)
_STORE = re.compile(rb'\+CPMS: ?"?\w*"?,?(\d{1,5}),(\d{1,5})')
# TS 27.005, 3.2.5; below 128 TS 24.011, annex E.
_REASONS = {
    "1": "the number is assigned to nobody", "8": "barred by the operator", "10": "barred",
    "21": "rejected", "27": "its card is out of service", "28": "its card is unknown",
    "38": "the network is out of order", "41": "temporary failure", "42": "congestion",
    "50": "the card may send no SMS", "302": "not allowed", "303": "not supported",
    "310": "no card in the modem", "311": "the modem's card wants its PIN",
    "322": "the modem's store is full", "330": "no number of a service centre",
    "331": "the modem has no network", "332": "the network did not answer", "500": "unknown",
}  # fmt: skip


class ModemError(MigrationError):
    """The modem, or the network behind it, did not do it."""


class MaybeSent(ModemError):
    """The modem had the text, and said nothing more."""


class Port(Protocol):
    """A serial port whose reads wait a moment."""

    def write(self, data: bytes) -> int | None:
        """Send."""

    def read(self, size: int) -> bytes:
        """What came, at most `size` bytes."""


class Message(NamedTuple):
    """One that came in: where it is kept, from whom, what it says."""

    place: int
    sender: str
    text: str


@contextlib.contextmanager
def opened(path: str) -> Any:
    """The port as pyserial opens it, for this process alone; ModemError."""
    import serial as pyserial

    serial: Any = pyserial  # untyped
    line = serial.Serial()
    line.port, line.baudrate, line.timeout = path, BAUD, _LOOK_S
    line.write_timeout, line.exclusive = _ANSWER_S, True
    try:
        line.open()
    except (OSError, termios.error, ValueError) as e:
        number = getattr(e, "errno", None)
        why = "is not there" if number == 2 else f"cannot be opened, or is in use: {e}"
        raise ModemError(f"--modem {path}: {why}") from None
    try:
        yield line
    finally:
        line.close()


class Modem:
    """Text mode, one command at a time."""

    def __init__(self, port: Port, clock: Callable[[], float] = time.monotonic) -> None:
        self._port, self._clock = port, clock
        self._is_ascii = False

    def begin(self, wait_s: float) -> None:
        """Make it ready. A network keeps what it cannot deliver about `wait_s`, no longer."""
        for attempt in range(3):
            try:
                self._ask("AT", 2.0)
                break
            except ModemError:
                if attempt == 2:
                    raise
        self._ask("ATE0")
        self._ask("AT+CMEE=1")
        if b"SIM P" in self._ask("AT+CPIN?"):
            raise ModemError("the modem's card wants its PIN: AT+CPIN")
        self._ask("AT+CMGF=1")
        with contextlib.suppress(ModemError):
            self._ask('AT+CSCS="IRA"')
            self._is_ascii = True
        self._ask(f"AT+CSMP=17,{_validity(wait_s)},0,0")
        with contextlib.suppress(ModemError):  # else it keeps them anyway, or says nothing of them
            self._ask("AT+CNMI=2,1,0,0,0")
        store = _STORE.search(self._ask("AT+CPMS?"))
        if store is not None and int(store[1]) >= int(store[2]) > 0:
            raise ModemError(
                f"the modem's store of messages is full ({int(store[2])}): no answer could come in"
            )
        self.unread()  # what came before is no answer

    def send(self, number: str, text: str) -> None:
        """One SMS; ModemError."""
        wrong = sorted(_OTHERWISE & set(text))
        if not _WORDS.fullmatch(text) or (wrong and not self._is_ascii):
            what = f" without {wrong[0]}, which this modem has not" if wrong else ""
            raise ModemError(f"an SMS is 1 to 160 printable ASCII characters{what}")
        if not re.fullmatch(r"\+?[0-9]{3,20}", number):
            raise ModemError(f"{number[:24]!r} is no number for an SMS")
        self._clear()
        self._write(f'AT+CMGS="{number}"\r'.encode())
        came = self._until(lambda held: held.endswith((b"> ", b">")), _ANSWER_S)
        if not came.rstrip().endswith(b">"):
            self._write(_ESC)
            raise ModemError(_failure("AT+CMGS", came))
        self._write(text.encode() + _CTRL_Z)
        came = self._until(lambda held: _FINAL.search(held) is not None, _SEND_S)
        final = _FINAL.search(came)
        if final is None:
            raise MaybeSent(f"the modem did not say within {_SEND_S:.0f} s whether it was sent")
        if final[1] != b"OK":
            raise ModemError(_failure("AT+CMGS", came))

    def unread(self) -> list[Message]:
        """What came in since it was last asked. Of the list only the places are taken: a message
        may look like another one's head.
        """
        found = []
        for place in places(self._ask('AT+CMGL="REC UNREAD"', 15.0))[:_MOST_MESSAGES]:
            with contextlib.suppress(ModemError):
                one = message(place, self._ask(f"AT+CMGR={place}"))
                if one is not None:
                    found.append(one)
        return found

    def forget(self, place: int) -> None:
        """Give the place of a message free."""
        with contextlib.suppress(ModemError):
            self._ask(f"AT+CMGD={place}")

    def _ask(self, command: str, seconds: float = _ANSWER_S) -> bytes:
        """What it says before its last OK."""
        self._clear()
        self._write(command.encode() + b"\r")
        came = self._until(lambda held: _FINAL.search(held) is not None, seconds)
        if "CMGL" in command or "CMGR" in command:
            came += self._quiet()
        found = list(_FINAL.finditer(came))
        # An OK within a message is followed by the one that ends the list.
        if not found or (found[-1][1] != b"OK"):
            raise ModemError(_failure(command, came))
        return came[: found[-1].start() + 1]

    def _until(self, is_whole: Callable[[bytes], bool], seconds: float) -> bytes:
        held, end = b"", self._clock() + seconds
        while not is_whole(held) and len(held) < MOST_READ and self._clock() < end:
            held += self._read()
        return held

    def _quiet(self) -> bytes:
        held, end = b"", self._clock() + _QUIET_S
        while len(held) < MOST_READ and self._clock() < end:
            more = self._read()
            if more:
                held, end = held + more, self._clock() + _QUIET_S
        return held

    def _clear(self) -> None:
        for _ in range(_MOST_CLEARED):
            if not self._read():
                return
        raise ModemError("the modem does not stop talking: is that port one of a modem?")

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (OSError, termios.error) as e:
            raise ModemError(f"the modem takes nothing: {e}") from None

    def _read(self) -> bytes:
        try:
            return self._port.read(4096)
        except (OSError, termios.error) as e:
            raise ModemError(f"the modem is gone: {e}") from None


def places(listed: bytes) -> list[int]:
    """Where messages are kept, by a +CMGL; each once."""
    return list(dict.fromkeys(int(head[1]) for head in _LISTED.finditer(listed)))


def message(place: int, said: bytes) -> Message | None:
    """The one that a +CMGR shows; None where it shows none."""
    said = _UNASKED.sub(b"", said)
    head = _HEAD.match(said)
    return None if head is None else Message(place, _number(head[1]), _text(said[head.end() :]))


def is_from(sender: str, number: str) -> bool:
    """Whether a message is of that number: with its country, or without."""
    one, other = (re.sub("[^0-9]", "", text)[-11:] for text in (sender, number))
    return one == other and len(one) >= 3


def with_country(number: str) -> str:
    """Chinese numbers may be written with their country and no plus, which dials another one."""
    return f"+{number}" if len(number) == 13 and number.startswith("861") else number


def _validity(wait_s: float) -> int:
    """TS 23.040, 9.2.3.12.1: steps of 5 minutes up to 12 hours, of 30 minutes up to 24."""
    minutes = max(1, -(-int(wait_s) // 60))
    if minutes <= 720:
        return max(0, -(-minutes // 5) - 1)
    return min(167, 143 + -(-(minutes - 720) // 30))


def _number(raw: bytes) -> str:
    return raw.decode("latin-1")


def _text(raw: bytes) -> str:
    """A text of UCS2 comes as hexadecimal digits."""
    text = raw.decode("latin-1").strip()
    if len(text) % 4 == 0 and re.fullmatch(r"(?=[0-9]*[A-F])[0-9A-F]{4,}", text):
        wide = bytes.fromhex(text)
        if all(page in (0x00, 0x30, 0xFF) or 0x4E <= page <= 0x9F for page in wide[::2]):
            text = wide.decode("utf-16-be", "replace")
    return "".join(one if one.isprintable() or one in "\r\n" else "." for one in text)


def _failure(command: str, came: bytes) -> str:
    found = _FINAL.search(came)
    if found is None:
        said = " ".join(came.decode("latin-1").split())[:60]
        return f"the modem did not answer {command}" + (f", but {said!r}" if said else "")
    said = found[1].decode("latin-1").strip()
    reason = _REASONS.get((found[2] or b"").decode("latin-1").strip(), "")
    named = reason if said.startswith("+CMS") else ""
    return f"the modem answered {command} with {said}" + (f": {named}" if named else "")
