"""Fleet, enemies and people at a meter of the valve campaign, and what must not happen there.

What is judged is what the node does, not what it says: commands that its role was given, and the
motor that begins to open. The rules here know nothing of the firmware.
"""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from node.link.hkdf import hmac
from valve_rig import KEY, NODE, Meter

from fleet.wire import command

FOREIGN = "not the fleet's"
OTHER_NODE, OTHER_KEY = "1gntj14d2q", bytes(range(1, 33))
CODES = (
    command.VALVE_CLOSE, command.VALVE_CLOSE, command.VALVE_ARM, command.VALVE_ARM,
    command.READ_NOW, command.DIAGNOSE, command.LOG_LEVEL,
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A command as it was on the air once."""

    node: str
    number: int
    code: int
    arguments: tuple[int, ...]
    identifier: int
    expiry: int
    payload: bytes


def sign(
    number: int, code: int, arguments: tuple[int, ...], identifier: int, expiry: int, *,
    node: str = NODE, key: bytes = KEY,
) -> Frame:  # fmt: skip
    """As the fleet stamps it at hand-over."""
    listed = list(arguments)
    signed = command.signed(node, number, code, listed, identifier, expiry)
    mac = hmac(key, signed)[: command.MAC]
    payload = command.encode(code, listed, identifier, expiry, mac)
    return Frame(node, number, code, arguments, identifier, expiry, payload)


class Fleet:
    """Gives out numbers, one command each, and stamps it anew whenever it is handed over."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.given = 0
        self.open: dict[int, tuple[int, tuple[int, ...], int]] = {}
        self.sent: list[Frame] = []

    def ask(self) -> int:
        """Somebody wants something of the node; its number."""
        self.given += 1
        code = self._chance.choice(CODES)
        arguments: tuple[int, ...] = ()
        if code == command.VALVE_ARM:
            arguments = (self._chance.randint(60, 3600),)
        elif code == command.LOG_LEVEL:
            arguments = (self._chance.randint(0, 3),)
        self.open[self.given] = (code, arguments, self.given + 1000)
        return self.given

    def hand_over(self, number: int, now: int) -> Frame:
        """Stamped with an end of 20 to 600 s from now."""
        code, arguments, identifier = self.open[number]
        frame = sign(number, code, arguments, identifier, now + self._chance.randint(20, 600))
        self.sent.append(frame)
        return frame


class Referee:
    """Watches the role's commands and the motor."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.known: dict[bytes, Frame] = {}
        self.frame: Frame | None = None  # whose payload the node looks at
        self.executed: Counter[int] = Counter()
        self.wrong: Counter[str] = Counter()
        self.openings = 0
        self.leave: tuple[int, int, bool] | None = None  # from, until, whether the button was down
        meter.world.on_open = self._opens

    def acts(self, code: int) -> None:
        """The node begins what a command asks for."""
        frame = self.frame
        if frame is None or frame.node != NODE or frame.code != code:
            self.wrong[FOREIGN] += 1
            return
        self.executed[frame.number] += 1
        if self.executed[frame.number] > 1:
            self.wrong["twice"] += 1
        if self.meter.world.now > frame.expiry:
            self.wrong["after its end"] += 1

    def acted(self, code: int, arguments: list[int], result: int) -> None:
        """And has done it."""
        world = self.meter.world
        if code == command.VALVE_CLOSE:
            self.leave = None
        elif code == command.VALVE_ARM and result == command.DONE:
            self.leave = (world.now, world.now + arguments[0], world.button())

    def _opens(self) -> None:
        world = self.meter.world
        self.openings += 1
        leave, self.leave = self.leave, None
        if not world.held():
            self.wrong["opened without a hand"] += 1
        elif leave is None or not leave[0] <= world.now <= leave[1]:
            self.wrong["opened without leave"] += 1
        elif leave[2] and world.button(leave[0] * 1000) and self._never_up(leave[0] * 1000):
            self.wrong["opened by a stuck button"] += 1

    def _never_up(self, since_ms: int) -> bool:
        world = self.meter.world
        return any(begin <= since_ms and world.ms <= end for begin, end in world.pressed)


class Enemy:
    """Has heard all that was ever sent, and may send what he likes."""

    def __init__(self, chance: random.Random, fleet: Fleet) -> None:
        self._chance = chance
        self._fleet = fleet
        self.other = 0

    def sends(self, now: int) -> tuple[str, int, bytes]:
        """(what it is, number, payload)."""
        chance, sent = self._chance, self._fleet.sent
        kind = chance.random()
        if kind < 0.1 or not sent:
            self.other += 1
            number = self._fleet.given + chance.randint(-5, 5)
            arguments = (600,) if chance.random() < 0.5 else ()
            code = command.VALVE_ARM if arguments else command.VALVE_CLOSE
            frame = sign(
                max(number, 1), code, arguments, self.other, now + 300,
                node=OTHER_NODE, key=OTHER_KEY,
            )  # fmt: skip
            return "of another node", frame.number, frame.payload
        # What was sent of late is the likelier to be of use.
        back = min(int(chance.expovariate(1 / 40)), len(sent) - 1)
        frame = sent[-1 - back] if kind < 0.8 else chance.choice(sent)
        if kind < 0.7:
            return "replay", frame.number, frame.payload
        if kind < 0.85:
            return "under another number", self._fleet.given + chance.randint(0, 9), frame.payload
        raw = bytearray(frame.payload)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        return "damaged", frame.number + chance.randint(0, 3), bytes(raw)


def watch(meter: Meter, modules: Any, referee: Referee) -> None:
    """Have the referee see each command that the node's code begins."""
    commands = modules.commands.Commands
    obey, do = commands.obey, commands._do

    def obeys(self: Any, number: int, payload: bytes, begin: Any) -> Any:
        referee.frame = referee.known.get(payload)
        if referee.frame is not None and referee.frame.number != number:
            referee.frame = None
        return obey(self, number, payload, begin)

    def does(self: Any, code: int, arguments: list[int], now: int) -> tuple[int, int]:
        meter.world.step()
        referee.acts(code)
        found: tuple[int, int] = do(self, code, arguments, now)
        referee.acted(code, arguments, found[0])
        meter.world.step()
        return found

    commands.obey, commands._do = obeys, does
