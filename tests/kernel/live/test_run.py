"""A live run as the demo uses it: what no command line reaches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from auditor.host.devices import GpuRole
from tests.kernel.auditors import PATIENCE_S, action, lines

_SCRIPT = """\
import os
from auditor.host.inodes import kernel_device
from auditor.live.options import Command, Options
from auditor.live.run import run

command = Command(("/usr/bin/python3", "-c", {command!r}), "", "")
alerts = os.open({alerts!r}, os.O_WRONLY | os.O_CREAT)
raise SystemExit(run(Options(
    command=command, events="all", output=1, alerts=alerts, stand_in_devices=((kernel_device(1, 7), {role}),),
    on_ready=lambda: os.write(2, b"ready"), summary_interval_ns=1,
)))
"""
_GPU = """\
import fcntl, os
device = os.open("/dev/full", os.O_RDWR)
input()
for request in (1, 2, 2):
    try:
        fcntl.ioctl(device, request)
    except OSError:
        pass
"""


def test_stand_in_plays_a_gpu(tmp_path: Path) -> None:
    """A device that stands in for a GPU is seen opened and used, every request counted; the caller hears of it."""
    alerts = tmp_path / "alerts"
    script = _SCRIPT.format(command=_GPU, alerts=str(alerts), role=int(GpuRole.CTL))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as auditor:
        assert auditor.stdout is not None
        before = b""
        while b'"gpu-open"' not in before:  # by now requests are watched
            before += auditor.stdout.readline()
        rest, errors = auditor.communicate(b"\n", timeout=PATIENCE_S)
    assert (auditor.returncode, errors) == (0, b"ready")
    events = lines(before + rest)
    (opened,) = [event for event in events if action(event) == "gpu-open"]
    (used,) = [event for event in events if action(event) == "gpu-use"]
    assert opened["auditor"]["gpu"]["role"] == used["auditor"]["gpu"]["role"] == "ctl"
    assert opened["process"]["entity_id"] == opened["auditor"]["tool_call"]["entity_id"]
    summaries = [event["auditor"]["gpu"] for event in events if action(event) == "gpu-summary"]
    assert sum(summary["total"] for summary in summaries) == 3
    assert sum(summary["errors"] for summary in summaries) == 3
    assert sorted({count["request"] for summary in summaries for count in summary["counts"]}) == ["0x1", "0x2"]
    told = [event for event in events if action(event) == "alert"]
    assert lines(alerts.read_bytes()) == told
