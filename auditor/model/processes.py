"""What lineage knows: processes, their tool calls and their sessions.

These are the nodes of the process table. Only `auditor.lineage` changes them; everyone else reads.
"""

from __future__ import annotations

from auditor.model.events import Executable
from auditor.model.records import TaskId


class SessionInfo:
    """One run of an agent."""

    __slots__ = ("alerts", "id", "number", "root", "selector", "start_ns")

    def __init__(self, number: int, id: str, root: TaskId, selector: str, start_ns: int) -> None:
        self.number = number
        self.id = id
        self.root = root
        self.selector = selector
        self.start_ns = start_ns
        self.alerts = 0


class ToolCallInfo:
    """One action of the agent in a session; the unit that an alert is charged to."""

    __slots__ = ("alerts", "first", "id", "session", "start_ns", "task")

    def __init__(self, task: TaskId, id: str, session: SessionInfo, start_ns: int) -> None:
        self.task = task
        self.id = id
        self.session = session
        self.start_ns = start_ns
        self.first: Process | None = None
        """The call's first process, once seen."""
        self.alerts = 0


class Process:
    """One process: what it runs, where it came from, whom it is charged to.

    A process that has not called exec of its own shows its parent's executable and args, as the kernel does.
    """

    __slots__ = (
        "args",
        "call",
        "call_root",
        "comm",
        "command_line",
        "connections",
        "cwd",
        "depth",
        "document",
        "elided",
        "entity_id",
        "env",
        "euid",
        "exec_count",
        "exec_event",
        "executable",
        "exit_ns",
        "exit_status",
        "facts",
        "flags",
        "gid",
        "label_source",
        "parent",
        "parent_tgid",
        "seeded",
        "session",
        "start_ns",
        "task",
        "uid",
    )

    def __init__(self, task: TaskId, entity_id: str, parent: Process | None, parent_tgid: int) -> None:
        self.task = task
        self.entity_id = entity_id
        """`BOOT.TGID.START`: unique over hosts and boots; ECS `process.entity_id`."""
        self.parent = parent
        """None for a session's root, or where the parent was never seen."""
        self.parent_tgid = parent_tgid
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.elided = 0
        """Ancestors left out between this process and `parent`, because the chain grew past its limit."""
        self.start_ns = task.start_ns
        self.session: SessionInfo | None = None
        self.call: ToolCallInfo | None = None
        """None for the agent itself."""
        self.call_root = False
        self.label_source = 0
        self.executable = ""
        self.args: tuple[str, ...] = ()
        self.command_line = ""
        """The args joined by blanks, as Sigma's CommandLine means it."""
        self.comm = ""
        self.cwd = ""
        self.env: tuple[str, ...] = ()
        self.uid = -1
        self.gid = -1
        self.euid = -1
        self.flags = 0
        self.seeded = False
        self.exec_count = 0
        self.exec_event: object | None = None
        """The last Exec of this process."""
        self.facts: Executable | None = None
        """Facts about `executable`, once known."""
        self.exit_ns: int | None = None
        self.exit_status: int | None = None
        self.connections = 0
        self.document: object | None = None
        """A place for a sink to keep this process's rendering; lineage clears it at every change."""
