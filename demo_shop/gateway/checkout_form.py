"""The checkout form: what a shopper writes into it, and the signed hidden field that makes an order happen once.

The field holds what was on the screen (lines and total) and the key of the order, made when the form was rendered.
So a double click, a reload or the back button sends the same order again, and checkout answers with the one it has.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer

from demo_shop.gateway.carts import CartLine

#: A form older than this has prices that nobody remembers.
FORM_LIFETIME_S: Final = 3600.0
MOST_EMAIL_CHARACTERS: Final = 254
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,188}\.[^@\s.\x00-\x1f\x7f]{1,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: What a shopper chooses, and the token of the payment stub that it means.
PAYMENTS: Final = {
    "card": "tok_visa",
    "moody": "tok_random_storefront",
    "declined": "tok_declined",
}


@dataclass(frozen=True, slots=True)
class Intent:
    """One order as it was on the screen."""

    key: str
    session_id: str
    lines: tuple[CartLine, ...]
    total_cents: int
    made_at_s: float


class Intents:
    """Signs intents into the form and reads them back. The newest key signs, all are believed."""

    def __init__(
        self, keys: Sequence[str], new_key: Callable[[], str] = lambda: "web-" + secrets.token_urlsafe(24)
    ) -> None:
        self._serializer = URLSafeSerializer(
            list(reversed(keys)),
            salt="shop.checkout",
            signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
        )
        self._new_key = new_key

    def new(self, session_id: str, lines: Sequence[CartLine], total_cents: int, now_s: float) -> Intent:
        return Intent(self._new_key(), session_id, tuple(lines), total_cents, now_s)

    def sealed(self, intent: Intent) -> str:
        lines = [[line.product_id, line.quantity] for line in intent.lines]
        sealed = self._serializer.dumps([intent.key, intent.session_id, lines, intent.total_cents, intent.made_at_s])
        return sealed if isinstance(sealed, str) else sealed.decode()

    def opened(self, sealed: str, session_id: str, now_s: float) -> Intent | None:
        """None: not signed by us, of another session, or too old."""
        try:
            key, owner, lines, total_cents, made_at_s = self._serializer.loads(sealed)
        except BadSignature:
            return None
        if owner != session_id or now_s - made_at_s > FORM_LIFETIME_S:
            return None
        return Intent(key, owner, tuple(CartLine(*line) for line in lines), total_cents, made_at_s)


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the shopper wrote. `errors` by field: what to do about it; empty when all is fine."""

    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def email(self) -> str:
        return self.values["email"]

    @property
    def payment_token(self) -> str:
        return PAYMENTS[self.values["payment"]]


#: Field, its longest text, and what to say when it is empty.
_FIELDS: Final = (
    ("email", MOST_EMAIL_CHARACTERS, "Write the address that the confirmation would go to."),
    ("name", 100, "Write the name of who gets the parcel."),
    ("street", 200, "Write street and number."),
    ("town", 100, "Write postcode and town."),
)


def read_buyer(form: Mapping[str, str]) -> Buyer:
    values = {name: form.get(name, "").strip() for name, _, _ in _FIELDS}
    errors = {}
    for name, most_characters, missing in _FIELDS:
        if not values[name]:
            errors[name] = missing
        elif len(values[name]) > most_characters:
            errors[name] = f"At most {most_characters} characters."
        elif _CONTROL.search(values[name]):
            errors[name] = "Write plain text on one line."
    if "email" not in errors and not EMAIL.fullmatch(values["email"]):
        errors["email"] = "This is no e-mail address; it looks like name@example.org."
    values["payment"] = form.get("payment", "")
    if values["payment"] not in PAYMENTS:
        errors["payment"] = "Choose how to pay."
    return Buyer(values, errors)


def empty_buyer() -> Buyer:
    return Buyer({"email": "", "name": "", "street": "", "town": "", "payment": "card"}, {})


def customer_of(email: str) -> str:
    """How the books name a customer: the same for the same address, which itself is kept nowhere."""
    return "customer-" + sha256(b"shop.customer:" + email.strip().lower().encode()).hexdigest()[:32]
