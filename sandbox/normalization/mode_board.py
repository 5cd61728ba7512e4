"""The modes as one instance applies them: a while after they were asked for."""

import time
from collections.abc import Callable

from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import Change, Rules


class ModeBoard:
    """Follows the store with a delay in seconds; an instance that does not hear keeps the modes it started with."""

    def __init__(
        self, store: ModeStore, delay: float, *, hears: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._delay = delay
        self._hears = hears
        self._clock = clock
        self._heard: list[Change] = []
        self._rules = store.rules()
        self._last = self._rules.revision

    def rules(self) -> Rules:
        """Return the rules that apply now."""
        if self._hears:
            self._listen()
        return self._rules

    def _listen(self) -> None:
        news = self._store.changes(self._last)
        self._last = news[-1].id if news else self._last
        self._heard += news
        due = self._clock() - self._delay
        while self._heard and self._heard[0].at <= due:
            self._rules.apply(self._heard.pop(0))
