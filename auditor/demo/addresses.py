"""Where everything on the stage lives. The outside has documentation addresses (RFC 5737), so that nothing is real."""

from __future__ import annotations

from typing import Final

RELAY: Final = "203.0.113.66"
"""The SSH server outside."""
POOL: Final = "203.0.113.77"
"""The mining pool outside."""
MIRROR: Final = "10.66.0.2"
"""A package mirror on the node's own private network: connecting there is ordinary work."""
NODE: Final = "10.66.0.1"
"""The machine that the agent runs on."""

SSH_PORT: Final = 22
POOL_PORT: Final = 3333
MIRROR_PORT: Final = 8080
TUNNEL_PORT: Final = 2222
"""Where the reverse tunnel comes out on the relay."""

RELAY_USER: Final = "relay"

GPU_DEVICE: Final = (1, 7)
"""Major and minor of the device that plays /dev/nvidiactl: /dev/full, whose driver knows no ioctl."""
