"""What can keep checkout from answering with a confirmed order.

CheckoutError
├── KeyReused          the idempotency key belongs to another request: permanent
├── UnknownProducts    there is nothing of that name to sell: permanent
├── PriceChanged       the client expected to pay less: it may ask again with the new total
├── TotalTooLarge      more than the books can hold: permanent
├── OutcomeUnknown     the order may or may not come to be: ask again with the same key
├── StepUnavailable    a step of the saga got no usable answer: later, by whoever resumes the order
└── Overtaken          a step found its work undone: somebody else has decided the order
"""

from __future__ import annotations

from collections.abc import Sequence


class CheckoutError(Exception):
    pass


class KeyReused(CheckoutError):
    pass


class UnknownProducts(CheckoutError):
    def __init__(self, product_ids: Sequence[int]) -> None:
        super().__init__(f"unknown products: {', '.join(map(str, product_ids))}")
        self.product_ids = tuple(product_ids)


class PriceChanged(CheckoutError):
    def __init__(self, total_cents: int) -> None:
        super().__init__(f"the total is now {total_cents} cents")
        self.total_cents = total_cents


class TotalTooLarge(CheckoutError):
    pass


class OutcomeUnknown(CheckoutError):
    pass


class StepUnavailable(CheckoutError):
    pass


class Overtaken(CheckoutError):
    pass
