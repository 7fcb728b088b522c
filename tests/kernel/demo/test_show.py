"""The demo as its command sees it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from auditor.demo.show import Show


def test_blind_audit_is_told_what_it_missed() -> None:
    """The agent waits for the cue; the director then ends an audit that sees nothing, and lists every offence."""
    with Show(pace=0, patience=0) as show:
        assert Path(f"/proc/{show.agent_pid}/cmdline").read_bytes().count(b"auditor.demo.agent") == 1
        assert Path(f"/proc/{show.agent_pid}/task/{show.agent_pid}/children").read_text() == ""
        show.cue()
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(60)
        good, lines = show.verdict()
    assert not good
    assert {line.split()[0] for line in lines} == {"MISSED"}
    assert len(lines) >= 3
    assert not Path(f"/proc/{show.agent_pid}").exists()


def test_audit_that_ends_early_is_no_success() -> None:
    """An audit that ends before the agent acted leaves every call unplayed."""
    with Show(pace=0, patience=0) as show:
        good, lines = show.verdict()
    assert not good
    assert {line.split()[0] for line in lines} == {"unplayed"}


def test_show_abandoned_leaves_nothing() -> None:
    """Leaving without a verdict, as an error in the live run does, ends the agent and its stage."""
    with pytest.raises(RuntimeError, match="no BPF"), Show(pace=0) as show:
        raise RuntimeError("no BPF")
    assert not Path(f"/proc/{show.agent_pid}").exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(show._alerts.fileno() if not show._alerts.closed else -1)
