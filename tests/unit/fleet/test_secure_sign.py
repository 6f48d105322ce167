"""Images signed for secure boot by a key in a SoftHSM token."""

from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cli_rig import out, refusal
from pkcs11 import KeyType
from token_rig import MODULE, PIN, TOKEN, leave, make_token

from fleet.flashing import efuse_tool
from fleet.flashing.efuses import SecureError
from fleet.flashing.secure_sign import SigningToken, public_key, sign


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SigningToken]:
    where = make_token(tmp_path, monkeypatch)
    found = pkcs11.lib(str(where.module)).get_token(token_label=where.token)
    with found.open(rw=True, user_pin=PIN) as session:
        session.generate_keypair(KeyType.RSA, 3072, label="boot", store=True)
        session.generate_keypair(KeyType.RSA, 1024, label="short", store=True)
    yield SigningToken(MODULE, TOKEN, "boot", where.pin_file)
    leave()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "boot.bin"
    path.write_bytes(b"\xe9" + bytes(range(256)) * 32)
    return path


def test_a_signature_of_the_token_is_one_for_espsecure(
    token: SigningToken, image: Path, tmp_path: Path
) -> None:
    signed, public = tmp_path / "signed.bin", tmp_path / "pub.pem"
    where = ["--module", token.module, "--token", TOKEN, "--label", "boot",
             "--pin-file", token.pin_file]  # fmt: skip
    assert "signed by boot in kapok" in out(tmp_path, "secure", "sign", image, "--out", signed,
                                            *where)  # fmt: skip
    out(tmp_path, "secure", "public-key", "--out", public, *where)
    efuse_tool.check_signed(signed, public)
    assert signed.read_bytes().startswith(image.read_bytes())
    assert len(efuse_tool.public_digest(public, tmp_path)) == 64
    damaged = bytearray(signed.read_bytes())
    damaged[5] ^= 1
    (tmp_path / "damaged.bin").write_bytes(damaged)
    for path in (image, tmp_path / "damaged.bin"):
        with pytest.raises(SecureError, match="would never start again"):
            efuse_tool.check_signed(path, public)


def test_the_pin_is_in_no_file_and_no_argument(
    token: SigningToken, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    real = efuse_tool.run

    def spied(tool: str, words: list[str], descriptors: tuple[int, ...] = ()) -> str:
        heard.extend(words)
        heard.append(real(tool, words, descriptors))
        return heard[-1]

    monkeypatch.setattr(efuse_tool, "run", spied)
    sign(token, image, tmp_path / "signed.bin")
    assert heard
    assert not [text for text in heard if f"credentials = {PIN}" in text or text == PIN]
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p != token.pin_file):
        assert f"credentials = {PIN}".encode() not in path.read_bytes()


def test_what_is_wrong_is_said_and_nothing_is_left(
    token: SigningToken, image: Path, tmp_path: Path
) -> None:
    signed = tmp_path / "signed.bin"
    wrong_pin = tmp_path / "wrong"
    wrong_pin.write_text("0000")
    for changed in (
        token._replace(token="other"), token._replace(label="other"),
        token._replace(label="short"), token._replace(pin_file=tmp_path / "none"),
        token._replace(pin_file=wrong_pin), token._replace(module=image),
        token._replace(label="boot\nslot = 7"),
    ):  # fmt: skip
        with pytest.raises(SecureError) as error:
            sign(changed, image, signed)
        assert "\n" not in str(error.value)
        assert PIN not in str(error.value)
        assert not signed.exists()
    with pytest.raises(SecureError, match="RSA-3072"):
        public_key(token._replace(label="short"))
    assert "no token" in refusal(
        tmp_path, "secure", "sign", image, "--out", signed, "--module", MODULE, "--token",
        "none", "--label", "boot", "--pin-file", wrong_pin,
    ).replace("has not one token", "no token")  # fmt: skip
