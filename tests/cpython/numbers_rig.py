"""NVS and RTC memory of a board on which the power may fail in the middle of any operation."""

_NOT_FOUND = -0x1102


class PowerCut(BaseException):
    """The firmware stops here; what follows of it never happens."""


class Fuse:
    """Blows at the operation after `left` more ones; never while `left` is None."""

    def __init__(self) -> None:
        self.left: int | None = None

    def pass_one(self) -> None:
        """One operation begins or has ended."""
        if self.left is not None:
            if self.left == 0:
                self.left = None
                raise PowerCut
            self.left -= 1


class Nvs:
    """As `esp32.NVS`: what was set is kept by a commit. `fault`: get, set or commit fails."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.kept: dict[str, int] = {}
        self.pending: dict[str, int] = {}
        self.writes = 0
        self.fault = ""
        self._fuse = fuse or Fuse()

    def get_i32(self, key: str) -> int:
        self._begin("get")
        values = {**self.kept, **self.pending}
        if key not in values:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return values[key]

    def set_i32(self, key: str, value: int) -> None:
        self._begin("set")
        self.pending[key] = value
        self.writes += 1
        self._fuse.pass_one()

    def commit(self) -> None:
        self._begin("commit")
        self.kept.update(self.pending)
        self.pending.clear()
        self._fuse.pass_one()

    def reset(self) -> None:
        """The chip was reset: what was not committed is gone."""
        self.pending.clear()

    def _begin(self, operation: str) -> None:
        self._fuse.pass_one()
        if self.fault == operation:
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")


class Rtc:
    """As `machine.RTC().memory`; a reset may leave a write half done."""

    def __init__(self, fuse: Fuse | None = None) -> None:
        self.data = b""
        self._fuse = fuse or Fuse()

    def __call__(self, data: bytes | None = None) -> bytes | None:
        if data is None:
            return self.data
        self._fuse.pass_one()
        half = len(data) // 2
        self.data = data[:half] + self.data[half:]
        self._fuse.pass_one()
        self.data = data
        self._fuse.pass_one()
        return None
