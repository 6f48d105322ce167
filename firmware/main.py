"""The other half of the supervisor: runs the slot's application, and outlives it."""

import sys

import machine
from micropython import const

_CRASH_SLEEP_MS = const(60_000)
_HOUR_MS = const(3_600_000)
_SERVICE_MS = const(300_000)  # awake at the prompt, for a technician who provisions the node


def introduce() -> None:
    """Say at power-on what this node is; what is wrong with that stops nothing else."""
    try:
        from node import selftest

        selftest.run()
    except Exception as e:
        sys.print_exception(e)


def _tried(name: str, *more):
    # What trial.py says; whatever goes wrong with that stops nothing else.
    try:
        return globals()["tried"](name, globals()["words"], *more)
    except Exception as e:
        sys.print_exception(e)
    return None


async def _watch(asyncio, words) -> None:
    # Beside an application that is on trial and never sleeps: else it could stay so for ever.
    hours = 0
    while words[2] != "good":
        await asyncio.sleep_ms(_HOUR_MS)
        hours += 1
        if _tried("tick", hours):
            machine.reset()


def load():
    """The slot's main module, or the rescue application's where the slot cannot be imported.

    A slot on trial that cannot be has failed: the one before runs after a reset.
    """
    trial = globals()["words"][2] != "good"  # boot.py's names are here too
    try:
        from node import main
    except Exception as e:
        for name in list(sys.modules):  # in the slot most have names of the VM's
            file = getattr(sys.modules[name], "__file__", "")
            if file.startswith("/rom/") or name == "node":
                del sys.modules[name]
        if trial:
            sys.print_exception(e)
            if _tried("failed"):
                machine.reset()
        globals()["rescue"](e)
        from node import main
    done = ["install", "mount", "rescue", "load"]
    if trial:
        import asyncio

        globals()["watch"] = asyncio.create_task(_watch(asyncio, globals()["words"]))
    else:
        done += ["tried", "_tried", "_watch"]
    for name in done:
        del globals()[name]  # what is done with leaves the heap
    return main


def run() -> None:
    """Run the application; what it lets escape is shown on the console, then sleep.

    A node that has no configuration comes back from here to its prompt instead, unless it woke
    from deep sleep or out of such a time at the prompt, which the watchdog ends.
    """
    cause = machine.reset_cause()
    if cause == machine.PWRON_RESET:
        introduce()
    del globals()["introduce"]
    try:
        load().run()
    except Exception as e:  # whatever the slot does wrong, the supervisor must outlive it
        sys.print_exception(e)
        if globals()["words"][2] != "good":
            _tried("crashed")
        if type(e).__name__ == "ConfigError" and cause not in (
            machine.DEEPSLEEP_RESET,
            machine.WDT_RESET,
        ):
            machine.WDT(timeout=_SERVICE_MS)
            return
    # Not a reset: a node that fails at every start must not empty its battery in a night.
    machine.deepsleep(_CRASH_SLEEP_MS)


run()
