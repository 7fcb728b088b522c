"""Alerts: a rule that fired, with whom it is charged to and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditor.model.events import Event
from auditor.model.processes import Process, SessionInfo, ToolCallInfo

LEVELS: Final = ("informational", "low", "medium", "high", "critical")
"""Sigma's levels, mildest first."""

SEVERITY: Final = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""ECS `event.severity` of each level. Low to critical are the risk scores that Elastic's own rules give these words."""


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What an alert says about its rule."""

    id: str
    name: str
    """The rule's title, for people."""
    level: str
    tags: tuple[str, ...] = ()
    """As in the rule: `attack.t1572`, `attack.command-and-control`."""
    author: str = ""
    description: str = ""
    references: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()

    @property
    def techniques(self) -> tuple[str, ...]:
        """MITRE ATT&CK technique ids among the tags, such as `T1572` or `T1021.004`."""
        found = (tag.split(".", 1)[1] for tag in self.tags if tag.startswith("attack."))
        return tuple(name.upper() for name in found if name[:1] == "t" and name[1:2].isdigit())


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event that made a rule fire, with the process as it was then."""

    event: Event
    process: Process
    stage: str
    """Name of the rule that this event matched: the rule itself, or a sequence's stage."""
    args: tuple[str, ...]
    executable: str


@dataclass(frozen=True, slots=True)
class Quality:
    """How far the alert's evidence can be trusted."""

    losses: tuple[tuple[str, int], ...]
    """What was lost in the alert's time window, and how many."""
    lineage_complete: bool
    """Every process from the tool call's first down to the offender was seen being born."""
    args_truncated: bool
    label_source: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired."""

    id: str
    """Stable: the same events and rule give the same id again."""
    time_ns: int
    rule: RuleInfo
    process: Process
    """The offender."""
    tree: tuple[Process, ...]
    """From the tool call's first process down to the offender."""
    session: SessionInfo | None
    call: ToolCallInfo | None
    evidence: tuple[Evidence, ...]
    quality: Quality
