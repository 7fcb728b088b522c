"""`auditor replay`, as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from auditor.capture.format import HEADER, MAGIC, write_header
from tests.builders import wire
from tests.replay.rome import EVENTS

CAPTURE = write_header() + wire(*EVENTS)


def replay(*args: str | Path, given: bytes | None = None) -> tuple[int, bytes, str]:
    """Run the command; gives its exit code, standard output and standard error."""
    command = [sys.executable, "-m", "auditor", "replay", *map(str, args)]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Give a capture's path."""
    path = tmp_path / "rome.cap"
    path.write_bytes(CAPTURE)
    return path


def rules(output: bytes) -> list[str]:
    """List the rules of the alerts among the lines."""
    documents = map(orjson.loads, output.splitlines())
    return [one["rule"]["name"] for one in documents if one["event"]["kind"] == "alert"]


def test_capture_is_judged(capture: Path) -> None:
    """A capture's alerts come as JSON lines, nothing else does, and the exit code is 0."""
    code, output, errors = replay(capture)
    assert (code, errors) == (0, "")
    assert "Reverse SSH tunnel to an external address" in rules(output)
    assert len(rules(output)) == len(output.splitlines())


def test_events_and_json_replay(capture: Path, tmp_path: Path) -> None:
    """All events written out and replayed give the same alerts, byte for byte."""
    everything = tmp_path / "all.jsonl"
    assert replay(capture, "--events", "all", "--output", everything)[0] == 0
    assert len(everything.read_bytes().splitlines()) > len(EVENTS)
    assert replay(everything)[1] == replay(capture)[1]


def test_standard_input() -> None:
    """A dash is standard input, for either form."""
    code, output, _ = replay("-", given=CAPTURE)
    assert code == 0
    assert rules(output) != []


def test_text(capture: Path) -> None:
    """As text, an alert is a line that names the rule and the tool call."""
    code, output, _ = replay(capture, "--format", "text")
    assert code == 0
    assert b"Reverse SSH tunnel" in output
    assert not output.startswith(b"{")


def test_own_rules(capture: Path, tmp_path: Path) -> None:
    """Rules that are given replace those that come along."""
    (tmp_path / "own.yml").write_text(
        "title: Own rule\nid: 6b0c7b4e-30a4-4b4e-8a3e-1f5c2a7d9e10\nstatus: test\ndescription: Own.\nauthor: me\n"
        "logsource: {product: linux, category: process_creation}\n"
        "detection: {client: {Image|endswith: /ssh}, condition: client}\nlevel: low\n"
    )
    code, output, errors = replay(capture, "--rules", tmp_path / "own.yml")
    assert (code, errors) == (0, "")
    assert set(rules(output)) == {"Own rule"}


def test_cut_off_capture_is_judged(capture: Path) -> None:
    """A capture that was cut off is judged to its last whole record, and a note says so."""
    capture.write_bytes(CAPTURE[:-9])
    code, output, errors = replay(capture)
    assert code == 0
    assert rules(output) != []
    assert errors == f"auditor: {capture} ends within a record; everything before that was judged\n"


def test_cut_off_lines_are_judged() -> None:
    """A last line that was cut off, and lines of other kinds, are noted and no error."""
    given = b'{"@timestamp":0,"event":{"action":"file_created"}}\n{"@timest'
    code, output, errors = replay("-", given=given)
    assert (code, output) == (0, b"")
    assert errors.splitlines() == [
        "auditor: standard input ends within a line; everything before that was judged",
        "auditor: standard input: 1 events of other kinds were passed over: file_created (1)",
    ]


def test_damage_is_told_after_what_stands_before_it(capture: Path) -> None:
    """What stands before a capture's damage is judged and written; then comes one line with the place."""
    capture.write_bytes(CAPTURE + b"\xff" * 100)
    code, output, errors = replay(capture)
    assert code == 1
    assert rules(output) != []
    assert f"at byte {len(CAPTURE)}" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"hello\n", "neither a capture nor JSON lines"),
        (b'{"@timestamp":0,"event":{"action":"exec"}}\n', "line 1: no process.pid"),
        (HEADER.pack(MAGIC, 9, HEADER.size, 0), "newer"),
        (write_header()[:9], "cut off within its header"),
    ],
)
def test_unreadable_content_is_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    """What cannot be read is one line and exit code 1."""
    path = tmp_path / "x"
    path.write_bytes(content)
    code, output, errors = replay(path)
    assert (code, output) == (1, b"")
    assert problem in errors
    assert len(errors.splitlines()) == 1


def test_missing_and_odd_files(tmp_path: Path) -> None:
    """A file that is missing, or is a folder, is one line and exit code 1; missing rules are exit code 2."""
    assert replay(tmp_path / "none")[0] == 1
    assert "No such file or directory" in replay(tmp_path / "none")[2]
    assert "Is a directory" in replay(tmp_path)[2]
    assert replay("-", "--rules", tmp_path / "none", given=b"")[0] == 2


def test_reader_that_leaves_is_no_error(capture: Path) -> None:
    """When whoever reads the output has seen enough, nothing is complained about."""
    command = [sys.executable, "-m", "auditor", "replay", str(capture), "--events", "all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
