"""The pieces that documents are put together from."""

from __future__ import annotations

import pytest

from auditor.model.processes import Process
from auditor.model.records import Flag, Kind, TaskId
from auditor.sinks import ecs
from tests.builders import (
    make_connect,
    make_exec,
    make_executable,
    make_exit,
    make_gpu_open,
    make_gpu_summary,
    make_gpu_use,
)

# ECS 8.17, event.category and event.type: the values that the schema allows.
CATEGORIES = {"file", "host", "network", "process", "session"}
TYPES = {"access", "connection", "end", "error", "info", "start"}


def process(**fields) -> Process:
    """Make a process."""
    made = Process(TaskId(100, 5), "b.100.5", None, 99)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_every_event_part_is_of_the_schema() -> None:
    """Each kind has a category and types that ECS allows, and an action of its own."""
    for kind, action in ecs.ACTIONS.items():
        part = ecs.event_part(kind)
        assert set(part["category"]) <= CATEGORIES
        assert set(part["type"]) <= TYPES
        assert part["action"] == action
    assert len(set(ecs.ACTIONS.values())) == len(ecs.ACTIONS)
    assert Kind.CANDIDATE not in ecs.ACTIONS


def test_empty_fields_are_left_out() -> None:
    """Empty texts and lists say nothing; zero and False do."""
    assert ecs.filled(a="", b=(), c=None, d=0, e=False, f="x", g={}) == {"d": 0, "e": False, "f": "x"}


def test_name_is_the_executables_last_part() -> None:
    """A process is called as its executable, else as the kernel calls it."""
    assert ecs.name_of(process(executable="/usr/bin/ssh", comm="x")) == "ssh"
    assert ecs.name_of(process(comm="kworker")) == "kworker"


def test_flags_in_words() -> None:
    """Each bit has one word."""
    assert ecs.flag_words(Flag.MEMFD | Flag.CALL_ROOT) == ["memfd", "call-root"]
    assert ecs.flag_words(0xFFFF) == list(ecs.FLAGS)


def test_node_of_a_tree() -> None:
    """A tree's node tells who and what, and a gap above it."""
    assert ecs.node(process(executable="/x", args=("x",))) == {
        "pid": 100,
        "entity_id": "b.100.5",
        "executable": "/x",
        "args": ("x",),
    }
    assert ecs.node(process(elided=3))["elided"] == 3


def test_user() -> None:
    """The effective user stands where it differs; an unknown user does not stand at all."""
    assert ecs.user_part(process()) == {}
    assert ecs.user_part(process(uid=1, gid=2, euid=1)) == {"id": "1", "group": {"id": "2"}}
    assert ecs.user_part(process(uid=1, gid=2, euid=0))["effective"] == {"id": "0"}


@pytest.mark.parametrize(("status", "code"), [(0, 0), (256, 1), (0xFF00, 255), (9, 137), (11 | 0x80, 139)])
def test_exit_code(status: int, code: int) -> None:
    """A signal, with or without a core, counts from 128."""
    assert ecs.exit_part(make_exit(status=status)) == {"exit_code": code}


def test_network() -> None:
    """An address's family is told, and its scope apart from it."""
    outer, inner = ecs.deed_part(make_connect(ip="2001:db8::1", port=443))
    assert outer["destination"] == {"ip": "2001:db8::1", "port": 443}
    assert outer["network"] == {"transport": "tcp", "type": "ipv6", "direction": "egress"}
    assert inner == {"destination": {"scope": "external"}}


def test_gpu() -> None:
    """Opens, uses and summaries name the device and what was asked."""
    assert ecs.deed_part(make_gpu_open())[1]["gpu"] == {"role": "gpu", "access": ["read", "write"]}
    assert ecs.deed_part(make_gpu_open(access=""))[1]["gpu"]["access"] == []
    outer, inner = ecs.deed_part(make_gpu_use(result=-22))
    assert outer == {"device": {"id": "/dev/nvidiactl"}}
    assert inner["gpu"] == {"role": "ctl", "requests": ["NV_ESC_RM_ALLOC"], "result": -22}
    summary = ecs.deed_part(make_gpu_summary())[1]["gpu"]
    assert summary["counts"][0] == {"request": "NV_ESC_RM_CONTROL", "count": 3}
    assert summary["requests"] == ["NV_ESC_RM_CONTROL", "NV_ESC_RM_ALLOC"]


def test_executable() -> None:
    """An exec tells its file, what is odd about it, and what is known about it."""
    facts = make_executable(marks=("miner:stratum",), static=True)
    part = ecs.executable_part(make_exec(flags=Flag.MEMFD | Flag.DELETED), facts)
    assert part["memfd"] is part["deleted"] is part["static"] is True
    assert part["marks"] == ("miner:stratum",)
    assert part["links"] == 1
    assert ecs.executable_part(make_exec(ino=0), None) == {}
    assert ecs.deed_part(facts)[1]["executable"]["inode"] == facts.ino
    assert ecs.deed_part(make_exit()) == ({}, {})
