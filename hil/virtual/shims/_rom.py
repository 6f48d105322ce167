"""Parts of the shims that are loaded when the firmware first uses them.

On a chip they are C and take no heap; here a wake pays at least for no more than what it uses.
"""

import sys

import vfs

image = None  # the VfsRom: set by the bootstrap, mounted only while a part is loaded


def load(module, name):
    """Find `name` for the `__getattr__` of `module`: class Pin of `machine` is in _machine_pin."""
    vfs.mount(image, "/shims")
    sys.path.insert(0, "/shims")
    try:
        value = getattr(__import__("_%s_%s" % (module, name.lower())), name)
    except ImportError:
        raise AttributeError(name)
    finally:
        sys.path.remove("/shims")
        vfs.umount("/shims")
    setattr(sys.modules[module], name, value)
    return value
