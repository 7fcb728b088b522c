"""Whether the auditor caught what the agent did, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from auditor.demo.scenario import ToolCall


@dataclass(frozen=True, slots=True)
class Caught:
    """What the demo reads in an alert's document."""

    rule_id: str
    rule_name: str
    pid: int
    """Of the tool call's first process; 0 where the alert names none."""
    tree: tuple[str, ...]
    """Names of the executables, from the tool call down to the offender."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read an alert as the JSON output has it."""
        tree = document.get("auditor", {}).get("tree", ())
        return cls(
            rule_id=document["rule"]["id"],
            rule_name=document["rule"]["name"],
            pid=tree[0]["pid"] if tree else 0,
            tree=tuple(process.get("executable", "?").rsplit("/", 1)[-1] for process in tree),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a demo."""

    caught: tuple[tuple[ToolCall, Caught], ...]
    missed: tuple[ToolCall, ...]
    """Offences without their alert."""
    unasked: tuple[tuple[ToolCall | None, Caught], ...]
    """Alerts that nothing called for: an ordinary call's, another rule's, or a repetition."""
    unplayed: tuple[ToolCall, ...]
    """Calls that were never made, because the demo was ended before."""

    @property
    def good(self) -> bool:
        """Exactly the expected alerts came."""
        return not (self.missed or self.unasked or self.unplayed)

    def lines(self) -> Iterator[str]:
        """Tell it to people."""
        for call, alert in self.caught:
            yield f"caught   {call.name}: {alert.rule_name} ({' > '.join(alert.tree)})"
        for call in self.missed:
            yield f"MISSED   {call.name}: no alert by rule {call.kind}"
        for origin, alert in self.unasked:
            yield f"UNASKED  {origin.name if origin else 'not a tool call of the agent'}: {alert.rule_name}"
        for call in self.unplayed:
            yield f"unplayed {call.name}"
        if self.good:
            yield f"All {len(self.caught)} offences caught, each charged to its tool call; nothing else alerted."


def judge(calls: Iterable[ToolCall], pids: Mapping[int, ToolCall], alerts: Iterable[Caught]) -> Verdict:
    """Compare the alerts with the tool calls; `pids` has the first process of each call that was made."""
    caught: dict[str, tuple[ToolCall, Caught]] = {}
    unasked: list[tuple[ToolCall | None, Caught]] = []
    for alert in alerts:
        call = pids.get(alert.pid)
        if call is not None and call.offence == alert.rule_id and call.name not in caught:
            caught[call.name] = (call, alert)
        else:
            unasked.append((call, alert))
    made = {call.name for call in pids.values()}
    calls = tuple(calls)
    return Verdict(
        caught=tuple(caught.values()),
        missed=tuple(call for call in calls if call.offence and call.name in made and call.name not in caught),
        unasked=tuple(unasked),
        unplayed=tuple(call for call in calls if call.name not in made),
    )
