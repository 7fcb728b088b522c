"""Generated functions, held against a matcher that evaluates the same conditions by the book."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.lineage.table import Table
from auditor.model.events import Exec
from auditor.model.processes import Process
from auditor.rules.compiler import compile_category, compile_key
from auditor.rules.conditions import every, negate, some
from auditor.rules.fields import FIELDS
from auditor.rules.literals import LONG_S
from auditor.rules.pack import Node
from auditor.rules.sigma import read_pack
from tests.builders import make_connect, make_exec, make_executable, make_gpu_summary, make_gpu_use
from tests.unit.rules.reference import holds

WORDS = [
    "ssh",
    "SSH",
    "-R",
    "-fNR",
    "/tmp",
    "a b",
    "x",
    "",
    "Ünit",
    f"{LONG_S}tratum",
    "stratum+tcp://p",
    "1\n2",
    "'\"\\",
    "{e}",
]
IMAGES = ["/usr/bin/ssh", "/usr/bin/SSH", "/tmp/ssh", "/usr/bin/sshd", "ssh", "/bin/", "", "/opt/Ünit", "/usr/bin/git"]
PATTERNS = ["-[a-zA-Z]*R", "(?i)STRATUM", "^s.h", r"\x00-R", "(?:foo|-f)N", "[^a-z]$", "a{2,}|x", "(?i)(?:s|ü)"]

texts = st.sampled_from(WORDS)


def leaf_of(name: str, type_: str) -> st.SearchStrategy[Node]:
    """Draw a test that fits a field."""
    if type_ == "number":
        ops = st.sampled_from(["==", "<", "<=", ">", ">="])
        return st.tuples(st.just("num"), st.just(name), ops, st.sampled_from([0, 99, 100, 101, 1000, 2.5])) | st.just(
            ("present", name)
        )
    if type_ == "bool":
        return st.tuples(st.just("is"), st.just(name), st.booleans()) | st.just(("present", name))
    choices: list[st.SearchStrategy[Node]] = [
        st.just(("present", name)),
        st.tuples(st.just("re"), st.just(name), st.sampled_from(PATTERNS)),
        st.tuples(
            st.just("glob"), st.just(name), st.sampled_from([r"(?s)\A.*s.\z", r"(?s)\A/usr/.*h\z"]), st.booleans()
        ),
    ]
    for kind in ("eq", "starts", "ends", "has"):
        operand = texts | st.sampled_from(IMAGES) | st.sampled_from(["/ssh", "/git", "/bin/ssh", "/SSH"])
        choices.append(
            st.builds(
                lambda text, cased, kind=kind: (kind, name, text if cased else text.lower(), cased),
                operand,
                st.booleans(),
            )
        )
    if type_ == "ip":
        networks = st.sampled_from(["10.0.0.0/8", "203.0.113.0/24", "2001:db8::/32", "0.0.0.0/0"])
        choices.append(st.tuples(st.just("cidr"), st.just(name), networks))
    return st.one_of(choices)


def conditions(category: str) -> st.SearchStrategy[Node]:
    """Draw a condition of a category."""
    names = st.sampled_from(sorted(FIELDS[category])) | st.sampled_from(
        ["Image", "CommandLine", "Args", "ArgumentBlock"]
    )
    leaf = names.flatmap(lambda name: leaf_of(name, FIELDS[category][name].type))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map(every),
            st.lists(inner, min_size=1, max_size=4).map(some),
            inner.map(negate),
        ),
        max_leaves=8,
    )


processes = st.fixed_dictionaries(
    {
        "executable": st.sampled_from(IMAGES),
        "args": st.lists(texts, max_size=4).map(tuple),
        "cwd": texts,
        "uid": st.sampled_from([0, 1000]),
        "flags": st.sampled_from([0, 8, 16, 24]),
    }
)
facts = st.none() | st.fixed_dictionaries(
    {
        "marks": st.lists(st.sampled_from(["miner:stratum", "client:openssh", "x"]), max_size=2).map(tuple),
        "libraries": st.lists(texts, max_size=2).map(tuple),
        "build_id": st.sampled_from(["", "x"]),
        "static": st.booleans(),
    }
)


def run(parent: dict[str, Any], child: dict[str, Any], known: dict[str, Any] | None) -> tuple[Exec, Process]:
    """Exec a parent and its child, the child's file known or not."""
    table = Table()
    table.apply(make_exec(100, parent_tgid=99, **parent))
    event = make_exec(101, parent_tgid=100, call=100, **child)
    process = table.apply(event)
    assert process is not None
    process.facts = None if known is None else make_executable(event, **known)
    return event, process


@settings(max_examples=80, deadline=None)
@given(st.lists(conditions("process_creation"), min_size=1, max_size=8), processes, processes, facts)
def test_execs_match_as_by_the_book(nodes: list[Node], parent: Any, child: Any, known: Any) -> None:
    """Dispatch by name, gate and merging of tests change nothing about what an exec matches."""
    event, process = run(parent, child, known)
    matcher = compile_category("process_creation", list(enumerate(nodes)))
    expected = {number for number, node in enumerate(nodes) if holds(node, "process_creation", event, process)}
    assert set(matcher.match(event, process)) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(conditions("network_connection"), min_size=1, max_size=6),
    processes,
    facts,
    st.sampled_from(["10.1.2.3", "203.0.113.66", "2001:db8::1", "::1"]),
    st.sampled_from([22, 99, 100, 3333]),
)
def test_connections_match_as_by_the_book(nodes: list[Node], child: Any, known: Any, ip: str, port: int) -> None:
    """A connection matches by its own fields and by those of the process that makes it."""
    _, process = run({}, child, known)
    event = make_connect(101, ip, port)
    matcher = compile_category("network_connection", list(enumerate(nodes)))
    expected = {number for number, node in enumerate(nodes) if holds(node, "network_connection", event, process)}
    assert set(matcher.match(event, process)) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(conditions("network_connection"), min_size=1, max_size=4), processes, facts)
def test_facts_that_come_late_lead_to_the_same_matches(nodes: list[Node], child: Any, known: Any) -> None:
    """What matched before the facts, with what is open then and matches late, is what matches with the facts."""
    _, process = run({}, child, None)
    event = make_connect(101)
    matcher = compile_category("network_connection", list(enumerate(nodes)))
    early = set(matcher.match(event, process))
    hopeful = set(matcher.open(event, process)) if matcher.open else set()
    process.facts = make_executable(make_exec(101), **(known or {}))
    late = set(matcher.late(event, process)) if matcher.late else set()
    now = {number for number, node in enumerate(nodes) if holds(node, "network_connection", event, process)}
    assert now <= early | late
    assert late == now - early
    assert late <= hopeful


def test_a_list_of_requests_is_matched_in_summaries_and_first_uses() -> None:
    """Request is the one request of a first use, and any of a summary."""
    node: Node = ("eq", "Request", "nv_esc_rm_alloc", False)
    matcher = compile_category("gpu_ioctl", [(0, node)])
    _, process = run({}, {}, None)
    assert matcher.match(make_gpu_use(request="NV_ESC_RM_ALLOC"), process) == [0]
    assert matcher.match(make_gpu_use(request="NV_ESC_CARD_INFO"), process) == []
    assert matcher.match(make_gpu_summary(), process) == [0]


def test_matchers_of_two_categories_are_joined() -> None:
    """An event type that two categories stand for is matched against the rules of both."""
    one = compile_category("gpu_ioctl", [(0, ("eq", "DeviceRole", "ctl", False))])
    other = compile_category("gpu_use", [(1, ("present", "ExecutableMarks"))])
    joined = one.beside(other)
    _, process = run({}, {}, {"marks": ("miner:stratum",)})
    assert sorted(joined.match(make_gpu_use(), process)) == [0, 1]
    assert joined.late is not None
    assert joined.late(make_gpu_use(), process) == [1]


def test_a_key_holds_the_values_as_they_are() -> None:
    """Group keys are the fields' values, not put in lower case."""
    _, process = run({}, {"executable": "/Opt/X"}, None)
    assert compile_key("process_creation", ("Image", "ProcessId"))(make_exec(101), process) == ("/Opt/X", 101)


def test_an_authors_text_cannot_become_code() -> None:
    """Quotes, braces, backslashes and line ends in a rule's text are text in the generated function."""
    nasty = ["'); found.append(9)#", '"""', "\\", "{p}", "\n", "\x00", "'\"", "\\'"]
    nodes: list[Node] = [
        (kind, name, text, True)
        for text, kind, name in product(nasty, ("eq", "has", "ends"), ("Image", "CommandLine", "Args"))
    ]
    matcher = compile_category("process_creation", list(enumerate(nodes)))
    for text in nasty:
        event, process = run({}, {"executable": f"/opt/{text}", "args": (text,)}, None)
        expected = {number for number, node in enumerate(nodes) if holds(node, "process_creation", event, process)}
        assert set(matcher.match(event, process)) == expected
        assert expected


def test_sigmahq_matches_as_by_the_book() -> None:
    """On SigmaHQ's Linux rules and real command lines, the generated functions agree with the book."""
    corpora = Path(__file__).parents[4] / "shared" / "corpora"
    if not corpora.is_dir():
        pytest.skip("no corpora here")
    import json  # noqa: PLC0415

    pack = read_pack([corpora / "sigmahq-linux"])
    rules = [
        (number, rule.condition) for number, rule in enumerate(pack.detections) if rule.category == "process_creation"
    ]
    matcher = compile_category("process_creation", rules)
    matches = 0
    lines = (corpora / "attacks.jsonl").read_text().splitlines()[::6] + (
        corpora / "benign.jsonl"
    ).read_text().splitlines()
    for line in lines:
        for item in json.loads(line)["execs"]:
            event, process = run(
                {"executable": "/usr/bin/node", "args": ("node",)},
                {"executable": item["exe"], "args": tuple(item["argv"])},
                None,
            )
            expected = {number for number, node in rules if holds(node, "process_creation", event, process)}
            assert set(matcher.match(event, process)) == expected, item
            matches += len(expected)
    assert matches > 50
