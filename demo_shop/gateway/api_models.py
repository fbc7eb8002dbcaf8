"""Bodies of the public JSON API, as its OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from demo_shop.frame.product_ids import LARGEST_ID
from demo_shop.gateway.carts import MOST_QUANTITY, Cart
from demo_shop.gateway.checkout_form import MOST_EMAIL_CHARACTERS
from demo_shop.gateway.goods import Category, Listing, Offer, Price, Suggestion
from demo_shop.gateway.orders import Order

#: The largest total that the books can hold.
_MOST_CENTS: Final = 2**31 - 1
_EXAMPLE_ORDER: Final = "0b0f2c52-6a0e-4a39-9d3e-0d6f0a4a2b17"
CART_ID_EXAMPLE: Final = "kR8yV0pXo2cTt4nEJw5sYq1a.Zm9yIGV4YW1wbGUgb25seQ"


def _whole(value: object) -> object:
    """JSON knows one kind of number: 2.0 is 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Goes last, so that the bounds before it are in the document.
_Whole: Final = BeforeValidator(_whole)
ProductNumber = Annotated[int, Field(ge=1, le=LARGEST_ID, examples=[17]), _Whole]
Cents = Annotated[int, Field(description="Cents of the shop's one currency")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Request(BaseModel):
    """Numbers are numbers and texts are texts; a field that we do not know is a mistake we tell."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CategoryBody(_Answer):
    slug: str = Field(examples=["coffee-and-tea"])
    name: str = Field(examples=["Coffee and tea"])
    count: int | None = Field(None, description="How many products there are in it; null: not known")

    @staticmethod
    def of(category: Category) -> CategoryBody:
        return CategoryBody(slug=category.slug, name=category.name, count=category.product_count)


class CategoriesBody(_Answer):
    items: list[CategoryBody]


class CategoryName(_Answer):
    slug: str = Field(examples=["coffee-and-tea"])
    name: str = Field(examples=["Coffee and tea"])


class PriceFactorBody(_Answer):
    factor: str = Field(examples=["demand"])
    effect_cents: int = Field(description="What it adds to the base price", examples=[120])
    because: str = Field(examples=["Many people bought it within the last hour"])


class ProductBody(_Answer):
    id: ProductNumber
    sku: str = Field(examples=["FS-00017"])
    name: str = Field(examples=["Hand-turned coffee mill"])
    brand: str = Field(examples=["Harbour & Sons"])
    description: str
    category: CategoryName
    base_price_cents: Cents
    price_cents: Cents
    price_as_of: str | None = Field(
        description="When pricing last worked it out; null: it did not answer or was not asked: the base price"
    )
    price_explanation: list[PriceFactorBody] = Field(description="Why the price is not the base price")

    @staticmethod
    def of(offer: Offer) -> ProductBody:
        product, price = offer.product, offer.price
        return ProductBody(
            id=product.id,
            sku=product.sku,
            name=product.name,
            brand=product.brand,
            description=product.description,
            category=CategoryName(slug=product.category.slug, name=product.category.name),
            base_price_cents=product.base_price_cents,
            price_cents=offer.price_cents,
            price_as_of=None if price is None else price.as_of,
            price_explanation=[
                PriceFactorBody(factor=one.factor, effect_cents=one.effect_cents, because=one.because)
                for one in (() if price is None else price.factors)
            ],
        )


class ProductDetailBody(ProductBody):
    available: int | None = Field(description="How many there are to buy; null: not known now", examples=[12])

    @staticmethod
    def of(offer: Offer) -> ProductDetailBody:
        return ProductDetailBody(**dict(ProductBody.of(offer)), available=offer.available)


class ListingBody(_Answer):
    items: list[ProductBody]
    total: int = Field(description="How many there are on all pages", examples=[10_000])
    page: int = Field(examples=[1])
    page_size: int = Field(examples=[24])

    @staticmethod
    def of(listing: Listing) -> ListingBody:
        return ListingBody(
            items=[ProductBody.of(offer) for offer in listing.offers],
            total=listing.total,
            page=listing.page,
            page_size=listing.page_size,
        )


class RecommendationBody(_Answer):
    product: ProductBody
    because: str = Field(examples=["Often bought together with the coffee mill"])

    @staticmethod
    def of(suggestion: Suggestion) -> RecommendationBody:
        return RecommendationBody(product=ProductBody.of(suggestion.offer), because=suggestion.because)


class RecommendationsBody(_Answer):
    items: list[RecommendationBody] = Field(description="Empty also when recommendations are dimmed or away")


class CartLineBody(_Answer):
    product_id: ProductNumber
    quantity: int = Field(ge=1, examples=[2])


class CartBody(_Answer):
    cart_id: str = Field(description="Signed; whoever holds it holds the cart", examples=[CART_ID_EXAMPLE])
    lines: list[CartLineBody]

    @staticmethod
    def of(signed_id: str, cart: Cart) -> CartBody:
        lines = [CartLineBody(product_id=line.product_id, quantity=line.quantity) for line in cart.lines]
        return CartBody(cart_id=signed_id, lines=lines)


class PricedLineBody(CartLineBody):
    unit_price_cents: int | None = Field(description="Price of the day; null: not known now", examples=[1_499])


class PricedCartBody(_Answer):
    cart_id: str = Field(description="Signed; whoever holds it holds the cart", examples=[CART_ID_EXAMPLE])
    lines: list[PricedLineBody]
    total_cents: int | None = Field(
        description="At the prices of the day; null: not all of them are known now", examples=[2_998]
    )

    @staticmethod
    def of(signed_id: str, cart: Cart, prices: Mapping[int, Price]) -> PricedCartBody:
        lines = []
        for line in cart.lines:
            price = prices.get(line.product_id)
            unit_cents = None if price is None else price.price_cents
            lines.append(
                PricedLineBody(product_id=line.product_id, quantity=line.quantity, unit_price_cents=unit_cents)
            )
        known = [line.quantity * line.unit_price_cents for line in lines if line.unit_price_cents is not None]
        return PricedCartBody(
            cart_id=signed_id, lines=lines, total_cents=sum(known) if len(known) == len(lines) else None
        )


class LineToAdd(_Request):
    product_id: ProductNumber
    quantity: Annotated[int, Field(ge=1, le=MOST_QUANTITY, examples=[2]), _Whole] = 1


class Quantity(_Request):
    quantity: Annotated[int, Field(ge=0, le=MOST_QUANTITY, description="0 removes the line", examples=[3]), _Whole]


class OrderToPlace(_Request):
    cart_id: str = Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_.\-]+$", examples=[CART_ID_EXAMPLE])
    payment_token: str = Field(
        pattern=r"^tok_[A-Za-z0-9_\-]{1,60}$",
        description="Of the payment stub: tok_visa, tok_declined, tok_random_<anything>",
        examples=["tok_visa"],
    )
    email: str = Field(
        min_length=6,
        max_length=MOST_EMAIL_CHARACTERS,
        pattern=r"^[A-Za-z0-9._%+\-]{1,64}@([A-Za-z0-9\-]{1,63}\.){1,3}[A-Za-z]{2,24}$",
        examples=["you@example.org"],
    )
    expected_total_cents: Annotated[int, Field(ge=0, le=_MOST_CENTS), _Whole] | None = Field(
        None, description="Refuse with price-changed if it would cost more", examples=[2_998]
    )


class OrderLineBody(_Answer):
    product_id: ProductNumber
    quantity: int = Field(ge=1)
    unit_price_cents: Cents


class OrderBody(_Answer):
    id: str = Field(examples=[_EXAMPLE_ORDER])
    state: Literal["pending", "confirmed", "rejected"]
    reason: str | None = Field(description="Why it was rejected")
    lines: list[OrderLineBody]
    total_cents: Cents
    degraded: bool = Field(description="Priced from the catalogue, since pricing did not answer")
    created_at: str = Field(examples=["2026-03-01T12:00:00+00:00"])

    @staticmethod
    def of(order: Order) -> OrderBody:
        return OrderBody.model_validate(
            {
                "id": order.id,
                "state": order.state,
                "reason": order.reason,
                "lines": [
                    {
                        "product_id": line.product_id,
                        "quantity": line.quantity,
                        "unit_price_cents": line.unit_price_cents,
                    }
                    for line in order.lines
                ],
                "total_cents": order.total_cents,
                "degraded": order.degraded,
                "created_at": order.created_at,
            }
        )


class FieldError(_Answer):
    field: str = Field(examples=["body.quantity"])
    message: str = Field(examples=["Input should be less than or equal to 99"])


class ProblemBody(BaseModel):
    """An error (RFC 9457). `code` is for programs and stable, `detail` says what to do."""

    model_config = ConfigDict(frozen=True, title="Problem")

    type: str = Field(examples=["urn:shop:problem:not-found"])
    title: str
    status: int = Field(ge=400, le=599)
    code: str = Field(examples=["not-found"])
    detail: str | None = None
    request_id: str | None = Field(None, description="Ask for it when you report the error")
    errors: list[FieldError] | None = Field(None, description="invalid-request: what is wrong with which field")
    product_ids: list[int] | None = Field(None, description="out-of-stock: of what there is not enough")
    total_cents: int | None = Field(None, description="price-changed: what it costs now")
