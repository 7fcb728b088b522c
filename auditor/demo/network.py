"""The wire between the two rooms: a veth pair, and no other link, so that no packet can leave the machine."""

from __future__ import annotations

import subprocess

from auditor.demo.addresses import MIRROR, NODE, POOL, RELAY
from auditor.errors import HostError


def join(outside: int, inside: int) -> None:
    """Link the network namespaces of two processes, given by pid. Both must be empty of other links."""
    _configure(
        outside,
        "link set lo up",
        f"link add wire0 type veth peer name wire0 netns {inside}",
        f"address add {MIRROR}/24 dev wire0",
        f"address add {RELAY}/24 dev wire0",
        f"address add {POOL}/24 dev wire0",
        "link set wire0 up",
    )
    _configure(
        inside,
        "link set lo up",
        f"address add {NODE}/24 dev wire0",
        "link set wire0 up",
        "route add 203.0.113.0/24 dev wire0",
    )


def _configure(pid: int, *commands: str) -> None:
    entered = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"]
    text = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(entered, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"the demo's network could not be set up: {done.stderr.strip() or 'ip failed'}")
