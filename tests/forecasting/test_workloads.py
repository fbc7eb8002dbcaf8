"""What the synthetic families promise to those who learn from them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from forecasting.workloads import FAMILIES, Workloads, generate

SECONDS_PER_DAY = 86_400


def drawn(
    series: int, points: int = 2_048, seed: int = 1, families: list[str] | None = None, plain: bool = False
) -> Workloads:
    return generate(series, points, torch.Generator().manual_seed(seed), families=families, plain=plain)


def correlation(values: Tensor, lag: int) -> Tensor:
    """Autocorrelation of each series at a lag, `(series,)`."""
    now, later = values[:, :-lag], values[:, lag:]
    now = now - now.mean(1, keepdim=True)
    later = later - later.mean(1, keepdim=True)
    sizes = ((now**2).sum(1) * (later**2).sum(1)).sqrt()
    return (now * later).sum(1) / sizes.clamp(min=1e-12)


def same(left: Tensor, right: Tensor) -> bool:
    return torch.equal(left.nan_to_num(-1.0), right.nan_to_num(-1.0)) and torch.equal(left.isnan(), right.isnan())


def test_equal_generator_states_draw_equal_series() -> None:
    first, again, other = drawn(40, seed=5), drawn(40, seed=5), drawn(40, seed=6)

    for field in ("values", "step_s", "start_at_s", "event_log", "family"):
        assert same(getattr(first, field), getattr(again, field)), field
    assert not same(first.values, other.values)


def test_shapes_types_and_device_are_as_declared() -> None:
    made = drawn(7, 600)

    assert (made.values.shape, made.values.dtype) == ((7, 600), torch.float32)
    assert (made.event_log.shape, made.event_log.dtype) == ((7, 600), torch.float32)
    assert (made.step_s.shape, made.step_s.dtype) == ((7,), torch.float64)
    assert (made.start_at_s.shape, made.start_at_s.dtype) == ((7,), torch.float64)
    assert (made.family.shape, made.family.dtype) == ((7,), torch.int64)
    assert {field.device for field in (made.values, made.step_s, made.event_log)} == {torch.device("cpu")}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_series_lie_on_the_device_of_the_generator() -> None:
    made = generate(64, 600, torch.Generator("cuda").manual_seed(1))

    assert made.values.is_cuda and made.step_s.is_cuda and made.event_log.is_cuda and made.family.is_cuda


@pytest.mark.parametrize("points", [96, 577, 6_400])
def test_every_series_keeps_half_of_its_points_and_is_finite(points: int) -> None:
    made = drawn(300, points)

    missing = made.values.isnan()

    assert missing.float().mean(1).max() <= 0.5
    assert 0.005 < missing.float().mean() < 0.10
    assert made.values[~missing].isfinite().all()
    assert made.event_log.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_drawn_alone_on_request(family: str) -> None:
    made = drawn(24, 700, families=[family], plain=True)

    assert (made.family == FAMILIES.index(family)).all()
    assert made.values.isfinite().all()
    # The series of a family differ from each other, whatever it is.
    assert len({tuple(row[:200].tolist()) for row in made.values}) >= 12


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(KeyError, match="tides"):
        drawn(4, 96, families=["tides"])


def test_steps_and_starts_cover_what_monitoring_uses() -> None:
    made = drawn(2_000, 96)

    share_of_15_s = (made.step_s == 15.0).double().mean()
    hours = set((made.start_at_s // 3_600 % 24).tolist())
    weekdays = set((made.start_at_s // SECONDS_PER_DAY % 7).tolist())

    assert 0.30 < share_of_15_s < 0.40
    assert set(made.step_s.tolist()) == {1.0, 15.0, 60.0, 300.0, 600.0, 900.0, 3_600.0}
    assert (len(hours), len(weekdays)) == (24, 7)
    # 2015-01-01 and 2027-01-01, 0:00 UTC.
    assert made.start_at_s.min() >= 1_420_070_400 and made.start_at_s.max() < 1_798_761_600


def test_a_day_comes_back_after_a_day() -> None:
    made = drawn(300, 2_048, families=["demand_rate"], plain=True)
    five_minutes = made.values[made.step_s == 300.0]

    day, half_a_day = correlation(five_minutes, 288), correlation(five_minutes, 144)

    # 86,400 s / 300 s = 288 points. Weekends, drift and noise take some of it away.
    assert day.median() > 0.6
    assert day.median() > half_a_day.median() + 0.4


def test_a_weekend_comes_back_after_a_week() -> None:
    made = drawn(400, 2_048, families=["weekly"], plain=True)
    hourly = made.values[made.step_s >= 900.0]
    hourly_step_s = made.step_s[made.step_s >= 900.0]

    same_weekday = torch.cat(
        [correlation(row[None], int(604_800 / step)) for row, step in zip(hourly, hourly_step_s, strict=True)]
    )
    three_days_and_a_half = torch.cat(
        [correlation(row[None], int(302_400 / step)) for row, step in zip(hourly, hourly_step_s, strict=True)]
    )

    assert len(hourly) > 15
    assert same_weekday.median() > three_days_and_a_half.median() + 0.3


def test_a_leak_climbs_slowly_and_falls_at_once() -> None:
    made = drawn(200, 2_048, families=["leak"], plain=True)
    span = (made.values.amax(1, keepdim=True) - made.values.amin(1, keepdim=True)).clamp(min=1e-9)
    moves = made.values.diff(dim=1) / span

    falls = moves < -0.25
    other_moves = moves.masked_fill(moves < -0.1, 0.0).sum(1)

    assert (made.values >= 0.0).all()
    # Most series restart within the window, seldom, and climb between restarts.
    assert falls.any(1).float().mean() > 0.4
    assert falls.float().mean() < 0.02
    assert (other_moves > 0.3).float().mean() > 0.7


def test_a_declared_event_moves_demand_by_about_what_was_declared() -> None:
    made = drawn(300, 2_048, families=["flash_sale"], plain=True)
    log_gains = []
    for values, said in zip(made.values, made.event_log, strict=True):
        begins = ((said[1:] > 0.7) & (said[:-1] == 0.0)).nonzero().squeeze(1)
        if len(begins) == 1 and 30 <= int(begins[0]) < 2_000 and (values >= 0.0).all():
            start = int(begins[0]) + 1
            before, after = values[start - 10 : start].mean(), values[start : start + 4].mean()
            if before > 0.0:
                log_gains.append((float(said[start]), float((after / before).log())))
    declared, came = torch.tensor(log_gains).T

    assert len(log_gains) > 25
    # Gauges over a large base hardly show it, so the median stays below one; but the order is right.
    assert 0.6 < (came / declared).median() < 1.2
    assert ((came - declared).abs() < 1.0).float().mean() > 0.6


def test_half_of_the_sales_and_nothing_but_sales_and_promotions_are_declared() -> None:
    sales = drawn(400, 1_024, families=["flash_sale", "promo_step"], plain=True)
    others = drawn(300, 512, families=[name for name in FAMILIES if name not in ("flash_sale", "promo_step")])

    assert 0.35 < sales.event_log.any(1).float().mean() < 0.65
    assert not others.event_log.any()


def test_series_with_declared_events_are_neither_mixed_nor_warped() -> None:
    plain = drawn(60, 512, seed=3, families=["flash_sale"], plain=True)
    whole = drawn(60, 512, seed=3, families=["flash_sale"])
    declared = plain.event_log.any(1)

    assert torch.equal(plain.event_log, whole.event_log)
    untouched = (whole.values[declared] == plain.values[declared]).float().mean(1) > 0.5
    assert untouched.float().mean() > 0.6


def test_counts_are_whole_and_never_negative() -> None:
    made = drawn(80, 1_024, families=["counts"], plain=True)

    assert torch.equal(made.values, made.values.round())
    assert (made.values >= 0.0).all()
    assert (made.values == 0.0).any(1).float().mean() > 0.5


def test_zero_inflated_series_are_mostly_zero() -> None:
    made = drawn(200, 2_048, families=["zero_inflated"], plain=True)

    assert (made.values == 0.0).float().mean(1).median() > 0.7
    assert (made.values > 0.0).any(1).float().mean() > 0.8


def test_saturated_series_stay_at_their_ceiling() -> None:
    made = drawn(100, 1_024, families=["saturation"], plain=True)
    top = made.values.amax(1, keepdim=True)

    at_the_top = ((top - made.values).abs() < 0.15 * top.abs()).float().mean(1)

    assert at_the_top.median() > 0.1


def test_percentages_stay_between_none_and_all() -> None:
    made = drawn(100, 1_024, families=["cpu_percent", "error_rate"], plain=True)

    assert (made.values >= 0.0).all() and (made.values <= 100.0).all()


def test_settings_hardly_ever_change() -> None:
    made = drawn(100, 1_024, families=["constant"], plain=True)

    assert (made.values.diff(dim=1) != 0.0).float().mean() < 0.01
    assert (made.values.diff(dim=1) != 0.0).any()


def test_walks_keep_their_level_and_mean_reverting_series_do_not() -> None:
    walks = drawn(100, 2_048, families=["random_walk"], plain=True)
    returning = drawn(100, 2_048, families=["ar"], plain=True)

    assert correlation(walks.values, 20).median() > 0.8
    assert correlation(returning.values, 200).abs().median() < 0.3


def test_jobs_come_back_on_their_schedule() -> None:
    made = drawn(300, 4_096, families=["cron_bursts"], plain=True)
    values = made.values - made.values.mean(1, keepdim=True)

    power = torch.fft.rfft(values, n=8_192).abs() ** 2
    # White noise spreads its power: the strongest of 4,097 frequencies would hold about 0.2 % of it.
    strongest = power[:, 1:].amax(1) / power[:, 1:].sum(1).clamp(min=1e-9)

    assert strongest.median() > 0.005
