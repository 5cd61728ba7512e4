"""What can go wrong, as one tree.

RolloutError
├── PlanError            a plan says something that cannot be (``file:line:column``)
│   └── CaseError            a file of a golden corpus does
├── EnvironmentUnready   the environment cannot be entered (unset variable, sandbox not up)
├── SourceError          a source of evidence did not give a usable answer
│   ├── SourceUnreachable    nothing answered, or not in time, or 5xx
│   ├── QueryRefused         the source answered that the question is wrong (4xx)
│   └── LoadError            a load run gave nothing that can be judged
├── EvidenceError        the evidence log cannot be read or written, or is not whole
│   ├── AlreadyRecorded      what may be recorded only once was recorded before
│   └── FencedOut            the lease was lost to somebody else
├── BlessRefused         a golden is not approved
└── PublishError         a result could not be handed on

Gates raise one of three; pytest (and Allure) tell them apart by their base class:
``GateBreached`` and ``GateInconclusive`` are failures, ``GateError`` is a broken instrument.
"""

from __future__ import annotations


class RolloutError(Exception):
    """Base of every error this package raises on purpose."""


class PlanError(RolloutError):
    """A plan is wrong; the message starts with ``file:line:column``."""


class CaseError(PlanError):
    """A golden file is wrong; each line of the message starts with ``file:line:column``."""


class EnvironmentUnready(RolloutError):  # noqa: N818 - read as a state
    """An environment cannot be entered."""


class SourceError(RolloutError):
    """A source of evidence gave no usable answer."""


class SourceUnreachable(SourceError):  # noqa: N818 - read as a state: the source is unreachable
    """Nothing answered in time, the connection broke, or the server said 5xx."""


class QueryRefused(SourceError):  # noqa: N818 - read as a state: the query was refused
    """The source understood and refused: the question is wrong, asking again will not help."""


class LoadError(SourceError):
    """A load run gave nothing that can be judged."""


class EvidenceError(RolloutError):
    """The evidence log cannot be read or written, or is not whole."""


class AlreadyRecorded(EvidenceError):  # noqa: N818 - read as a state
    """A record with this key is in the log already; nothing was written."""


class FencedOut(EvidenceError):  # noqa: N818 - read as a state
    """Somebody else holds the lease by now; nothing was written."""


class ReplayError(RolloutError):
    """Kept evidence cannot be judged again."""


class BlessRefused(RolloutError):  # noqa: N818 - read as a state
    """A golden is not approved; the message says every reason and what to do."""


class PublishError(RolloutError):
    """A result could not be handed on (file, Pushgateway)."""


class GateBreached(AssertionError):  # noqa: N818 - read as a state
    """The evidence shows that the criterion is violated."""


class GateInconclusive(AssertionError):  # noqa: N818 - read as a state
    """The system answered, but the evidence does not decide."""


class GateError(RolloutError):
    """The instrument is broken: nothing can be said about the system."""
