r"""The text sink: one line an alert, for people and for grep.

    2026-11-21T10:00:11.000Z HIGH rule="Reverse SSH tunnel" session=rome tool_call=t7 pid=4122 to=203.0.113.66:22
    transport=tcp scope=external tree=bash>ssh cmd=ssh -fN -R 8080:localhost:22 root@203.0.113.66

(one line in truth). A line is a time in UTC, a word in capitals, then `name=value` fields, always in this order:

    rule        the rule's title
    session     the session's id
    tool_call   the tool call's id
    pid         the offender's
    to          what the evidence points at: ADDRESS:PORT, a device, an executable
    transport   of a connection: tcp, udp
    scope       of its address: external, private, ...
    lost        what was lost in the alert's time window, as WHAT:COUNT joined by commas; only where something was
    doubt       `lineage`: not every birth in the tree was seen; `args`: arguments were cut; only where there is one
    tree        names of the programs from the tool call's first process down to the offender, joined by `>`
    cmd         the offender's arguments, to the end of the line, because an agent can make them long

A value that is not known is `-`. A value is one word, or in double quotes, in which `\"`, `\\` and the escapes of
`auditor.sinks.escape` stand; of `tree` and `cmd` that holds for each name and each argument. With `events="all"` each
event is a line too: TIME EVENT action=... session=... tool_call=... pid=... to=... and, by what it was, cmd=... or
details=...
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, TextIO

from auditor.errors import AuditorError
from auditor.model.alerts import Alert, Quality
from auditor.model.events import Connect, Event, Exec, Start, Tick
from auditor.model.processes import Process
from auditor.sinks.escape import command, escape, quote
from auditor.sinks.wording import args_then, describe, target

_COLOURS: Final = {"critical": "\x1b[1;37;41m", "high": "\x1b[1;31m", "medium": "\x1b[33m", "low": "\x1b[36m"}
_STRONG: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, in seconds since 1970: a damaged stream may hold any time."""
_TREE_ENDS: Final = 8
"""Of a longer tree, this many names are shown from its top and as many from its bottom."""


class TextSink:
    """Writes lines to a stream; in colour where asked to."""

    def __init__(self, stream: TextIO, *, events: str = "alerts", colour: bool = False, name: str = "") -> None:
        """`events` is `alerts`, or `all` for a line for each event as well. `name` is the stream's name in errors."""
        self._stream = stream
        self._all = events == "all"
        self._colour = colour
        self._name = name or str(getattr(stream, "name", "the output"))
        self._ascii = not (getattr(stream, "encoding", None) or "").lower().startswith("utf")
        self._offset_ns = 0
        self._second = -1
        self._stamp = ""
        self._broken = False

    def event(self, event: Event, process: Process | None) -> None:
        """Write an event, if events are asked for. AuditorError, once, where the stream cannot be written."""
        if isinstance(event, Start):
            self._offset_ns = event.wall_offset_ns
        if not self._all:
            return
        if isinstance(event, Tick):
            self._flush()
            return
        line = describe(event)
        call = process.call if process else None
        session = process.session if process else None
        words = [
            f"{self._time(event.time_ns)} EVENT action={line.verb}",
            self._field("session", session.id if session else ""),
            self._field("tool_call", call.id if call else ""),
            self._field("pid", str(event.tgid) if event.tgid else ""),
            self._field("to", line.object),
        ]
        if isinstance(event, Exec):
            words.append(self._command(event.args))
        elif line.details:
            words.append(self._field("details", " ".join(line.details)))
        self._write(" ".join(words))

    def alert(self, alert: Alert) -> None:
        """Write an alert, at once. AuditorError, once, where the stream cannot be written."""
        level = alert.rule.level
        words = [
            f"{self._time(alert.time_ns)} {self._coloured(level.upper(), _COLOURS.get(level, ''))}",
            self._field("rule", alert.rule.name, _STRONG),
            self._field("session", alert.session.id if alert.session else ""),
            self._field("tool_call", alert.call.id if alert.call else ""),
            self._field("pid", str(alert.process.task.tgid)),
            *self._target(alert),
            *self._doubts(alert.quality),
            f"tree={self._tree(alert.tree or (alert.process,))}",
            self._command(args_then(alert)),
        ]
        self._write(" ".join(words))
        self._flush()

    def close(self) -> None:
        """Write out what is buffered. The stream stays open: it is the caller's."""
        self._flush()

    def _target(self, alert: Alert) -> Iterator[str]:
        event = target(alert)
        yield self._field("to", describe(event).object if event else alert.process.executable, _STRONG)
        if isinstance(event, Connect):
            yield self._field("transport", event.transport)
            yield self._field("scope", event.scope)

    def _doubts(self, quality: Quality) -> Iterator[str]:
        if quality.losses:
            yield self._field("lost", ",".join(f"{what}:{count}" for what, count in quality.losses))
        doubts = [] if quality.lineage_complete else ["lineage"]
        if quality.args_truncated:
            doubts.append("args")
        if doubts:
            yield self._field("doubt", ",".join(doubts))

    def _tree(self, tree: tuple[Process, ...]) -> str:
        names = [self._word(process.executable.rsplit("/", 1)[-1]) for process in tree]
        if len(names) > 2 * _TREE_ENDS:
            left_out = len(names) - 2 * _TREE_ENDS
            names[_TREE_ENDS:-_TREE_ENDS] = [f"({left_out} more)"]
        return ">".join(names)

    def _command(self, args: tuple[str, ...]) -> str:
        return f"cmd={command(args, ascii_only=self._ascii) or '-'}"

    def _field(self, name: str, value: str, colour: str = "") -> str:
        return f"{name}={self._coloured(self._word(value), colour)}"

    def _word(self, value: str) -> str:
        return quote(value, ascii_only=self._ascii) if value else "-"

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour else text

    def _time(self, time_ns: int) -> str:
        """Write a time since boot as UTC, to the millisecond."""
        second, rest = divmod(time_ns + self._offset_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(max(second, 0), _LAST_SECOND)))
        return f"{self._stamp}.{rest // 1_000_000:03}Z"

    def _write(self, line: str) -> None:
        if self._broken:
            return
        try:
            self._stream.write(f"{line}\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _flush(self) -> None:
        if self._broken:
            return
        try:
            self._stream.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> AuditorError:
        self._broken = True
        return AuditorError(f"cannot write {escape(self._name)}: {error.strerror or error}")
