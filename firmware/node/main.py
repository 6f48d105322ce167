"""Entry of the slot: boot.py calls `run`, which ends in deep sleep or in an exception."""

import gc

# Collected often, the heap stays dense: else it fills up with garbage between what stays, and TLS
# finds no room for its 3 kB.
gc.threshold(4096)

import asyncio  # noqa: E402
import sys  # noqa: E402

import machine  # noqa: E402
from micropython import const  # noqa: E402

from node.app import App, chosen  # noqa: E402
from node.errors import ConfigError  # noqa: E402

_PATIENT = const(3)  # crashes in a row with a minute between them; then it is no chance
_SLEEP_MS = const(60_000)
_SLEEP_MOST_MS = const(960_000)


def run() -> None:
    """One life of the application; what it dies of is kept for the fleet, and goes on."""
    try:
        asyncio.run(App().run())
    except ConfigError:
        raise  # not provisioned, or not as it must be: there is nobody to report to
    except Exception as e:
        from node import health

        crashes = health.crashed(e)
        if crashes > _PATIENT and chosen() == "good":  # else the supervisor is to know
            sys.print_exception(e)
            machine.deepsleep(min(_SLEEP_MS << crashes - _PATIENT, _SLEEP_MOST_MS))
        raise  # the supervisor shows it, and sleeps a minute
