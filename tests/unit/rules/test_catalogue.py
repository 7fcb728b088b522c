"""Rules as they stand in their files."""

from __future__ import annotations

from pathlib import Path

from auditor.rules.catalogue import read_catalogue, unproven

TWO = """\
# about the first
title: First
name: first
auditor:
  examples:
    - match: a
      events: [{}]
    - match: b
      events: [{}]
    - no-match: c
      events: [{}]
# and after it

---
title: Second
id: second-id
correlation: {}
"""


def test_documents_of_a_file_are_told_apart(tmp_path: Path) -> None:
    """Each has its place and its own text, without the line that parts them."""
    file = tmp_path / "two.yml"
    file.write_text(TWO)
    first, second = read_catalogue([tmp_path])
    assert (first.key, first.source, first.matches, first.others, first.has_block) == ("first", f"{file}:2", 2, 1, True)
    assert first.text.splitlines()[0] == "title: First"
    assert first.text.splitlines()[-1] == "# and after it"
    assert (second.key, second.source, second.has_block) == ("second-id", f"{file}:15", False)
    assert second.text == "title: Second\nid: second-id\ncorrelation: {}"


def test_filters_are_left_out(tmp_path: Path) -> None:
    """A filter raises no alert and is no rule."""
    (tmp_path / "filter.yml").write_text("title: Filter\nfilter: {}\n")
    assert read_catalogue([tmp_path]) == []


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """No YAML, a document that is no mapping, a block that is none: to tell of them is somebody else's work."""
    (tmp_path / "broken.yml").write_text("title: [")
    (tmp_path / "list.yml").write_text("- a\n")
    (tmp_path / "odd.yml").write_text(
        "title: Odd\nname: odd\nauditor: yes\n---\nname: odder\nauditor: {examples: {}}\n"
    )
    assert [(entry.key, entry.matches) for entry in read_catalogue([tmp_path])] == [("odd", 0), ("odder", 0)]


def test_unproven(tmp_path: Path) -> None:
    """Only the sort of examples that is short is named."""
    file = tmp_path / "two.yml"
    file.write_text(TWO)
    first, _ = read_catalogue([file])
    assert unproven(first, 1) is None
    assert unproven(first, 2) == f"{file}:2: missing examples: no-match (1 of 2)"
