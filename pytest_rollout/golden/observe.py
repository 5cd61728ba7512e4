"""Send cases to a target, mode by mode, and note all that is needed to judge them. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rollout.errors import SourceError
from pytest_rollout.golden.answers import identity_findings, told_by
from pytest_rollout.golden.asking import POLL, Asker, World, question_of
from pytest_rollout.golden.corpus import Corpus
from pytest_rollout.golden.endpoint import ByProbe, Question, SetByHeader, SetByNobody, SetByRequest, Site
from pytest_rollout.golden.observation import Batch, When, Witness
from pytest_rollout.golden.sending import Sender
from pytest_rollout.golden.wire import Reply


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often every case is sent, and how many seconds lie between two rounds."""

    number: int = 1
    apart: float = 0.0


ONCE = Rounds()


class Observer:
    """Observes one endpoint. Its target is left in the mode in which it was found."""

    def __init__(self, site: Site, world: World) -> None:
        self.asker = Asker(site, world)
        self.site = site
        self.world = world
        self.endpoint = site.endpoint

    def observe(self, corpus: Corpus, modes: Sequence[str], rounds: Rounds = ONCE) -> dict[str, Batch]:
        """Send every case in every mode to every instance, in every round; a mode that cannot be set is not run.

        Nothing is sent to an address that does not prove to be the target. Raises EnvironmentUnready for a
        variable that is not set, and SourceError if the mode of before could not be set again.
        """
        strangers = self._witnesses("identity", "before")
        if not all(self._proves(witness) for witness in strangers):
            return {mode: Batch(mode=mode, witnesses=strangers) for mode in modes}
        return self._each(corpus, modes, rounds)

    def _each(self, corpus: Corpus, modes: Sequence[str], rounds: Rounds) -> dict[str, Batch]:
        switch = self.endpoint.mode.set
        found = self._found() if not isinstance(switch, SetByHeader) else None
        if isinstance(switch, SetByNobody):
            return {mode: self._batch(corpus, mode, rounds) for mode in modes if mode == found}
        if isinstance(switch, SetByRequest) and switch.restore is None and found is None:
            said = "the instances do not tell which mode they are in, so it could not be restored; none was set"
            return {mode: Batch(mode=mode, fault=said) for mode in modes}
        try:
            return {mode: self._batch(corpus, mode, rounds) for mode in modes}
        finally:
            self._restore(found)

    def _restore(self, found: str | None) -> None:
        """Put the target into the mode of before. Raises SourceError unless that is confirmed."""
        switch = self.endpoint.mode.set
        if not isinstance(switch, SetByRequest):
            return
        if switch.restore is not None:
            fault = self._put(self.site.instances[0], switch.restore)
        else:
            fault = (self._set(switch, found) or self._wait(found, _nothing)) if found is not None else ""
        if fault:
            name = self.endpoint.endpoint
            raise SourceError(f"{name}: the mode {found or 'of before'} was not restored: {fault}")

    def _put(self, instance: str, question: Question) -> str:
        """Ask for a change; return why it was refused, or nothing."""
        reply, fault = self.asker.ask(instance, question)
        if reply is None or reply.status not in range(200, 300):
            return f"it could not be set: {fault or f'HTTP {reply.status if reply else 0}'}"
        return ""

    # --- modes ----------------------------------------------------------------------------------------------

    def _found(self) -> str | None:
        """Return the mode that every instance reports, or None."""
        told = {frozenset(self._told(witness)) for witness in self._confirmations("before", self.endpoint.modes[0])}
        only = next(iter(told)) if len(told) == 1 else frozenset()
        return next(iter(only)) if len(only) == 1 else None

    def _batch(self, corpus: Corpus, mode: str, rounds: Rounds) -> Batch:
        switch = self.endpoint.mode.set
        fault = self._set(switch, mode) if isinstance(switch, SetByRequest) else ""
        sender = Sender(self.asker, mode)
        fault = fault or self._wait(mode, sender.begin if self._only_reads else _nothing)
        if fault:
            return Batch(mode=mode, fault=fault)
        before = (*self._witnesses("identity", "before"), *self._confirmations("before", mode))
        for number in range(rounds.number):
            if number:
                self.world.sleep(rounds.apart)
            sender.send_all(corpus.cases.values())
        seen = tuple(sender.seen)
        after = (*self._confirmations("after", mode), *self._witnesses("identity", "after"))
        openapi = self._openapi()
        return Batch(mode=mode, observations=seen, witnesses=(*before, *after), repeats=rounds.number, openapi=openapi)

    def _set(self, switch: SetByRequest, mode: str) -> str:
        """Ask for a mode; return why it was refused, or nothing."""
        data = _with_mode(switch.json_body, mode) if switch.has("json_body") else None
        told = {"path": switch.path.replace("{mode}", mode)} | ({"json_body": data} if data is not None else {})
        question = switch.model_copy(update=told)
        places = self.site.instances if switch.to == "each" else self.site.instances[:1]
        return next(filter(None, (self._put(instance, question) for instance in places)), "")

    def _wait(self, mode: str, reported: Callable[[], None]) -> str:
        """Wait until every instance has reported a mode for a while; return why not, or nothing.

        ``reported`` is called when that while begins.
        """
        switch, started = self.endpoint.mode, self.world.clock()
        since: float | None = None
        while True:
            odd = [one for one in self._confirmations("before", mode) if self._told(one) != {mode}]
            now = self.world.clock()
            if not odd and since is None:
                reported()
            since = None if odd else now if since is None else since
            if since is not None and now - since >= switch.hold:
                return ""
            if now - started > switch.within + switch.hold:
                place = f"{odd[0].instance}, {odd[0].question}" if odd else "the reports change"
                return f"not reported by all instances within {switch.within:g} s ({place})"
            self.world.sleep(POLL)

    @property
    def _only_reads(self) -> bool:
        """Whether the instances are asked for their mode and identity without a request that may change something."""
        probes = any(isinstance(one, ByProbe) for one in self.endpoint.mode.confirm)
        return not probes and self.endpoint.identity.method == "GET"

    def _told(self, witness: Witness) -> frozenset[str]:
        place = int(witness.question.removeprefix("mode "))
        return told_by(self.endpoint, place, witness.reply) if witness.reply else frozenset()

    def _confirmations(self, when: When, mode: str) -> tuple[Witness, ...]:
        return tuple(
            witness
            for place in range(len(self.endpoint.mode.confirm))
            for witness in self._witnesses(f"mode {place}", when, mode)
        )

    # --- questions beside the cases ---------------------------------------------------------------------------

    def _proves(self, witness: Witness) -> bool:
        return witness.reply is not None and not list(identity_findings(self.endpoint.identity, witness.reply))

    def _witnesses(self, question: str, when: When, mode: str | None = None) -> tuple[Witness, ...]:
        asked = self._question(question)
        return tuple(Witness(name, question, when, *self.asker.ask(name, asked, mode)) for name in self.site.instances)

    def _question(self, name: str) -> Question:
        if name == "identity":
            return self.endpoint.identity
        return question_of(self.endpoint.mode.confirm[int(name.removeprefix("mode "))])

    def _openapi(self) -> Reply | None:
        return self.asker.read(self.site.instances[0], self.endpoint.openapi) if self.endpoint.openapi else None


def _nothing() -> None:
    """Do nothing."""


def _with_mode(value: Any, mode: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_mode(item, mode) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_mode(item, mode) for item in value]
    return value.replace("{mode}", mode) if isinstance(value, str) else value
