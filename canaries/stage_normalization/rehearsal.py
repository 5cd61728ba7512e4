"""The preview as a place for rehearsals: its instances, its data, and the snapshot that it is put back to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from canaries.stage_normalization.books import Books, books, unlike
from canaries.stage_normalization.instances import Instance
from canaries.stage_normalization.migration import Migration


@dataclass(frozen=True)
class Preview:
    """Nobody else may write here while a rehearsal lasts."""

    instances: tuple[Instance, ...]
    migrate: Migration
    folder: Path
    """Where snapshots go."""

    @property
    def snapshot(self) -> Path:
        """The snapshot from before."""
        return self.folder / "before.snapshot"

    @property
    def kept(self) -> bytes:
        """Its bytes."""
        return self.snapshot.read_bytes()

    def data(self, name: str) -> bytes:
        """Return the data as it is now, as the bytes of a snapshot of this name."""
        path = self.folder / f"{name}.snapshot"
        self.migrate.snapshot(path)
        return path.read_bytes()

    def books(self) -> Books:
        """Return what is answered about companies: by one instance, for they all read the same data."""
        return books(self.instances[0])

    def unlike(self, shown: Books) -> list[str]:
        """Return which answers about companies are other than they were."""
        return [f"{self.instances[0].url}: {line}" for line in unlike(shown, self.books())]


@contextmanager
def borrowed(instances: tuple[Instance, ...], migrate: Migration, folder: Path) -> Iterator[Preview]:
    """Yield the preview; afterwards its data is as it was, byte for byte, or AssertionError."""
    preview = Preview(instances, migrate, folder)
    migrate.snapshot(preview.snapshot)
    try:
        yield preview
    finally:
        migrate.restore(preview.snapshot)
        assert preview.data("after") == preview.kept, "the preview's data was not put back"
