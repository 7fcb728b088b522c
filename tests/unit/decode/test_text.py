"""Bytes that a watched process chose, as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.decode.text import components, environment, mark_cut, name, path, strings, text


@given(st.binary())
def test_text_is_always_valid_unicode(raw: bytes) -> None:
    """Whatever the bytes, the text can be written as UTF-8 again: it holds no surrogates."""
    assert text(raw).encode().decode() == text(raw)


@given(st.text())
def test_valid_utf8_stays_as_it_is(value: str) -> None:
    """Text that was UTF-8 is read unchanged."""
    clean = value.encode("utf-8", "replace").decode()
    assert text(clean.encode()) == clean


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"a\xff", "a\\xff"), (b"\xed\xa0\x80", "\\xed\\xa0\\x80"), (b"\xc3", "\\xc3"), (b"\x1b[31m", "\x1b[31m")],
)
def test_other_bytes_are_escaped(raw: bytes, shown: str) -> None:
    """Bytes that are not UTF-8, an encoded surrogate and a cut-off character among them, stand as hexadecimal."""
    assert text(raw) == shown


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ()),
        (b"a\0", ("a",)),
        (b"a\0\0b\0", ("a", "", "b")),
        (b"a\0b", ("a", "b")),
        (b"\0", ("",)),
        (b"\0\0", ("", "")),
        (b"a\0\xff\xfe\0", ("a", "\\xff\\xfe")),
    ],
)
def test_strings_keep_empty_and_cut_ones(raw: bytes, expected: tuple[str, ...]) -> None:
    """Each NUL ends a string; an empty one counts, and so does a last one without its NUL."""
    assert strings(raw) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_strings_undo_termination(items: list[str]) -> None:
    """Strings that were ended by NULs come back as they were."""
    assert strings(b"".join(item.encode() + b"\0" for item in items)) == tuple(items)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ""),
        (b"ssh\0bin\0usr\0", "/usr/bin/ssh"),
        (b"ssh\0bin\0usr\0/\0", "/usr/bin/ssh"),
        (b"ssh\0bin\0usr\0\0", "/usr/bin/ssh"),
        (b"\0", "/"),
        (b"/\0", "/"),
        (b"memfd:x\0/\0", "/memfd:x"),
    ],
)
def test_path_is_joined_from_its_leaf(raw: bytes, expected: str) -> None:
    """Components come leaf first; the root may stand there in any form."""
    assert path(raw) == expected


@pytest.mark.parametrize("joined", ["", "/", "/usr/bin/ssh", "/a b/\n"])
def test_components_undo_path(joined: str) -> None:
    """A path that was taken apart is joined to the same again."""
    assert path(components(joined)) == joined


@pytest.mark.parametrize(
    ("executable", "cwd", "expected"),
    [
        ("/a/b/c", "/x", ("/.../a/b/c", "/x")),
        ("/x", "/a/b/c", ("/x", "/.../a/b/c")),
        ("/a/b", "/c/d", ("/.../a/b", "/.../c/d")),
    ],
)
def test_cut_paths_are_marked(executable: str, cwd: str, expected: tuple[str, str]) -> None:
    """The deeper of the two paths lost its upper end; of equals both are suspected."""
    assert mark_cut(executable, cwd) == expected


def test_name_ends_at_its_first_nul() -> None:
    """A fixed-size name is what stands before its padding."""
    assert name(b"bash\0\0\0\0old") == "bash"


def test_caches_are_bounded() -> None:
    """Many different names and environments are all read right, long after the caches were full."""
    for number in range(5000):
        assert name(b"n%d\0" % number) == f"n{number}"
        assert path(b"p%d\0" % number) == f"/p{number}"
        assert environment(b"E=%d\0" % number) == (f"E={number}",)


def test_equal_environments_are_one_object() -> None:
    """A child's environment that equals its parent's takes no memory of its own."""
    assert environment(b"A=1\0B=2\0") is environment(bytes(bytearray(b"A=1\0B=2\0")))
