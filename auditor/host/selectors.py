"""Selectors: how the user names the agents to watch, as `pid:1234` or `exe:*/claude`.

`parse` is strict and says what it knows in one line; `matches` is asked about every exec on the host, so it is quick.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Final, Protocol

from auditor.errors import UsageError
from auditor.host import cgroups

KINDS: Final = "pid:NUMBER, exe:GLOB, cmdline:REGEX, cgroup:PATH, env:NAME[=VALUE]"

PID_LIMIT: Final = 1 << 22
"""No pid reaches it: PID_MAX_LIMIT of Linux on 64-bit machines."""


class Candidate(Protocol):
    """A process as selectors see it. A snapshot out of /proc and a decoded exec both are one."""

    @property
    def tgid(self) -> int:
        """Process id in the host's namespace."""

    @property
    def executable(self) -> str:
        """Full path."""

    @property
    def args(self) -> tuple[str, ...]:
        """Arguments, the program's own name first."""

    @property
    def env(self) -> tuple[str, ...]:
        """`NAME=VALUE` strings."""

    @property
    def cgroup_id(self) -> int:
        """Inode number of the cgroup (v2)."""


class Selector:
    """One selector. `text` is as the user wrote it, `kind` the word before the colon, `value` what follows."""

    __slots__ = ("_test", "kind", "text", "value")

    def __init__(self, kind: str, value: str, test: Callable[[Candidate], bool]) -> None:
        self.kind = kind
        self.value = value
        self.text = f"{kind}:{value}"
        self._test = test

    def __repr__(self) -> str:
        return f"Selector({self.text!r})"

    def matches(self, candidate: Candidate) -> bool:
        """Whether this selector chooses the candidate."""
        return self._test(candidate)


def parse(text: str) -> Selector:
    """Read a selector. Raises UsageError, in one line, for what cannot be one."""
    kind, colon, value = text.partition(":")
    test = _TESTS.get(kind)
    if not colon or test is None:
        raise UsageError(f"unknown selector {text!r}: use one of {KINDS}")
    if not value:
        raise UsageError(f"selector {text!r} says nothing after the colon: use one of {KINDS}")
    return Selector(kind, value, test(value))


def _pid(value: str) -> Callable[[Candidate], bool]:
    if not (value.isascii() and value.isdigit() and 0 < int(value[:10]) < PID_LIMIT and len(value) <= 10):
        raise UsageError(f"selector 'pid:{value}': not a process id; a selector is one of {KINDS}")
    pid = int(value)
    return lambda candidate: candidate.tgid == pid


def _exe(value: str) -> Callable[[Candidate], bool]:
    match = re.compile(fnmatch.translate(value)).match
    if "/" in value:
        return lambda candidate: match(candidate.executable) is not None
    return lambda candidate: match(candidate.executable.rpartition("/")[2]) is not None


def _cmdline(value: str) -> Callable[[Candidate], bool]:
    try:
        search = re.compile(value).search
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"selector 'cmdline:{value}': not a regular expression ({error}); a selector is one of {KINDS}"
        ) from None
    return lambda candidate: search(" ".join(candidate.args)) is not None


def _cgroup(value: str) -> Callable[[Candidate], bool]:
    subtree = cgroups.Subtree(value)
    return lambda candidate: subtree.contains(candidate.cgroup_id)


def _env(value: str) -> Callable[[Candidate], bool]:
    name, equals, _ = value.partition("=")
    if not name:
        raise UsageError(f"selector 'env:{value}' names no variable; a selector is one of {KINDS}")
    if equals:
        return lambda candidate: value in candidate.env
    prefix = f"{name}="
    return lambda candidate: any(entry.startswith(prefix) for entry in candidate.env)


_TESTS: Final = {"pid": _pid, "exe": _exe, "cmdline": _cmdline, "cgroup": _cgroup, "env": _env}
