"""How a process listens."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
import uvloop
from starlette.responses import PlainTextResponse

from demo_shop.frame.server import listeners


def test_many_new_connections_are_taken_in_one_turn_of_the_event_loop() -> None:
    async def turns_to_take_ten() -> int:
        config = uvicorn.Config(
            PlainTextResponse("ok"), host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        sockets = listeners(config)
        port = sockets[0].getsockname()[1]
        serving = asyncio.create_task(server._serve(sockets))
        clients: list[socket.socket] = []
        async with asyncio.timeout(10.0):
            while not server.started:
                await asyncio.sleep(0.001)
            # Blocking: the event loop does not turn while the kernel takes these.
            clients = [_connected(port) for _ in range(10)]
            turns = 0
            while len(server.server_state.connections) < 10:
                turns += 1
                await asyncio.sleep(0)
        for client in clients:
            client.close()
        server.should_exit = True
        await serving
        return turns

    # One socket would take ten turns at least.
    assert uvloop.run(turns_to_take_ten()) < 10


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5.0)
