"""What an instance is told at its start, handed over in one environment variable."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from sandbox.normalization.releases import Release

VARIABLE = "SANDBOX_NORMALIZATION"
TOKEN_VARIABLE = "SANDBOX_NORMALIZATION_TOKEN"  # noqa: S105 - the variable's name
FUNDS, COMPANIES = 8, 1200
"""What every database has; the funds are numbered from 1, and the last one gets no traffic."""
PROPAGATION_SECONDS = 0.2
"""After how long the last instance takes up a flip, if nobody says another time."""


@dataclass(frozen=True)
class Config:
    """One instance's configuration: its number, the database all share, and after how many seconds it obeys a flip.

    ``port`` 0 is any free one.
    """

    database: Path
    number: int = 1
    propagation: float = 0.0
    faults: frozenset[str] = frozenset()
    flags_token: str = ""
    release: Release = Release.CURRENT
    port: int = 0

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable that carries this configuration."""
        fields = asdict(self) | {"database": str(self.database), "faults": sorted(self.faults)}
        return {VARIABLE: json.dumps(fields)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the configuration that ``to_environment`` wrote; KeyError if there is none."""
        fields = json.loads(environment[VARIABLE])
        fields["database"] = Path(fields["database"])
        fields["faults"] = frozenset(fields["faults"])
        fields["release"] = Release(fields["release"])
        return cls(**fields)
