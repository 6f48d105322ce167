"""Entry of the slot: boot.py calls `run`, which ends in deep sleep or in an exception."""

import asyncio

from node.app import App


def run() -> None:
    """One life of the application."""
    asyncio.run(App().run())
