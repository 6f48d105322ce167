"""A process that holds private keys of nodes: nothing of its memory may reach a disk."""

import contextlib
import ctypes
import resource

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_MCL_CURRENT, _MCL_FUTURE = 1, 2  # asm-generic/mman.h


def no_dumps() -> None:
    """No core dump of this process or of its children, whatever ends them, and no debugger.

    The pages stay out of swap too where the user may lock memory.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # children inherit it
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:  # a lower limit would make later allocations fail
        with contextlib.suppress(AttributeError):
            libc.mlockall(_MCL_CURRENT | _MCL_FUTURE)
