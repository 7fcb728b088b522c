"""Starting the engine: a process forked from the privileged side before anything is loaded."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
from typing import Final, NoReturn

from auditor.errors import AuditorError
from auditor.live.link import send_word
from auditor.live.options import Options

_PR_SET_NAME: Final = 15


def unprivileged_ids() -> tuple[int, int]:
    """User and group that everything unprivileged runs as: `auditor` where that user exists, else `nobody`."""
    for name in ("auditor", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def start_engine(options: Options) -> tuple[int, socket.socket]:
    """Fork the engine; returns its pid and this side's end of the link."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _main(options, theirs)
    theirs.close()
    return pid, ours


def _main(options: Options, link: socket.socket) -> NoReturn:
    code = 0
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end of the stream is what ends this process
        ctypes.CDLL(None).prctl(_PR_SET_NAME, b"auditor-engine", 0, 0, 0)
        # Here, so that the privileged side never loads what judges, and is loading the probes meanwhile.
        from auditor.live.judging import judge  # noqa: PLC0415

        judge(options, link, unprivileged_ids(), lambda: _tell(link, {"quit": "quit"}))
    except AuditorError as error:
        code = error.exit_code
        _tell(link, {"error": str(error), "exit_code": code})
    except BaseException as error:  # noqa: BLE001 - a child of fork must not unwind into its parent's code
        code = 1
        _tell(link, {"error": f"the engine failed: {type(error).__name__}: {error}", "exit_code": code})
    finally:
        os._exit(code)


def _tell(link: socket.socket, word: dict[str, object]) -> None:
    try:
        send_word(link, word)
    except OSError:
        return  # the other side is gone; there is nobody to tell
