"""Messages between the stage and the programs in its rooms: JSON over a socket that keeps message boundaries.

The kernel puts the sender's pid on each message, translated for the receiver: that is how the stage, outside a room's
pid namespace, knows the processes in it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from typing import Any, Final, NamedTuple

MESSAGE_LIMIT: Final = 64 * 1024
"""Bytes; far above any message that a program of the demo sends."""

UCRED: Final = struct.Struct("iII")
"""`struct ucred` of socket(7): pid, uid, gid."""


class Message(NamedTuple):
    """One message received."""

    document: dict[str, Any]
    pid: int
    """The sender, as the receiver's pid namespace numbers it."""


class Channel:
    """One end of a conversation. Messages that nobody waited for yet are kept, in order."""

    def __init__(self, end: socket.socket) -> None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket = end
        self._backlog: list[Message] = []

    def fileno(self) -> int:
        """Give the descriptor, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the conversation."""
        self._socket.close()

    def send(self, **document: Any) -> None:
        """Send one message. Raises OSError when the other end is gone."""
        self._socket.send(json.dumps(document).encode())

    def receive(self, timeout: float | None = None) -> Message | None:
        """Take the next message; None when the other end is gone. Raises TimeoutError after `timeout` seconds."""
        if self._backlog:
            return self._backlog.pop(0)
        return self._read(timeout)

    def expect(self, event: str, timeout: float) -> Message | None:
        """Take the first message whose `event` is this one and keep the others; otherwise as `receive`."""
        for at, message in enumerate(self._backlog):
            if message.document.get("event") == event:
                return self._backlog.pop(at)
        deadline = time.monotonic() + timeout
        while (message_or_none := self._read(max(0.0, deadline - time.monotonic()))) is not None:
            if message_or_none.document.get("event") == event:
                return message_or_none
            self._backlog.append(message_or_none)
        return None

    def _read(self, timeout: float | None) -> Message | None:
        readable, _, _ = select.select([self._socket], [], [], timeout)
        if not readable:
            raise TimeoutError
        try:
            data, ancillary, _, _ = self._socket.recvmsg(MESSAGE_LIMIT, socket.CMSG_SPACE(UCRED.size))
        except ConnectionError:
            return None
        if not data:
            return None
        pid = next((UCRED.unpack(value)[0] for _, kind, value in ancillary if kind == socket.SCM_CREDENTIALS), 0)
        return Message(json.loads(data), pid)


def pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def on_standard_input() -> Channel:
    """Take the channel that this program was started with off standard input, where what it starts would find it."""
    moved = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(socket.socket(fileno=moved))
