"""What the chip says after each way to start again; it begins with the power switched on."""

import time

import machine
from esp32 import NVS

memory = machine.RTC().memory
stage = int(memory() or b"0")
booted = (machine.reset_cause(), machine.wake_reason())
nvs = NVS("fidelity")


def go(on, how, *args):
    memory(b"%d" % (stage + 1))
    how(*args)
    time.sleep(100)  # the watchdog ends it


def value(key):
    return nvs.get_i32(key)


if stage == 0:
    fact("restart.power-on", lambda: booted)
    fact("restart.cold-clock", lambda: time.time() < 10)
    nvs.set_i32("kept", 1)
    nvs.commit()
    nvs.set_i32("loose", 1)
    machine.RTC().datetime((2026, 1, 1, 0, 0, 0, 0, 0))
    go(stage, machine.soft_reset)
if stage == 1:
    fact("restart.soft", lambda: booted[0])
    fact("restart.memory-survives", lambda: memory())
    go(stage, machine.reset)
if stage == 2:
    fact("restart.hard", lambda: booted)
    fact("restart.clock-survives", lambda: time.gmtime()[0])
    fact("restart.committed", lambda: value("kept"))
    fact("restart.uncommitted", lambda: value("loose"))
    go(stage, machine.WDT, 0, 2000)
if stage == 3:
    fact("restart.watchdog", lambda: booted)
    go(stage, machine.deepsleep, 3000)
if stage == 4:
    fact("restart.deepsleep", lambda: booted)
    fact("restart.clock-in-sleep", lambda: 5 <= time.gmtime()[5] < 30)
    go(stage, machine.deepsleep, 0)
if stage == 5:
    fact("restart.deepsleep-zero", lambda: booted)
    fact("restart.memory-after-all", lambda: memory())
    memory(b"")
    nvs.erase_key("kept")
    nvs.commit()
