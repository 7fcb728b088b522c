"""The field table: every name a rule may use, per log source category, and the value behind it.

A value is a Python expression over `e` (the event) and `p` (the acting process); the compiler writes it into the
functions it makes. Absent is: empty text, an empty list, NaN for a number. A field of a process may be used in every
category: there it describes the process that acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from auditor.model.events import Connect, Exec, GpuOpen, GpuSummary, GpuUse
from auditor.model.processes import Process
from auditor.model.records import Flag
from auditor.rules.literals import fold

FieldType = Literal["text", "list", "number", "ip", "bool"]

ANCESTORS: Final = 32
"""No walk towards the root takes more steps than this."""


@dataclass(frozen=True, slots=True)
class Field:
    """One name that rules may use."""

    name: str
    type: FieldType
    """Of a `list`, any element may match. `ip` is text that `cidr` also understands."""
    expression: str
    """Python, over `e`, `p` and `NAMESPACE`."""
    ecs: str
    """The same value's name in the JSON stream."""
    meaning: str
    facts: bool = False
    """Read from the executable file: may be known only some time after the exec."""
    ours: bool = False
    """Text in words of ours, which are all in lower case."""


def ancestor_images(process: Process) -> tuple[str, ...]:
    """Give the executables of the ancestors, parent first, at most `ANCESTORS` of them."""
    images: list[str] = []
    ancestor = process.parent
    while ancestor is not None and len(images) < ANCESTORS:
        images.append(ancestor.executable)
        ancestor = ancestor.parent
    return tuple(images)


def argument_block(process: Process) -> str:
    """Give the arguments as the kernel holds them, each ended by a NUL."""
    return "\0".join(process.args) + "\0" if process.args else ""


def requests(event: GpuUse | GpuSummary) -> tuple[str, ...]:
    """Give the names of the requests that an event tells of."""
    return (event.request,) if isinstance(event, GpuUse) else tuple(name for name, _ in event.requests)


@lru_cache(256)
def lowered(values: tuple[str, ...]) -> tuple[str, ...]:
    """Give texts in lower case."""
    return tuple(value.lower() for value in values)


NAMESPACE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "NAN": float("nan"),
        "ancestor_images": ancestor_images,
        "argument_block": argument_block,
        "fold": fold,
        "lowered": lowered,
        "requests": requests,
    }
)
"""What expressions may call, beside Python's operators."""


def _of_parent(attribute: str, absent: str = "''") -> str:
    return f"(p.parent.{attribute} if p.parent is not None else {absent})"


def _fact(attribute: str, absent: str) -> str:
    return f"(p.facts.{attribute} if p.facts is not None else {absent})"


_PROCESS: Final = (
    Field("Image", "text", "p.executable", "process.executable", "path of the program that the process runs"),
    Field("CommandLine", "text", "p.command_line", "process.command_line", "the arguments, joined by blanks"),
    Field("Args", "list", "p.args", "process.args", "the arguments; the first is the name the program was called by"),
    Field(
        "ArgumentBlock",
        "text",
        "argument_block(p)",
        "process.args",
        r"the arguments, each followed by a NUL (`\x00` in a regular expression): a blank within one splits nothing",
    ),
    Field("CurrentDirectory", "text", "p.cwd", "process.working_directory", "working directory at the exec"),
    Field("Environment", "list", "p.env", "process.env_vars", "`NAME=VALUE` strings, the first 4 KiB of them"),
    Field("ProcessId", "number", "p.task.tgid", "process.pid", "process id in the host's pid namespace"),
    Field("ProcessGuid", "text", "p.entity_id", "process.entity_id", "id of the process, unique over hosts and boots"),
    Field(
        "User",
        "text",
        "('root' if p.uid == 0 else str(p.uid) if p.uid > 0 else '')",
        "user.id",
        "`root`, or the number of another real user id as text",
    ),
    Field("UserId", "number", "(p.uid if p.uid >= 0 else NAN)", "user.id", "real user id"),
    Field(
        "EffectiveUser",
        "text",
        "('root' if p.euid == 0 else str(p.euid) if p.euid > 0 else '')",
        "user.effective.id",
        "as User, of the effective user id",
    ),
    Field("ParentImage", "text", _of_parent("executable"), "process.parent.executable", "the parent's Image"),
    Field(
        "ParentCommandLine",
        "text",
        _of_parent("command_line"),
        "process.parent.command_line",
        "the parent's CommandLine",
    ),
    Field("ParentProcessId", "number", "(p.parent_tgid or NAN)", "process.parent.pid", "process id of the parent"),
    Field("ParentProcessGuid", "text", _of_parent("entity_id"), "process.parent.entity_id", "the parent's ProcessGuid"),
    Field(
        "AncestorImages",
        "list",
        "ancestor_images(p)",
        "auditor.ancestors.executable",
        f"Image of the parent, its parent and so on, up to {ANCESTORS}",
    ),
    Field(
        "SessionId",
        "text",
        "(p.session.id if p.session is not None else '')",
        "auditor.session.id",
        "the agent's run that the process belongs to",
    ),
    Field(
        "ToolCallId",
        "text",
        "(p.call.id if p.call is not None else '')",
        "auditor.tool_call.id",
        "the tool call that the process belongs to; absent for the agent itself",
    ),
    Field(
        "ExecutableMarks",
        "list",
        _fact("marks", "()"),
        "auditor.executable.marks",
        "what strings, symbols and sections of the executable tell: `miner:stratum`, `client:openssh`, `packer:upx`",
        facts=True,
        ours=True,
    ),
    Field(
        "ExecutableLibraries",
        "list",
        _fact("libraries", "()"),
        "auditor.executable.libraries",
        "libraries that the executable is linked to: `libcuda.so.1`",
        facts=True,
    ),
    Field(
        "ExecutableStatus",
        "text",
        _fact("status", "''"),
        "auditor.executable.status",
        "`ok`, or why the executable could not be read: `not-elf`, `malformed`, `too-large`, `timeout`, `unreadable`",
        facts=True,
    ),
    Field(
        "ExecutableBuildId",
        "text",
        _fact("build_id", "''"),
        "auditor.executable.build_id",
        "the executable's build id",
        facts=True,
    ),
    Field(
        "ExecutableLanguage",
        "text",
        _fact("language", "''"),
        "auditor.executable.language",
        "language that the executable was written in: `go`, `rust`",
        facts=True,
    ),
    Field(
        "ExecutableStatic",
        "bool",
        _fact("static", "False"),
        "auditor.executable.static",
        "the executable needs no library",
        facts=True,
    ),
    Field(
        "ExecutableMemfd",
        "bool",
        f"(p.flags & {Flag.MEMFD} != 0)",
        "auditor.executable.memfd",
        "the executable is an anonymous file in memory",
    ),
    Field(
        "ExecutableDeleted",
        "bool",
        f"(p.flags & {Flag.DELETED} != 0)",
        "auditor.executable.deleted",
        "the executable has no name in any folder",
    ),
)

_NETWORK: Final = (
    Field("DestinationIp", "ip", "e.ip", "destination.ip", "address that was connected or sent to"),
    Field("DestinationPort", "number", "e.port", "destination.port", "port that was connected or sent to"),
    Field("Protocol", "text", "e.transport", "network.transport", "`tcp`, `udp`, or the protocol's number", ours=True),
    Field("Initiated", "bool", "True", "network.direction", "the process opened the connection, and did not accept it"),
    Field(
        "DestinationScope",
        "text",
        "e.scope",
        "auditor.destination.scope",
        "where it lies: `loopback`, `private`, `link-local`, `metadata`, `multicast`, `unspecified`, `external`",
        ours=True,
    ),
)

_GPU: Final = (
    Field("Device", "text", "e.device", "device.id", "the device's usual path: `/dev/nvidia0`"),
    Field(
        "DeviceRole",
        "text",
        "e.role",
        "auditor.gpu.role",
        "`ctl`, `gpu`, `uvm` and `caps` (NVIDIA), `kfd` (AMD), `render` (DRI), `accel`",
        ours=True,
    ),
)

_OPEN: Final = (
    Field("Access", "text", "e.access", "auditor.gpu.access", "what was asked: `mknod`, `read`, `write`", ours=True),
)
_IOCTL: Final = (
    Field("Request", "list", "requests(e)", "auditor.gpu.requests", "names of the requests, such as `NV_ESC_RM_ALLOC`"),
)


def _table(*groups: tuple[Field, ...]) -> Mapping[str, Field]:
    return MappingProxyType({field.name: field for group in groups for field in group})


CATEGORIES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "process_creation": (Exec,),
        "network_connection": (Connect,),
        "gpu_open": (GpuOpen,),
        "gpu_ioctl": (GpuUse, GpuSummary),
        "gpu_use": (GpuOpen, GpuUse, GpuSummary),
    }
)
"""The event types that each log source category stands for."""

FIELDS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {
        "process_creation": _table(_PROCESS),
        "network_connection": _table(_PROCESS, _NETWORK),
        "gpu_open": _table(_PROCESS, _GPU, _OPEN),
        "gpu_ioctl": _table(_PROCESS, _GPU, _IOCTL),
        "gpu_use": _table(_PROCESS, _GPU),
    }
)
"""category -> name -> field."""
