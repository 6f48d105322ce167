"""Every call of the firmware into the chip's modules fits the ESP32's stubs and our shims."""

from pathlib import Path

import pytest
import stub_calls
from stub_calls import Offer

ROOT = Path(__file__).parents[3]
MODULES = {"machine", "esp32", "network", "socket", "time"}
SIDES = {"stubs": ROOT / "typings", "shims": ROOT / "hil" / "virtual" / "shims"}


@pytest.fixture(scope="module", params=sorted(SIDES))
def offers(request: pytest.FixtureRequest) -> dict[str, Offer]:
    folder = SIDES[request.param]
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: run `make typings`")
    return {name: Offer(folder, name) for name in MODULES}


def _firmware_uses() -> list[stub_calls.Use]:
    found = []
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        found += stub_calls.uses(path.read_text(), str(path.relative_to(ROOT)), MODULES)
    return found


def test_all_calls_of_the_firmware_are_accepted(offers: dict[str, Offer]) -> None:
    assert stub_calls.refusals(_firmware_uses(), offers) == []


def test_the_firmwares_calls_are_found() -> None:
    calls = {f"{use.module}.{use.path}" for use in _firmware_uses() if use.positional is not None}
    assert {"machine.WDT", "machine.Pin.value", "machine.ADC.read_uv", "time.gmtime"} <= calls
    assert {"esp32.NVS.get_blob", "esp32.ULP.load_binary", "machine.RTC.datetime"} <= calls
    assert {"network.PPP", "network.PPP.isconnected", "socket.socket.connect"} <= calls


GOOD = """
import esp32, machine, network, socket, time as t
from machine import Pin, ADC
pin = Pin(4, Pin.IN, Pin.PULL_DOWN)
pin.value(1)
machine.UART(1, 115200, tx=1, rx=2, rxbuf=2048, timeout=5).readinto(bytearray(4))
uart = machine.UART(1)
uart.irq(print, uart.IRQ_RXIDLE)
ppp = network.PPP(uart)
ppp.connect(security=ppp.SEC_PAP, user="u", key="k")
ppp.isconnected() and ppp.ipconfig("addr4") and ppp.ifconfig() and ppp.config("stream")
ppp.poll() or ppp.status() or ppp.disconnect() or ppp.active(False)
tcp = socket.socket()
tcp.connect(socket.getaddrinfo("host", 8883)[0][-1])
tcp.setblocking(False)
tcp.readinto(bytearray(5)) or tcp.read(5) or tcp.recv(5) or tcp.readline()
tcp.send(b"x") or tcp.write(b"x") or tcp.sendall(b"x") or tcp.settimeout(5) or tcp.close()
t.ticks_diff(t.ticks_ms(), 5)
class Sensor:
    def read(self):
        return self._adc.read_uv()
    def __init__(self, nvs: "esp32.NVS"):
        self._adc = ADC(pin, atten=ADC.ATTN_11DB)
        nvs.get_blob("key", bytearray(3))
esp32.wake_on_ext0(pin, esp32.WAKEUP_ANY_HIGH)
esp32.Partition.find(esp32.Partition.TYPE_APP, label="x")
"""

WRONG = {
    "a keyword that no overload has": "import machine\nmachine.WDT(timeout_s=5)",
    "too many arguments": "import machine\nmachine.RTC().memory(b'', 1, 2)",
    "too few arguments": "import time\ntime.ticks_diff(1)",
    "a function that does not exist": "import machine\nmachine.deep_sleep(5)",
    "a method that does not exist": "import machine\np = machine.Pin(1)\np.set(1)",
    "a constant that does not exist": "import machine\nprint(machine.ADC.ATTN_12DB)",
    "a name imported that does not exist": "from esp32 import Nvs",
    "a keyword to a method of self": (
        "import esp32\nclass A:\n"
        "    def f(self):\n        self.c.value(clear=True, x=1)\n"
        "    def __init__(self):\n        self.c = esp32.PCNT(0)\n"
    ),
    "a method of an annotated argument": (
        "import esp32\ndef f(nvs: 'esp32.NVS'):\n    nvs.get_str('key')\n"
    ),
    "a keyword that connect has not": "import network\nnetwork.PPP(1).connect(authmode=1)",
    "a method that PPP has not": "import network\np = network.PPP(1)\np.hangup()",
    "too many arguments to a socket": "import socket\nsocket.socket().recv(1, 2)",
    "an argument to a module that has none": "import network\nnetwork.hostname(1, 2, 3, 4, 5)",
}


def test_right_calls_are_accepted(offers: dict[str, Offer]) -> None:
    found = stub_calls.uses(GOOD, "good.py", MODULES)
    calls = [use.path for use in found if use.positional is not None]
    assert sorted(calls) == sorted(
        [
            "Pin",
            "Pin.value",
            "UART",
            "UART",
            "UART.irq",
            "UART.readinto",
            "PPP",
            "PPP.active",
            "PPP.config",
            "PPP.connect",
            "PPP.disconnect",
            "PPP.ifconfig",
            "PPP.ipconfig",
            "PPP.isconnected",
            "PPP.poll",
            "PPP.status",
            "getaddrinfo",
            "socket",
            "socket.close",
            "socket.connect",
            "socket.read",
            "socket.readinto",
            "socket.readline",
            "socket.recv",
            "socket.send",
            "socket.sendall",
            "socket.setblocking",
            "socket.settimeout",
            "socket.write",
            "ticks_diff",
            "ticks_ms",
            "ADC.read_uv",
            "ADC",
            "NVS.get_blob",
            "wake_on_ext0",
            "Partition.find",
        ]
    )
    assert stub_calls.refusals(found, offers) == []


@pytest.mark.parametrize("wrong", list(WRONG))
def test_a_wrong_call_is_found(offers: dict[str, Offer], wrong: str) -> None:
    found = stub_calls.uses(WRONG[wrong], "wrong.py", MODULES)
    assert len(stub_calls.refusals(found, offers)) == 1


def test_the_shims_offer_nothing_that_no_chip_has() -> None:
    """A class or function that only the shims have would let firmware pass that no chip runs."""
    for name in MODULES:
        ours = {n for n in Offer(SIDES["shims"], name).names if "." not in n}
        chips = {n for n in Offer(SIDES["stubs"], name).names if "." not in n}
        public = {n for n in ours if not n.startswith("_") and n not in ("rtc_us", "chip")}
        assert public - chips <= {"gpio_deep_sleep_hold", "mcu_temperature"}
