"""The traffic of prisma."""

from sandbox.generator import Caller, Load
from sandbox.schedule import CYCLE_SECONDS, Shot, cycle

WORKERS = 16


class Client(Caller):
    """Somebody who uses the application."""

    def send(self, shot: Shot, turn: int) -> None:
        """Send one request."""
        body = shot.body(turn)
        self.call("POST" if body else "GET", shot.path(turn), body, {"x-cohort": shot.kind.cohort})


LOAD = Load(cycle(), CYCLE_SECONDS, WORKERS, lambda address: Client(address).send)

if __name__ == "__main__":
    LOAD.main(__doc__)
