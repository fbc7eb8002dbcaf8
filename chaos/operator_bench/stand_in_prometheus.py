"""A Prometheus of a synthetic shop, in a process of its own: answers at once what the operator's queries ask.

    python -m chaos.operator_bench.stand_in_prometheus WORKLOADS

Prints its address and ends with its standard input. It does not evaluate PromQL: the tags that the operator puts into
its queries say which figures are asked for. `/_queries` answers how many there were.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from chaos.operator_bench.synthetic_shop import Floats, SyntheticShop, metrics

_TAG = re.compile(r'"foresail","([a-z-]+/[a-z0-9_]+)"')
#: What a scrape interval is read from: samples in five minutes, one every 15 s.
_INTERVAL = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%s,"21"]}]}}'


class Answers:
    """Rows as text, made ahead as far as they do not depend on time."""

    def __init__(self, shop: SyntheticShop) -> None:
        self._tables = {}
        for tag, (labels, values) in metrics(shop).items():
            named = [{**row, "foresail": tag.removesuffix(":pod")} for row in labels]
            self._tables[tag] = ([json.dumps({"metric": row})[:-1] for row in named], values)

    def answer(self, query: str, times: Floats, ranged: bool) -> bytes:
        rows: list[str] = []
        for tag in _TAG.findall(query):
            # The percentiles by pod and by workload carry the same tag: what they sum by tells them apart.
            by_pod = tag.endswith("/latency_p99") and "foresail_group" not in query
            found = self._tables.get(f"{tag}:pod" if by_pod else tag)
            if found is None:
                continue
            heads, values_at = found
            table = values_at(times)
            rows += _range_rows(heads, times, table) if ranged else _instant_rows(heads, times, table)
        kind = "matrix" if ranged else "vector"
        return f'{{"status":"success","data":{{"resultType":"{kind}","result":[{",".join(rows)}]}}}}'.encode()


def _instant_rows(heads: list[str], times: Floats, table: Floats) -> list[str]:
    at = f"{times[0]:.3f}"
    return [f'{head},"value":[{at},"{value:.6g}"]}}' for head, value in zip(heads, table[:, 0].tolist(), strict=True)]


def _range_rows(heads: list[str], times: Floats, table: Floats) -> list[str]:
    stamps = [f"{at:.0f}" for at in times.tolist()]
    rows = []
    for head, values in zip(heads, table.tolist(), strict=True):
        points = ",".join([f'[{at},"{value:.6g}"]' for at, value in zip(stamps, values, strict=True)])
        rows.append(f'{head},"values":[{points}]}}')
    return rows


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        queries = 0

        def do_GET(self) -> None:
            self._send(json.dumps(Handler.queries).encode())

        def do_POST(self) -> None:
            Handler.queries += 1
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked = {name: values[0] for name, values in parse_qs(text).items()}
            ranged = urlsplit(self.path).path.endswith("query_range")
            if "count_over_time(up" in asked["query"]:
                self._send(_INTERVAL % asked["time"].encode())
                return
            if ranged:
                start, end, step = (float(asked[name].removesuffix("s")) for name in ("start", "end", "step"))
                times = np.asarray(start + step * np.arange(round((end - start) / step) + 1), dtype=np.float64)
            else:
                times = np.array([float(asked["time"])])
            self._send(answers.answer(asked["query"], times, ranged))

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def serve(workloads: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Answers(SyntheticShop(workloads))))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps(f"http://127.0.0.1:{server.server_address[1]}") + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
