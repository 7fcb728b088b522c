"""What `scripts/test-kernels` makes of what a machine wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kernel.machines import MADE_UP, WANTED, WANTED_ALERT, WANTED_STATUS, main, problems, read, row


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give what a machine leaves where all goes well."""
    out = tmp_path / "6.1" / "out"
    out.mkdir(parents=True)
    checks = [{"name": "bcc", "ok": True, "needed": True, "found": "0.26.0"}, hook(ok=True)]
    documents = [event(action) for action, count in WANTED.items() for _ in range(count)]
    documents.append({"event": {"kind": "alert", "action": "connect"}, "rule": {"name": WANTED_ALERT}})
    (out / "doctor").write_text(json.dumps({"checks": checks}))
    (out / "events").write_text("".join(json.dumps(document) + "\n" for document in documents))
    (out / "release").write_text("6.1.0-50-amd64\n")
    (out / "status").write_text(f"{WANTED_STATUS}\n")
    (out / "status-again").write_text(f"{WANTED_STATUS}\n")
    (out / "done").touch()
    return tmp_path / "6.1"


def hook(*, ok: bool) -> dict[str, object]:
    """Give doctor's line about a hook."""
    return {"name": "hook device", "ok": ok, "needed": True, "found": "opened" if ok else "unknown func"}


def event(action: str) -> dict[str, object]:
    """Give an event as the JSON stream has it."""
    return {"event": {"kind": "event", "action": action}}


def test_a_machine_where_all_goes_well_is_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its row says so, and so does the exit code."""
    assert main([folder]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["tried", "kernel", "bcc"]
    assert line.split()[:5] == ["6.1", "6.1.0-50-amd64", "0.26.0", "works", "none"]
    assert line.endswith("good")


def test_a_machine_that_did_not_start_is_told(tmp_path: Path) -> None:
    """Nothing at all was written."""
    found = read(tmp_path)
    assert row("6.1", found)[-1] == "FAILED"
    assert problems(found)[:2] == ["it did not come to its end", "doctor said nothing"]


def test_a_refused_hook_is_told_with_its_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Doctor's words are kept."""
    (folder / "out" / "doctor").write_text(json.dumps({"checks": [hook(ok=False)]}))
    assert main([folder]) == 1
    out = capsys.readouterr().out
    assert re.search(r"does not work +device", out)
    assert "6.1: hook device: unknown func" in out


@pytest.mark.parametrize("action", WANTED)
def test_an_event_too_few_or_too_many_is_told(folder: Path, action: str) -> None:
    """Each kind is counted."""
    events = folder / "out" / "events"
    lines = events.read_text().splitlines(keepends=True)
    line = json.dumps(event(action)) + "\n"
    count = WANTED[action]
    events.write_text("".join([*lines, line]))
    assert problems(read(folder)) == [f"{action}: {count + 1} seen, {count} wanted"]
    lines.remove(line)
    events.write_text("".join(lines))
    assert problems(read(folder)) == [f"{action}: {count - 1} seen, {count} wanted"]


def test_a_request_is_wanted_where_there_is_a_card_to_ask(folder: Path) -> None:
    """With the made-up card's driver, a request is an event as well."""
    (folder / "out" / "modules").write_text(f"9p\n{MADE_UP}\n")
    assert problems(read(folder)) == ["gpu-use: 0 seen, 1 wanted"]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("status", "1", "auditor exec left with 1 and 7, the commands with 7"),
        ("status-again", "1", "auditor exec left with 7 and 1, the commands with 7"),
        ("command-status", "2", "AUDITOR_KERNEL_COMMAND failed: see out/command-log"),
    ],
)
def test_a_wrong_exit_is_told(folder: Path, file: str, text: str, problem: str) -> None:
    """That of the watched command, and that of the user's."""
    (folder / "out" / file).write_text(text)
    assert problems(read(folder)) == [problem]


def test_a_loss_and_a_missing_alert_are_told(folder: Path) -> None:
    """Seeing all events is not enough."""
    events = folder / "out" / "events"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join([*lines[:-1], json.dumps(event("loss")) + "\n"]))
    assert problems(read(folder)) == ["loss: 1 seen, 0 wanted", f"no alert {WANTED_ALERT!r} among []"]
