"""Where the data files are that ship with the package: firmware sources and hardware data."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data(name: str) -> Path:
    """A wheel carries the folder under `_data`; an editable install has it beside the package."""
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name!r} is neither in the package nor beside it")


def firmware_dir() -> Path:
    """Folder that holds `boot.py` and the `node` package, as sources."""
    return _data("firmware")


def hw_dir() -> Path:
    """Folder that holds boards, node types, modems and partition tables."""
    return _data("hw")


def udev_rule() -> Path:
    """The rule that lets technicians open the ports of hw/usb.toml."""
    return _data("deploy/udev") / "70-kapok.rules"
