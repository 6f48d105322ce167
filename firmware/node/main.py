"""Entry of the slot: boot.py calls `run`, which ends in deep sleep or in an exception."""

import gc

# Collected often, the heap stays dense: else it fills up with garbage between what stays, and TLS
# finds no room for its 3 kB.
gc.threshold(4096)

import asyncio  # noqa: E402

from node.app import App  # noqa: E402
from node.errors import ConfigError  # noqa: E402


def run() -> None:
    """One life of the application; what it dies of is kept for the fleet, and goes on."""
    try:
        asyncio.run(App().run())
    except ConfigError:
        raise  # not provisioned, or not as it must be: there is nobody to report to
    except Exception as e:
        from node import health

        health.crashed(e)
        raise
