"""Facts about executables, put into the stream before the exec that needs them.

An executable that was not seen before is opened here (it takes root to reach /proc/PID/exe, and the process may be gone
in a moment) and parsed by the facts worker, which has no privileges. Meanwhile the stream stands still, but for no
longer than `PATIENCE_NS`, and in all for no longer than a part of the time: what comes later still comes, as a record
of its own.
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from auditor.decode.layout import EXEC
from auditor.host.executables import open_executable
from auditor.host.facts_worker import FactsWorker
from auditor.model.records import FRAME_SIZE, HEADER, HEADER_SIZE

PATIENCE_NS: Final = 60_000_000
"""The longest that one exec waits for its facts."""
BUDGET_NS: Final = 250_000_000
"""The longest that execs wait in any second, all together."""
_SECOND_NS: Final = 1_000_000_000
KNOWN_FILES: Final = 2048
"""Files remembered as asked for; fewer than lineage remembers facts of: it must not forget what is not asked again."""

_IDENTITY: Final = struct.Struct("<I8xQQqq")  # dev, ino, size, mtime_ns, ctime_ns in struct exec_record
_IDENTITY_AT: Final = FRAME_SIZE + HEADER_SIZE + 52
_PARENT: Final = struct.Struct("<I")
_PARENT_AT: Final = FRAME_SIZE + HEADER_SIZE + 8
_PATH_LENGTH: Final = struct.Struct("<H")
_PATH_LENGTH_AT: Final = FRAME_SIZE + HEADER_SIZE + 112


class FactsGate:
    """A queue of blocks that holds back what comes after an exec whose facts are being read."""

    def __init__(self, worker: FactsWorker, put: Callable[[bytes], None], clock: Callable[[], int]) -> None:
        """Pass blocks on to `put`. `clock` gives nanoseconds since boot."""
        self._worker = worker
        self._put = put
        self._clock = clock
        self._known: OrderedDict[tuple[int, int, int, int], None] = OrderedDict()
        self._queue: deque[bytes | int] = deque()
        """Blocks, and numbers of the requests to wait for between them."""
        self._answers: dict[int, bytes] = {}
        self._deadlines: dict[int, int] = {}
        self._waited: deque[tuple[int, int]] = deque()
        """(when, how long) of the waits in the last second."""
        self._waiting_since: int | None = None
        self.late = 0
        """Files whose facts nobody waited for, because the budget was spent."""
        self.refused = 0
        """Files that the worker could not take on."""

    def fileno(self) -> int:
        """Readable when facts have come."""
        return self._worker.fileno()

    def put(self, block: bytes, execs: list[int]) -> None:
        """Pass a block on; `execs` are the offsets of its EXEC and SEED frames."""
        start = 0
        for at in execs:
            request = self._request(block, at)
            if request is not None:
                if at > start:
                    self._queue.append(block[start:at])
                self._queue.append(request)
                start = at
        if start == 0 and not self._queue:
            self._put(block)
            return
        self._queue.append(block[start:])
        self.poll()

    def poll(self) -> None:
        """Take in the facts that have come, and pass on what no longer has to wait."""
        for request, frame in self._worker.receive():
            if self._deadlines.pop(request, None) is None:
                self._queue.append(frame)  # nobody waits for it any more
            else:
                self._answers[request] = frame
        queue, now = self._queue, self._clock()
        while queue:
            head = queue[0]
            if isinstance(head, bytes):
                self._put(head)
            elif head in self._answers:
                self._put(self._answers.pop(head))
                self._end_wait(now)
            elif now >= self._deadlines.get(head, 0):
                self._deadlines.pop(head, None)
                self._end_wait(now)
            else:
                if self._waiting_since is None:
                    self._waiting_since = now
                return
            queue.popleft()

    @property
    def holding(self) -> bool:
        """Something waits for facts."""
        return bool(self._queue)

    def drain(self, wait: Callable[[int], None]) -> None:
        """Pass on everything, waiting for facts as long as their execs would have; `wait(ns)` waits for the worker."""
        self.poll()
        while self._queue:
            wait(1_000_000)
            self.poll()

    def _request(self, block: bytes, at: int) -> int | None:
        """Ask for the facts of an exec's file. Returns the number to wait for, None where nothing is waited for."""
        dev, ino, size, _, ctime_ns = _IDENTITY.unpack_from(block, at + _IDENTITY_AT)
        identity = (dev, ino, size, ctime_ns)
        if identity in self._known:
            self._known.move_to_end(identity)
            return None
        header = HEADER.unpack_from(block, at + FRAME_SIZE)
        tgid, time_ns, start_ns = header[2], header[3], header[4]
        (parent_tgid,) = _PARENT.unpack_from(block, at + _PARENT_AT)
        fd = open_executable(tgid, parent_tgid, _path(block, at), size=size, ctime_ns=ctime_ns)
        if fd is None:
            return None  # gone already; asked again with the next process that runs the file
        try:
            request = self._worker.request(
                fd, dev=dev, ino=ino, size=size, ctime_ns=ctime_ns, tgid=tgid, start_ns=start_ns, time_ns=time_ns
            )
        finally:
            os.close(fd)
        if request is None:
            self.refused += 1
            return None
        self._known[identity] = None
        if len(self._known) > KNOWN_FILES:
            self._known.popitem(last=False)
        if not self._may_wait():
            self.late += 1
            return None
        self._deadlines[request] = self._clock() + PATIENCE_NS
        return request

    def _may_wait(self) -> bool:
        now = self._clock()
        while self._waited and self._waited[0][0] < now - _SECOND_NS:
            self._waited.popleft()
        return sum(spent for _, spent in self._waited) < BUDGET_NS

    def _end_wait(self, now: int) -> None:
        if self._waiting_since is not None:
            self._waited.append((now, now - self._waiting_since))
            self._waiting_since = None


def _path(block: bytes, at: int) -> bytes:
    """Put together the executable's path, which an exec record holds as components from the leaf up."""
    (length,) = _PATH_LENGTH.unpack_from(block, at + _PATH_LENGTH_AT)
    start = at + FRAME_SIZE + EXEC.size
    return b"/" + b"/".join(reversed(block[start : start + length].split(b"\0")[:-1]))
