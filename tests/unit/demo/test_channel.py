"""Messages, who sent them, and their order."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from auditor.demo.channel import Channel, pair


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Give two channels that speak with each other."""
    one, other = (Channel(end) for end in pair())
    yield one, other
    one.close()
    other.close()


def test_message_names_its_sender(ends: tuple[Channel, Channel]) -> None:
    """The pid on a message is the process that sent it, not the one that made the channel."""
    here, there = ends
    child = os.fork()
    if child == 0:
        there.send(event="started")
        os._exit(0)
    os.waitpid(child, 0)
    message = here.receive(10)
    assert message is not None
    assert (message.document, message.pid) == ({"event": "started"}, child)


def test_expect_keeps_what_it_did_not_wait_for(ends: tuple[Channel, Channel]) -> None:
    """Messages that came before the expected one are received later, in their order."""
    here, there = ends
    for event in ("first", "second", "third"):
        there.send(event=event)
    expected = here.expect("third", 10)
    assert expected is not None
    assert expected.document == {"event": "third"}
    rest = [here.expect("second", 10), here.receive(10)]
    assert [message.document["event"] for message in rest if message] == ["second", "first"]


def test_closed_end_is_no_message(ends: tuple[Channel, Channel]) -> None:
    """Once the other end is closed, receiving gives None and sending raises OSError."""
    here, there = ends
    there.close()
    assert here.receive(10) is None
    assert here.expect("anything", 10) is None
    with pytest.raises(OSError, match="Broken pipe"):
        here.send(event="late")


def test_silence_is_a_timeout(ends: tuple[Channel, Channel]) -> None:
    """Waiting for what does not come ends in TimeoutError, also when something else came."""
    here, there = ends
    with pytest.raises(TimeoutError):
        here.receive(0)
    there.send(event="other")
    with pytest.raises(TimeoutError):
        here.expect("this", 0)
