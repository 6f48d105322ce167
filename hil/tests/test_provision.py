"""Identities: each node its own, never two, and no key anywhere but on the node."""

import base64
import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from fleet.flashing.provision import ALREADY, PROVISIONED
from hil.fleet import PERSON, Fleet
from hil.fleet_serve import AREA
from hil.node import Node
from hil.protocols import ModemControl

KEY = """
import esp32
kept = bytearray(1024)
print(bytes(kept[:esp32.NVS("kapok").get_blob("key", kept)]).hex())
"""


def live(node: Node, fleet: Fleet) -> list[str]:
    """Serials of its certificates that are in force."""
    return [one["serial"] for one in fleet.status(node)["certificates"] if one["live"]]


def token(fleet: Fleet, node: Node, again: str) -> str:
    """Of a technician who may do so with a board that is registered."""
    made = fleet.command(
        "token",
        "add",
        "--person",
        PERSON,
        "--area",
        AREA[0],
        "--node",
        node.type,
        "--again",
        again,
    )
    return str(made["token"])


@pytest.mark.requirement("K-PROV-01")
def test_a_provisioned_node_has_one_certificate_in_force(node: Node, fleet: Fleet) -> None:
    known = fleet.status(node)
    assert (known["id"], known["state"], known["area"]) == (node.id, "active", AREA[0])
    assert len(live(node, fleet)) == 1


@pytest.mark.requirement("K-PROV-02")
def test_who_provisions_twice_finds_the_identity_that_is_there(node: Node, fleet: Fleet) -> None:
    before = live(node, fleet)
    result = node.flash.try_provision(node.type, fleet.enrol_url, token(fleet, node, "ask"), {})
    assert result.done is not None, result.error
    assert (result.done.result, result.done.node_id) == (ALREADY, node.id)
    assert live(node, fleet) == before
    node.reset("pin")
    fleet.wait_report(node, 900)


@pytest.mark.requirement("K-PROV-02", "K-PROV-05")
def test_a_registered_node_without_its_keys_is_a_persons_decision(
    node: Node, fleet: Fleet
) -> None:
    """Erased NVS: refused where nobody is asked, and by a token that allows something else."""
    before = live(node, fleet)
    node.spoilt()
    node.flash.write("nvs", b"\xff" * len(node.flash.read("nvs")))
    asks = token(fleet, node, "ask")
    nobody = node.flash.try_provision(node.type, fleet.enrol_url, asks, {})
    assert nobody.done is None
    assert node.id in nobody.error
    another = node.flash.try_provision(
        node.type, fleet.enrol_url, token(fleet, node, "keep-history"), {}, policy="new"
    )
    assert another.done is None
    assert "keep-history" in another.error
    assert live(node, fleet) == before, "a refusal changes nothing"
    kept = node.flash.try_provision(node.type, fleet.enrol_url, asks, {}, policy="keep-identity")
    assert kept.done is not None, kept.error
    assert (kept.done.result, kept.done.node_id) == (PROVISIONED, node.id)
    assert len(live(node, fleet)) == 1
    assert live(node, fleet) != before, "the keys that are gone are good for nothing"
    node.reset("pin")
    fleet.wait_report(node, 900)


def forms(secret: bytes) -> set[bytes]:
    """As files may have it: raw, in hexadecimal, in base64 wherever it begins there."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        found.add(text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6])
    return found


def holding(secret: bytes, *folders: Path) -> list[Path]:
    """Files below them that have it in some form."""
    wanted, found = forms(secret), []
    walked = (each for folder in folders for each in os.walk(folder))  # quiet where one vanishes
    for path in (Path(at, name) for at, _, names in walked for name in names):
        with contextlib.suppress(OSError):
            if path.is_file() and path.name != "flash.bin":  # that of a virtual board is the node
                text = path.read_bytes()
                whole = text.replace(b"\r", b"").replace(b"\n", b"")  # as PEM breaks its lines
                if any(form in text or form in whole for form in wanted):
                    found.append(path)
    return found


@pytest.mark.requirement("K-PROV-03")
def test_the_nodes_key_is_on_the_node_alone(
    node: Node, fleet: Fleet, rig_folder: Path, tmp_path: Path
) -> None:
    key = bytes.fromhex(node.prompt.exec(KEY).strip())
    assert len(key) > 32
    scalar = key[7:39] if key[:1] == b"\x30" else key[:32]  # of its DER, RFC 5915
    pem = b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(key)
    (tmp_path / "key.pem").write_bytes(pem)
    assert holding(scalar, tmp_path), "it would be found"
    assert holding(node.id.encode(), fleet.data), "and it is looked for"
    temporary = Path(tempfile.gettempdir()).glob("kapok-*")  # where it is flashed
    others = [each for each in temporary if not each.name.startswith("kapok-hil-")]
    assert not holding(scalar, rig_folder, fleet.data, *others)


@pytest.mark.requirement("K-PROV-04")
@pytest.mark.needs("modem-twin")
@pytest.mark.start("flashed")
def test_a_node_without_identity_says_so_and_speaks_to_no_network(
    node: Node, modem: ModemControl
) -> None:
    node.spoilt()
    node.flash.write("nvs", b"\xff" * len(node.flash.read("nvs")))
    at, mark = modem.mark(), node.console.mark()
    node.reset("pin")
    node.console.expect(r'"provisioned": false', 60, mark)
    node.console.expect(r"ConfigError: .*provision the node", 60, mark)
    node.reset("deep-sleep")  # its time at the prompt ends: it looks again each minute
    node.wait(600)
    assert node.console.since(mark).count("provision the node") > 3
    assert not modem.said("AT", at, who="host")
