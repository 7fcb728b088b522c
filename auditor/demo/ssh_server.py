"""The SSH server outside: OpenSSH's where it is installed, else asyncssh's. Logins by one key, forwarding allowed.

Runs as root in a room of its own, so it may put what sshd insists on (its directory in /run, accounts) over the
host's without the host seeing any of it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from auditor.demo.addresses import RELAY, RELAY_USER, SSH_PORT
from auditor.errors import HostError

READY: Final = b"Server listening on"
START_SECONDS: Final = 10.0

ACCOUNTS: Final = f"""\
root:*:0:0::/root:/bin/sh
sshd:*:101:65534::/run/sshd:/bin/sh
{RELAY_USER}:*:1000:1000::/:/bin/sh
"""

CONFIG: Final = f"""\
ListenAddress {RELAY}
Port {SSH_PORT}
AllowUsers {RELAY_USER}
AuthorizedKeysFile {{keys}}
AuthenticationMethods publickey
AllowTcpForwarding yes
StrictModes no
UseDNS no
LogLevel INFO
"""


async def serve(directory: Path, authorized_key: str, kind: str) -> tuple[str, object]:
    """Start the server and wait until it listens.

    `kind` is `openssh`, `asyncssh`, or `any` for the first that is there. Returns the kind that was started and an
    object to hold while it shall run.
    """
    sshd = shutil.which("sshd", path=os.defpath + ":/usr/local/sbin:/usr/sbin:/sbin")
    if sshd is not None and kind in {"openssh", "any"}:
        return "openssh", await _openssh(sshd, directory, authorized_key)
    try:
        library = importlib.import_module("asyncssh")
    except ImportError:
        raise HostError("no SSH server for the demo: run 'apt-get install openssh-server' as root") from None
    return "asyncssh", await _asyncssh(library, authorized_key)


async def _openssh(sshd: str, directory: Path, authorized_key: str) -> asyncio.subprocess.Process:
    command = await asyncio.to_thread(_prepare_openssh, sshd, directory, authorized_key)
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None  # noqa: S101 - a pipe was asked for
    said = await asyncio.wait_for(lines_until_ready(process.stderr), START_SECONDS)
    if READY not in said[-1]:
        raise HostError(f"sshd did not start: {said[-1].decode(errors='replace').strip()}")
    return process


def _prepare_openssh(sshd: str, directory: Path, authorized_key: str) -> list[str]:
    """Make what sshd wants to find, and give its command."""
    Path("/run/sshd").mkdir()
    accounts, keys, config, host_key = (directory / name for name in ("accounts", "keys", "sshd_config", "host_key"))
    accounts.write_text(ACCOUNTS)
    subprocess.run(["mount", "--bind", accounts, "/etc/passwd"], check=True)
    keys.write_text(authorized_key)
    config.write_text(CONFIG.format(keys=keys))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    return [sshd, "-D", "-e", "-f", str(config), "-h", str(host_key), "-o", "PidFile=none"]


async def lines_until_ready(stream: asyncio.StreamReader) -> list[bytes]:
    """Read what sshd says until it listens, or until it ends."""
    said = [b"it said nothing"]
    while line := await stream.readline():
        said.append(line)
        if READY in line:
            break
    return said


async def _asyncssh(library: Any, authorized_key: str) -> object:
    class Relay(library.SSHServer):  # type: ignore[misc] # the library is looked up at run time
        def server_requested(self, _host: str, _port: int) -> bool:
            return True

    return await library.create_server(
        Relay,
        RELAY,
        SSH_PORT,
        server_host_keys=[library.generate_private_key("ssh-ed25519")],
        authorized_client_keys=library.import_authorized_keys(authorized_key),
    )
