"""The wrapping key in a SoftHSM token."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest
from cli_rig import out, refusal
from token_rig import MODULE, PIN, TOKEN, leave, make_token

from fleet.identity.wrapping import FileKey, KeyMissing, WrappingError
from fleet.identity.wrapping_pkcs11 import TokenKey
from fleet.settings import CONFIG, Pkcs11

SECRET = b"sixteen bytes ab"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pkcs11]:
    yield make_token(tmp_path, monkeypatch)
    leave()


def session_of(where: Pkcs11) -> pkcs11.Session:
    found = pkcs11.lib(str(where.module)).get_token(token_label=where.token)
    try:
        return found.open(rw=True, user_pin=PIN)
    except pkcs11.UserAlreadyLoggedIn:
        return found.open(rw=True)


def refused(where: Pkcs11) -> str:
    with pytest.raises(WrappingError) as error:
        TokenKey.load(where)
    assert "\n" not in str(error.value)
    assert PIN not in str(error.value)
    return str(error.value)


def test_a_key_made_in_the_token_wraps_and_unwraps(token: Pkcs11) -> None:
    key = TokenKey.create(token)
    wrapped = key.wrap(SECRET, b"row")
    assert len(wrapped) == 1 + 12 + 16 + 16
    again = TokenKey.create(token)  # found, not made anew
    assert bytes(again.unwrap(wrapped, b"row")) == SECRET
    assert bytes(TokenKey.load(token).unwrap(wrapped, b"row")) == SECRET


def test_the_key_never_leaves_the_token(token: Pkcs11) -> None:
    TokenKey.create(token)
    key = session_of(token).get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=token.label)
    assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
    assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]
    with pytest.raises(pkcs11.AttributeSensitive):
        _ = key[pkcs11.Attribute.VALUE]


def test_attack_flipped_moved_or_cut(token: Pkcs11) -> None:
    key = TokenKey.create(token)
    wrapped = key.wrap(SECRET, b"row")
    damaged = [wrapped[:-1], wrapped[:5], b"", wrapped + b"x"]
    for at in range(0, len(wrapped), 4):
        damaged.append(wrapped[:at] + bytes((wrapped[at] ^ 1,)) + wrapped[at + 1 :])
    for each in damaged:
        with pytest.raises(WrappingError):
            key.unwrap(each, b"row")
    with pytest.raises(WrappingError, match="does not open"):
        key.unwrap(wrapped, b"another row")
    assert bytes(key.unwrap(wrapped, b"row")) == SECRET  # the session is as good as before


def test_neither_kind_of_key_opens_what_the_other_wrapped(token: Pkcs11, tmp_path: Path) -> None:
    file, key = FileKey.create(tmp_path / "wrapping.key"), TokenKey.create(token)
    with pytest.raises(WrappingError, match=r"by the file .*, not by a key in a PKCS#11"):
        key.unwrap(file.wrap(SECRET, b""), b"")
    with pytest.raises(WrappingError, match="not by the file"):
        file.unwrap(key.wrap(SECRET, b""), b"")


def test_a_session_that_the_token_dropped_is_opened_again(token: Pkcs11) -> None:
    key = TokenKey.create(token)
    wrapped = key.wrap(SECRET, b"row")
    leave()
    pkcs11.lib(str(MODULE))
    assert bytes(key.unwrap(wrapped, b"row")) == SECRET


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"module": Path("/nowhere.so")}, "/nowhere.so"),
        ({"module": Path("/etc/hostname")}, "/etc/hostname"),
        ({"token": "another"}, "no token 'another'"),
        ({"label": "another"}, "key 'another' in the token 'kapok' is missing: kapok init"),
        ({"pin_file": Path("/nowhere")}, "cannot read the PIN in /nowhere"),
        ({"pin_file": Path("/dev/null")}, "no PIN"),
        ({"pin_file": Path("/dev/zero")}, "no PIN"),
        ({"module": Path("a\0b")}, "keys.pkcs11"),
        ({"token": "a\0b"}, "no token"),
        ({"pin_file": Path("a\0b")}, "PIN"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    token: Pkcs11, change: dict[str, Path | str], says: str
) -> None:
    assert says in refused(replace(token, **change))  # type: ignore[arg-type]


def test_a_wrong_pin_is_said_in_one_line(token: Pkcs11, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("0000")
    assert f"refuses the PIN in {tmp_path / 'wrong'}" in refused(
        replace(token, pin_file=tmp_path / "wrong")
    )


def test_keys_that_cannot_be_the_one_are_refused(token: Pkcs11) -> None:
    with pytest.raises(KeyMissing):
        TokenKey.load(token)
    session = session_of(token)
    session.generate_key(pkcs11.KeyType.AES, 128, label="short", store=True)
    assert "no AES key of 256 bits" in refused(replace(token, label="short"))
    session.generate_key(pkcs11.KeyType.GENERIC_SECRET, 256, label="generic", store=True)
    assert "no AES key of 256 bits" in refused(replace(token, label="generic"))
    for _ in range(2):
        session.generate_key(pkcs11.KeyType.AES, 256, label="twice", store=True)
    assert "not the only one" in refused(replace(token, label="twice"))


def test_init_makes_the_key_in_the_token(token: Pkcs11, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / CONFIG).write_text(
        f'[keys.pkcs11]\nmodule = "{MODULE}"\ntoken = "{TOKEN}"\nlabel = "wrapping"\n'
        f'pin_file = "{tmp_path / "pin"}"\n'
    )
    line = f"wrapping key: key 'wrapping' in token '{TOKEN}'"
    assert out(data, "init").splitlines()[-1] == line
    assert out(data, "init").splitlines()[-1] == line + " (found)"
    assert not (data / "pki" / "wrapping.key").exists()
    (tmp_path / "pin").write_text("0000")
    leave()
    assert "refuses the PIN" in refusal(data, "init")
