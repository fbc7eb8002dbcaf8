"""A real process behind a real management listener, asked to crash."""

import json
import subprocess
import sys
import urllib.request

SERVER = """
import asyncio, socket, time
import uvicorn
from prometheus_client import CollectorRegistry
from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.effects import FaultEffects
from demo_shop.frame.drain import Drain
from demo_shop.frame.health import Health
from demo_shop.frame.management import Managed, management_app
from demo_shop.settings import Role

async def main():
    registry = CollectorRegistry()
    board = FaultBoard(catalogue_of(Role.CART), time.time, registry)
    managed = Managed(registry, Health(time.time), Drain(time.time), board, None, "secret")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    effects = asyncio.create_task(FaultEffects(board, None).run())
    config = uvicorn.Config(management_app(managed), lifespan="off", log_config=None)
    await uvicorn.Server(config).serve(sockets=[listener])

asyncio.run(main())
"""


def test_a_process_that_is_asked_to_crash_answers_first_and_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/-/faults/pod_crash",
                data=json.dumps({"duration_s": 30}).encode(),
                headers={"Authorization": "Bearer secret"},
                method="PUT",
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                state = json.load(answer)
            ended = process.wait(timeout=20)
        finally:
            process.kill()

    assert (state["active"], state["magnitude"]) == (True, 1.0)
    assert ended == -9
