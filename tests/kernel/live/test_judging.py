"""What the engine writes where: alerts, events, the capture."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from auditor.capture.format import write_header
from auditor.live.engine import start_engine
from auditor.live.link import BlockSender, WordReader
from auditor.live.options import Options
from tests.builders import make_connect, make_end, make_exec, make_fork, make_session, make_start, wire
from tests.kernel.auditors import Offence

BLOCKS = [
    wire(make_start(), make_session(), make_fork()),
    wire(make_exec(executable="/tmp/offence", args=("offence", "caf\u00e9"))),
    wire(make_connect(), make_end()),
]


def judge(folder: Path, **how: object) -> dict[str, bytes]:
    """Have an engine judge the blocks; gives what it wrote: output, capture, alerts."""
    rule = Offence(folder).rules[1]
    names = ("output", "capture", "alerts")
    files = {name: os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for name in names}
    pid, link = start_engine(Options(rules=(Path(rule),), **files, **how))  # type: ignore[arg-type]
    words, sender = WordReader(link), BlockSender(link)
    assert words.read(wait=True) == [{"ready": True}]
    for block in BLOCKS:
        sender.put(block)
    sender.finish()
    assert words.read(wait=True) == []
    assert os.waitpid(pid, 0)[1] == 0
    link.close()
    for fd in files.values():
        os.close(fd)
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("format_", ["json", "text"])
def test_alerts_and_capture(tmp_path: Path, format_: str) -> None:
    """The capture is the blocks as they came; alerts go to the output as asked for, and besides as JSON."""
    wrote = judge(tmp_path, format=format_)
    assert wrote["capture"] == write_header() + b"".join(BLOCKS)
    (alert,) = [json.loads(line) for line in wrote["alerts"].splitlines()]
    assert alert["process"]["args"] == ["offence", "caf\u00e9"]
    if format_ == "json":
        assert wrote["output"] == wrote["alerts"]
    else:
        (line,) = wrote["output"].decode().splitlines()
        assert ' HIGH rule="The offence" session=s1 ' in line
        assert line.endswith(' cmd=offence "caf\u00e9"')


def test_all_events(tmp_path: Path) -> None:
    """With all events asked for, the alert stands right behind the event that caused it."""
    wrote = judge(tmp_path, format="json", events="all")
    documents = [json.loads(line) for line in wrote["output"].splitlines()]
    actions = ["alert" if it["event"]["kind"] == "alert" else it["event"]["action"] for it in documents]
    assert actions == ["auditor-start", "session", "fork", "exec", "alert", "connect", "auditor-end"]


def test_text_events(tmp_path: Path) -> None:
    """As text, all events are lines of their own."""
    wrote = judge(tmp_path, format="text", events="all")
    lines = wrote["output"].decode().splitlines()
    assert len(lines) == 7
    assert len([line for line in lines if " EVENT " in line]) == 6
