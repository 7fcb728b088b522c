"""A mining pool that speaks stratum just far enough to let a miner log in, and that never sends work."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

LINE_LIMIT: Final = 4096
"""Bytes of one request; a longer one ends the connection."""

NAME_LIMIT: Final = 64
"""Characters of a login name that are passed on."""

LOGINS: Final = frozenset({"login", "mining.authorize"})
"""How a Monero-like and a Bitcoin-like miner log in."""


class Pool:
    """Answers miners and tells who logged in."""

    def __init__(self, on_login: Callable[[str], None]) -> None:
        self._on_login = on_login

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Start to listen."""
        return await asyncio.start_server(self.talk, host, port, limit=LINE_LIMIT)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one miner until it hangs up or makes no sense."""
        with contextlib.suppress(ConnectionError, ValueError), contextlib.closing(writer):
            while line := await reader.readline():
                request = json.loads(line)
                writer.write(json.dumps(answer(request)).encode() + b"\n")
                await writer.drain()
                if (name := login_of(request)) is not None:
                    self._on_login(name)


def answer(request: Any) -> dict[str, Any]:
    """Answer one JSON-RPC request. No answer holds a job."""
    match request:
        case {"method": "mining.subscribe", "id": number}:
            # Subscriptions, extranonce 1, size of extranonce 2.
            return {"id": number, "result": [[["mining.notify", "1"]], "00000000", 4], "error": None}
        case {"method": "mining.authorize", "id": number}:
            return {"id": number, "result": True, "error": None}
        case {"method": "login", "id": number}:
            return {"id": number, "jsonrpc": "2.0", "result": {"id": "1", "status": "OK"}, "error": None}
        case {"id": number}:
            return {"id": number, "result": None, "error": [20, "unknown method", None]}
    return {"id": None, "result": None, "error": [20, "not a request", None]}


def login_of(request: Any) -> str | None:
    """Give the name that a request logs in with, or None where it is no login."""
    match request:
        case {"method": method, "params": {"login": str(name)} | [str(name), *_]} if method in LOGINS:
            return name[:NAME_LIMIT]
    return None
