import pytest

from chaos.experiments.cpu_times import CpuTimes, cpu_times


def test_what_the_host_took_is_a_share_of_all_time(tmp_path):
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice; guests' time is in user's.
    stat.write_text("cpu  100 0 50 800 10 0 20 20 90 0\ncpu0 1 2 3\n")

    found = cpu_times(stat)

    assert found == CpuTimes(total=1000.0, stolen=20.0)
    assert CpuTimes(1200.0, 80.0).stolen_since(found) == pytest.approx(0.3)
    assert found.stolen_since(found) == 0.0


@pytest.mark.parametrize("text", ["", "intr 1 2 3", "cpu 1 2 3", "cpu a b c d e f g h"])
def test_a_system_that_does_not_tell_is_unknown(tmp_path, text):
    stat = tmp_path / "stat"
    stat.write_text(text)

    assert cpu_times(stat) is None
    assert cpu_times(tmp_path / "missing") is None
