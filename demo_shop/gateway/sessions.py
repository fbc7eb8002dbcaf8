"""Who is shopping, without accounts: a signed cookie, the CSRF token that belongs to it, and signed cart ids."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, Signer
from itsdangerous.signer import SigningAlgorithm

SESSION_S = 7 * 86_400
#: A session in use gets a new date after this long, so that it ends 7 days after its last visit, give or take a day.
RENEW_S = 86_400
_ID = r"[A-Za-z0-9_-]{16,64}"
_CONTENT = re.compile(rf"({_ID})\.({_ID})\.([0-9]{{1,11}})")
#: Whatever is longer was not written here.
_MOST_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Session:
    """One visitor. `send` says whether the answer must set the cookie: the session is new or its date is old."""

    session_id: str
    cart_id: str
    issued_s: int  # Unix time
    send: bool


class _HmacSha256(SigningAlgorithm):
    """HMAC-SHA-256 in one call; itsdangerous' own takes several, which cost a page three times as much."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")


class Sessions:
    """Opens and writes sessions with these keys: the first signs, all are believed. Keys are at least 32 characters."""

    def __init__(self, keys: Sequence[str], new_id: Callable[[], str] = lambda: secrets.token_urlsafe(18)) -> None:
        if not keys:
            raise ValueError("SHOP_SESSION_KEY: sessions need at least one key")
        self._new_id = new_id
        self._sessions = _signer(_derived(keys, b"shop.session"))
        self._carts = _signer(_derived(keys, b"shop.cart"))
        self._csrf_keys = _derived(keys, b"shop.csrf")

    def open(self, cookies: str | None, https: bool, now_s: float) -> Session:
        """The session of this Cookie header; a fresh one when there is none, or it was tampered with, or is too old."""
        for value in _values(cookies, _name(https)):
            if (session := self._read(value, now_s)) is not None:
                return session
        return Session(self._new_id(), self._new_id(), int(now_s), send=True)

    def set_cookie(self, session: Session, https: bool) -> str:
        """The value of the Set-Cookie header that keeps `session` for 7 days."""
        content = f"{session.session_id}.{session.cart_id}.{session.issued_s}"
        secure = "; Secure" if https else ""
        return (
            f"{_name(https)}={self._sessions.sign(content).decode()}"
            f"; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Lax{secure}"
        )

    def csrf_token(self, session: Session) -> str:
        """What forms of this session carry in the field `csrf`, scripts in the header `X-CSRF-Token`."""
        return hmac.digest(self._csrf_keys[0], session.session_id.encode(), "sha256").hex()

    def csrf_is_right(self, session: Session, presented: str | None) -> bool:
        """Whether `presented` is the session's token, made with any of the keys. Takes as long for every wrong one."""
        told = (presented or "").encode()
        right = False
        for key in self._csrf_keys:
            right |= hmac.compare_digest(hmac.digest(key, session.session_id.encode(), "sha256").hex().encode(), told)
        return right

    def new_cart_id(self) -> str:
        """An id that nobody guesses."""
        return self._new_id()

    def sign_cart_id(self, cart_id: str) -> str:
        """What clients of the JSON API hold for a cart."""
        return self._carts.sign(cart_id).decode()

    def read_cart_id(self, signed: str) -> str | None:
        """The cart's id; None when we did not sign it."""
        if len(signed) > _MOST_CHARACTERS:
            return None
        try:
            return self._carts.unsign(signed.encode()).decode()
        except (BadSignature, UnicodeError):
            return None

    def _read(self, value: str, now_s: float) -> Session | None:
        try:
            content = _CONTENT.fullmatch(self._sessions.unsign(value.encode()).decode())
        except (BadSignature, UnicodeError):
            return None
        if content is None:
            return None
        session_id, cart_id, issued_s = content[1], content[2], int(content[3])
        age_s = now_s - issued_s
        # A date ahead of our clock by more than clocks differ was written by a key that leaked, or before a reset.
        if not -60.0 <= age_s < SESSION_S:
            return None
        if age_s < RENEW_S:
            return Session(session_id, cart_id, issued_s, send=False)
        return Session(session_id, cart_id, int(now_s), send=True)


def _derived(keys: Sequence[str], purpose: bytes) -> tuple[bytes, ...]:
    """A key for this purpose alone out of each key: what is signed for one is worth nothing for another."""
    return tuple(hmac.digest(key.encode(), purpose, "sha256") for key in keys)


def _signer(keys: tuple[bytes, ...]) -> Signer:
    # The keys are derived already, once and not at each signature. itsdangerous takes the oldest first.
    return Signer(list(reversed(keys)), key_derivation="none", digest_method=sha256, algorithm=_HmacSha256())


def _name(https: bool) -> str:
    """A browser takes a `__Host-` cookie only from this very host and by https, so no neighbour can plant one."""
    return "__Host-shop" if https else "shop"


def _values(cookies: str | None, name: str) -> list[str]:
    """The values of all cookies of that name: a browser may send more than one, and the first need not be ours."""
    pairs = (part.strip().partition("=") for part in (cookies or "").split(";"))
    return [value for key, _, value in pairs if key == name and len(value) <= _MOST_CHARACTERS][:4]
