"""Connections that say nothing must not take the places of those that have something to say."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from fleet.api.server import Server
from fleet.enrol import server as enrol


async def answered(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ended_by_itself(protocol: Any, seconds: float) -> bool:
    """Whether a connection that sends nothing is ended within so long."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(answered, http=protocol, log_config=None, lifespan="off")
        served = Server(config)
        serving = asyncio.create_task(served.serve(sockets=[sock]))
        await served.ready.wait()
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        try:
            async with asyncio.timeout(seconds):
                return await reader.read() == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        finally:
            writer.close()
            served.should_exit = True
            await serving


async def test_attack_idle_connections_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrol, "LIFE_S", 0.1)
    assert await ended_by_itself(enrol._Brief, 20)


async def test_sabotage_uvicorns_own_protocol_lets_them_stay() -> None:
    assert not await ended_by_itself("h11", 1)
