"""Compiled probes kept for the next start: only root's own are believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.kernel.bpf import MapShape
from auditor.kernel.image import Image
from auditor.kernel.store import Store, image_key

NOBODY = 65534
IMAGE = Image((MapShape("ring", 27, 0, 0, 4096, 0),), {"on_fork": bytes(16)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a place for a store that is not there yet."""
    return tmp_path / "deep" / "store"


def test_kept_is_found(folder: Path) -> None:
    """An image that was kept is found by its name, by whoever looks there next, and no other is."""
    Store(folder).keep("name", IMAGE)
    found = Store(folder).find("name")
    assert found is not None
    assert (found.maps, dict(found.programs)) == (IMAGE.maps, dict(IMAGE.programs))
    assert Store(folder).find("other") is None
    assert Store(folder / "none").find("name") is None


def test_others_cannot_look_or_write(folder: Path) -> None:
    """Folder and image are root's alone."""
    Store(folder).keep("name", IMAGE)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_folder_that_others_may_write_is_not_believed(folder: Path, mode: int) -> None:
    """What lies where others may put things is neither read nor written."""
    store = Store(folder)
    store.keep("name", IMAGE)
    folder.chmod(mode)
    assert store.find("name") is None
    store.keep("second", IMAGE)
    assert [path.name for path in folder.iterdir()] == ["name.image"]


def test_somebody_elses_folder_is_not_believed(folder: Path) -> None:
    """A folder that belongs to another user is not read, whatever its mode."""
    store = Store(folder)
    store.keep("name", IMAGE)
    os.chown(folder, NOBODY, NOBODY)
    assert store.find("name") is None


def test_somebody_elses_image_is_not_believed(folder: Path) -> None:
    """An image that others own or may write is not read."""
    store = Store(folder)
    store.keep("name", IMAGE)
    path = folder / "name.image"
    path.chmod(0o622)
    assert store.find("name") is None
    path.chmod(0o600)
    assert store.find("name") is not None
    os.chown(path, NOBODY, NOBODY)
    assert store.find("name") is None


def test_link_is_not_followed(folder: Path) -> None:
    """An image's name that leads elsewhere leads nowhere."""
    store = Store(folder)
    store.keep("name", IMAGE)
    (folder / "link.image").symlink_to(folder / "name.image")
    assert store.find("link") is None


@pytest.mark.parametrize("data", [b"", b"{}", b'{"maps": [', b"\0" * 100])
def test_damaged_image_is_no_image(folder: Path, data: bytes) -> None:
    """A file that was cut off or overwritten is passed over, and may be kept anew."""
    store = Store(folder)
    store.keep("name", IMAGE)
    (folder / "name.image").write_bytes(data)
    assert store.find("name") is None
    store.keep("name", IMAGE)
    assert store.find("name") is not None


def test_old_images_go(folder: Path) -> None:
    """A few images are kept; the oldest go first, and nothing half written stays."""
    store = Store(folder)
    for number in range(7):
        store.keep(f"{number}", IMAGE)
        os.utime(folder / f"{number}.image", (number, number))
    assert sorted(path.name for path in folder.iterdir()) == [f"{number}.image" for number in (3, 4, 5, 6)]


def test_store_that_cannot_be_is_no_harm(tmp_path: Path) -> None:
    """Where nothing can be kept, nothing is found, and nothing fails."""
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file")
    store.keep("name", IMAGE)
    assert store.find("name") is None
    assert (tmp_path / "file").read_text() == "in the way"


def test_key_is_of_everything_that_matters() -> None:
    """Text, limits and boot each make another name; the order of the limits does not."""
    keys = [
        image_key("text", {"A": 1, "B": 2}, "boot"),
        image_key("text!", {"A": 1, "B": 2}, "boot"),
        image_key("text", {"A": 1, "B": 3}, "boot"),
        image_key("text", {"A": 1, "B": 2}, "boot!"),
    ]
    assert len(set(keys)) == len(keys)
    assert image_key("text", {"B": 2, "A": 1}, "boot") == keys[0]
    assert keys[0].isalnum()
