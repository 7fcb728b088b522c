"""Rules as they stand in their files: the place, the text, and whether they prove themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from auditor.rules.documents import Document, Problems, read_documents, rule_files


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a rule file."""

    name: str
    """The rule's `name`, or empty."""
    id: str
    """The rule's `id`, or empty."""
    path: str
    source: str
    """`path:line` of the document's first line."""
    text: str
    has_block: bool
    """There is an `auditor:` block."""
    matches: int
    """Examples that the rule must match."""
    others: int
    """Examples that it must not match."""

    @property
    def key(self) -> str:
        """What sequences and the pack call the rule."""
        return self.name or self.id


def read_catalogue(paths: Sequence[Path]) -> list[Entry]:
    """List the rules and correlations of files, and of folders of them. What cannot be read is left out.

    Filters, which raise no alert, are left out too.
    """
    problems = Problems()  # reading the pack tells of them
    entries = []
    for file in rule_files(paths, problems):
        documents = list(read_documents(file, problems))
        texts = _texts(file, documents)
        entries += [
            _entry(document, text)
            for document, text in zip(documents, texts, strict=True)
            if "filter" not in document.data
        ]
    return entries


def unproven(entry: Entry, least: int) -> str | None:
    """Tell, as `path:line: what`, that a rule has fewer than `least` examples of either sort; None if it has them."""
    lacking = [
        f"{word} ({count} of {least})"
        for word, count in (("match", entry.matches), ("no-match", entry.others))
        if count < least
    ]
    return f"{entry.source}: missing examples: {', '.join(lacking)}" if lacking else None


def _texts(file: Path, documents: Sequence[Document]) -> list[str]:
    if not documents:
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    starts = [document.lines[()] - 1 for document in documents]
    texts = []
    for start, end in pairwise([*starts, len(lines)]):
        part = lines[start:end]
        while part and (not part[-1].strip() or part[-1].startswith(("---", "..."))):
            part.pop()
        texts.append("\n".join(part))
    return texts


def _entry(document: Document, text: str) -> Entry:
    data = document.data
    examples = _examples(data.get("auditor"))
    return Entry(
        name=_said(data, "name"),
        id=_said(data, "id"),
        path=document.path,
        source=document.source(),
        text=text,
        has_block="auditor" in data,
        matches=sum("match" in item for item in examples),
        others=sum("no-match" in item for item in examples),
    )


def _said(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return str(value) if value is not None else ""


def _examples(block: object) -> list[dict[str, Any]]:
    found = block.get("examples") if isinstance(block, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
