"""What a new node's NVS holds, and that the fleet knows the same."""

from contextlib import closing
from pathlib import Path
from typing import Any

from fleet.db.base import Database
from fleet.identity import oscore
from fleet.identity.wrapping import open_wrapper
from fleet.settings import load
from fleet.wire import cbor
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of

START = 1_795_392_000 * scenes.SECOND  # 2026-11-23T00:00:00Z


async def test_a_provisioned_node_shares_its_oscore_secret_with_the_fleet(tmp_path: Path) -> None:
    fleet = FleetProcess(tmp_path / "fleet")
    await fleet.command("init")
    await fleet.command("area", "add", "440106", "Tianhe")
    node = VirtualNode(tmp_path / "node", mac_of("provisioned"), scenes.gas_meter(START, 1))
    credentials = await enrol(fleet, node.node_id, node.scene.role, "440106")
    node.provision(credentials, "localhost", 8883, awake_s=77)

    nvs = node.board.nvs
    blob = nvs.get(NAMESPACE, "oscore")
    assert isinstance(blob, bytes)
    value: Any = cbor.decode(blob)
    kid, secret = value
    assert (len(kid), len(secret)) == (3, 16)
    settings = load(fleet.data)
    with closing(Database(settings.database_url)) as database, database.read() as session:
        context = oscore.find(session, open_wrapper(settings), [kid])[kid]
        assert (context.node_id, bytes(context.secret)) == (node.node_id, secret)
    told = f"{credentials}"
    assert repr(secret)[2:-1] not in told
    assert secret.hex() not in told

    assert nvs.get(NAMESPACE, "key") == credentials.key
    assert nvs.get(NAMESPACE, "cert") == credentials.certificate
    assert nvs.get(NAMESPACE, "ca") == credentials.root
    config: Any = cbor.decode(bytes(nvs.get(NAMESPACE, "cfg") or b""))
    assert (config["node"], config["port"], config["awake_s"]) == (node.node_id, 8883, 77)
