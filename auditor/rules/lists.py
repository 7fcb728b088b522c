"""Lists of a site, which rules name as `%name%`: `lists.yml`, an ordinary pySigma pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from auditor.rules.documents import LISTS, Document, Problems, read_documents

Lists: TypeAlias = Mapping[str, tuple[str, ...]]

NO_LISTS: Final[Lists] = MappingProxyType({})

_KEYS: Final = {"name", "priority", "vars", "transformations"}


def read_lists(paths: Sequence[Path], problems: Problems) -> Lists:
    """Read the lists in the folders given, and beside the files given; of two with a name the later one counts."""
    lists: dict[str, tuple[str, ...]] = {}
    for folder in dict.fromkeys(path if path.is_dir() else path.parent for path in paths):
        file = folder / LISTS
        if file.is_file():
            for document in read_documents(file, problems):
                lists.update(_read(document, problems))
    return lists


def _read(document: Document, problems: Problems) -> dict[str, tuple[str, ...]]:
    for key in document.data:
        if key not in _KEYS:
            problems.add(document.source(key), f"'{key}' is not known in a file of lists")
    steps = document.data.get("transformations")
    if steps != [{"type": "value_placeholders"}]:
        what = "a file of lists has one transformation, of type value_placeholders, without conditions"
        problems.add(document.source("transformations"), what)
    given = document.data.get("vars")
    if not isinstance(given, dict):
        problems.add(document.source("vars"), "a file of lists has a mapping 'vars' of names to lists")
        return {}
    lists = {}
    for name, values in given.items():
        texts: list[Any] = values if isinstance(values, list) else [values]
        if not texts or not all(isinstance(text, str | int) for text in texts):
            problems.add(document.source("vars", name), f"list '{name}' holds one or more texts or numbers")
            continue
        lists[str(name)] = tuple(map(str, texts))
    return lists
