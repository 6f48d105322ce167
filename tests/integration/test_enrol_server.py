"""The enrolment API over real TLS, and a client that trusts the fleet of its token alone."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cli_rig
import fleet_rig as rig
import pytest
from fleet_here import FleetHere

from fleet.enrol.client import ClaimRefused, EnrolClient, FleetUnreachable
from fleet.identity import token_text
from fleet.identity.authority import Authority


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[tuple[Path, str]]:
    """A data folder that is served, and where."""
    data = tmp_path / "data"
    process = FleetHere(data, "--port", "0", "--broker-port", "0", "--coap-port", "off")
    await process.command("init")
    await process.command("area", "add", "440106", "Tianhe")
    yield data, (await process.start())["enrol_url"]
    await process.stop()


def token(data: Path) -> str:
    """A token of that fleet."""
    words = ["--person", "Li Wei", "--area", "440106", "--node", "gas-meter"]
    return str(cli_rig.out_json(data, "token", "add", *words)["token"])


class _Impostor(BaseHTTPRequestHandler):
    """Shows the true root CA, which is public, and notes whatever it is sent."""

    root = b""
    heard: list[str]

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.root)

    def do_POST(self) -> None:
        self.heard.append(self.path)

    def log_message(self, *_: object) -> None:
        """Not here."""


async def test_a_client_asks_its_own_fleet_and_no_other(
    fleet: tuple[Path, str], tmp_path: Path
) -> None:
    data, url = fleet
    node = rig.new_node_id()
    seen = await asyncio.to_thread(EnrolClient(url, token(data)).look, node, "gas-meter", {})
    assert (seen["state"], seen["policy"]) == ("unknown", "ask")

    other = Authority.create(tmp_path / "other")
    foreign = token_text.encode(token_text.draw(token_text.fleet_digest(other.root_der)))
    with pytest.raises(FleetUnreachable, match="is not the fleet of this token"):
        await asyncio.to_thread(EnrolClient(url, foreign).look, node, "gas-meter", {})

    good = token(data)
    cli_rig.out(data, "token", "revoke", "--person", "Li Wei")
    with pytest.raises(ClaimRefused, match="not accepted"):
        await asyncio.to_thread(EnrolClient(url, good).look, node, "gas-meter", {})


async def test_a_man_in_the_middle_is_not_told_the_token(
    fleet: tuple[Path, str], tmp_path: Path
) -> None:
    data, _ = fleet
    other = Authority.create(tmp_path / "other")
    other.issue_server(["localhost", "127.0.0.1"])
    heard: list[str] = []
    handler = type(
        "Handler", (_Impostor,), {"root": (data / "pki" / "root.crt").read_bytes(), "heard": heard}
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other.server.certificate, other.server.key)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = EnrolClient(f"https://localhost:{server.server_port}", token(data))
        with pytest.raises(FleetUnreachable, match="does not prove to be the fleet"):
            await asyncio.to_thread(client.look, rig.new_node_id(), "gas-meter", {})
        server.shutdown()
        thread.join()
    assert heard == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1",
        "localhost:1",
        "https://",
        "https://h:x",
        "https://[",
        "https://" + "a" * 300,
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    text = token_text.encode(token_text.draw(bytes(16)))
    with pytest.raises(FleetUnreachable, match="no address of a fleet"):
        EnrolClient(url, text)


def test_nobody_there_is_one_line() -> None:
    text = token_text.encode(token_text.draw(bytes(16)))
    with pytest.raises(FleetUnreachable, match="does not answer: Connection refused"):
        EnrolClient("https://127.0.0.1:9", text).look("0" * 10, "gas-meter", {})
