"""The rule guide, held to the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from auditor.model.alerts import LEVELS
from auditor.rules.engine import Engine
from auditor.rules.fields import CATEGORIES, FIELDS, Field
from auditor.rules.pack import Join
from auditor.rules.sigma import read_pack

GUIDE = Path(__file__).parents[2] / "docs" / "rules.md"
COMMON = set.intersection(*(set(fields.values()) for fields in FIELDS.values()))


def row(field: Field) -> str:
    """Give a field's line in the guide."""
    return f"| `{field.name}` | {field.type} | `{field.ecs}` | {field.meaning} |"


def section(title: str) -> str:
    """Give the guide's text below a heading, up to the next one."""
    _, _, rest = GUIDE.read_text().partition(f"\n### {title}\n")
    assert rest, f"the guide has no section '{title}'"
    return re.split(r"\n##", rest)[0]


def test_fields_of_the_process_are_listed() -> None:
    """Every field that any rule may use, with type, ECS name and meaning; no other is listed."""
    listed = {line for line in section("In every category").splitlines() if line.startswith("| `")}
    assert listed == {row(field) for field in COMMON}


@pytest.mark.parametrize("category", CATEGORIES)
def test_fields_of_a_category_are_listed(category: str) -> None:
    """The same, for what only the events of a category have."""
    listed = {line for line in section(f"In `{category}`").splitlines() if line.startswith("| `")}
    assert listed == {row(field) for field in FIELDS[category].values() if field not in COMMON}


def test_joins_and_levels_are_listed() -> None:
    """What the block and the level may say stands in the guide."""
    text = GUIDE.read_text()
    assert [word for word in (*get_args(Join), *LEVELS) if f"`{word}`" not in text] == []


def test_the_guides_rules_are_sound(tmp_path: Path) -> None:
    """Every rule that the guide shows can be read and compiled, together."""
    shown = re.findall(r"```yaml\n(title: .*?)```", GUIDE.read_text(), re.DOTALL)
    assert shown
    for number, text in enumerate(shown):
        (tmp_path / f"{number}.yml").write_text(text)
    pack = read_pack([tmp_path])
    assert pack.skipped == ()
    assert len({example.rule for example in pack.examples}) >= 1
    assert Engine(pack).evictions == 0
