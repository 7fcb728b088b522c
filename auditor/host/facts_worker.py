"""Asking for facts about executables: the parent's side of the unprivileged worker.

The worker may hang (on a file system whose server is the watched process) or die (of a file that breaks the parser).
Then it is replaced: the file it was at is answered without facts, the files behind that one are asked about again.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import OrderedDict, deque
from contextlib import suppress
from typing import Final, NamedTuple

from auditor.host.facts import REPLY, blank, record, request
from auditor.model.records import FRAME, FRAME_SIZE, HEADER, HEADER_SIZE, MAX_PAYLOAD

WAITING_LIMIT: Final = 64
"""Requests under way at a time; each holds a file open."""

HANG_NS: Final = 5_000_000_000
"""Time for one file after which the worker is taken to hang, in ns; its own limit is shorter."""

RESTARTS: Final = 10
"""Workers that are started in a minute at most."""

_MINUTE_NS: Final = 60_000_000_000
_LONGEST_REPLY: Final = REPLY.size + FRAME_SIZE + MAX_PAYLOAD + 8


class _Request(NamedTuple):
    message: bytes
    fd: int


class FactsWorker:
    """A worker process and the requests under way.

    `fileno()` is readable when there is something to `receive()`, and stays the same when the worker is replaced. Call
    `receive()` about once a second without news too: that is when a worker that hangs is noticed.
    """

    def __init__(self, uid: int, gid: int, *, hang_ns: int = HANG_NS) -> None:
        """Start the worker as that user and group."""
        self.pid = 0
        """The worker's process id; 0 while there is none."""
        self._ids = (uid, gid)
        self._hang_ns = hang_ns
        self._poll = select.epoll()
        self._socket: socket.socket | None = None
        self._waiting: OrderedDict[int, _Request] = OrderedDict()
        self._last = 0
        self._turn_ns = 0  # when the worker came to the first of `_waiting`
        self._starts: deque[int] = deque(maxlen=RESTARTS)
        self._ending: list[int] = []
        self._start()

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        return self._poll.fileno()

    def request(
        self, fd: int, *, dev: int, ino: int, size: int, ctime_ns: int, tgid: int, start_ns: int, time_ns: int
    ) -> int | None:
        """Ask for facts about an open file, and return the request's number; every number is answered once.

        `fd` stays the caller's; it may have been opened with O_PATH. The other values stand in the record as given: the
        file's identity, the process that runs it, the record's time (times in ns). None: too much is under way, or no
        worker can be had now; the caller counts that as lost.
        """
        if len(self._waiting) >= WAITING_LIMIT or not self._start():
            return None
        number = self._last + 1
        message = request(
            number, dev=dev, ino=ino, size=size, ctime_ns=ctime_ns, tgid=tgid, start_ns=start_ns, time_ns=time_ns
        )
        if not self._send(message, fd):
            return None
        if not self._waiting:
            self._turn_ns = time.monotonic_ns()
        self._last = number
        self._waiting[number] = _Request(message, os.dup(fd))
        return number

    def receive(self) -> list[tuple[int, bytes]]:
        """Return what has been answered, without waiting: (request's number, EXECUTABLE frame)."""
        answers: list[tuple[int, bytes]] = []
        self._reap()
        while self._socket is not None:
            try:
                reply = self._socket.recv(_LONGEST_REPLY, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                reply = b""
            if not self._take(reply, answers):
                answers += self._replace("crashed")
        if self._waiting and time.monotonic_ns() - self._turn_ns > self._hang_ns:
            answers += self._replace("timeout")
        return answers

    def close(self) -> None:
        """End the worker; what is under way is forgotten."""
        self._stop()
        for item in self._waiting.values():
            os.close(item.fd)
        self._waiting.clear()
        self._poll.close()
        for pid in self._ending:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._ending.clear()

    def _take(self, reply: bytes, answers: list[tuple[int, bytes]]) -> bool:
        """Note an answer; False where it is none: the worker hung up, or is no longer itself."""
        if len(reply) < REPLY.size + FRAME_SIZE + HEADER_SIZE:
            return False
        number, frame = REPLY.unpack_from(reply)[0], reply[REPLY.size :]
        item = self._waiting.get(number)
        if item is None or not _answers(item.message, frame):
            return False
        del self._waiting[number]
        os.close(item.fd)
        self._turn_ns = time.monotonic_ns()
        answers.append((number, frame))
        return True

    def _replace(self, status: str) -> list[tuple[int, bytes]]:
        """End this worker, answer for the file it was at, and ask the next worker about the rest."""
        self._stop()
        answers: list[tuple[int, bytes]] = []
        waiting, self._waiting = self._waiting, OrderedDict()
        self._turn_ns = time.monotonic_ns()
        for number, item in waiting.items():
            first = not answers
            if not first and self._start() and self._send(item.message, item.fd):
                self._waiting[number] = item
                continue
            answers.append((number, record(item.message, blank(status))))
            os.close(item.fd)
        return answers

    def _send(self, message: bytes, fd: int) -> bool:
        try:
            return self._socket is not None and bool(
                socket.send_fds(self._socket, [message], [fd], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            )
        except OSError:  # its queue is full, or it has died: `receive` sees to that
            return False

    def _start(self) -> bool:
        """Have a worker; False where too many have been started in the last minute."""
        if self._socket is not None:
            return True
        now = time.monotonic_ns()
        if len(self._starts) == RESTARTS and now - self._starts[0] < _MINUTE_NS:
            return False
        self._starts.append(now)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _be_worker(theirs, *self._ids)
        theirs.close()
        self.pid, self._socket = pid, ours
        self._poll.register(ours, select.EPOLLIN)
        return True

    def _stop(self) -> None:
        if self._socket is None:
            return
        self._poll.unregister(self._socket)
        self._socket.close()
        self._socket = None
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._ending.append(self.pid)
        self.pid = 0

    def _reap(self) -> None:
        # Without waiting: a worker that hangs in the kernel ends only when the file system lets go of it.
        for pid in list(self._ending):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._ending.remove(pid)


def _answers(message: bytes, frame: bytes) -> bool:
    """Whether the frame is whole and its header the one that the request asks for: the worker may only tell facts."""
    expected = record(message, {})
    length = FRAME.unpack_from(frame)[0]
    whole = FRAME_SIZE + length + -length % 8 == len(frame) and length <= MAX_PAYLOAD
    header = slice(FRAME_SIZE, FRAME_SIZE + HEADER.size)
    return whole and frame[header] == expected[header]


def _be_worker(connection: socket.socket, uid: int, gid: int) -> None:
    # pyelftools costs 7 MB of memory, which only the worker is to pay; it is loaded while its files can still be read.
    try:
        from auditor.host import inspection  # noqa: PLC0415

        inspection.run(connection, uid, gid)
    finally:
        os._exit(1)
