"""JSON lines: one ECS document a line."""

from __future__ import annotations

from typing import BinaryIO, Final

from auditor.errors import AuditorError
from auditor.model.alerts import Alert
from auditor.model.events import Event, Start
from auditor.model.processes import Process
from auditor.model.records import Kind
from auditor.sinks.documents import Documents

_FULL: Final = 64 * 1024


class JsonLines:
    """Writes alerts, and events where asked to, to a binary stream.

    Lines of events are gathered and written together: when there are many, with every tick of the stream, and before
    an alert, which is written at once.
    """

    def __init__(self, stream: BinaryIO, *, events: bool = False, name: str = "") -> None:
        """`name` is the stream's name in errors."""
        self._stream = stream
        self._all = events
        self._name = name or str(getattr(stream, "name", "")) or "the output"
        self._documents = Documents()
        self._lines: list[bytes] = []
        self._size = 0
        self._broken = False

    def event(self, event: Event, process: Process | None) -> None:
        """Render an event, if events are asked for. AuditorError, once, where the stream cannot be written."""
        if not self._all:
            if isinstance(event, Start):
                self._documents.begin(event)
            return
        line = self._documents.event(event, process)
        self._lines.append(line)
        self._size += len(line)
        if self._size > _FULL or event.kind == Kind.TICK:
            self._write()

    def alert(self, alert: Alert) -> None:
        """Write an alert, at once. AuditorError, once, where the stream cannot be written."""
        self._lines.append(self._documents.alert(alert))
        self._write()

    def close(self) -> None:
        """Write what is gathered. The stream stays open: it is the caller's."""
        self._write()

    def _write(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if self._broken or not lines:
            return
        lines.append(b"")
        try:
            _write_all(self._stream, b"\n".join(lines))
            self._stream.flush()
        except OSError as error:
            self._broken = True
            raise AuditorError(f"cannot write {self._name}: {error.strerror or error}") from error


def _write_all(stream: BinaryIO, content: bytes) -> None:
    """Write everything, also to a stream without a buffer, which may take a part only."""
    rest = memoryview(content)
    while rest:
        written = stream.write(rest)
        rest = rest[written if written is not None else len(rest) :]
