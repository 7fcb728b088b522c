"""The demo as a user runs it: staged, watched on the real kernel, caught."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.demo.scenario import GPU_MINING, MINER, REVERSE_TUNNEL
from auditor.demo.stage import PARENT, PREFIX

DEMO = [sys.executable, "-m", "auditor", "demo"]


def test_exactly_the_offences_are_caught(root: Path) -> None:
    """Every offence raises its alert, charged to the call that made it, and nothing else does."""
    done = subprocess.run(
        [*DEMO, "--pace", "0", "--format", "json"], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {alert["event"]["kind"] for alert in alerts} == {"alert"}
    rules = [alert["rule"]["id"] for alert in alerts]
    assert rules in ([REVERSE_TUNNEL, MINER, MINER, GPU_MINING], [REVERSE_TUNNEL, MINER, GPU_MINING])
    assert len({alert["auditor"]["tool_call"]["id"] for alert in alerts}) == len(alerts)
    assert len({alert["auditor"]["session"]["id"] for alert in alerts}) == 1
    assert "nothing else alerted" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_says_what_is_missing(root: Path, number: signal.Signals) -> None:
    """Ended at its first alert, the demo clears its stage, tells what was never played, and is no success."""
    # A pace that leaves the later offences far off when the first alert is read.
    command = [*DEMO, "--pace", "1", "--format", "text"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        first = demo.stdout.readline()
        processes = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        demo.send_signal(number)
        rest = demo.stdout.read()
    assert "Reverse SSH tunnel" in first
    assert "caught   open a way back in" in rest
    assert "unplayed mine on the GPU" in rest
    assert demo.returncode == 1
    assert processes
    assert [path for pid in processes for path in PARENT.glob(f"{PREFIX}{pid}-*")] == []
