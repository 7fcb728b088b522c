"""The link between the two sides, over real socket pairs."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from auditor.live.link import HIGH_WATER, BlockSender, WordReader, receive_blocks, send_word


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends: the privileged side's, the engine's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        yield ours, theirs


def test_blocks_come_as_they_were_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    """Blocks of any length, longer than the socket holds too, arrive whole and in order with a reader that is slow."""
    ours, theirs = pair
    rest = random.Random(1)
    blocks = [b"", b"x", *(rest.randbytes(rest.randrange(1 << 20)) for _ in range(8)), b"last"]
    received: list[bytes] = []
    sender = BlockSender(ours)
    for block in blocks:
        sender.put(block)
    assert sender.waiting > 0  # the socket took a part only
    thread = threading.Thread(target=lambda: received.extend(receive_blocks(theirs)))
    thread.start()
    sender.finish()
    thread.join()
    assert received == blocks
    assert sender.waiting == 0


def test_sender_without_a_reader_never_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    """What the engine has no room for is queued and counted, and above the mark the sender says that it is full."""
    ours, _ = pair
    sender = BlockSender(ours)
    assert sender.flush() is True
    sent = 0
    while not sender.full:
        sender.put(bytes(1 << 20))
        sent += (1 << 20) + 4
        assert sent < 16 << 20
    assert HIGH_WATER < sender.waiting <= sent
    assert sender.flush() is False


def test_queue_drains_as_the_reader_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    """Reading at the other end lets `flush` go on where it stopped within a block."""
    ours, theirs = pair
    sender = BlockSender(ours)
    content = random.Random(2).randbytes(1 << 20)
    sender.put(content)
    stream = receive_blocks(theirs)
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(next(stream)))
    thread.start()
    while not sender.flush():
        pass
    thread.join()
    assert received == [content]


@pytest.mark.parametrize("kept", [0, 2, 4, 9])
def test_block_cut_off_is_dropped(pair: tuple[socket.socket, socket.socket], kept: int) -> None:
    """A sender that dies within a block has sent the blocks before it, and not that one."""
    ours, theirs = pair
    sender = BlockSender(ours)
    sender.put(b"whole")
    ours.send((b"\x0a\0\0\0" + b"0123456789")[:kept])
    ours.close()
    assert list(receive_blocks(theirs)) == [b"whole"]


def test_dead_engine_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    """Sending to an engine that is gone raises."""
    ours, theirs = pair
    sender = BlockSender(ours)
    theirs.close()
    with pytest.raises(BrokenPipeError):
        sender.put(b"block")


def test_words_come_back(pair: tuple[socket.socket, socket.socket]) -> None:
    """Words are read when they are whole, without waiting, beside the blocks that go the other way."""
    ours, theirs = pair
    words, sender = WordReader(ours), BlockSender(ours)
    assert words.read() == []
    send_word(theirs, {"ready": True})
    theirs.send(b'{"err')
    sender.put(b"block")
    assert words.read() == [{"ready": True}]
    theirs.send(b'or": "line\\nline"}\n{"quit": "quit"}\n')
    assert words.read() == [{"error": "line\nline"}, {"quit": "quit"}]
    assert not words.closed


def test_waiting_for_a_word(pair: tuple[socket.socket, socket.socket]) -> None:
    """With `wait`, a word is waited for; afterwards nothing is waited for again."""
    ours, theirs = pair
    words = WordReader(ours)
    thread = threading.Thread(target=lambda: send_word(theirs, {"ready": True}))
    thread.start()
    assert words.read(wait=True) == [{"ready": True}]
    thread.join()
    assert words.read() == []


def test_last_words_are_read(pair: tuple[socket.socket, socket.socket]) -> None:
    """What the engine said before it ended is read although it is gone, and so is that it is gone."""
    ours, theirs = pair
    words = WordReader(ours)
    send_word(theirs, {"error": "no room"})
    theirs.close()
    assert words.read(wait=True) == [{"error": "no room"}]
    assert words.read(wait=True) == []
    assert words.closed


def test_engine_that_died_with_blocks_unread(pair: tuple[socket.socket, socket.socket]) -> None:
    """An engine that died before it had read everything is gone like any other."""
    ours, theirs = pair
    words, sender = WordReader(ours), BlockSender(ours)
    sender.put(b"unread")
    theirs.close()
    assert words.read() == []
    assert words.closed
