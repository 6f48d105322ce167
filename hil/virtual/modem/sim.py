"""The SIM and its subscription: PIN, the lock to one IMEI, reachable hosts, and the data plan."""

import random
from dataclasses import dataclass, field

from fleet.registry.luhn import luhn_digit

READY = "READY"
PIN = "SIM PIN"
PUK = "SIM PUK"
ABSENT = "NOT INSERTED"  # +CPIN? answers +CME ERROR: 10
PIN_TRIES = 3
PUK_TRIES = 10
ILLEGAL_ME = 6  # EMM cause, 3GPP TS 24.301 annex A


@dataclass(frozen=True)
class SimOptions:
    """`pin` "" asks for none. `bound_imei`: the only terminal that the operator lets use it.

    `whitelist`: host names and addresses that the operator lets through, None for all.
    `plan_bytes`: IP octets, up and down, that are left in the plan, None for no limit.
    """

    present: bool = True
    pin: str = ""
    puk: str = "12345678"
    bound_imei: str | None = None
    whitelist: tuple[str, ...] | None = None
    plan_bytes: int | None = None


@dataclass
class Sim:
    """One card. Tries, a changed PIN and the operator's lock outlive power; a verified PIN not."""

    options: SimOptions
    imsi: str
    iccid: str
    tries: int = PIN_TRIES
    puk_tries: int = PUK_TRIES
    left: int | None = None  # octets of the plan
    locked: bool = False  # by the operator, for ever
    present: bool = field(init=False)
    _pin: str = field(init=False)
    _verified: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.present = self.options.present
        self._pin = self.options.pin
        self.left = self.options.plan_bytes

    @property
    def state(self) -> str:
        """<code> of +CPIN: READY, SIM PIN, SIM PUK; NOT INSERTED without a card."""
        if not self.present:
            return ABSENT
        if not self.tries:
            return PUK
        return READY if self._verified or not self._pin else PIN

    @property
    def ready(self) -> bool:
        """Whether the network may be asked for anything."""
        return self.state == READY

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left in the plan."""
        return self.left is not None and self.left <= 0

    def enter(self, pin: str) -> bool:
        """Verify `pin`; the third wrong one in a row makes the card ask for its PUK."""
        if self.state != PIN:
            return False
        if pin == self._pin:
            self.tries = PIN_TRIES
            self._verified = True
            return True
        self.tries -= 1
        return False

    def unblock(self, puk: str, pin: str) -> bool:
        """The PUK and a new PIN; after ten wrong ones the card is dead."""
        if self.state != PUK or not self.puk_tries:
            return False
        if puk != self.options.puk:
            self.puk_tries -= 1
            return False
        self.tries, self.puk_tries = PIN_TRIES, PUK_TRIES
        self._pin, self._verified = pin, True
        return True

    def power_cycle(self) -> None:
        """The card lost its power: the PIN is asked for again."""
        self._verified = False

    def refusal(self, imei: str) -> int | None:
        """EMM cause for a terminal that the card is not bound to; it locks the card for good."""
        if self.options.bound_imei not in (None, imei):
            self.locked = True
        return ILLEGAL_ME if self.locked else None

    def put(self, options: SimOptions, tries: int = PIN_TRIES) -> None:
        """Somebody changes the card: it is as `options` say, with so many tries for its PIN."""
        self.options, self.present, self._pin = options, options.present, options.pin
        self.left, self.locked = options.plan_bytes, False
        self.tries, self.puk_tries, self._verified = tries, PUK_TRIES, False

    def spend(self, octets: int) -> None:
        """Traffic counts against the plan."""
        if self.left is not None:
            self.left = max(0, self.left - octets)


def make(options: SimOptions, rng: random.Random) -> Sim:
    """A card with numbers of China Telecom's ranges."""
    digits = "".join(rng.choices("0123456789", k=9))
    iccid = "898604" + digits + digits[:4]
    return Sim(options, imsi="460041" + digits, iccid=iccid + luhn_digit(iccid))
