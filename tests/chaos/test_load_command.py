import json

import pytest
from typer.testing import CliRunner

from chaos.load.ledger import Ledger, Outcome
from foresail.cli import app


def foresail(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_load_prints_its_summary_as_json_and_writes_it(fake_shop, tmp_path):
    result = foresail(
        "load", "--url", fake_shop.url, "--rps", 30, "--duration-s", 1, "--json", "--out", tmp_path / "out"
    )

    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert printed["sent"] == printed["offered"] > 0
    assert (tmp_path / "out" / "ledger.jsonl").is_file()


def test_load_tells_people_what_happened(fake_shop, tmp_path):
    result = foresail("load", "--url", fake_shop.url, "--duration-s", 1, "--probe", "--out", tmp_path / "out")

    assert result.exit_code == 0, result.stderr
    for word in ("requests offered", "product", "orders:", "clients:", "probe:", "summary.json"):
        assert word in result.stdout


def test_a_probe_asks_as_often_as_it_is_told_to(fake_shop, tmp_path):
    arguments = ("--rps", 1, "--duration-s", 1, "--probe-hz", 4, "--out", tmp_path / "out")

    result = foresail("load", "--url", fake_shop.url, *arguments, "--json")

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["probe"]["sent"] == 4


def test_a_scenario_is_sent_live(fake_shop, tmp_path):
    arguments = ("--scenario", "flash-sale-announced", "--faster", 1800, "--scale", 0.5, "--out", tmp_path / "out")

    result = foresail("load", "--url", fake_shop.url, *arguments, "--json")

    assert result.exit_code == 0, result.stderr
    # 1800 s in one.
    assert json.loads(result.stdout)["duration_s"] == 1.0
    assert len(json.loads((tmp_path / "out" / "events.json").read_text())["events"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://192.0.2.1"], "--allow-host 192.0.2.1"),
        (["--shape", "wave"], "no shape is called 'wave'"),
        (["--shape", "ramp", "--scenario", "staircase"], "--shape and --scenario are all shapes"),
        (["--scenario", "staircase", "--rps", "5"], "--rps belongs to --shape"),
        (["--scenario", "nothing-like-it"], "no such file"),
        (["--trace", "{folder}/nowhere.csv"], "no such file"),
        (["--trace-peak-rps", "5"], "need --trace"),
        (["--shape", "ramp", "--announced"], "no event to announce"),
        (["--mix", "shopping"], "use shop, browse, orders"),
        (["--rps", "0"], "--rps"),
        (["--out", "{folder}/file"], "cannot be made a folder"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(arguments, message, tmp_path):
    (tmp_path / "file").write_text("")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    url = [] if "--url" in given else ["--url", "http://127.0.0.1:1"]
    out = [] if "--out" in given else ["--out", tmp_path / "out"]

    result = foresail("load", *url, *out, *given)

    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_shop_that_is_not_there_gets_exit_code_3(tmp_path):
    result = foresail("load", "--url", "http://127.0.0.1:1", "--out", tmp_path / "out")

    assert result.exit_code == 3
    assert "start the shop" in result.stderr


@pytest.fixture
def ledger(tmp_path):
    written = Ledger(tmp_path / "ledger.jsonl")
    written.ordered("run-1", "cart-1", "a@example.org", [(7, 1)], False, None)
    written.settled("run-1", Outcome.ACKNOWLEDGED, order_id="order-1", total_cents=500)
    written.close()
    return tmp_path / "ledger.jsonl"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give either --state FILE or --database ADDRESS"),
        (["--state", "a.json", "--database", "b"], 2, "give either"),
        (["--state", "{folder}/nowhere.json"], 3, "is the shop running?"),
        (["--state", "{folder}/ledger.jsonl"], 3, "not the state of a shop"),
        (["--database", "host=127.0.0.1 port=1 user=shop password=secret"], 3, "cannot be read"),
    ],
)
def test_books_that_cannot_be_read_are_named(arguments, code, message, ledger, tmp_path):
    given = [argument.format(folder=tmp_path) for argument in arguments]

    result = foresail("reconcile", "--ledger", ledger, *given)

    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "secret" not in result.output and "Traceback" not in result.stderr


def test_a_missing_ledger_is_named(tmp_path):
    result = foresail("reconcile", "--ledger", tmp_path / "none.jsonl", "--database", "host=127.0.0.1")

    assert result.exit_code == 2
    assert "none.jsonl" in result.stderr
