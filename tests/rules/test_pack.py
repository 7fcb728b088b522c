"""The rules that come with the program, held to their own examples and to how the pack is kept."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
from sigma.collection import SigmaCollection

from auditor.rules.pack import Correlation, Detection, Example, Pack, Sequence
from auditor.rules.sigma import read_pack
from auditor.trials import Trial, try_examples

FOLDER = Path(__file__).parents[2] / "rules"
FILES = sorted(FOLDER.rglob("*.yml"))


@cache
def pack() -> Pack:
    """Read the pack, once."""
    return read_pack([FOLDER])


def rules() -> list[Correlation | Detection | Sequence]:
    """List all rules."""
    return [*pack().detections, *pack().sequences, *pack().correlations]


@cache
def trials() -> list[Trial]:
    """Try all examples, once: each by an engine of its own rule, which may speak, and what that stands on."""
    return list(try_examples(pack()))


@pytest.mark.parametrize("example", pack().examples, ids=lambda example: f"{example.rule}: {example.name}")
def test_an_example_does_what_it_says(example: Example) -> None:
    """A rule matches the events it must match and leaves its look-alikes alone."""
    (trial,) = (trial for trial in trials() if trial.example is example)
    assert (trial.problem, trial.matched) == ("", example.match)


def test_every_rule_proves_itself() -> None:
    """At least two examples that match and two look-alikes that do not."""
    counts = Counter((example.rule, example.match) for example in pack().examples)
    assert {rule.key: (counts[rule.key, True] >= 2, counts[rule.key, False] >= 2) for rule in rules()} == {
        rule.key: (True, True) for rule in rules()
    }


def test_every_rule_runs() -> None:
    """Our own events serve our own rules."""
    assert pack().skipped == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_one_rule_of_plain_sigma(file: Path) -> None:
    """Named as its file, with everything an alert says; pySigma alone reads it too."""
    (document,) = yaml.safe_load_all(file.read_text())
    assert document["name"].replace("_", "-") == file.stem or file.stem in document["name"].replace("_", "-")
    assert {"title", "id", "name", "status", "description", "author", "date", "tags", "level"} <= document.keys()
    assert any(re.fullmatch(r"attack\.(?:t\d{4}(?:\.\d{3})?|[a-z-]+)", tag) for tag in document["tags"])


def test_the_pack_without_our_block_is_sigma() -> None:
    """A collection of the same documents resolves in pySigma, block or no block."""
    texts = [file.read_text() for file in FILES]
    with_block = SigmaCollection.from_yaml("\n---\n".join(texts))
    without = [{k: v for k, v in yaml.safe_load(text).items() if k != "auditor"} for text in texts]
    plain = SigmaCollection.from_dicts(without)
    assert len(with_block.rules) == len(plain.rules) == len(FILES)


def test_alerts_that_wake_people_name_a_technique() -> None:
    """High and critical rules carry the MITRE technique."""
    assert [rule.key for rule in rules() if rule.info.level in {"high", "critical"} and not rule.info.techniques] == []
