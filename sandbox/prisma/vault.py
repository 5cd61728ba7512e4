"""Settings: sensitive values encrypted at rest and masked wherever they are shown or audited.

The cipher is a stand-in for a managed key service, from the standard library alone; do not use it elsewhere.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sandbox.prisma.clock import now
from sandbox.prisma.db import Setting
from sandbox.prisma.ledger import UnitOfWork
from sandbox.prisma.metrics import Metrics

PREFIX = "v1:"
_NONCE, _TAG = 16, 32


class Vault:
    """Encrypts with a key derived from one secret."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()

    def encrypt(self, text: str) -> str:
        """Return the text as ``v1:`` and base64 of nonce, tag and ciphertext."""
        nonce = os.urandom(_NONCE)
        sealed = self._mix(nonce, text.encode())
        return PREFIX + base64.b64encode(nonce + self._tag(nonce + sealed) + sealed).decode()

    def decrypt(self, stored: str) -> str:
        """Return the text of an encrypted value; ValueError if it was not made with this secret."""
        raw = base64.b64decode(stored.removeprefix(PREFIX))
        nonce, tag, sealed = raw[:_NONCE], raw[_NONCE : _NONCE + _TAG], raw[_NONCE + _TAG :]
        if not hmac.compare_digest(tag, self._tag(nonce + sealed)):
            raise ValueError("the value was not encrypted with this secret")
        return self._mix(nonce, sealed).decode()

    def _mix(self, nonce: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._key + nonce).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def _tag(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")


def mask(text: str) -> str:
    """Return the first and last two characters with stars between, or only stars."""
    return f"{text[:2]}***{text[-2:]}" if len(text) > 6 else "***"  # noqa: PLR2004 - else most of it would show


class Settings:
    """The stored settings."""

    def __init__(self, engine: Engine, metrics: Metrics, vault: Vault) -> None:
        self._engine = engine
        self._metrics = metrics
        self._vault = vault

    def shown(self) -> list[dict[str, Any]]:
        """Return ``key``, ``value`` and ``sensitive``; a sensitive value is masked."""
        with Session(self._engine) as session:
            settings = session.scalars(select(Setting).order_by(Setting.key))
            return [{"key": one.key, "value": self._shown(one), "sensitive": one.sensitive} for one in settings]

    def update(self, wanted: Mapping[str, str], *, actor: str) -> str:
        """Store the new values and return ``success``, or ``noop``; an empty sensitive value means unchanged."""
        with Session(self._engine) as session, session.begin():
            work = UnitOfWork(session, actor, str(uuid4()), now())
            for setting in session.scalars(select(Setting)):
                self._set(work, setting, wanted.get(setting.key, ""))
            result = "success" if work.audited else "noop"
        self._metrics.settings_updates.labels(result).inc()
        return result

    def _set(self, work: UnitOfWork, setting: Setting, text: str) -> None:
        if not text or text == self._clear(setting):
            return
        setting.value = self._vault.encrypt(text) if setting.sensitive else text
        work.audit("Setting", setting.key, "SETTING_UPDATED", {"value": self._shown(setting)})

    def _clear(self, setting: Setting) -> str:
        encrypted = setting.value.startswith(PREFIX)
        return self._vault.decrypt(setting.value) if encrypted else setting.value

    def _shown(self, setting: Setting) -> str:
        text = self._clear(setting)
        return mask(text) if setting.sensitive and text else text
