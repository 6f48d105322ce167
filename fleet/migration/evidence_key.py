"""The key that signs evidence: `pki/evidence.key`, or in a PKCS#11 token ([keys.evidence])."""

import contextlib
from pathlib import Path

from fleet.migration.evidence import key_id
from fleet.releases import signers
from fleet.releases.errors import SigningKeyError
from fleet.releases.signers import FileSigner, Signer, TokenSigner
from fleet.settings import Settings

KEY = "evidence.key"


def open_signer(settings: Settings) -> Signer:
    """The key of a data folder, made where there is none yet; SigningKeyError."""
    if settings.evidence is not None:
        from fleet.flashing.secure_sign import SigningToken

        where = settings.evidence
        return TokenSigner(SigningToken(where.module, where.token, where.label, where.pin_file))
    path = settings.pki / KEY
    if not path.exists():
        with contextlib.suppress(SigningKeyError):  # another process made it at this moment
            signers.generate(path, None)
    return FileSigner(path, None)


def trusted(settings: Settings) -> dict[bytes, bytes]:
    """Moduli by key id: of the key in use, and of former ones, whose public halves stay in
    `pki/evidence*.pub`.
    """
    found: dict[bytes, bytes] = {}
    for path in sorted(settings.pki.glob("evidence*.pub")):
        modulus = _modulus(path)
        found[key_id(modulus)] = modulus
    if settings.evidence is not None:
        modulus = open_signer(settings).modulus
        found[key_id(modulus)] = modulus
    return found


def _modulus(path: Path) -> bytes:
    return signers.public_modulus(path)
