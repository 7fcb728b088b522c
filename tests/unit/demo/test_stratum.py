"""A pool that lets miners log in."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from auditor.demo.stratum import LINE_LIMIT, Pool, answer, login_of


async def converse(*lines: bytes) -> tuple[list[Any], list[str]]:
    """Send lines to a pool, hang up, and give its answers and whom it took for logged in."""
    names: list[str] = []
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
    served = asyncio.create_task(Pool(names.append).talk(*await asyncio.open_connection(sock=theirs, limit=LINE_LIMIT)))
    writer.writelines(lines)
    writer.write_eof()
    answers = [json.loads(line) for line in (await reader.read()).splitlines()]
    await served
    writer.close()
    return answers, names


def test_both_kinds_of_miner_log_in() -> None:
    """Subscribing and authorising, or one login, are answered and told; no answer holds a job."""
    answers, names = asyncio.run(
        converse(
            b'{"id":1,"method":"mining.subscribe","params":["m/1"]}\n',
            b'{"id":2,"method":"mining.authorize","params":["one","x"]}\n',
            b'{"id":3,"method":"login","params":{"login":"two","pass":"x"}}\n',
        )
    )
    assert [entry["id"] for entry in answers] == [1, 2, 3]
    assert not any(entry.get("error") for entry in answers)
    assert "job" not in json.dumps(answers)
    assert names == ["one", "two"]


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0\r\n", b"x" * (3 * LINE_LIMIT) + b"\n"])
def test_other_protocols_are_hung_up_on(line: bytes) -> None:
    """What is no JSON, or too long for a request, ends the connection without an answer."""
    assert asyncio.run(converse(line)) == ([], [])


@pytest.mark.parametrize("request_", [{"id": 4, "method": "mining.extranonce.subscribe"}, {"id": 4}, [], "login", None])
def test_unknown_requests_are_refused(request_: Any) -> None:
    """Whatever else is asked is answered with an error and logs nobody in."""
    assert answer(request_)["error"]
    assert login_of(request_) is None


def test_long_names_are_cut() -> None:
    """A login name is passed on up to a limit."""
    assert login_of({"id": 1, "method": "login", "params": {"login": "n" * 1000}}) == "n" * 64
