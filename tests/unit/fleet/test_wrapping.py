"""Secrets at rest: authenticated, bound to their row, and a key file that nobody overwrites."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.identity import wrapping
from fleet.identity.secret import SecretBytes
from fleet.identity.wrapping import FileKey, KeyMissing, WrappingError
from fleet.settings import CONFIG, load
from fleet.setup import init

KEY = FileKey(Path("wrapping.key"), bytes(range(32)))
SECRET = b"sixteen bytes ab"


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_what_is_wrapped_unwraps_to_a_secret(secret: bytes, context: bytes) -> None:
    wrapped = KEY.wrap(secret, context)
    found = KEY.unwrap(wrapped, context)
    assert isinstance(found, SecretBytes)
    assert bytes(found) == secret
    assert len(wrapped) == 1 + 12 + len(secret) + 16
    assert wrapped != KEY.wrap(secret, context)


@given(st.integers(0, (1 + 12 + 16 + 16) * 8 - 1))
def test_attack_bit_flip(bit: int) -> None:
    wrapped = bytearray(KEY.wrap(SECRET, b"row"))
    wrapped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WrappingError) as refused:
        KEY.unwrap(bytes(wrapped), b"row")
    assert len(str(refused.value).splitlines()) == 1


@given(st.binary(max_size=80))
def test_any_bytes_give_one_error(wrapped: bytes) -> None:
    with pytest.raises(WrappingError):
        KEY.unwrap(wrapped, b"row")


def test_attack_another_context_or_another_key() -> None:
    wrapped = KEY.wrap(SECRET, b"row")
    with pytest.raises(WrappingError, match=r"wrapping\.key does not open"):
        KEY.unwrap(wrapped, b"another row")
    with pytest.raises(WrappingError):
        FileKey(Path("x"), bytes(32)).unwrap(wrapped, b"row")


def test_sabotage_without_the_context_a_moved_row_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "bound", lambda kind, context: bytes((kind,)))
    assert bytes(KEY.unwrap(KEY.wrap(SECRET, b"row"), b"another row")) == SECRET


def test_the_format_byte_says_which_kind_of_key_is_needed() -> None:
    of_token = bytes((wrapping.OF_TOKEN,)) + KEY.wrap(SECRET, b"row")[1:]
    with pytest.raises(WrappingError, match=r"PKCS#11 token, not by the file.*\[keys\]"):
        KEY.unwrap(of_token, b"row")


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "wrapping.key"
    wrapped = FileKey.create(path).wrap(SECRET, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bytes(FileKey.create(path).unwrap(wrapped, b"")) == SECRET
    assert [entry.name for entry in tmp_path.iterdir()] == ["wrapping.key"]


def test_attack_two_make_the_key_at_once(tmp_path: Path) -> None:
    """A rename would let the second replace the key under which the first wraps already."""
    gate = threading.Barrier(8)
    made: list[FileKey] = []

    def one() -> None:
        gate.wait(10)
        made.append(FileKey.create(tmp_path / "wrapping.key"))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wrapped = made[0].wrap(SECRET, b"")
    assert [bytes(key.unwrap(wrapped, b"")) for key in made] == [SECRET] * 8
    assert [entry.name for entry in tmp_path.iterdir()] == ["wrapping.key"]


def test_a_key_that_is_missing_or_damaged_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "wrapping.key"
    with pytest.raises(KeyMissing, match="kapok init"):
        FileKey.load(path)
    for damage in (b"", b"x" * 31, b"x" * 33):
        path.write_bytes(damage)
        with pytest.raises(WrappingError, match="32 bytes"):
            FileKey.load(path)
    with pytest.raises(WrappingError, match="cannot read"):
        FileKey.load(tmp_path)
    with pytest.raises(WrappingError, match="cannot make"):
        FileKey.create(tmp_path / "nowhere" / "wrapping.key")


def test_the_settings_say_which_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(tmp_path)
    settings = load(tmp_path)
    wrapped = wrapping.open_wrapper(settings).wrap(SECRET, b"")
    assert bytes(FileKey.load(tmp_path / "pki" / "wrapping.key").unwrap(wrapped, b"")) == SECRET
    (tmp_path / CONFIG).write_text(
        '[keys.pkcs11]\nmodule = "/m.so"\ntoken = "t"\nlabel = "l"\npin_file = "pin"\n'
    )
    monkeypatch.setitem(__import__("sys").modules, "fleet.identity.wrapping_pkcs11", None)
    with pytest.raises(WrappingError, match=r"pip install 'kapok\[pkcs11\]'"):
        wrapping.open_wrapper(load(tmp_path))
