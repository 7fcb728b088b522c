"""A room of the stage: one program in network, pid and mount namespaces of its own.

The namespaces have no names. They are gone when their last process is, and the kernel kills every process of a pid
namespace with its first one; so a room leaves nothing behind, even when the demo is killed with -9: the room's program
ends when its conversation with the stage does.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final

from auditor.demo.program import PYTHON, Program

NAMESPACES: Final = ("unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "--")
"""unshare(1) waits for the room's first process, which the kernel lets die only after all others in the room."""


def room(module: str, *arguments: str, descriptors: Sequence[int] = ()) -> Program:
    """Make a room for a module of this package, to be entered."""
    return Program(*NAMESPACES, *PYTHON, module, *arguments, descriptors=descriptors, end=signal.SIGKILL)
