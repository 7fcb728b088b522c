"""Executable files in a stream of documents: which file an exec runs, and what is told about it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from auditor.decode.document import Document
from auditor.model.events import Executable

_LIMIT: Final = 16_384
_MADE_UP_DEVICE: Final = 0xFFFFFFFF
_OF: Final = "auditor.executable."


class File(NamedTuple):
    """What identifies a file; all zero where a document does not say."""

    dev: int
    ino: int
    size: int
    ctime_ns: int


class Files:
    """Remembers of which files the facts were told, so that each exec's document may repeat them."""

    def __init__(self) -> None:
        self._told: dict[File, None] = {}
        self._made_up = 0

    def told(self, header: tuple[int, ...], document: Document) -> Executable:
        """Return the facts that a document of their own tells."""
        file = _file(document)
        self._remember(file)
        return _facts(header, file, document)

    def ran(self, header: tuple[int, ...], document: Document) -> tuple[File, tuple[Executable, ...]]:
        """Return the file that an exec's document tells of, and the facts that it is the first to tell."""
        file = _file(document)
        if document.value(_OF + "status") is None and not document.texts(_OF + "marks"):
            return file, ()
        if not file.ino:
            self._made_up += 1
            file = file._replace(dev=_MADE_UP_DEVICE, ino=self._made_up)
        return file, (_facts(header, file, document),) if self._remember(file) else ()

    def _remember(self, file: File) -> bool:
        if file in self._told:
            return False
        self._told[file] = None
        if len(self._told) > _LIMIT:
            del self._told[next(iter(self._told))]
        return True


def _file(document: Document) -> File:
    return File(*(document.number(_OF + name) for name in ("device", "inode", "size", "ctime_ns")))


def _facts(header: tuple[int, ...], file: File, document: Document) -> Executable:
    values: tuple[Any, ...] = (
        document.text(_OF + "status") or "ok",
        document.text(_OF + "format"),
        document.texts(_OF + "libraries"),
        document.texts(_OF + "marks"),
        document.text(_OF + "build_id"),
        document.text(_OF + "language"),
        document.truth(_OF + "static"),
        document.text(_OF + "interpreter"),
    )
    return Executable._make((*header, *file, *values))
