"""What pages pull in: style sheet, script, the placeholder, pictures of products. No visitor, no cookies."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from demo_shop.frame.problems import Problem
from demo_shop.gateway.dimmer import OptionalParts
from demo_shop.gateway.images import is_slug, product_image
from demo_shop.gateway.requests import product_id_of
from demo_shop.gateway.storefront import Storefront

_KINDS: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_NAMES: Final = ("shop.css", "shop.js", "placeholder.svg", "favicon.svg")
_DAY: Final = "public, max-age=86400"
_YEAR: Final = "public, max-age=31536000, immutable"
_BARE: Final = OptionalParts(images=False, recommendations=False, dynamic_pricing=False)
_ROBOTS: Final = (
    "User-agent: *\nDisallow: /cart\nDisallow: /checkout\nDisallow: /order/\nDisallow: /api/\nDisallow: /search\n"
)


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    kind: str
    version: str


class Assets:
    """Files of the storefront, held in memory. Their addresses change with their content, so browsers keep them."""

    def __init__(self, storefront: Storefront) -> None:
        self._storefront = storefront
        self._assets = {name: _read(name) for name in _NAMES}

    @staticmethod
    def urls() -> dict[str, str]:
        return {name: f"/static/{name}?v={_read(name).version}" for name in _NAMES}

    def routes(self) -> list[Route]:
        return [
            Route("/images/{product_id}.svg", self._image, methods=["GET"]),
            Route("/static/{name}", self._static, methods=["GET"]),
            Route("/favicon.ico", self._favicon, methods=["GET"]),
            Route("/robots.txt", self._robots, methods=["GET"]),
        ]

    async def _image(self, request: Request) -> Response:
        """Pages name the category in `in`; without it the catalogue is asked."""
        product_id = product_id_of(request.path_params["product_id"])
        slug = request.query_params.get("in")
        if slug is None:
            offer = await self._storefront.offer(product_id, _BARE, with_stock=False)
            slug = offer.product.category.slug
        elif not is_slug(slug):
            raise Problem(404, "not-found", "There is no such category")
        return Response(product_image(product_id, slug), headers={"Cache-Control": _DAY}, media_type=_KINDS["svg"])

    async def _static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise Problem(404, "not-found", "There is no such file")
        tag = f'"{asset.version}"'
        keep = _YEAR if request.query_params.get("v") == asset.version else _DAY
        headers = {"Cache-Control": keep, "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers=headers, media_type=asset.kind)

    async def _favicon(self, request: Request) -> Response:
        asset = self._assets["favicon.svg"]
        return Response(asset.content, headers={"Cache-Control": _DAY}, media_type=asset.kind)

    async def _robots(self, request: Request) -> Response:
        return PlainTextResponse(_ROBOTS, headers={"Cache-Control": _DAY})


def _read(name: str) -> _Asset:
    content = files("demo_shop.gateway").joinpath("static", name).read_bytes()
    return _Asset(content, _KINDS[name.rpartition(".")[2]], sha256(content).hexdigest()[:12])
