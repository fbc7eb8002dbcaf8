"""Everything taken back: by the operator, by a job beside it, before an uninstall, from the command line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from act_stage import HPA, NOW_S, WEB, Stage, decision, pod, row, token_file
from fake_api import FakeApi
from fake_http import serving
from fake_store import Resource
from typer.testing import CliRunner

from foresail.actuators.api import Api, OpenFence
from foresail.actuators.refusals import RefusalReason
from foresail.actuators.revert import Reverter
from foresail.actuators.settings import ActuatorSettings
from foresail.actuators.standing import Remembered
from foresail.actuators.targets import Endpoint
from foresail.actuators.undoing import leave, seize, undo_all
from foresail.cli import app
from foresail.leadership.lease import LeaseApi, LeaseConflict, LeaseRecord, LeaseUnavailable
from policies.decision import DetachPod, SetBrownout, SetFloor, SetScale, SetTraffic, ShiftZone

UNTIL_S = NOW_S + 600.0


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.slept: list[float] = []

    def wall(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def reverter(stage: Stage, dry_run: bool = False, namespaces: tuple[str, ...] = ()) -> Reverter:
    """As the command makes it: it knows nothing but the API server."""
    settings = ActuatorSettings(watch_namespaces=namespaces, zone_shift=True, weights=True)
    return Reverter(Api(stage.api.client(), OpenFence(), 10.0, dry_run), settings, Remembered())


def act_a_lot(stage: Stage) -> None:
    """A floor, a drain, a replacement and a zone shift, all until `UNTIL_S`."""
    stage.settings["zone_shift"] = True
    cluster = stage.cluster()
    for action in (
        SetFloor(WEB, 3, UNTIL_S),
        SetTraffic(WEB, "web-1", on=False, expires_at_s=UNTIL_S),
        DetachPod(WEB, "web-2", UNTIL_S),
        ShiftZone("b", (WEB,), UNTIL_S),
    ):
        stage.sets("pods", "web-2", lambda seen: seen["status"].update(podIP="127.0.0.1"))
        assert cluster.apply(action, decision(), NOW_S), stage.why


def snapshot(stage: Stage) -> dict[str, tuple[object, object]]:
    """What people see of each object: spec, labels, annotations."""
    found = {}
    for (_, plural), rows in stage.api.store.objects.items():
        for (namespace, name), seen in rows.items():
            if namespace != "foresail":
                meta = seen["metadata"]
                found[f"{plural}/{name}"] = (seen.get("spec"), meta.get("labels") or {}, meta.get("annotations") or {})
    return {key: (spec, {"labels": labels, "annotations": notes}) for key, (spec, labels, notes) in found.items()}


def test_leaves_the_shop_exactly_as_before(stage: Stage) -> None:
    before = snapshot(stage)
    act_a_lot(stage)
    assert snapshot(stage) != before

    reverter(stage).all(NOW_S + 10.0, periods_left=0)

    assert snapshot(stage) == before


def test_takes_back_only_what_has_expired(stage: Stage) -> None:
    before = snapshot(stage)
    act_a_lot(stage)
    during = snapshot(stage)

    assert reverter(stage).expired(UNTIL_S - 1.0).undone == ()
    assert snapshot(stage) == during

    reverter(stage).expired(UNTIL_S)
    assert snapshot(stage) == before


def test_a_dry_run_says_what_it_would_do_and_does_nothing(stage: Stage) -> None:
    act_a_lot(stage)
    during, version = snapshot(stage), stage.api.store.version

    told = reverter(stage, dry_run=True).all(NOW_S + 10.0, periods_left=0)

    assert sorted(step.act for step in told.undone) == ["cordon", "detached", "drained", "floor", "shifted", "shifted"]
    assert told.refused == () and snapshot(stage) == during and stage.api.store.version == version


def test_goes_on_past_an_object_that_cannot_be_changed(stage: Stage) -> None:
    act_a_lot(stage)
    stage.api.fail(403, match="PATCH /api/v1/namespaces/shop/pods/web-1")

    told = reverter(stage).all(NOW_S + 10.0, periods_left=0)

    assert [refused.reason for refused in told.refused] == [RefusalReason.FORBIDDEN]
    assert [trace.split(":")[0] for trace in stage.traces()] == ["Pod web-1"]


def test_stops_at_once_when_the_api_server_goes_away(stage: Stage) -> None:
    act_a_lot(stage)
    stage.api.cut(match="PATCH")

    told = reverter(stage).all(NOW_S + 10.0, periods_left=0)

    assert [refused.reason for refused in told.refused] == [RefusalReason.UNANSWERED]


@pytest.mark.parametrize("how", ["lacks", "forbids"])
def test_kinds_that_a_cluster_lacks_or_forbids_are_passed_over(stage: Stage, how: str) -> None:
    for plural in ("scaledobjects", "httproutes"):
        if how == "lacks":
            stage.api.without(plural)
        else:
            stage.api.forbid("list", plural)

    assert reverter(stage).all(NOW_S).refused == ()


def test_says_when_it_may_not_look_at_what_it_must_have_changed(stage: Stage) -> None:
    stage.api.forbid("list", HPA)

    assert [refused.reason for refused in reverter(stage).all(NOW_S).refused] == [RefusalReason.FORBIDDEN]


def test_looks_only_where_it_is_to_watch(stage: Stage) -> None:
    reverter(stage, namespaces=("shop", "bank")).expired(NOW_S)

    asked = {request.path for request in stage.api.requests if request.path.endswith("/pods")}
    assert asked == {"/api/v1/namespaces/shop/pods", "/api/v1/namespaces/bank/pods"}


def test_floors_come_down_a_step_a_minute(stage: Stage) -> None:
    stage.cluster().apply(SetFloor(WEB, 6, UNTIL_S), decision(), NOW_S)
    clock = Clock()

    done = undo_all(reverter(stage), None, clock.wall, clock.sleep)

    # 6 → 5 → 4 → 3 → 2: the first step at once, then one a minute.
    assert clock.slept == [60.0, 60.0, 60.0] and stage.spec(HPA, "web")["minReplicas"] == 2
    assert done.refused == () and stage.traces() == []


def test_floors_hurry_when_time_is_short(stage: Stage) -> None:
    stage.sets(HPA, "web", lambda hpa: hpa["spec"].update(maxReplicas=200))
    stage.cluster().apply(SetFloor(WEB, 102, UNTIL_S), decision(), NOW_S)
    clock = Clock()

    undo_all(reverter(stage), 240.0, clock.wall, clock.sleep)

    # 100 pods in four minutes, a quarter of what is left at the first step, and so on.
    assert stage.spec(HPA, "web")["minReplicas"] == 2 and sum(clock.slept) <= 240.0 and len(clock.slept) == 3


def test_an_api_server_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.cluster().apply(SetFloor(WEB, 3, UNTIL_S), decision(), NOW_S)
    stage.api.down()
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            stage.api.up()

    done = undo_all(reverter(stage), 300.0, clock.wall, sleep)

    assert done.refused == () and stage.traces() == []


def test_an_api_server_that_stays_away_is_told(stage: Stage) -> None:
    stage.api.down()
    clock = Clock()

    done = undo_all(reverter(stage), 30.0, clock.wall, clock.sleep)

    assert {refused.reason for refused in done.refused} == {RefusalReason.UNREACHABLE} and sum(clock.slept) == 30.0


class OneLease(LeaseApi):
    """A Lease in memory that somebody else changes `busy` times."""

    def __init__(self, held: LeaseRecord | None, busy: int = 0) -> None:
        self.held, self.busy = held, busy

    def read(self) -> LeaseRecord | None:
        return self.held

    def create(self, record: LeaseRecord) -> LeaseRecord:
        return self.replace(record)

    def replace(self, record: LeaseRecord) -> LeaseRecord:
        if self.busy:
            self.busy -= 1
            raise LeaseConflict("busy")
        self.held = record
        return record


HELD = LeaseRecord("replica-1", 15.0, 4, None, None)


def test_the_lease_is_taken_and_its_former_holder_waited_for() -> None:
    lease, clock = OneLease(HELD, busy=2), Clock()

    assert seize(lease, "revert", 600.0, clock.wall, clock.sleep) == 5

    assert lease.held is not None and (lease.held.holder, lease.held.duration_s) == ("revert", 600.0)
    assert clock.slept == [15.0]


@pytest.mark.parametrize("held", [None, LeaseRecord("", 1.0, 4, None, None)], ids=["no-lease", "released"])
def test_nobody_is_waited_for_where_nobody_led(held: LeaseRecord | None) -> None:
    clock = Clock()

    seize(OneLease(held), "revert", 600.0, clock.wall, clock.sleep)

    assert clock.slept == []


def test_a_lease_that_cannot_be_had_is_said() -> None:
    clock = Clock()

    with pytest.raises(LeaseUnavailable):
        seize(OneLease(HELD, busy=99), "revert", 600.0, clock.wall, clock.sleep)


def test_when_all_is_done_a_new_installation_waits_a_minute_only() -> None:
    lease, clock = OneLease(HELD), Clock()
    epoch = seize(lease, "revert", 600.0, clock.wall, clock.sleep)
    assert lease.held is not None
    taken = lease.held.renewed
    clock.sleep(5.0)

    leave(lease, "revert", clock.wall)

    assert (lease.held.holder, lease.held.duration_s, lease.held.transitions) == ("revert", 60.0, epoch)
    assert lease.held.renewed != taken  # whoever waits sees a change, and counts from there


@pytest.mark.parametrize("held", [None, HELD], ids=["no-lease", "somebody-elses"])
def test_a_lease_that_is_not_ours_is_left_alone(held: LeaseRecord | None) -> None:
    lease = OneLease(held)

    leave(lease, "revert", Clock().wall)

    assert lease.held == held


@pytest.fixture
def kubeconfig(fake_api: FakeApi, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: fake
contexts: [{{name: fake, context: {{cluster: fake, user: fake}}}}]
clusters: [{{name: fake, cluster: {{server: "{fake_api.url}"}}}}]
users: [{{name: fake, user: {{token: secret}}}}]
""",
        encoding="utf-8",
    )
    return path


def command(kubeconfig: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["revert", *words, "--kubeconfig", str(kubeconfig)])
    return result.exit_code, result.output


def test_the_command_takes_back_everything(stage: Stage, kubeconfig: Path) -> None:
    before = snapshot(stage)
    act_a_lot(stage)

    code, output = command(kubeconfig, "--all", "--take-lease", "600", "--within", "0")

    assert code == 0 and snapshot(stage) == before
    assert "restored    floor      /apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web" in output
    lease = stage.get("leases", "foresail", "foresail")["spec"]
    assert lease["leaseDurationSeconds"] == 60 and lease["holderIdentity"].startswith("revert_")
    assert stage.get("configmaps", "foresail-intents", "foresail")["data"]["intents"] == "[]"


def test_the_command_lifts_ceilings_where_policies_say(
    stage: Stage, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "control").write_text("secret", encoding="utf-8")
    monkeypatch.setenv("FORESAIL_SECRETS_FOLDER", str(tmp_path))
    with serving() as gateway:
        dims = {"target": "web", "port": gateway.port, "tokenFile": "control"}
        spec = {"targets": [{"name": "web", "workload": {"name": "web"}}], "brownout": dims}
        stage.api.put(row("foresail.dev/v1alpha1", "ResiliencePolicy", "shop", spec=spec))
        stage.knows(brownout=Endpoint("/-/brownout", gateway.port, tmp_path / "shop" / "control"))
        assert stage.cluster().apply(SetBrownout(WEB, 0.4, time.time() + 600.0), decision(), time.time())

        code, output = command(kubeconfig, "--all")

        assert code == 0 and "restored    brownout   /apis/apps/v1/namespaces/shop/deployments/web" in output
        assert gateway.lines.count("DELETE /-/brownout") == 4 and stage.traces() == []
        assert {asked.authorization for asked in gateway.asked} == {"Bearer secret"}


CACHES = ("example.dev/v1", "caches")


@pytest.fixture
def hot(stage: Stage) -> Stage:
    """A workload of somebody's own kind with two pods, scaled from 3 to 5 for an hour."""
    stage.api.serve(Resource(*CACHES, "Cache", scale=True, replicas_at="size"))
    stage.api.put(row(CACHES[0], "Cache", "hot", spec={"size": 3}) | {"status": {"selector": "app=hot"}})
    for name in ("hot-0", "hot-1"):
        stage.api.put(pod(name, "n1", app="hot"))
    stage.settings["scale_kinds"] = (CACHES,)
    assert stage.cluster().apply(SetScale("shop/hot", 5, time.time() + 3600.0), decision(), time.time()), stage.why
    return stage


def size(stage: Stage) -> int:
    return int(stage.spec("caches", "hot")["size"])


def test_the_command_finds_workloads_of_any_kind_with_a_scale_by_itself(hot: Stage, kubeconfig: Path) -> None:
    assert size(hot) == 5

    code, output = command(kubeconfig, "--all", "--within", "0")

    assert code == 0 and "scale      /apis/example.dev/v1/namespaces/shop/caches/hot" in output
    assert size(hot) == 3 and hot.traces() == []


def test_a_group_that_cannot_be_looked_up_keeps_nothing_else_from_being_taken_back(
    hot: Stage, kubeconfig: Path
) -> None:
    hot.api.fail(503, match="GET /apis/argoproj.io")

    code, _ = command(kubeconfig, "--all", "--within", "0")

    assert code == 0 and size(hot) == 3


def test_where_discovery_is_nobody_s_right_the_named_kinds_are_looked_for(
    hot: Stage, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESAIL_SCALE_RESOURCES", "example.dev/v1/caches")
    hot.api.fail(403, match="GET /apis", times=1)

    code, _ = command(kubeconfig, "--all", "--within", "0")

    assert code == 0 and size(hot) == 3


def test_kinds_that_nobody_may_read_are_passed_over(hot: Stage, kubeconfig: Path) -> None:
    hot.api.forbid("list", "caches")

    code, output = command(kubeconfig, "--all", "--within", "0")

    assert (code, output) == (0, "nothing to take back\n")


def test_the_command_ends_drains_in_pods_of_any_kind_of_workload(
    hot: Stage, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "control").write_text("secret", encoding="utf-8")
    monkeypatch.setenv("FORESAIL_SECRETS_FOLDER", str(tmp_path))
    hot.api.put(row("v1", "Service", "hot", spec={"selector": {"app": "hot", "foresail.dev/traffic": "on"}}))
    with serving() as member:
        drain = {"port": member.port, "tokenFile": "control"}
        spec = {"targets": [{"name": "hot", "workload": {"kind": "Cache", "name": "hot"}}], "drain": drain}
        hot.api.put(row("foresail.dev/v1alpha1", "ResiliencePolicy", "shop", spec=spec))
        off = SetTraffic("shop/hot", "hot-0", on=False, expires_at_s=time.time() + 600.0)
        assert hot.cluster().apply(off, decision(), time.time()), hot.why

        code, output = command(kubeconfig, "--all", "--within", "0")

        assert code == 0 and "drained    /api/v1/namespaces/shop/pods/hot-0" in output
        assert member.lines == ["DELETE /-/drain"] and hot.traces() == []


def test_the_job_looks_only_for_kinds_that_the_chart_names(
    hot: Stage, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORESAIL_SCALE_RESOURCES", "")
    before = len(hot.api.requests)

    assert command(kubeconfig, "--expired") == (0, "nothing to take back\n")
    assert not any("example.dev" in request.path for request in hot.api.requests[before:])


def test_the_command_leaves_ceilings_to_their_time_where_no_policy_is_left(stage: Stage, kubeconfig: Path) -> None:
    with serving() as gateway:
        stage.knows(brownout=Endpoint("/-/brownout", gateway.port))
        stage.settings["control_token_file"] = token_file(kubeconfig.parent)
        assert stage.cluster().apply(SetBrownout(WEB, 0.4, time.time() + 600.0), decision(), time.time())

        code, output = command(kubeconfig, "--all")

        assert code == 0 and "forgotten   brownout" in output and stage.traces() == []


def test_the_command_finds_nothing_to_do(stage: Stage, kubeconfig: Path) -> None:
    assert command(kubeconfig, "--expired") == (0, "nothing to take back\n")
    assert stage.api.writes == []


def test_the_command_tries_without_writing(stage: Stage, kubeconfig: Path) -> None:
    act_a_lot(stage)
    during = snapshot(stage)

    code, output = command(kubeconfig, "--all", "--dry-run")

    assert code == 0 and "would be restored    floor" in output and snapshot(stage) == during


def test_the_command_says_what_is_left(stage: Stage, kubeconfig: Path) -> None:
    act_a_lot(stage)
    stage.api.forbid("patch", HPA)

    code, output = command(kubeconfig, "--all", "--within", "0")

    assert code == 1 and "forbidden: PATCH /apis/autoscaling/v2" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--expired or --all"),
        (["--all", "--expired"], "--expired or --all"),
        (["--expired", "--take-lease", "600"], "go with --all"),
        (["--all", "--take-lease", "0"], "at least 1 second"),
    ],
)
def test_the_command_explains_what_it_wants(kubeconfig: Path, words: list[str], said: str) -> None:
    code, output = command(kubeconfig, *words)

    assert code == 2 and said in output


def test_the_command_says_that_there_is_no_way_to_a_cluster(tmp_path: Path) -> None:
    code, output = command(tmp_path / "missing", "--expired")

    assert code == 2 and "no way to an API server" in output
