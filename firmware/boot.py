"""Supervisor: watchdog first, then the chosen slot's application. Not updated over the air."""

import machine

# The longest time that anything may keep the node awake. The application, which knows its role,
# constructs the watchdog again with a shorter one.
wdt = machine.WDT(timeout=600_000)

import sys  # noqa: E402  nothing may come before the watchdog

SLOTS = ("a",)
CRASH_SLEEP_MS = 60_000


def choose() -> str:
    """The slot to run. A slot is complete: nothing outside it and the runtime is on the path."""
    return SLOTS[0]


def run() -> None:
    """Run the slot's application; what it lets escape is shown on the console, then sleep."""
    sys.path[:] = ["/" + choose(), ".frozen"]
    try:
        from node import main

        main.run()
    except Exception as e:  # whatever the slot does wrong, the supervisor must outlive it
        sys.print_exception(e)
    # Not a reset: a node that fails at every start must not empty its battery in a night.
    machine.deepsleep(CRASH_SLEEP_MS)


run()
