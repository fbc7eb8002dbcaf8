"""Which processes of this machine are a pod's."""

from pathlib import Path

from chaos.clusters.bare.pod_processes import belongs_to, container_processes

UID = "f6b48792-b7db-4c2d-ac6e-1e05fa26355e"


def process(folder: Path, pid: str, cgroup: str, *command: str) -> None:
    (folder / pid).mkdir()
    (folder / pid / "cgroup").write_text(f"9:pids:{cgroup}\n0::/\n")
    (folder / pid / "cmdline").write_bytes(b"\0".join(word.encode() for word in command) + b"\0")


def test_a_pods_own_programs_are_found_and_what_holds_its_namespaces_is_not(tmp_path: Path) -> None:
    pods = "/foresail-clusters/live/node-1/kubepods/burstable"
    process(tmp_path, "11", f"{pods}/pod{UID}/aaaa", "/pause")
    process(tmp_path, "12", f"{pods}/pod{UID}/bbbb", "/usr/bin/python3", "/usr/local/bin/kopf")
    process(tmp_path, "13", f"{pods}/pod0000-{UID[5:]}/cccc", "sleep")
    process(tmp_path, "14", "/user.slice", "bash")
    (tmp_path / "self").mkdir()

    assert container_processes(UID, tmp_path) == (12,)


def test_one_uid_is_not_taken_for_the_beginning_of_another() -> None:
    assert belongs_to(f"2:cpu:/kubepods/pod{UID}/x", UID)
    assert not belongs_to(f"2:cpu:/kubepods/pod{UID}0/x", UID)
