"""Sign images for secure boot v2 with a key that never leaves its PKCS#11 token.

espsecure does it, by its own way to a token. Its configuration holds the PIN, so it gets that
from memory; and it would take the last slot where the number does not fit, so we look first.
"""

from pathlib import Path
from typing import NamedTuple

from fleet.flashing import efuse_tool
from fleet.flashing.efuses import SecureError
from fleet.flashing.memory_file import memory_file, path_of

_BITS, _EXPONENT = 3072, 65537  # RSA of secure boot v2
_MOST_PIN = 255


class SigningToken(NamedTuple):
    """Where the key is: library, labels of token and key pair, file of the PIN."""

    module: Path
    token: str
    label: str
    pin_file: Path


def public_key(where: SigningToken) -> bytes:
    """The public key, PEM; SecureError unless it is RSA-3072 with exponent 65537."""
    import pkcs11
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from pkcs11 import Attribute, ObjectClass

    found_token = open_token(where)
    try:
        with found_token.open() as session:
            wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: where.label}
            found = list(session.get_objects(wanted))
            if len(found) != 1:
                many = f"{len(found)} public keys {where.label!r}, not 1"
                raise SecureError(f"the token {where.token!r} has {many}")
            n = int.from_bytes(found[0][Attribute.MODULUS], "big")
            e = int.from_bytes(found[0][Attribute.PUBLIC_EXPONENT], "big")
    except (pkcs11.PKCS11Error, KeyError) as error:
        raise SecureError(f"the token {where.token!r}: {error or type(error).__name__}") from None
    if n.bit_length() != _BITS or e != _EXPONENT:
        raise SecureError(f"{where.label!r} is RSA-{n.bit_length()}: secure boot takes RSA-3072")
    key = RSAPublicNumbers(e, n).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(where: SigningToken, image: Path, out: Path) -> None:
    """Write the signed image to `out`, verified; SecureError, and no file is left, otherwise."""
    slot = open_token(where).slot.slot_id
    public_key(where)
    if any("\n" in part or "%" in part for part in (str(where.module), where.label)):
        raise SecureError("the module's path and the key's label take no % and no line break")
    pin = read_pin(where.pin_file).replace("%", "%%")  # configparser's escape
    configuration = (
        f"[hsm_config]\npkcs11_lib = {where.module}\nslot = {slot}\nlabel = {where.label}\n"
        f"label_pubkey = {where.label}\ncredentials = {pin}\n"
    ).encode()
    token = ("--version", "2", "--hsm", "--hsm-config")
    try:
        for words in (("sign-data", str(image), "--output", str(out)),
                      ("verify-signature", str(out))):  # fmt: skip
            with memory_file(configuration) as descriptor:
                efuse_tool.run(
                    "espsecure",
                    [words[0], *token, path_of(descriptor), *words[1:]],
                    (descriptor,),
                )
    except SecureError:
        out.unlink(missing_ok=True)
        raise


def open_token(where: SigningToken):  # type: ignore[no-untyped-def]  # pkcs11's types are its C's
    try:
        import pkcs11
    except ImportError:
        raise SecureError("no PKCS#11 here: pip install 'kapok[pkcs11]'") from None
    try:
        return pkcs11.lib(str(where.module)).get_token(token_label=where.token)
    except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned):
        raise SecureError(f"{where.module} has not one token {where.token!r}") from None
    except (pkcs11.PKCS11Error, ValueError, RuntimeError) as e:
        raise SecureError(f"{where.module}: {str(e) or type(e).__name__}") from None


def read_pin(path: Path) -> str:
    try:
        with path.open("rb") as file:
            pin = file.read(_MOST_PIN + 1).removesuffix(b"\n").decode()
    except OSError as e:
        raise SecureError(f"cannot read the PIN in {path}: {e.strerror}") from None
    except ValueError:
        pin = ""
    if not pin or len(pin.encode()) > _MOST_PIN or not pin.isprintable() or pin != pin.strip():
        raise SecureError(f"{path} holds no PIN: one line of text")
    return pin
