"""The stand-in agent's tool calls."""

from __future__ import annotations

from typing import Any

from auditor.demo.agent import make_call
from auditor.demo.channel import Channel, pair


def call(command: str) -> tuple[int, dict[str, Any]]:
    """Make a call; give the pid that announced itself, and how the call went."""
    here, there = (Channel(end) for end in pair())
    make_call(there, "a call", command)
    started, done = here.expect("started", 10), here.expect("done", 10)
    here.close()
    there.close()
    assert started is not None
    assert done is not None
    assert started.document["name"] == done.document["name"] == "a call"
    return started.pid, done.document


def test_call_is_its_own_process() -> None:
    """The pid announced is that of the shell, and its output and status are passed on."""
    pid, done = call("echo $$; exit 3")
    assert done["output"] == f"{pid}\n"
    assert done["status"] == 3


def test_background_does_not_hold_the_call() -> None:
    """A call ends with its shell, whatever it left running."""
    _, done = call("sleep 60 & echo $!; kill $!")
    assert done["status"] == 0


def test_long_output_is_cut() -> None:
    """Only the end of a long output is passed on."""
    _, done = call("yes x | head -c 100000; echo end")
    assert done["output"].endswith("end\n")
    assert len(done["output"]) == 2000
