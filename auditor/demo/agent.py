"""The stand-in agent: makes the tool calls that it is told to, each as a direct child, as agent runtimes do.

It is started as root in a room and becomes an ordinary user before anything else, so that its tool calls, harmless as
they are, cannot even by mistake touch the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Final

from auditor.demo.channel import Channel, on_standard_input

CALL_SECONDS: Final = 60.0
OUTPUT_LIMIT: Final = 2000
"""Bytes of a call's last output that are passed on."""


def make_call(channel: Channel, name: str, command: str) -> None:
    """Run one tool call to its end (what it leaves in the background goes on) and tell how it went."""

    def announce() -> None:
        # Between fork and exec, so that the kernel puts the child's own pid on the message.
        channel.send(event="started", name=name)

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=announce,  # noqa: PLW1509 - this program has one thread
        )
        try:
            status = process.wait(CALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        output.seek(max(0, output.tell() - OUTPUT_LIMIT))
        channel.send(event="done", name=name, status=status, output=output.read().decode(errors="replace"))


def main(home: str, uid: int, gid: int) -> None:
    """Run in a room: `python -m auditor.demo.agent HOME UID GID`, tool calls on standard input."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.chdir(home)
    channel = on_standard_input()
    channel.send(event="hello")
    while (order := channel.receive()) is not None:
        make_call(channel, order.document["name"], order.document["command"])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
