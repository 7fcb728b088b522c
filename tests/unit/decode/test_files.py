"""Executable files in a stream of documents."""

from __future__ import annotations

import orjson

from auditor.decode.document import Document
from auditor.decode.files import File, Files

HEADER = (0x8005, *[0] * 9)


def doc(**executable) -> Document:
    """Make a document about an executable."""
    return Document(orjson.dumps({"auditor": {"executable": executable}}))


KNOWN = {"device": 1, "inode": 2, "size": 3, "ctime_ns": 4}


def test_facts_are_told_once() -> None:
    """The first exec of a file that tells facts gives an event of them; the second does not repeat it."""
    files = Files()
    file, news = files.ran(HEADER, doc(**KNOWN, status="ok", marks=["miner:stratum"]))
    assert file == File(1, 2, 3, 4)
    assert [(facts.ino, facts.marks) for facts in news] == [(2, ("miner:stratum",))]
    assert files.ran(HEADER, doc(**KNOWN, status="ok", marks=["miner:stratum"])) == (file, ())


def test_facts_of_their_own_count_as_told() -> None:
    """After a document of facts, an exec that repeats them gives none."""
    files = Files()
    assert files.told(HEADER, doc(**KNOWN, status="ok")).status == "ok"
    assert files.ran(HEADER, doc(**KNOWN, status="ok"))[1] == ()


def test_exec_without_facts_has_a_file_only() -> None:
    """A document that tells no facts gives no event."""
    assert Files().ran(HEADER, doc(**KNOWN)) == (File(1, 2, 3, 4), ())
    assert Files().ran(HEADER, doc()) == (File(0, 0, 0, 0), ())


def test_facts_without_a_file_get_one() -> None:
    """Marks on a document that names no inode belong to a file made up for it, and to no other."""
    files = Files()
    first, (facts,) = files.ran(HEADER, doc(marks=["client:openssh"]))
    second, _ = files.ran(HEADER, doc(marks=["client:openssh"]))
    assert first == File(facts.dev, facts.ino, facts.size, facts.ctime_ns)
    assert first != second
