"""The auditor's JSON lines as they come, counted."""

from __future__ import annotations

import fcntl
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import IO, NamedTuple

_COUNTED = ("fork", "exec", "exit", "connect", "session", "tick")
_READ = 1 << 20
_STAMP = re.compile(rb'"--rig-id=([0-9]+)"')


class Alert(NamedTuple):
    """An alert about a program that was told its time of start: both times are CLOCK_BOOTTIME in nanoseconds."""

    started_ns: int
    arrived_ns: int


class Stream:
    """Reads the lines in a thread of its own. Most are only counted: the bench must not be slower than the auditor."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._news = threading.Condition()
        self._ended = False
        self.events: Counter[str] = Counter()
        """Lines by `event.action`."""
        self.lost: Counter[str] = Counter()
        """What the auditor says that it lost, by what."""
        self.gpu_ioctls = 0
        self.alerts: list[Alert] = []
        self.first_ns: dict[str, int] = {}
        """When the first line of an action came."""
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _READ)
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)
        self._thread.start()

    def wait(self, condition: Callable[[], bool], patience_s: float) -> bool:
        """Wait until a condition on what has come holds; False if the stream ends or patience does before."""
        with self._news:
            self._news.wait_for(lambda: condition() or self._ended, patience_s)
            return condition()

    def close(self) -> None:
        """Read to the end."""
        self._thread.join()
        self._pipe.close()

    def _read(self) -> None:
        rest = b""
        while block := self._pipe.read1(_READ):  # type: ignore[attr-defined]
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            lines, newline, tail = block.rpartition(b"\n")
            if newline:
                with self._news:
                    self._take(rest + lines, now)
                    self._news.notify_all()
                rest = tail
            else:
                rest += block
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, lines: bytes, now: int) -> None:
        for action in _COUNTED:
            count = lines.count(b'"action":"%b"' % action.encode())
            if count:
                self.events[action] += count
                self.first_ns.setdefault(action, now)
        for line in _holding(lines, b'"action":"loss"'):
            for loss in json.loads(line)["auditor"]["loss"]:
                self.lost[loss["what"]] += loss["count"]
        for line in _holding(lines, b'"action":"gpu-summary"'):
            self.gpu_ioctls += json.loads(line)["auditor"]["gpu"]["total"]
        for line in _holding(lines, b'"kind":"alert"'):
            stamp = _STAMP.search(line)
            if stamp is not None:
                self.alerts.append(Alert(int(stamp[1]), now))


def _holding(lines: bytes, what: bytes) -> list[bytes]:
    return [line for line in lines.split(b"\n") if what in line] if what in lines else []
