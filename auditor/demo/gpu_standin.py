"""Stands in for a program that mines on a GPU: asks a device what CUDA's libraries ask, then logs in to a pool.

Copied into the agent's home and run there by the distribution's Python, so it rests on the standard library only. The
device is a harmless one, whose driver refuses every request (ENOTTY); that the requests are made is the point. Nothing
is computed.
"""

import argparse
import contextlib
import fcntl
import json
import os
import select
import socket

# NVIDIA's open kernel modules, nv-ioctl-numbers.h and nv_escape.h: direction, size, 'F' and the number, as _IOWR packs
# them. In the order in which a CUDA program starts.
START = (
    0xC00846D6,  # SYS_PARAMS
    0xC90046C8,  # CARD_INFO
    0xC020462B,  # RM_ALLOC: the client
    0xC020462A,  # RM_CONTROL
    0xC030462B,  # RM_ALLOC: device, context, channel
    0xC030462B,
    0xC030462B,
    0xC038464E,  # RM_MAP_MEMORY
)
BEAT = 0xC020462A  # RM_CONTROL

START_UP_BEATS = 15
BEAT_SECONDS = 0.05
# A context takes a real program about as long: most of a second.


def ask(device: int, request: int) -> None:
    """Make one request; the stand-in device refuses it."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(device, request, bytes(48))


def beat_until(device: int, connection: socket.socket | None, beats: int | None) -> None:
    """Poll the device, slowly, for a number of beats or until the pool hangs up."""
    done = 0
    while beats is None or done < beats:
        done += 1
        ask(device, BEAT)
        readable, _, _ = select.select([connection] if connection else [], [], [], BEAT_SECONDS)
        if readable and connection is not None and not connection.recv(4096):
            return


def log_in(pool: str, user: str) -> socket.socket:
    """Connect to the pool and log in as a Bitcoin-like miner does."""
    host, port = pool.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), 10)
    for number, (method, params) in enumerate([("mining.subscribe", ["train/1.0"]), ("mining.authorize", [user, "x"])]):
        connection.sendall(json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n")
    return connection


def main() -> None:
    """Run: `train.py --device PATH --server HOST:PORT --run NAME`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--run", required=True)
    options = parser.parse_args()
    device = os.open(options.device, os.O_RDWR)
    for request in START:
        ask(device, request)
    beat_until(device, None, START_UP_BEATS)
    with log_in(options.server, options.run) as connection:
        beat_until(device, connection, None)


if __name__ == "__main__":
    main()
