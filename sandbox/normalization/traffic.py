"""The traffic of stage normalization.

A client whose stage was rejected sends valid ones there from then on, as its people would mend it.
"""

from sandbox.generator import Caller, Load
from sandbox.normalization.schedule import CYCLE_SECONDS, Shot, cycle

WORKERS = 8
_REJECTED = 400


class Client(Caller):
    """One client, and where it has learnt that its stages are wrong."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._mended: set[tuple[str | None, str]] = set()

    def send(self, shot: Shot, turn: int) -> None:
        """Send one request."""
        place = shot.cohort, shot.endpoint
        method, path, body = shot.request(turn, mended=place in self._mended)
        if self.call(method, path, body, {"x-cohort": shot.cohort} if shot.cohort else {}) == _REJECTED:
            self._mended.add(place)


LOAD = Load(cycle(), CYCLE_SECONDS, WORKERS, lambda address: Client(address).send)

if __name__ == "__main__":
    LOAD.main(__doc__)
