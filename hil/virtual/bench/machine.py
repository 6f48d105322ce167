"""What a board of the bench runs: a VirtualBoard, from what lies in its flash, with its modem."""

import asyncio
import time
from collections.abc import Callable

from fleet.flashing.hardware import BUS_UART
from hil.standalone import setting
from hil.virtual.bench.folder import BenchError
from hil.virtual.bench.meter import Meter
from hil.virtual.bench.pace import Pace
from hil.virtual.bench.place import Place
from hil.virtual.bench.stimuli import Stimuli
from hil.virtual.board import VirtualBoard
from hil.virtual.fittings import Fittings
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.control import ModemControl
from hil.virtual.modem.tape import Tape
from hil.virtual.node import MODEM_PINS, UART
from hil.virtual.rs485.line import BusTwin
from hil.virtual.sensors.ultrasonic import Ultrasonic
from hil.virtual.twin import UartTwin

# What an ESP32 without PSRAM has for MicroPython, 110 KB, in the 64-bit VM's objects.
HEAP = "220k"


class Machine:
    """A VirtualBoard as the rig's application. Make it inside a running loop."""

    def __init__(self, place: Place, say: Callable[[bytes], None]) -> None:
        pins = place.board.node_pins
        twins: dict[int, UartTwin] = {}
        modem: ModemTwin | None = None
        self.modem: ModemControl | None = None
        if place.board.modem:
            tape = Tape()
            try:
                modem = setting.make(
                    place.board.modem,
                    place.setting.scenario,
                    seed=int.from_bytes(place.mac, "big"),
                    baud=None,
                    resolve={},
                    tape=tape,
                )
            except setting.SettingError as e:
                raise BenchError(str(e)) from None
            twins[UART], self.modem = modem, ModemControl(modem, tape)
        wires = {pins[name]: (UART, name) for name in MODEM_PINS if name in pins}
        bus = sonar = None
        if "bus_rx" in pins:
            twins[BUS_UART] = bus = BusTwin([])
            if "bus_de" in pins:
                bus.enabled_by_pin()
                wires[pins["bus_de"]] = (BUS_UART, "de")
        elif "echo" in pins:
            twins[BUS_UART] = sonar = Ultrasonic(lambda _: None)
        self.board = VirtualBoard(
            place.folder,
            place.mac,
            chip=place.chip,
            start=time.time_ns() // 1000,
            twins=twins,
            wires=wires,
            wheels={pins["pulse"]: pins["pulse2"]} if "pulse2" in pins else None,
            heapsize=HEAP,
            serial=say,
        )
        self.fittings = Fittings(self.board, pins)
        self.stimuli = Stimuli(self.board, pins, self.fittings, bus, sonar)
        if sonar is not None and "sense" in pins:
            self.board.listen(pins["sense"], sonar.switched)
        self._modem = modem
        self.meter = Meter(self.board, place.board.name, pins, self.fittings, modem)
        self.pace = Pace(self.board, place.setting.rate)
        self._cutting: asyncio.Task[None] | None = None

    def boot(self) -> None:
        """As Application.boot."""
        if self._is_cutting(self.boot):
            return
        if self.board.state == "loader":
            self.board.release()
        else:
            self.board.start()

    def reset(self) -> None:
        """As Application.reset."""
        if self._is_cutting(self.reset):
            return
        self.board.reset()

    def halt(self) -> None:
        """As Application.halt."""
        if self._is_cutting(self.halt):
            return
        self.board.halt()

    def _is_cutting(self, then: Callable[[], None]) -> bool:
        """Whether the power is just going; `then` follows when it has gone."""
        if self._cutting is None or self._cutting.done():
            return False
        self._cutting.add_done_callback(lambda _: then())
        return True

    def cut(self) -> None:
        """As Application.cut."""
        self._cutting = asyncio.get_running_loop().create_task(self.board.stop())

    async def gone(self) -> None:
        """As Application.gone."""
        if self._cutting is not None:
            await self._cutting

    def type_in(self, data: bytes) -> None:
        """As Application.type_in."""
        self.board.type_in(data)

    def opened(self) -> None:
        """A bridge's DTR and RTS move when its port is opened: a board in deep sleep wakes."""
        if self.board.state == "asleep":
            self.board.reset()

    def press(self, pin: int) -> None:
        """A button at the pin."""
        self.board.press(pin)

    def brown_out(self, us: int) -> None:
        """The supply dips for so long: chip and modem both start anew."""
        self.board.brown_out(us)
        if self._modem is not None:
            self._modem.brown_out()
        self.board.kick()

    def state(self) -> dict[str, object]:
        """For the control socket."""
        life = self.board.life
        return {
            "board": self.board.state,
            "boots": life.boots,
            "resets": dict(self.board.resets),
            "last": self.board.console_tail[-400:],
        }
