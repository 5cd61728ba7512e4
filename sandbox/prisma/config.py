"""What the application is told at its start, handed over in one environment variable."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

from sandbox.flag_texts import read_flag

VARIABLE = "SANDBOX_PRISMA"
FLAGS = {
    "PERSISTENCE_PRISMA_READS": "persistencePrismaReads",
    "FINANCIAL_ORCHESTRATOR": "financialOrchestrator",
    "PORTAL_PRISMA": "portalPrisma",
    "SETTINGS_SECURE_PROVIDER": "settingsSecureProvider",
}
"""The feature flags and the names they have in a log line's ``flagState``."""
_TRUTHY = frozenset({"1", "true", "yes", "on"})
_FALSY = frozenset({"0", "false", "no", "off"})


class FlagSetting(NamedTuple):
    """The value of a flag for a cohort."""

    flag: str
    cohort: str
    value: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=COHORT:true|false``; ValueError says what is wrong."""
        flag, cohort, value = read_flag(text, FLAGS, _TRUTHY | _FALSY, ("true", "false"))
        return cls(flag, cohort, value in _TRUTHY)


@dataclass(frozen=True)
class Config:
    """The application's configuration.

    ``since`` is the unix time from which the metrics pretend there was traffic, and at which the flags were set.
    Without a ``settings_secret`` the application falls back to a development-only one and says so.
    """

    directory: Path
    locale: str = "en"
    faults: frozenset[str] = frozenset()
    flags: tuple[FlagSetting, ...] = ()
    flags_token: str = ""
    settings_secret: str | None = None
    since: float | None = None
    rollout_stage: str = "sandbox"

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable that carries this configuration."""
        fields = asdict(self) | {"directory": str(self.directory), "faults": sorted(self.faults)}
        return {VARIABLE: json.dumps(fields)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the configuration that ``to_environment`` wrote; KeyError if there is none."""
        fields = json.loads(environment[VARIABLE])
        fields["directory"] = Path(fields["directory"])
        fields["faults"] = frozenset(fields["faults"])
        fields["flags"] = tuple(FlagSetting(*flag) for flag in fields["flags"])
        fields["rollout_stage"] = environment.get("ROLLOUT_STAGE", fields["rollout_stage"])
        return cls(**fields)
