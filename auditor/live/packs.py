"""Reading rules in a child process, so that the parser (pySigma: 12 MB and 0.1 s) does not stay in the engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

from auditor.errors import AuditorError, RuleError
from auditor.rules.pack import Pack


def load_pack(paths: tuple[Path, ...]) -> Pack:
    """Read the rules at `paths`.

    Raises:
        RuleError: every problem that was found.
        AuditorError: the child failed.

    """
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _parse(paths, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    if answer[:1] == b"P":
        return Pack.from_json(answer[1:])
    if answer[:1] == b"R":
        raise RuleError(json.loads(answer[1:]))
    raise AuditorError(answer[1:].decode() or "the process that reads the rules died")


def _parse(paths: tuple[Path, ...], write: int) -> NoReturn:
    try:
        from auditor.rules.sigma import read_pack  # noqa: PLC0415 - in this child alone

        answer = b"P" + read_pack(paths).to_json()
    except RuleError as error:
        answer = b"R" + json.dumps(error.problems).encode()
    except BaseException as error:  # noqa: BLE001 - a child of fork must not unwind into its parent's code
        answer = b"E" + f"reading the rules failed: {error}".encode()
    try:
        with os.fdopen(write, "wb") as stream:
            stream.write(answer)
    finally:
        os._exit(0)
