"""What a technician's machine does for a new node: key and request, enrolment, its secrets."""

import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.identity.client import make_key_and_csr
from fleet.identity.secret import SecretBytes
from hil.fleet_process import FleetProcess
from hil.virtual.node import Credentials


async def enrol(fleet: FleetProcess, node_id: str, role: str, area: str) -> Credentials:
    """Register a node and have its certificate signed, by the same command that a person uses."""
    key, request = make_key_and_csr(node_id)
    with tempfile.TemporaryDirectory() as folder:
        ends = ("csr", "crt", "key", "hmac")
        csr, certificate, oscore, hmac = (Path(folder) / f"node.{end}" for end in ends)
        csr.write_bytes(request)
        await fleet.command(
            "node", "add", node_id, "--role", role, "--area", area,
            "--csr", str(csr), "--cert-out", str(certificate), "--oscore-out", str(oscore),
            "--hmac-out", str(hmac),
        )  # fmt: skip
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        shared = SecretBytes(oscore.read_bytes())
        commands = SecretBytes(hmac.read_bytes())
    root = x509.load_pem_x509_certificate((fleet.data / "pki" / "root.crt").read_bytes())
    return Credentials(
        key, leaf.public_bytes(Encoding.DER), root.public_bytes(Encoding.DER), shared, commands
    )
