"""Parts of the shims that are loaded when the firmware first uses them.

On a chip they are C and take no heap; here a wake pays at least for no more than what it uses.
"""

import sys

import vfs

lacks = ()  # what MicroPython's port has not for this chip
loading = False
image = None  # the VfsRom: set by the bootstrap, mounted only while a part is loaded


def module(name):
    """Import one of the shims' modules."""
    global loading  # noqa: PLW0603
    if loading:  # by one that asks for another
        return __import__(name)
    loading = True
    vfs.mount(image, "/shims")
    sys.path.insert(0, "/shims")
    try:
        return __import__(name)
    finally:
        sys.path.remove("/shims")
        vfs.umount("/shims")
        loading = False


def load(module_name, name):
    """Find `name` for the `__getattr__` of a module: class Pin of `machine` is in _machine_pin,
    what is no class of its own in _machine_more.
    """
    if name in lacks or name.startswith("_"):
        raise AttributeError(name)
    for part in (name.lower(), "more"):
        try:
            value = getattr(module("_%s_%s" % (module_name, part)), name)
            setattr(sys.modules[module_name], name, value)
            return value
        except ImportError:
            pass
    raise AttributeError(name)
