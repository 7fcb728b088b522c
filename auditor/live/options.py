"""What a live run is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from auditor.host.selectors import Selector

Format = Literal["tui", "json", "text"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run as one tool call."""

    argv: tuple[str, ...]
    session: str
    """The session's name; empty for one made from its first process."""
    tool_call: str


@dataclass(frozen=True, slots=True)
class Options:
    """A live run. Descriptors stay the caller's to close."""

    selectors: tuple[Selector, ...] = ()
    command: Command | None = None
    format: Format = "json"
    events: Literal["alerts", "all"] = "alerts"
    output: int = 1
    """Descriptor that alerts, and events, are written to."""
    capture: int | None = None
    """Descriptor of the capture file, or None."""
    rules: tuple[Path, ...] = ()
    """Rule files and directories; the rules that come with the program if empty."""
    duration_ns: int | None = None
    summary_interval_ns: int = 10_000_000_000
    """Between two summaries of a process's GPU use."""
    alerts: int | None = None
    """A descriptor that gets every alert as a JSON line as well, whatever the format."""
    on_ready: Callable[[], None] | None = field(default=None, compare=False)
    """Called in the privileged process once everything is attached and the agents are tracked."""
    stand_in_devices: tuple[tuple[int, int], ...] = ()
    """(dev_t, role) of devices that play a GPU. For tests and the demo; no command line reaches it."""
