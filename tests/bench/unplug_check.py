"""Whether a board and its fleet agree, told from flash.bin and by SQL: no code of `fleet` decides.

NVS is read as the chip reads it (hil.virtual.nvs), the file system by littlefs itself, the fleet's
secrets are opened with its wrapping key by AES-GCM alone.
"""

import hashlib
import random
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_private_key
from littlefs import LittleFS

from hil.virtual.nvs import Nvs

# hw/partitions/4MiB.csv, in numbers of its own: a wrong table is to be seen.
FLASH = 4 << 20
NVS_AT, NVS_SIZE = 0x9000, 0x4000
APP_AT = 0x10000
RESCUE_AT = 0x348000
VFS_AT = 0x36C000
BLOCK = 4096
WORN = 12  # sectors of older code
NAMES = ("cfg", "key", "cert", "ca", "oscore", "key2", "csr2", "hmac")


def _mounted(flash: bytes) -> LittleFS:
    raw = flash[VFS_AT:FLASH]
    fs = LittleFS(
        block_size=BLOCK, block_count=len(raw) // BLOCK, read_size=32, prog_size=32,
        cache_size=128, lookahead_size=32, name_max=255, mount=False,
    )  # fmt: skip
    fs.context.buffer[:] = raw
    fs.mount()
    return fs


def files(flash: bytes) -> dict[str, bytes]:
    """The files of the vfs partition; what littlefs raises where there is none."""
    fs = _mounted(flash)
    found = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with fs.open(path, "rb") as file:
                found[path] = bytes(file.read())
    return found


class Reference:
    """What `flash` lies on a board that was flashed without a cut, and not provisioned."""

    def __init__(self, flash: bytes, runtime: bytes) -> None:
        """AssertionError where that is not the runtime's image with an application."""
        app = runtime[APP_AT:]  # the S3's bootloader is at 0
        assert len(app) > 1_000_000
        assert flash[APP_AT : APP_AT + len(app)] == app, "the runtime is not on the board"
        # A bootloader's header tells the size of the flash, and its last 32 bytes are a digest.
        assert flash[0x20:0x1000] == runtime[0x20:0x1000], "the bootloader is not on the board"
        assert flash[0x8000:0x8002] == b"\xaa\x50", "there is no partition table"
        assert flash[NVS_AT : NVS_AT + NVS_SIZE].count(0xFF) > NVS_SIZE - 64, "NVS was written"
        self.files = files(flash)
        assert {"/boot.py", "/main.py", "/a.romfs"} <= self.files.keys(), sorted(self.files)
        self._flash = flash
        rescue = range(RESCUE_AT, VFS_AT, BLOCK)
        self._code = [*range(APP_AT, APP_AT + len(app), BLOCK), *rescue]

    def used(self, chance: random.Random, journal: bytes) -> bytes:
        """The flash of a board with older code, and a journal that must not be lost."""
        flash = bytearray(self._flash)
        for _ in range(WORN):
            at = chance.choice(self._code)
            flash[at : at + BLOCK] = chance.randbytes(BLOCK)
        fs = _mounted(self._flash)
        fs.makedirs("/journal", exist_ok=True)
        for name, data in (("/journal/0", journal), ("/a.romfs", self.files["/a.romfs"][::-1])):
            with fs.open(name, "wb") as file:
                file.write(data)
        flash[VFS_AT:FLASH] = fs.context.buffer
        return bytes(flash)

    def differs(self, flash: bytes) -> list[str]:
        """Where a board's flash is not so; NVS, and what the node itself has filed, aside."""
        wrong = []
        for name, start, end in (
            ("bootloader", 0, 0x8000), ("partition table", 0x8000, NVS_AT),
            ("otadata", NVS_AT + NVS_SIZE, APP_AT), ("runtime and rescue", APP_AT, VFS_AT),
        ):  # fmt: skip
            if flash[start:end] != self._flash[start:end]:
                wrong.append(f"{name} differs")
        try:
            there = files(flash)
        except Exception as e:  # littlefs has many, and each is one finding
            return [*wrong, f"the file system does not mount: {e!r}"]
        return wrong + [f"{n} differs" for n, data in self.files.items() if there.get(n) != data]


def identity(flash_file: Path) -> dict[str, Any]:
    """What the node's namespace in NVS holds, as the chip would read it."""
    nvs = Nvs(flash_file)
    nvs.locate(NVS_AT, NVS_SIZE)
    return {name: nvs.get("kapok", name) for name in NAMES}


def _pair(ours: dict[str, Any], node: str) -> list[str]:
    cert = x509.load_der_x509_certificate(ours["cert"])
    ca = x509.load_der_x509_certificate(ours["ca"])
    key, spare = (load_der_private_key(ours[name], None) for name in ("key", "key2"))
    csr = x509.load_der_x509_csr(ours["csr2"])
    wrong = []
    if cert.public_key() != key.public_key():
        wrong.append("its key is not that of its certificate")
    if csr.public_key() != spare.public_key() or spare.public_key() == key.public_key():
        wrong.append("its spare key is not that of its request")
    if node not in cert.subject.rfc4514_string():
        wrong.append(f"its certificate is of {cert.subject.rfc4514_string()}")
    if ca.subject != ca.issuer:
        wrong.append("what it trusts is no root")
    return wrong


def journal_saved(folder: Path, node: str, journal: bytes) -> bool:
    """Whether a file of this node in the folder has what lay in its journal."""
    for path in folder.glob(f"journal-{node}-*.kj"):
        with tarfile.open(path) as archive:
            member = archive.extractfile("journal/0")
            if member is not None and member.read() == journal:
                return True
    return False


class Books:
    """The fleet's database and wrapping key, read only."""

    def __init__(self, data: Path) -> None:
        self._path = data / "kapok.db"
        self._cipher = AESGCM((data / "pki" / "wrapping.key").read_bytes())

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Of one SELECT."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
            return list(database.execute(statement, values))

    def _open(self, wrapped: bytes, context: bytes) -> bytes:
        return self._cipher.decrypt(wrapped[1:13], wrapped[13:], wrapped[:1] + context)

    def disagrees(self, node: str, ours: dict[str, Any]) -> list[str]:
        """What the fleet has otherwise than the board, or more than once, or pending."""
        wrong = []
        cert = x509.load_der_x509_certificate(ours["cert"])
        fingerprint = hashlib.sha256(ours["cert"]).hexdigest()
        live = self.rows(
            """SELECT serial, fingerprint, active_for, next_for FROM certificates WHERE subject = ?
            AND serial NOT IN (SELECT serial FROM revoked_serials)""",
            node,
        )
        if live != [(f"{cert.serial_number:040x}", fingerprint, node, None)]:
            wrong.append(f"live certificates: {[(r[0][:8], *r[2:]) for r in live]}")
        contexts = self.rows(
            """SELECT kid, secret, state, current_for, next_for FROM oscore_contexts
            WHERE node_id = ? AND kid IS NOT NULL""",
            node,
        )
        if [row[2:] for row in contexts] != [("current", node, None)]:
            wrong.append(f"OSCORE contexts: {[row[2:] for row in contexts]}")
        else:
            kid, wrapped = contexts[0][:2]
            secret = self._open(wrapped, b"oscore\0" + node.encode() + b"\0" + kid)
            if ours["oscore"] != b"\x82\x43" + kid + b"\x50" + secret:  # CBOR [kid, secret]
                wrong.append("its OSCORE context is not the fleet's")
        keys = self.rows(
            "SELECT secret, current_for, next_for FROM node_hmac_keys WHERE node_id = ?", node
        )
        if [row[1:] for row in keys] != [(node, None)]:
            wrong.append(f"HMAC keys: {[row[1:] for row in keys]}")
        elif self._open(keys[0][0], b"hmac\0" + node.encode()) != ours["hmac"]:
            wrong.append("its HMAC key is not the fleet's")
        spare = self.rows("SELECT csr FROM spare_requests WHERE node_id = ?", node)
        if spare != [(ours["csr2"],)]:
            wrong.append("its spare request is not the fleet's")
        if self.rows("SELECT count(*) FROM terminals WHERE id = ?", node) != [(1,)]:
            wrong.append("it is not registered")
        return wrong


def board_problems(
    flash_file: Path, node: str, reference: Reference, books: Books
) -> tuple[list[str], dict[str, Any]]:
    """All that is wrong with a board that should be good, and what its NVS holds."""
    wrong = reference.differs(flash_file.read_bytes())
    ours = identity(flash_file)
    missing = [name for name, value in ours.items() if not isinstance(value, bytes)]
    if missing:
        return [*wrong, f"NVS has no {', '.join(missing)}"], ours
    try:
        return [*wrong, *_pair(ours, node), *books.disagrees(node, ours)], ours
    except ValueError as e:
        return [*wrong, f"NVS holds what cannot be read: {e}"], ours
