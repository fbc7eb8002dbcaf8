"""The seeded past: who shopped for what on which day. It knows occasions, companions and lines, and no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from demo_shop.recommendations.baskets import Baskets
from demo_shop.stores.seeding.assortment import Occasion, Tastes
from demo_shop.stores.seeding.catalogue import Drafts

FIRST_DAY = date(2024, 1, 1)
DAYS = 731  # two whole years
YEARLY_GROWTH = 1.3
BASKETS_PER_PRODUCT = 6
BASKETS_PER_CUSTOMER = 5.0
OCCASIONS_OF_A_CUSTOMER = (0.5, 0.3, 0.2)
ELSEWHERE = 0.25  # how often a basket has nothing to do with the customer's interests
SIZE_SHARES = (0.34, 0.24, 0.17, 0.11, 0.07, 0.04, 0.02, 0.01)  # of baskets with 1, 2, … products

# Why the next product is added: for the first one, for the occasion, or for no reason.
AS_COMPANION, FOR_THE_OCCASION, BY_CHANCE = 0.40, 0.42, 0.18
# How it is chosen within its kind: of the line of the first one, of the customer's price class, or by appeal alone.
SAME_LINE, SAME_TIER = 0.30, 0.35

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class History:
    """Baskets in order of time; products by their position in the drafts."""

    baskets: Baskets
    customer: Ints
    day: Ints  # since FIRST_DAY

    def date_of(self, day: int) -> date:
        return FIRST_DAY + timedelta(days=day)


@dataclass(frozen=True, slots=True)
class Chooser:
    """Draws members of numbered groups by weight, for many groups at once."""

    member: Ints  # sorted by group
    start: Ints  # per group, into member; one more at the end
    cumulative: Floats  # weights up to and with each member

    @classmethod
    def of(cls, group: Ints, member: Ints, weight: Floats, groups: int) -> "Chooser":
        """Each `member[i]` lies in `group[i]` with `weight[i]`."""
        order = np.argsort(group, kind="stable")
        start = np.searchsorted(group[order], np.arange(groups + 1))
        return cls(member[order], start, np.cumsum(weight[order]))

    def has_any(self, group: Ints) -> NDArray[np.bool_]:
        return self.start[group + 1] > self.start[group]

    def draw(self, group: Ints, rng: np.random.Generator) -> Ints:
        """One member per entry of `group`; the groups must not be empty."""
        edge = np.concatenate(([0.0], self.cumulative))
        low, high = edge[self.start[group]], edge[self.start[group + 1]]
        at = np.searchsorted(self.cumulative, low + rng.random(len(group)) * (high - low), side="right")
        drawn: Ints = self.member[np.minimum(at, self.start[group + 1] - 1)]
        return drawn


def draw_history(drafts: Drafts, kinds: Sequence[str], tastes: Tastes, rng: np.random.Generator) -> History:
    """Two years of baskets, six per product. `kinds` are the slugs that drafts' kinds count."""
    count = BASKETS_PER_PRODUCT * len(drafts.rows)
    day = _days(count, rng)
    customers = max(1, round(count / BASKETS_PER_CUSTOMER))
    activity = np.cumsum(rng.lognormal(0.0, 1.0, customers))
    customer = np.searchsorted(activity, rng.random(count) * activity[-1])
    # Some budget, some premium: a customer mostly stays in one price class.
    tier = rng.choice([1, 2, 3], customers, p=[0.35, 0.45, 0.2])[customer]

    present = np.zeros(len(kinds), dtype=bool)
    present[drafts.kind] = True
    occasions = [occasion for occasion in tastes.occasions if _weights(occasion.kinds, kinds, present).any()]
    occasion = _occasions(occasions, customer, customers, day, rng)
    for_occasion = _chooser_of_kinds([entry.kinds for entry in occasions], kinds, present)
    as_companion = _chooser_of_kinds([tastes.companions.get(kind, {}) for kind in kinds], kinds, present)

    first_kind = for_occasion.draw(occasion, rng)
    shelves = _Shelves.of(drafts, len(kinds))
    first = shelves.choose(first_kind, tier, None, rng)

    extra = rng.choice(len(SIZE_SHARES), count, p=SIZE_SHARES)
    basket = np.repeat(np.arange(count), extra)
    kind = _more_kinds(first_kind[basket], occasion[basket], as_companion, for_occasion, len(occasions), rng)
    more = shelves.choose(kind, tier[basket], drafts.family[first[basket]], rng)
    return History(_as_baskets(first, basket, more), customer, day)


def _days(count: int, rng: np.random.Generator) -> Ints:
    """Days of baskets, sorted: a shop that grows, with weekends and a busy end of the year."""
    day = np.arange(DAYS)
    weekday = np.array([1.0, 0.9, 0.9, 0.95, 1.05, 1.25, 1.2])[(day + FIRST_DAY.weekday()) % 7]
    december = 1.0 + 0.6 * ((day % 365) >= 325)
    weight = np.cumsum(YEARLY_GROWTH ** (day / 365.0) * weekday * december)
    return np.sort(np.searchsorted(weight, rng.random(count) * weight[-1]))


def _occasions(
    occasions: Sequence[Occasion], customer: Ints, customers: int, day: Ints, rng: np.random.Generator
) -> Ints:
    """What each basket was for: one of the customer's interests or any other, as the month suggests."""
    share = np.array([occasion.share for occasion in occasions])
    share /= share.sum()
    interests = rng.choice(len(occasions), (customers, len(OCCASIONS_OF_A_CUSTOMER)), p=share)
    other = rng.choice(len(occasions), len(customer), p=share)
    candidates = np.column_stack((interests[customer], other))
    habit = np.array([*(part * (1.0 - ELSEWHERE) for part in OCCASIONS_OF_A_CUSTOMER), ELSEWHERE])
    months = np.array([occasion.months for occasion in occasions])
    month = np.array([(FIRST_DAY + timedelta(days=offset)).month - 1 for offset in range(DAYS)])[day]
    weight = np.cumsum(habit * months[candidates, month[:, None]], axis=1)
    chosen = (rng.random(len(customer))[:, None] * weight[:, -1:] >= weight).sum(axis=1)
    picked: Ints = candidates[np.arange(len(customer)), chosen]
    return picked


def _weights(by_slug: Mapping[str, float], kinds: Sequence[str], present: NDArray[np.bool_]) -> Floats:
    return np.array([by_slug.get(slug, 0.0) for slug in kinds]) * present


def _chooser_of_kinds(
    groups: Sequence[Mapping[str, float]], kinds: Sequence[str], present: NDArray[np.bool_]
) -> Chooser:
    table = np.array([_weights(by_slug, kinds, present) for by_slug in groups])
    group, member = np.nonzero(table)
    return Chooser.of(group, member, table[group, member], len(groups))


def _more_kinds(
    first_kind: Ints,
    occasion: Ints,
    as_companion: Chooser,
    for_occasion: Chooser,
    occasions: int,
    rng: np.random.Generator,
) -> Ints:
    """The kind of each product after the first of its basket."""
    reason = rng.random(len(first_kind))
    chance = reason < BY_CHANCE
    kind = for_occasion.draw(np.where(chance, rng.integers(0, occasions, len(occasion)), occasion), rng)
    companion = (reason >= 1.0 - AS_COMPANION) & as_companion.has_any(first_kind)
    kind[companion] = as_companion.draw(first_kind[companion], rng)
    return kind


@dataclass(frozen=True, slots=True)
class _Shelves:
    """The products of a kind: all of them, those of a price class, those of a line."""

    families: int
    whole: Chooser
    of_tier: Chooser
    of_family: Chooser

    @classmethod
    def of(cls, drafts: Drafts, kinds: int) -> "_Shelves":
        product = np.arange(len(drafts.rows))
        families = int(drafts.family.max()) + 1
        return cls(
            families,
            Chooser.of(drafts.kind, product, drafts.appeal, kinds),
            Chooser.of(drafts.kind * 4 + drafts.tier, product, drafts.appeal, kinds * 4),
            Chooser.of(drafts.kind * families + drafts.family, product, drafts.appeal, kinds * families),
        )

    def choose(self, kind: Ints, tier: Ints, family: Ints | None, rng: np.random.Generator) -> Ints:
        """One product of each kind; of the line `family` now and then, where there is one."""
        product = self.whole.draw(kind, rng)
        how = rng.random(len(kind))
        in_tier = (how >= SAME_LINE) & (how < SAME_LINE + SAME_TIER) & self.of_tier.has_any(kind * 4 + tier)
        product[in_tier] = self.of_tier.draw((kind * 4 + tier)[in_tier], rng)
        if family is not None:
            shelf = kind * self.families + family
            in_line = (how < SAME_LINE) & self.of_family.has_any(shelf)
            product[in_line] = self.of_family.draw(shelf[in_line], rng)
        return product


def _as_baskets(first: Ints, basket: Ints, more: Ints) -> Baskets:
    """Each basket with its products once, in the order of their numbers."""
    count = len(first)
    products = int(max(first.max(), more.max(initial=0))) + 1
    line = np.unique(np.concatenate((np.arange(count) * products + first, basket * products + more)))
    starts = np.searchsorted(line // products, np.arange(count + 1))
    return Baskets(starts, line % products)
