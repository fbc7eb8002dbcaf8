"""Values of ours that stand on other people's objects, and how they go."""

from __future__ import annotations

from simulation.controllers.floors import Floors


def test_a_floor_stands_until_it_expires() -> None:
    floors = Floors()
    floors.write("web", original=2, floor=7, expires_at_s=300.0)

    floors.settle(299.0)

    assert floors.minimum("web", 2) == 7
    assert floors.is_raised("web")


def test_an_expired_floor_descends_by_one_pod_a_minute() -> None:
    floors = Floors()
    floors.write("web", original=2, floor=5, expires_at_s=300.0)

    heights = []
    for now_s in (300.0, 330.0, 360.0, 420.0, 480.0):
        floors.settle(now_s)
        heights.append(floors.minimum("web", 2))

    assert heights == [4, 4, 3, 2, 2]
    assert not floors.is_raised("web")


def test_a_high_floor_descends_by_ten_percent_a_minute() -> None:
    floors = Floors()
    floors.write("web", original=2, floor=40, expires_at_s=0.0)

    floors.settle(0.0)

    assert floors.minimum("web", 2) == 36  # 40 - ceil(4.0)


def test_a_renewed_floor_no_longer_descends() -> None:
    floors = Floors()
    floors.write("web", original=2, floor=6, expires_at_s=300.0)
    floors.settle(310.0)
    floors.write("web", original=5, floor=6, expires_at_s=700.0)

    floors.settle(600.0)

    assert floors.minimum("web", 2) == 6


def test_a_floor_below_the_original_goes_back_at_once() -> None:
    floors = Floors()
    floors.write("web", original=4, floor=2, expires_at_s=100.0)

    floors.settle(100.0)

    assert floors.minimum("web", 4) == 4
