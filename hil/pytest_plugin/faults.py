"""Whether a test failed by its rig or by its node."""

import pytest

from hil.faults import RigFault

__all__ = ["RigFault", "rig_fault"]

# Of labgrid and pyserial, by name: neither need be imported to look at a failure. A command that
# failed on the node (ExecutionError) is the node's.
_RIG_CLASSES = frozenset({
    "labgrid.binding.BindingError",
    "labgrid.binding.StateError",
    "labgrid.exceptions.NoDriverFoundError",
    "labgrid.exceptions.NoResourceFoundError",
    "serial.serialutil.SerialException",
})  # fmt: skip


def rig_fault(error: BaseException | None) -> str | None:
    """The rig's fault that `error` is, or was raised from, in one line; None where there is none.
    An exception group is the rig's if all in it is.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, BaseExceptionGroup):
            texts = [rig_fault(each) for each in error.exceptions]
            return None if None in texts else "; ".join(text for text in texts if text)
        if isinstance(error, RigFault) or not _RIG_CLASSES.isdisjoint(_names(error)):
            return " ".join(str(getattr(error, "msg", error)).split()) or type(error).__name__
        error = error.__cause__
    return None


def _names(error: BaseException) -> set[str]:
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}


def of_call(call: pytest.CallInfo[None]) -> str | None:
    """The rig's fault in one phase of a test."""
    return rig_fault(call.excinfo.value) if call.excinfo is not None else None
