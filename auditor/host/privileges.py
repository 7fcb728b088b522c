"""Giving up root for good, before a process touches what the watched wrote."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from auditor.errors import HostError

# Numbers from Linux' include/uapi/linux/prctl.h and capability.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAPABILITY_WORDS: Final = 6  # two blocks of effective, permitted, inheritable
_MOST_CAPABILITIES: Final = 64

_libc = ctypes.CDLL(None, use_errno=True)


def drop_privileges(uid: int, gid: int) -> None:
    """Become `uid` and `gid` with no way back: no other groups, no capability in any set, no_new_privs, not dumpable.

    Raises HostError where any part of it did not take. A process that is not root can only shed, not change its ids.
    """
    try:
        if os.geteuid() == 0:
            _empty_bounding_set()
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        _clear_capabilities()
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)
    except OSError as error:
        raise HostError(f"cannot give up privileges: {error.strerror}") from error
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3:
        raise HostError(f"cannot become uid {uid} and gid {gid}: run as root")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, its parent, ends.

    Call it after `drop_privileges`: a change of ids forgets it. Where the parent is gone already, it ends here.
    """
    _prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(1)


def _empty_bounding_set() -> None:
    for capability in range(_MOST_CAPABILITIES):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # EINVAL: past the last one that this kernel knows
            return


def _clear_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * _CAPABILITY_WORDS)()
    if _libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _prctl(option: int, value: int) -> None:
    word = ctypes.c_ulong
    if _libc.prctl(option, word(value), word(0), word(0), word(0)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
