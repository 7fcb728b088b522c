"""What is outside: an SSH server, a mining pool, and the network's package mirror. Run by the stage in a room."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from auditor.demo import ssh_server
from auditor.demo.addresses import MIRROR, MIRROR_PORT, POOL, POOL_PORT, TUNNEL_PORT
from auditor.demo.channel import Channel, on_standard_input
from auditor.demo.stratum import Pool
from auditor.errors import AuditorError

ANSWER_SECONDS: Final = 10.0


class Internet:
    """The servers outside, and what the stage may ask of them."""

    def __init__(self, directory: Path, ssh_kind: str, channel: Channel) -> None:
        self._directory = directory
        self._ssh_kind = ssh_kind
        self._channel = channel
        self._held: tuple[object, ...] = ()
        """The servers: what nothing refers to is collected."""

    async def open(self) -> None:
        """Serve until the stage's end of the conversation is closed."""
        ended = asyncio.Event()
        requests: asyncio.Queue[str] = asyncio.Queue()
        order = await asyncio.to_thread(self._channel.receive)
        if order is None:
            return
        ssh_kind, server = await ssh_server.serve(self._directory, order.document["authorized_key"], self._ssh_kind)
        pool = await Pool(lambda name: self._channel.send(event=f"login:{name}")).serve(POOL, POOL_PORT)
        mirror = await asyncio.start_server(serve_package, MIRROR, MIRROR_PORT)
        self._held = (server, pool, mirror)
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear, requests, ended)
        self._channel.send(event="open", ssh_server=ssh_kind)
        using = asyncio.create_task(self._use_tunnels(requests))
        await ended.wait()
        using.cancel()

    def _hear(self, requests: asyncio.Queue[str], ended: asyncio.Event) -> None:
        message = self._channel.receive()
        if message is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            ended.set()
        else:
            requests.put_nowait(message.document["do"])

    async def _use_tunnels(self, requests: asyncio.Queue[str]) -> None:
        while await requests.get() == "use-tunnel":
            self._channel.send(event="tunnel", banner=await banner_through_tunnel())


async def banner_through_tunnel() -> str:
    """Come back through the reverse tunnel, once, and read what greets there; empty where nothing does."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", TUNNEL_PORT)
            with contextlib.closing(writer):
                return (await reader.readline()).decode(errors="replace").strip()
    return ""


async def serve_package(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer any HTTP request with one small wheel."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await reader.readuntil(b"\r\n\r\n")
        body = wheel()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    writer.close()


def wheel() -> bytes:
    """Make a package to install."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("tidy/__init__.py", "def tidy(text):\n    return text.strip()\n")
        archive.writestr("tidy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tidy\nVersion: 1.0\n")
    return content.getvalue()


def main(directory: str, ssh_kind: str) -> None:
    """Run in a room: `python -m auditor.demo.internet DIRECTORY any|openssh|asyncssh`."""
    channel = on_standard_input()
    os.umask(0o022)  # sshd reads the keys as the user who logs in
    # Over the host's, for this room only, and gone with it: sshd insists on a directory of its own there as well.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    Path(directory).mkdir(parents=True)
    channel.send(event="hello")
    try:
        asyncio.run(Internet(Path(directory), ssh_kind, channel).open())
    except AuditorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
