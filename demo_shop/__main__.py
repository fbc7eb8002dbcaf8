"""Runs one service of the shop: `SHOP_ROLE=catalog python -m demo_shop`."""

from __future__ import annotations

import importlib
import sys

import uvloop

from demo_shop.frame.frame import Frame
from demo_shop.frame.logs import start_logging
from demo_shop.frame.server import serve
from demo_shop.settings import SettingInvalid, Settings


async def _run(settings: Settings) -> None:
    log = start_logging(settings.role.value, settings.pod, settings.zone)
    frame = Frame(settings, log)
    role = importlib.import_module(f"demo_shop.{settings.role.value}.app")
    app = role.create(frame)
    log.info("starting", port=settings.port, management_port=settings.management_port)
    await serve(frame, frame.traffic(app))


def main() -> None:
    try:
        settings = Settings.from_environment()
    except SettingInvalid as mistake:
        sys.exit(f"demo_shop: {mistake}")
    uvloop.run(_run(settings))


if __name__ == "__main__":
    main()
