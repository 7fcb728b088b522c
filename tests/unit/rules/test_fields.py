"""The field table: what rules may ask for."""

from __future__ import annotations

from auditor.lineage.table import Table
from auditor.model.processes import Process
from auditor.rules.fields import ANCESTORS, CATEGORIES, FIELDS, NAMESPACE, ancestor_images, argument_block
from auditor.rules.taxonomy import ELSEWHERE
from tests.builders import make_connect, make_exec, make_executable, make_gpu_open, make_gpu_summary, make_gpu_use

EVENTS = {
    "process_creation": [make_exec()],
    "network_connection": [make_connect()],
    "gpu_open": [make_gpu_open()],
    "gpu_ioctl": [make_gpu_use(), make_gpu_summary()],
    "gpu_use": [make_gpu_open(), make_gpu_use(), make_gpu_summary()],
}


def make_process(**fields: object) -> Process:
    """Run a process below another."""
    table = Table()
    table.apply(make_exec(100, ("bash", "-c", "x y"), parent_tgid=99))
    process = table.apply(make_exec(101, ("ssh", "-R", "a b"), parent_tgid=100, call=100, **fields))
    assert process is not None
    return process


def value(name: str, process: Process, category: str = "process_creation") -> object:
    """Give a field's value."""
    return eval(FIELDS[category][name].expression, {**NAMESPACE, "e": EVENTS[category][0], "p": process})


def test_every_field_has_a_value_of_its_type_in_every_event_it_is_for() -> None:
    """Known or unknown, with a parent or without, a field gives what its type says."""
    known = make_process()
    known.facts = make_executable()
    types = {"text": str, "ip": str, "list": tuple, "number": (int, float), "bool": bool}
    bare = Process(known.task, "id", None, 0)
    for category, fields in FIELDS.items():
        for event in EVENTS[category]:
            assert isinstance(event, CATEGORIES[category])
            for field in fields.values():
                for process in (known, bare):
                    found = eval(field.expression, {**NAMESPACE, "e": event, "p": process})
                    assert isinstance(found, types[field.type]), (category, field.name, found)


def test_fields_say_what_they_are() -> None:
    """Every field has an ECS name and one line of meaning; no name is both ours and foreign."""
    for category, fields in FIELDS.items():
        for name, field in fields.items():
            assert name == field.name
            assert field.ecs.replace("_", "").replace(".", "").isalnum()
            assert field.meaning
            assert "\n" not in field.meaning
            assert name not in ELSEWHERE.get(category, ())


def test_the_acting_process_is_described_in_every_category() -> None:
    """Image, CommandLine and the like may be asked of a connection too."""
    for category in FIELDS:
        assert FIELDS["process_creation"].items() <= FIELDS[category].items()


def test_arguments_stand_joined_apart_and_ended() -> None:
    """CommandLine joins by blanks, Args is a list, ArgumentBlock ends each with a NUL."""
    process = make_process()
    assert value("CommandLine", process) == "ssh -R a b"
    assert value("Args", process) == ("ssh", "-R", "a b")
    assert argument_block(process) == "ssh\0-R\0a b\0"
    process.args = ()
    assert argument_block(process) == ""


def test_users_are_root_or_a_number() -> None:
    """There is no look-up of names right of the tee."""
    assert value("User", make_process(uid=0)) == "root"
    assert value("User", make_process(uid=1000)) == "1000"
    assert value("EffectiveUser", make_process(uid=1000, euid=0)) == "root"
    assert value("User", Process(make_process().task, "id", None, 0)) == ""


def test_ancestors_are_listed_parent_first_up_to_a_limit() -> None:
    """The list does not grow with the tree."""
    process = make_process()
    assert ancestor_images(process)[0] == "/usr/bin/bash"
    assert process.parent is not None
    process.parent.parent = process.parent
    assert len(ancestor_images(process)) == ANCESTORS


def test_requests_are_a_list_in_both_kinds_of_event() -> None:
    """A first use has one request, a summary its most frequent ones."""
    assert NAMESPACE["requests"](make_gpu_use(request="A")) == ("A",)
    assert NAMESPACE["requests"](make_gpu_summary(requests=(("A", 2), ("B", 1)))) == ("A", "B")
