"""Starting the SSH server outside."""

from __future__ import annotations

import asyncio

import pytest

from auditor.demo.ssh_server import lines_until_ready


async def read(text: bytes) -> tuple[list[bytes], bytes]:
    """Let sshd say something; give what was read until it is ready, and what is left."""
    stream = asyncio.StreamReader()
    stream.feed_data(text)
    stream.feed_eof()
    return await lines_until_ready(stream), await stream.read()


@pytest.mark.parametrize(
    ("text", "last", "rest"),
    [
        (
            b"note\nServer listening on 203.0.113.66 port 22.\nmore\n",
            b"Server listening on 203.0.113.66 port 22.\n",
            b"more\n",
        ),
        (b"note\nMissing privilege separation directory\n", b"Missing privilege separation directory\n", b""),
        (b"", b"it said nothing", b""),
    ],
)
def test_sshd_is_read_until_it_listens(text: bytes, last: bytes, rest: bytes) -> None:
    """Reading stops at the line that says it listens, or keeps the last words of one that ended."""
    said, left = asyncio.run(read(text))
    assert (said[-1], left) == (last, rest)
