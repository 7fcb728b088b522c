"""Rule files as YAML documents with lines."""

from __future__ import annotations

from pathlib import Path

from auditor.rules.documents import Document, Problems, read_documents, rule_files


def read(folder: Path, text: str | bytes) -> tuple[list[Document], list[str]]:
    """Read a text as a file."""
    file = folder / "rule.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    problems = Problems()
    documents = list(read_documents(file, problems))
    return documents, [problem.removeprefix(f"{folder}/") for problem in problems.found]


def test_everything_in_a_document_has_its_line(tmp_path: Path) -> None:
    """Lines count from the file's first, in the second document too; an unknown place has its surroundings' line."""
    (first, second), found = read(tmp_path, "a: 1\n---\nb:\n  - c\n  - d: 2\n")
    assert found == []
    assert first.source("a") == f"{tmp_path}/rule.yml:1"
    assert second.source("b", 1, "d").endswith(":5")
    assert second.source("b", 1, "nothing").endswith(":5")
    assert second.source("nothing").endswith(":3")


def test_what_is_no_rule_is_a_problem(tmp_path: Path) -> None:
    """Bad YAML, doubled keys, text that is not UTF-8 and documents that are no mappings; empty ones pass."""
    assert read(tmp_path, "a: [\n")[1][0].startswith("rule.yml:2: not YAML")
    assert read(tmp_path, "a: 1\na: 2\n")[1] == ["rule.yml:2: 'a' stands here a second time"]
    assert read(tmp_path, "- 1\n")[1] == ["rule.yml:1: a rule is a mapping of names to values"]
    assert read(tmp_path, b"a: \xff\n")[1][0].startswith("rule.yml: cannot be read")
    assert read(tmp_path, "---\n---\n") == ([], [])


def test_an_alias_is_walked_once(tmp_path: Path) -> None:
    """A small file of aliases upon aliases is read in no time."""
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    (document,), found = read(tmp_path, text)
    assert found == []
    assert len(document.lines) < 500


def test_files_are_found_below_folders_once_and_in_order(tmp_path: Path) -> None:
    """Other files are left alone; a file named twice is read once."""
    for name in ("b.yml", "a.yaml", "sub/c.yml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    problems = Problems()
    found = list(rule_files([tmp_path, tmp_path / "b.yml"], problems))
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a.yaml", "b.yml", "sub/c.yml"]
    assert problems.found == []


def test_a_problem_is_one_line_and_told_once() -> None:
    """Messages from elsewhere may have line ends."""
    problems = Problems()
    problems.add("f:1", "two\n  lines")
    problems.add("f:1", "two lines")
    assert problems.found == ["f:1: two lines"]
