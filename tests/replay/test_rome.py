"""ROME replayed: a capture and its events as JSON lines give the same alerts, the expected ones, byte for byte.

`rome.cap` and `rome.alerts.jsonl` are kept, so that a change of any stage shows here. When the change is meant, run
`python -m tests.replay.test_rome` to write both anew, and read the difference.
"""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest

from auditor.assets import rules
from auditor.capture.tape import Reader, Writer
from auditor.decode.ecs import DocumentReader
from auditor.decode.wire import decode
from auditor.pipeline import Pipeline
from auditor.rules.engine import Engine
from auditor.rules.pack import Pack
from auditor.rules.sigma import read_pack
from auditor.sinks.jsonl import JsonLines
from tests.builders import wire
from tests.replay.rome import EVENTS, TUNNEL

FOLDER = Path(__file__).parent
PACK = FOLDER / "rules"
"""Rules of the test's own: those of the project may change without a change of the expected alerts."""


@pytest.fixture(scope="module")
def pack() -> Pack:
    """Read the test's rules."""
    return read_pack([PACK])


def judge(pack: Pack, *, capture: bytes = b"", lines: bytes = b"", events: bool = False) -> bytes:
    """Run a capture or JSON lines through the pipeline; gives what is written."""
    output = io.BytesIO()
    pipeline = Pipeline(Engine(pack), sinks=[JsonLines(output, events=events)])
    if capture:
        for place, block in Reader(io.BytesIO(capture), "rome.cap").blocks():
            pipeline.feed(block, place)
    pipeline.feed_events(DocumentReader().read(lines.splitlines(keepends=True)))
    pipeline.close()
    return output.getvalue()


def captured() -> bytes:
    """Give the bytes of the capture."""
    stream = io.BytesIO()
    Writer(stream).write(wire(*EVENTS))
    return stream.getvalue()


def test_capture_is_as_staged() -> None:
    """The capture that is kept holds the records as they are staged; its format has not changed."""
    assert (FOLDER / "rome.cap").read_bytes() == captured()


def test_alerts_are_the_expected_ones(pack: Pack) -> None:
    """The capture gives exactly the alerts that are kept."""
    assert judge(pack, capture=(FOLDER / "rome.cap").read_bytes()) == (FOLDER / "rome.alerts.jsonl").read_bytes()


def test_json_replay_gives_the_same_alerts(pack: Pack) -> None:
    """All events written as JSON lines and read back give the same alerts, byte for byte."""
    everything = judge(pack, capture=captured(), events=True)
    assert judge(pack, lines=everything) == (FOLDER / "rome.alerts.jsonl").read_bytes()


def test_json_replay_of_a_replay_is_the_same(pack: Pack) -> None:
    """Events that went through JSON once are the same when they go through it again."""
    once = judge(pack, capture=captured(), events=True)
    assert judge(pack, lines=once, events=True) == once


def test_blocks_do_not_matter(pack: Pack) -> None:
    """Record by record, the alerts are the same."""
    output = io.BytesIO()
    pipeline = Pipeline(Engine(pack), sinks=[JsonLines(output)])
    for event in EVENTS:
        pipeline.feed(wire(event))
    assert output.getvalue() == (FOLDER / "rome.alerts.jsonl").read_bytes()


def test_alerts_name_the_call_and_its_tree() -> None:
    """Each alert is charged to its tool call, also when the call's first process had ended, or facts came late."""
    alerts = [orjson.loads(line) for line in (FOLDER / "rome.alerts.jsonl").read_bytes().splitlines()]
    told = {(one["rule"]["name"], one["auditor"]["tool_call"]["id"]) for one in alerts}
    assert told == {("Reverse tunnel", "tunnel"), ("Miner by what its file is", "0b07b07b.300.3000000000")}
    tunnel = next(one for one in alerts if one["rule"]["name"] == "Reverse tunnel")
    assert [node["args"][0] for node in tunnel["auditor"]["tree"]] == ["bash", "ssh"]
    assert tunnel["auditor"]["tree"][-1]["args"] == list(TUNNEL)
    assert [item["action"] for item in tunnel["auditor"]["evidence"]] == ["exec", "connect"]
    assert tunnel["auditor"]["session"]["id"] == "rome"
    assert tunnel["auditor"]["quality"]["lineage_complete"]


def test_projects_rules_find_both(pack: Pack) -> None:
    """The rules that come along find the tunnel and the miner, and blame no other call."""
    alerts = [orjson.loads(line) for line in judge(read_pack([rules()]), capture=captured()).splitlines()]
    severe = {one["auditor"]["tool_call"]["id"] for one in alerts if one["event"]["severity"] >= 73}
    assert severe == {"tunnel", "0b07b07b.300.3000000000"}
    assert len(decode(wire(*EVENTS))) == len(EVENTS)


if __name__ == "__main__":
    (FOLDER / "rome.cap").write_bytes(captured())
    (FOLDER / "rome.alerts.jsonl").write_bytes(judge(read_pack([PACK]), capture=captured()))
