"""YAML documents of rule files, with the line of everything in them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

LISTS: Final = "lists.yml"
"""Name of a file of lists; no rule file is called so."""

KeyPath: TypeAlias = tuple[Hashable, ...]
"""Keys and indexes from a document's top down to a value."""


@dataclass
class Problems:
    """What is wrong with a pack, found so far, as `path:line: what`."""

    found: list[str] = field(default_factory=list)

    def add(self, source: str, what: str) -> None:
        """Note a problem; the text is made one line."""
        line = f"{source}: {' '.join(what.split())}"
        if line not in self.found:
            self.found.append(line)


@dataclass(frozen=True)
class Document:
    """One YAML document that is a mapping."""

    path: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def source(self, *keys: Hashable) -> str:
        """Give `path:line` of a value, or of the nearest thing around it that has a line."""
        for length in range(len(keys), -1, -1):
            if keys[:length] in self.lines:
                return f"{self.path}:{self.lines[keys[:length]]}"
        return self.path


def rule_files(paths: Sequence[Path], problems: Problems) -> Iterator[Path]:
    """Give the files named, and every `*.yml` and `*.yaml` below the folders named, each once, in order."""
    given: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob("*")
                if file.suffix in {".yml", ".yaml"} and file.name != LISTS and file.is_file()
            )
            if not found:
                problems.add(str(path), "no rule file (*.yml) in this folder")
        elif path.is_file():
            found = [path]
        else:
            problems.add(str(path), "no such file or folder")
            continue
        for file in found:
            if (real := file.resolve()) not in given:
                given.add(real)
                yield file


def read_documents(path: Path, problems: Problems) -> Iterator[Document]:
    """Read a file's documents; what cannot be read becomes a problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.add(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            lines: dict[KeyPath, int] = {}
            _note_lines(node, (), lines, set(), str(path), problems)
            data = loader.construct_document(node)
            if isinstance(data, dict):
                yield Document(str(path), data, lines)
            elif data is not None:
                problems.add(f"{path}:{node.start_mark.line + 1}", "a rule is a mapping of names to values")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        source = str(path) if mark is None else f"{path}:{mark.line + 1}"
        problems.add(source, f"not YAML: {getattr(error, 'problem', None) or error}")
    finally:
        loader.dispose()


def _note_lines(
    node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int], seen: set[int], path: str, problems: Problems
) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if id(node) in seen:  # an alias: walking into it again is how a small file becomes endless
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            below = (*at, key.value)
            if below in lines:
                problems.add(f"{path}:{key.start_mark.line + 1}", f"'{key.value}' stands here a second time")
            lines[below] = key.start_mark.line + 1
            _note_lines(value, below, lines, seen, path, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*at, index), lines, seen, path, problems)
