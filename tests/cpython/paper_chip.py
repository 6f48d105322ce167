"""A chip's eFuses on paper: as quick as a dictionary, and its power fails where a test says."""

from collections.abc import Sequence

from fleet.flashing.efuses import Fuse, Fuses

PURPOSES = {"SECURE_BOOT_DIGEST0": 9, "SECURE_BOOT_DIGEST1": 10, "SECURE_BOOT_DIGEST2": 11,
            "XTS_AES_128_KEY": 4}  # fmt: skip
_BLOCKS = {"secure_boot_v2": "BLOCK2", "flash_encryption": "BLOCK1"}
_FLAGS = (
    "DIS_DOWNLOAD_MANUAL_ENCRYPT", "DIS_DOWNLOAD_ICACHE", "DIS_DOWNLOAD_DCACHE",
    "DIS_DIRECT_BOOT", "SOFT_DIS_JTAG", "DIS_PAD_JTAG", "DIS_USB_JTAG", "SECURE_BOOT_EN",
    "SPI_BOOT_CRYPT_CNT", "RD_DIS", "ENABLE_SECURITY_DOWNLOAD", "SECURE_BOOT_KEY_REVOKE0",
    "SECURE_BOOT_KEY_REVOKE1", "SECURE_BOOT_KEY_REVOKE2", "ABS_DONE_1", "FLASH_CRYPT_CNT",
    "FLASH_CRYPT_CONFIG", "DISABLE_DL_ENCRYPT", "DISABLE_DL_DECRYPT", "DISABLE_DL_CACHE",
    "CONSOLE_DEBUG_DISABLE", "JTAG_DISABLE", "UART_DOWNLOAD_DIS",
)  # fmt: skip


class PowerCutError(Exception):
    """The power failed."""


class PaperChip:
    """Quacks like EfuseTool. `cut` counts down burns: at 0 one is half done, and power fails."""

    port, is_rehearsal = "", True

    def __init__(self, chip: str, cut: int = -1, deaf: Sequence[str] = ()) -> None:
        self.chip, self.cut, self.deaf = chip, cut, deaf
        self.flash_keys: list[bytes] = []
        self.burns: list[str] = []
        blocks = ["BLOCK1", "BLOCK2"] if chip == "esp32" else [f"BLOCK_KEY{i}" for i in range(6)]
        self.data = dict.fromkeys(blocks, bytes(32))
        self.raw = dict.fromkeys(_FLAGS, 0)
        self.raw |= {f"KEY_PURPOSE_{i}": 0 for i in range(6) if chip != "esp32"}
        self.hidden: set[str] = set()
        self.fixed: set[str] = set()

    def read(self) -> Fuses:
        fields = {
            name: Fuse(raw, str(raw), True, name not in self.fixed)
            for name, raw in self.raw.items()
        }
        for name, data in self.data.items():
            readable = name not in self.hidden
            text = data.hex(" ") if readable else "?? " * 31 + "??"
            fields[name] = Fuse(0, text, readable, name not in self.fixed)
        fields["MAC"] = Fuse(0, "3c:71:bf:00:00:01 (OK)", True, False)
        fields["WAFER_VERSION_MAJOR"] = Fuse(3, "3", True, False)
        return Fuses(fields)

    def burn(self, words: Sequence[str], key: bytes | None = None) -> None:
        if self.cut == 0:
            if words[0] == "burn-key" and key is not None:  # the key before its protection
                self._write(_BLOCKS.get(words[1], words[1]), key)
            raise PowerCutError
        self.cut -= 1
        self.burns.append(" ".join(words))
        command, *rest = words
        if command == "burn-key":
            assert key is not None
            block = _BLOCKS.get(rest[0], rest[0])
            self._write(block, key)
            purpose = rest[2] if len(rest) > 2 else ""
            if purpose:
                number = f"KEY_PURPOSE_{block[-1]}"
                self.raw[number] = PURPOSES[purpose]
                self.fixed.add(number)
            self.fixed.add(block)
            if purpose == "XTS_AES_128_KEY" or rest[0] == "flash_encryption":
                self.hidden.add(block)
        elif command == "burn-efuse":
            for name, value in zip(rest[::2], rest[1::2], strict=True):
                assert name not in self.fixed, name
                if name not in self.deaf:
                    self.raw[name] |= int(value)
        elif command == "write-protect-efuse":
            self.fixed.add(rest[0])
        else:
            assert command == "read-protect-efuse"
            assert "RD_DIS" not in self.fixed
            self.hidden.add(rest[0])

    def _write(self, block: str, key: bytes) -> None:
        assert block not in self.fixed
        assert self.data[block] in {bytes(32), key}, "a second key over the first"
        self.data[block] = bytes(key)
        if block in {"BLOCK1", "BLOCK_KEY3"}:
            self.flash_keys.append(bytes(key))
