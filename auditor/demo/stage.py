"""The stage: two rooms on one machine, a network between them, and an agent that waits for its first tool call.

`python -m auditor.demo.stage`, as root, plays the whole scenario without the auditor and tells what happened.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self

from auditor.demo import network
from auditor.demo.channel import Channel, Message, pair
from auditor.demo.room import room
from auditor.demo.scenario import ToolCall, scenario
from auditor.errors import AuditorError, HostError

NEEDED: Final = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "bash": "bash",
}
"""Commands, and the Debian packages that bring them."""

PARENT: Final = Path("/run")
"""Where the stage's mount point is made: only root can, and everyone may pass through, which /tmp does not promise."""

PREFIX: Final = "auditor-demo-"
OPEN_SECONDS: Final = 30.0
CALL_SECONDS: Final = 70.0
EFFECT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a tool call went."""

    call: ToolCall
    pid: int
    """Its first process, as the host numbers it."""
    status: int
    output: str
    effect: str
    """What was seen outside; empty where nothing was expected."""


class Stage:
    """Set up by `with`, gone at the end of it, however it ends. Needs root."""

    def __init__(self, ssh_server: str = "any") -> None:
        """`ssh_server` is `openssh`, `asyncssh`, or `any` for the first that is there."""
        self._ssh_server = ssh_server
        self._exits = contextlib.ExitStack()
        self.ssh_server = ""
        """The SSH server that was started."""
        self.agent_pid = 0
        """As the host numbers it."""
        self.calls: tuple[ToolCall, ...] = ()

    def __enter__(self) -> Self:
        check_host()
        sweep(PARENT)
        with contextlib.ExitStack() as undo:
            directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=PARENT)
            # Only ever a place to mount on, inside the rooms: on the host it stays empty.
            undo.callback(os.rmdir, directory)
            Path(directory).chmod(0o755)
            ours, theirs = pair()
            self._agent = undo.enter_context(contextlib.closing(Channel(ours)))
            with theirs:
                arguments = ("auditor.demo.node", directory, str(theirs.fileno()))
                self._node = undo.enter_context(room(*arguments, descriptors=[theirs.fileno()]))
            self._internet = undo.enter_context(room("auditor.demo.internet", directory, self._ssh_server))
            self._open()
            self._exits = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def make(self, call: ToolCall) -> Outcome:
        """Have the agent make a tool call; wait for its end and for its effect."""
        try:
            self._agent.send(name=call.name, command=call.command)
        except OSError:
            raise self._node.gone() from None
        started = self._hear("started", CALL_SECONDS)
        done = self._hear("done", CALL_SECONDS).document
        if done["status"] != 0:
            raise AuditorError(f"the tool call {call.name!r} ended with {done['status']}: {done['output'].strip()}")
        return Outcome(call, started.pid, done["status"], done["output"], self._effect_of(call))

    def _open(self) -> None:
        network.join(self._internet.pid, self._node.pid)
        self._internet.say(authorized_key=self._node.hello["public_key"])
        self.ssh_server = self._internet.expect("open", OPEN_SECONDS).document["ssh_server"]
        self._node.say(do="open")
        self.agent_pid = self._hear("hello", OPEN_SECONDS).pid
        self.calls = scenario(self._node.hello["tools"])

    def _hear(self, event: str, timeout: float) -> Message:
        try:
            message = self._agent.expect(event, timeout)
        except TimeoutError:
            raise AuditorError(f"the demo's agent said nothing for {timeout:.0f} s") from None
        if message is None:
            raise self._node.gone()
        return message

    def _effect_of(self, call: ToolCall) -> str:
        if call.effect is None:
            return ""
        if call.effect == "tunnel":
            self._internet.say(do="use-tunnel")
        seen = self._internet.expect(call.effect, EFFECT_SECONDS).document
        if call.effect == "tunnel":
            if not seen["banner"]:
                raise AuditorError("nothing came back through the reverse tunnel")
            return f"came back through the tunnel and read {seen['banner']!r}"
        return f"{call.effect.removeprefix('login:')!r} logged in to the pool"


def check_host() -> None:
    """Raise HostError where the stage cannot be set up."""
    if os.geteuid() != 0:
        raise HostError("the demo needs root, for namespaces of its own: run it with sudo")
    if missing := missing_packages():
        raise HostError(f"the demo needs more packages: run 'apt-get install {' '.join(missing)}'")


def missing_packages() -> list[str]:
    """List the packages whose commands are not on PATH."""
    return sorted({package for command, package in NEEDED.items() if shutil.which(command) is None})


def sweep(parent: Path) -> None:
    """Remove the mount points that demos killed with -9 left: empty directories named after a pid that is gone."""
    for left in parent.glob(f"{PREFIX}*"):
        named = re.match(rf"{PREFIX}(\d+)-", left.name)
        if named and not Path(f"/proc/{named[1]}").exists():
            with contextlib.suppress(OSError):
                left.rmdir()


def stop_on(number: int, _: FrameType | None) -> None:
    """Handle a signal by leaving in good order, which a second one does not hasten."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> None:
    """Play the whole scenario without the auditor."""
    signal.signal(signal.SIGTERM, stop_on)
    with Stage(*sys.argv[1:]) as stage:
        print(f"stage: agent {stage.agent_pid}, SSH server {stage.ssh_server}", flush=True)  # noqa: T201 - it tells
        for call in stage.calls:
            outcome = stage.make(call)
            print(f"{call.name} [{call.kind}] pid {outcome.pid}: {outcome.effect or 'done'}", flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        main()
    except AuditorError as error:
        sys.exit(f"demo: {error}")
