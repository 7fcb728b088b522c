"""Cases of the corpora beside the checkout, written out as the events that the kernel would have shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

FOLDER: Final = Path(__file__).parents[3] / "shared" / "corpora"
AGENT: Final = 99
OUTSIDE: Final = "203.0.113.80"
"""Stands for every name that is not this machine's."""
ROUNDS: Final = 40
"""How often a connection is made whose address or port a loop fills in."""
OVER_SSH: Final = frozenset({"git", "rsync", "scp", "sftp"})
"""Programs that do not connect to port 22 themselves, whatever a hint says: they start ssh for it."""


@dataclass
class Case:
    """One command line, with what it starts."""

    id: str
    group: str
    text: str
    sound: bool = False
    """Benign without a doubt."""
    execs: list[dict[str, Any]] = field(default_factory=list)
    connects: list[dict[str, Any]] = field(default_factory=list)


def read(name: str) -> list[Case]:
    """Read a corpus."""
    rows = map(orjson.loads, (FOLDER / name).read_bytes().splitlines())
    return [
        Case(row["id"], row["category"], row["shell"], row.get("label") == "benign", row["execs"], row["connects_hint"])
        for row in rows
    ]


def lines(cases: list[Case]) -> Iterator[bytes]:
    """Give all cases as one JSON stream: each a tool call of its own, whose shell is the agent's child."""
    second = 0
    for number, case in enumerate(cases):
        for event in _events(case, 1000 * (number + 1)):
            second += 1
            yield orjson.dumps(
                {
                    "@timestamp": f"2026-11-{21 + second // 86400:02}T"
                    f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.000Z",
                    "event.kind": "event",
                    "auditor.session.id": case.id,
                    "auditor.tool_call.id": case.id,
                    **event,
                }
            )


def _events(case: Case, shell: int) -> Iterator[dict[str, Any]]:
    yield _exec(shell, AGENT, "/usr/bin/bash", ["bash", "-c", case.text])
    pids = {"bash": shell, "sh": shell}
    for pid, item in enumerate(case.execs, shell + 1):
        yield _exec(pid, shell, item["exe"], item["argv"])
        for name in (item["exe"], item["argv"][0]):
            pids[name.rpartition("/")[2]] = pid
    for number, hint in enumerate(case.connects):
        by = str(hint["by"]).rpartition("/")[2]
        pid = pids.get(by, shell)
        if hint["port"] == 22 and (by in OVER_SSH or (by == "ssh" and by not in pids)):
            parent, pid = pids.get(by, shell + len(case.execs)), shell + 500 + number
            yield _exec(pid, parent, "/usr/bin/ssh", ["ssh", str(hint["host"])])
        if hint["proto"] in {"tcp", "udp"}:
            yield from (_connect(pid, hint, turn) for turn in range(ROUNDS if "$" in str(hint) else 1))


def _exec(pid: int, parent: int, executable: str, arguments: list[str]) -> dict[str, Any]:
    return {
        "event.action": "exec",
        "process.pid": pid,
        "process.parent.pid": parent,
        "process.executable": executable,
        "process.args": arguments,
    }


def _connect(pid: int, hint: dict[str, Any], turn: int) -> dict[str, Any]:
    host, port = (re.sub(r"\$(?:\{\w+\}|\(…\)|\w+)", str(turn + 1), str(hint[key])) for key in ("host", "port"))
    return {
        "event.action": "connect",
        "process.pid": pid,
        "destination.ip": _address(host),
        "destination.port": int(port) if port.isdecimal() else 443,
        "network.transport": hint["proto"],
    }


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "127.0.0.1" if host == "localhost" else OUTSIDE
