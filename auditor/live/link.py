"""The link between the two sides: blocks of whole frames one way, a few words the other way."""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

_PREFIX: Final = struct.Struct("<I")
MAX_BLOCK: Final = 4 << 20
"""Bytes; no block is longer."""
HIGH_WATER: Final = 4 << 20
"""Bytes waiting to be sent, above which the sender should stop reading the ring: the ring is the queue."""


class BlockSender:
    """The privileged end: queues blocks, sends what the engine has room for."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over one end of a stream socket pair."""
        sock.setblocking(False)
        self._socket = sock
        self._queue: deque[memoryview] = deque()
        self.waiting = 0
        """Bytes queued."""

    def fileno(self) -> int:
        """Return the socket, to wait on."""
        return self._socket.fileno()

    @property
    def full(self) -> bool:
        """More is waiting than should be."""
        return self.waiting > HIGH_WATER

    def put(self, block: bytes) -> None:
        """Queue a block of whole frames and send what can be sent."""
        self._queue.append(memoryview(_PREFIX.pack(len(block)) + block))
        self.waiting += len(block) + _PREFIX.size
        self.flush()

    def flush(self) -> bool:
        """Send what can be sent without waiting; True if nothing is left.

        Raises:
            BrokenPipeError: the engine is gone.

        """
        queue = self._queue
        while queue:
            try:
                sent = self._socket.send(queue[0])
            except BlockingIOError:
                return False
            self.waiting -= sent
            if sent == len(queue[0]):
                queue.popleft()
            else:
                queue[0] = queue[0][sent:]
        return True

    def finish(self) -> None:
        """Send all that is left, waiting as long as it takes, and say that nothing more comes."""
        self._socket.setblocking(True)
        self.flush()
        self._socket.shutdown(socket.SHUT_WR)


def receive_blocks(sock: socket.socket) -> Iterator[bytes]:
    """Yield blocks, at the engine's end, until the other side ends. A block cut off by its death is dropped."""
    with sock.makefile("rb", buffering=1 << 18) as stream:
        while len(prefix := stream.read(_PREFIX.size)) == _PREFIX.size:
            (length,) = _PREFIX.unpack(prefix)
            block = stream.read(length)
            if len(block) < length:
                return
            yield block


def send_word(sock: socket.socket, word: dict[str, Any]) -> None:
    """Send a word from the engine: `ready`, `quit`, `error`."""
    sock.sendall(json.dumps(word).encode() + b"\n")


class WordReader:
    """The privileged end of the words."""

    def __init__(self, sock: socket.socket) -> None:
        """Read from the same socket that blocks are sent on."""
        self._socket = sock
        self._text = b""
        self.closed = False

    def read(self, *, wait: bool = False) -> list[dict[str, Any]]:
        """Return the words that have come. With `wait`, wait for one; an empty list then means: the engine is gone."""
        self._socket.setblocking(wait)
        try:
            while not self.closed:
                part = self._socket.recv(4096)
                self.closed = not part
                self._text += part
                if wait and b"\n" in self._text:
                    break
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.closed = True
        finally:
            self._socket.setblocking(False)
        *lines, self._text = self._text.split(b"\n")
        return [json.loads(line) for line in lines]
