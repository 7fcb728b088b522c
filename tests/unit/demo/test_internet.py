"""What is outside, but for what takes a network."""

from __future__ import annotations

import asyncio
import io
import socket
import zipfile

from auditor.demo.internet import serve_package


async def fetch(request: bytes) -> bytes:
    """Ask the mirror for a package."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    served = asyncio.create_task(serve_package(*await asyncio.open_connection(sock=theirs)))
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    await served
    writer.close()
    return answer


def test_mirror_serves_a_package() -> None:
    """Whatever is asked for, a wheel with one importable package comes."""
    head, _, body = asyncio.run(fetch(b"GET /tidy.whl HTTP/1.1\r\nHost: mirror\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 ")
    assert "tidy/__init__.py" in zipfile.ZipFile(io.BytesIO(body)).namelist()


def test_mirror_hangs_up_on_nonsense() -> None:
    """What is no whole request gets no answer."""
    assert asyncio.run(fetch(b"GET")) == b""
