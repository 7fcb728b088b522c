"""The engine's process: started, without rights, heard of when it fails."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from auditor.live.engine import start_engine, unprivileged_ids
from auditor.live.link import BlockSender, WordReader
from auditor.live.options import Options
from tests.builders import make_connect, make_end, make_start, wire


class Engine:
    """A started engine, and this side's end of the link."""

    def __init__(self, options: Options) -> None:
        self.pid: int
        self.link: socket.socket
        self.pid, self.link = start_engine(options)
        self.words = WordReader(self.link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.link.fileno() >= 0:
            self.end()

    def end(self) -> int:
        """Hang up and wait; gives its exit code, or minus the signal."""
        self.link.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give a pipe."""
    read, write = os.pipe2(os.O_CLOEXEC)
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


def test_engine_runs_as_an_ordinary_user() -> None:
    """The user that unprivileged processes become is none of those that own anything important."""
    uid, gid = unprivileged_ids()
    assert uid > 0
    assert gid > 0


def test_engine_judges_until_the_link_ends(pipe: tuple[int, int]) -> None:
    """It says when it is ready, writes what comes, hears no signal of the terminal, and ends with the stream."""
    read, write = pipe
    with Engine(Options(output=write, events="all")) as engine:
        os.close(write)
        assert engine.words.read(wait=True) == [{"ready": True}]
        assert Path(f"/proc/{engine.pid}/comm").read_text() == "auditor-engine\n"
        assert f"Uid:\t{unprivileged_ids()[0]}\t" in Path(f"/proc/{engine.pid}/status").read_text()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(engine.pid, number)
        sender = BlockSender(engine.link)
        sender.put(wire(make_start(), make_connect()))
        sender.put(wire(make_end()))
        sender.finish()
        with os.fdopen(os.dup(read), "rb") as output:
            actions = [line.partition(b'"action":"')[2].partition(b'"')[0] for line in output]
        assert actions == [b"auditor-start", b"connect", b"auditor-end"]
        assert engine.end() == 0


def test_unusable_rules_are_told(tmp_path: Path) -> None:
    """An engine that cannot read its rules says so, with the exit code that the run is to have, and ends."""
    (tmp_path / "rule.yml").write_text("title: nothing\n")
    with Engine(Options(rules=(tmp_path,))) as engine:
        (word,) = engine.words.read(wait=True)
        assert word["error"].startswith(f"{tmp_path}/rule.yml:")
        assert word["exit_code"] == 1
        assert engine.end() == 1


def test_damaged_stream_is_told(pipe: tuple[int, int]) -> None:
    """Bytes that are no records end the engine with a complaint, not with a traceback."""
    with Engine(Options(output=pipe[1])) as engine:
        assert engine.words.read(wait=True) == [{"ready": True}]
        BlockSender(engine.link).put(b"\xff" * 64)
        (word,) = engine.words.read(wait=True)
        assert "error" in word
        assert "Traceback" not in word["error"]
        assert engine.end() == 1
