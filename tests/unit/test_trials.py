"""Rules tried on their own examples."""

from __future__ import annotations

from typing import Any

from auditor.model.alerts import RuleInfo
from auditor.rules.pack import Absence, Correlation, Detection, Example, Pack, Sequence
from auditor.trials import narrow, try_examples

RUN = {"event.action": "exec", "process.pid": 100, "process.executable": "/bin/a"}
CONNECT = {"event.action": "connect", "process.pid": 100, "destination.ip": "203.0.113.1", "destination.port": 22}
STAGE = Detection(
    "stage", RuleInfo("1", "Stage", "low"), "process_creation", ("eq", "Image", "/bin/a", True), silent=True
)
OUT = Detection("out", RuleInfo("2", "Out", "low"), "network_connection", ("num", "DestinationPort", "==", 22))
BOTH = Sequence("both", RuleInfo("3", "Both", "high"), ("stage", "out"), ("ToolCallId",), 60_000_000_000)


def outcomes(*examples: tuple[str, bool, list[dict[str, Any]]]) -> list[tuple[bool, bool]]:
    """Try examples; gives whether each matched and passed."""
    made = tuple(Example(rule, "name", match, tuple(events)) for rule, match, events in examples)
    pack = Pack((STAGE, OUT), (BOTH,), examples=made)
    return [(trial.matched, trial.passed) for trial in try_examples(pack)]


def test_either_sort() -> None:
    """An example passes if the rule does what it says, be it to match or not."""
    assert outcomes(
        ("out", True, [CONNECT]), ("out", False, [CONNECT]), ("out", False, [RUN]), ("out", True, [RUN])
    ) == [
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    ]


def test_silent_stage_speaks_for_itself() -> None:
    """A stage that raises no alert of its own can still be tried."""
    assert outcomes(("stage", True, [RUN])) == [(True, True)]


def test_examples_know_nothing_of_each_other() -> None:
    """What one example's events began, another's do not end; and nothing is suppressed for having fired before."""
    assert outcomes(("both", False, [RUN]), ("both", False, [CONNECT]), ("both", True, [RUN, CONNECT])) == [
        (False, True),
        (False, True),
        (True, True),
    ]
    assert outcomes(*[("both", True, [RUN, CONNECT])] * 2) == [(True, True)] * 2


def test_facts_that_come_late() -> None:
    """An example may tell what the executable is."""
    rule = Detection("marked", RuleInfo("4", "Marked", "low"), "process_creation", ("eq", "ExecutableMarks", "m", True))
    example = Example("marked", "name", match=True, events=({**RUN, "auditor.executable.marks": ["m"]},))
    (trial,) = try_examples(Pack((rule,), examples=(example,)))
    assert trial.passed


def test_unreadable_events() -> None:
    """An example that is no event fails, whatever it wanted, and says what is wrong."""
    examples = (Example("out", "name", match=False, events=({**CONNECT, "destination.ip": "nowhere"},)),)
    (trial,) = try_examples(Pack((OUT,), examples=examples))
    assert not trial.passed
    assert "destination.ip" in trial.problem


def test_narrow() -> None:
    """A rule stands on its stages and on nothing else; only what is tried itself is made to speak."""
    pack = Pack((STAGE, OUT), (BOTH,))
    assert narrow(pack, "both") == Pack((STAGE, OUT), (BOTH,))
    assert [(rule.key, rule.silent) for rule in narrow(pack, "stage").detections] == [("stage", False)]
    assert narrow(pack, "out").sequences == ()


def test_narrow_follows_chains() -> None:
    """What a rule stands on may stand on others."""
    over = Correlation("over", RuleInfo("4", "Over", "high"), "event_count", ("both",), (), 1, until=("other",))
    other = Detection("other", RuleInfo("5", "Other", "low"), "gpu_open", ("true",))
    rest = Detection("rest", RuleInfo("6", "Rest", "low"), "gpu_open", ("true",))
    pack = Pack((STAGE, OUT, other, rest), (BOTH,), correlations=(over,))
    assert narrow(pack, "over") == Pack((STAGE, OUT, other), (BOTH,), correlations=(over,))


def test_time_goes_on_after_the_events() -> None:
    """What does not follow by the end of an example does not follow."""
    absence = Absence("out", 3600 * 1_000_000_000)
    alone = Sequence("alone", RuleInfo("4", "Alone", "high"), ("stage", "stage"), (), 60_000_000_000, absence=absence)
    examples = tuple(
        Example("alone", "name", match, tuple(events))
        for match, events in ((True, [RUN, RUN]), (False, [RUN, RUN, CONNECT]), (False, [RUN]))
    )
    trials = list(try_examples(Pack((STAGE, OUT), (alone,), examples=examples)))
    assert [trial.passed for trial in trials] == [True, True, True]
