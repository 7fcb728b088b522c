"""Tables read well, and find their place in a document."""

from __future__ import annotations

import pytest

from tests.bench.tables import BEGIN, END, Table, render, replace_between


def test_table_is_markdown_in_columns() -> None:
    """Columns are as wide as their widest cell, and notes follow."""
    table = Table("Costs", [["", "spawn"], ["auditor", "1.03"]], ["pairs: 5"])
    assert render(table).splitlines() == [
        "### Costs",
        "",
        "|         | spawn |",
        "|---------|-------|",
        "| auditor | 1.03  |",
        "",
        "- pairs: 5",
    ]


def test_uneven_table_is_refused() -> None:
    """A row with a cell too few is a mistake, not an empty cell."""
    with pytest.raises(ValueError, match="shorter"):
        render(Table("Costs", [["", "spawn"], ["auditor"]]))


def test_what_stands_between_the_markers_is_replaced() -> None:
    """Writing twice leaves the newest tables and every other word."""
    document = f"# Overhead\n\n{BEGIN}\nold\n{END}\n\nAfter.\n"
    once = replace_between(document, "first\n")
    assert once == f"# Overhead\n\n{BEGIN}\n\nfirst\n\n{END}\n\nAfter.\n"
    assert replace_between(once, "second") == once.replace("first", "second")


@pytest.mark.parametrize("document", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_document_without_its_markers_is_left_alone(document: str) -> None:
    """Where the place is not clear, nothing is written."""
    with pytest.raises(ValueError, match="must hold one line"):
        replace_between(document, "new")
