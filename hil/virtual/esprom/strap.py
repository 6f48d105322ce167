"""Sees esptool's SYNC among the bytes for an application, without keeping those back."""

from hil.virtual.esprom.frames import SYNC_FRAME


class SyncWatch:
    """What may be the beginning of a SYNC is held until it is one or is not."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What is for the application; and from the SYNC on, where one is complete."""
        data = self._held + data
        self._held = b""
        found = data.find(SYNC_FRAME)
        if found >= 0:
            return data[:found], data[found:]
        keep = min(len(data), len(SYNC_FRAME) - 1)
        while keep and not SYNC_FRAME.startswith(data[-keep:]):
            keep -= 1
        if keep:
            self._held = data[-keep:]
            return data[:-keep], None
        return data, None

    def give_up(self) -> bytes:
        """What was held, because nothing followed."""
        held, self._held = self._held, b""
        return held
