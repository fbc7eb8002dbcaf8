"""How often the model finds the product that was left out of a basket: `python -m demo_shop.recommendations.evaluate`.

Baskets are split by time. Candidates learn from the oldest 80 % and are compared on the next 10 %; the best of them
then learns from 90 % and is reported on the newest 10 %, which no choice has seen. From each basket of at least two
products one is hidden at random, the others are given, and a list of ten is asked for.
"""

import argparse
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from demo_shop.recommendations.baskets import Baskets
from demo_shop.recommendations.model import Learning, Traits, learn
from demo_shop.recommendations.rivals import (
    Recommender,
    as_cosine,
    by_model,
    by_popularity,
    by_popularity_in_category,
    every_pair,
)
from demo_shop.recommendations.table import Shelf
from demo_shop.stores.seed import traits_of
from demo_shop.stores.seeding.shop import DEFAULT_PRODUCTS, DEFAULT_RANDOM_SEED, draw_shop

VALIDATION_FROM, TEST_FROM = 0.8, 0.9
RESAMPLES = 2_000
INTERVAL = (2.5, 97.5)
CANDIDATES = tuple(Learning(expectation_orders=orders) for orders in (0.0, 10.0, 20.0, 50.0, 100.0, 200.0))


@dataclass(frozen=True, slots=True)
class Question:
    """A basket without one of its products, and that product."""

    given: tuple[int, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions with the 95 % interval of a bootstrap over them."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True)
class Report:
    """Hit rate, mean reciprocal rank and normalised discounted gain, all of lists of ten."""

    hit_rate: Figure
    mrr: Figure
    ndcg: Figure


def questions_of(baskets: Baskets, rng: np.random.Generator) -> list[Question]:
    """One question per basket of at least two products."""
    questions = []
    for basket in np.flatnonzero(baskets.sizes >= 2):
        products = baskets.of(int(basket))
        hidden = products.pop(int(rng.integers(len(products))))
        questions.append(Question(tuple(products), hidden))
    return questions


def ranks_of(recommender: Recommender, questions: Sequence[Question]) -> NDArray[np.float64]:
    """Place of the hidden product in each list, from 1; infinite where it is missing."""
    ranks = np.full(len(questions), np.inf)
    for number, question in enumerate(questions):
        shown = recommender(question.given)
        if question.hidden in shown:
            ranks[number] = shown.index(question.hidden) + 1
    return ranks


def report(ranks: NDArray[np.float64], rng: np.random.Generator) -> Report:
    return Report(
        hit_rate=_figure(np.isfinite(ranks).astype(float), rng),
        mrr=_figure(1.0 / ranks, rng),
        ndcg=_figure(_gains(ranks), rng),
    )


def _gains(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """With one product to find the best possible gain is 1, so this is normalised already."""
    return 1.0 / np.log2(1.0 + ranks)


def _figure(values: NDArray[np.float64], rng: np.random.Generator) -> Figure:
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, INTERVAL)
    return Figure(float(values.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures on the test baskets, by recommender; the advantage is in hit rate over the best rival, paired."""

    questions: int
    reports: Mapping[str, Report]
    advantage: Figure
    best_rival: str


def choose(baskets: Baskets, traits: Traits, rng: np.random.Generator) -> tuple[Learning, Mapping[Learning, float]]:
    """The candidate with the best MRR on the validation baskets, and the MRR of all. Test baskets are not touched."""
    learned_from, validation = _split(baskets, VALIDATION_FROM), _split(baskets, TEST_FROM)
    past = baskets.between(0, learned_from)
    questions = questions_of(baskets.between(learned_from, validation), rng)
    shelf = _shelf(_orders(past, len(traits)))
    mrr = {
        candidate: float((1.0 / ranks_of(by_model(learn(past, traits, candidate), shelf), questions)).mean())
        for candidate in CANDIDATES
    }
    return max(mrr, key=lambda candidate: mrr[candidate]), mrr


def compare(baskets: Baskets, traits: Traits, chosen: Learning, rng: np.random.Generator) -> Comparison:
    """The chosen way of learning and its rivals on the test baskets, all with what was known before these."""
    known = _split(baskets, TEST_FROM)
    past = baskets.between(0, known)
    questions = questions_of(baskets.between(known, len(baskets)), rng)
    orders = _orders(past, len(traits))
    shelf = _shelf(orders)
    counted = learn(past, traits, every_pair(len(traits)))
    recommenders: dict[str, Recommender] = {
        "model": by_model(learn(past, traits, chosen), shelf),
        "counts alone": by_model(learn(past, traits, replace(chosen, expectation_orders=0.0)), shelf),
        "cosine": by_model(as_cosine(counted, orders, chosen.neighbours), shelf),
        "popularity in category": by_popularity_in_category(orders, traits.category),
        "popularity": by_popularity(shelf),
    }
    ranks = {name: ranks_of(recommender, questions) for name, recommender in recommenders.items()}
    hits = {name: np.isfinite(found).astype(float) for name, found in ranks.items()}
    rival = max((name for name in hits if name != "model"), key=lambda name: float(hits[name].mean()))
    return Comparison(
        questions=len(questions),
        reports={name: report(found, rng) for name, found in ranks.items()},
        advantage=_figure(hits["model"] - hits[rival], rng),
        best_rival=rival,
    )


def _split(baskets: Baskets, share: float) -> int:
    return round(len(baskets) * share)


def _orders(baskets: Baskets, products: int) -> NDArray[np.int64]:
    return np.bincount(baskets.product_ids - 1, minlength=products)


def _shelf(orders: NDArray[np.int64]) -> Shelf:
    return Shelf({}, array("i", (np.argsort(-orders, kind="stable")[:100] + 1).tolist()))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo_shop.recommendations.evaluate", description=__doc__)
    parser.add_argument("--products", type=int, default=DEFAULT_PRODUCTS, help="size of the seeded catalogue")
    parser.add_argument("--random-seed", type=int, default=DEFAULT_RANDOM_SEED, help="of the seeded history")
    options = parser.parse_args(arguments)
    if options.products < 100:
        parser.error(f"--products {options.products}: at least 100, else the newest baskets say nothing")
    shop = draw_shop(options.products, options.random_seed)
    baskets, traits = shop.history.baskets, traits_of(shop)
    rng = np.random.default_rng(options.random_seed)
    chosen, mrr = choose(baskets, traits, rng)
    compared = compare(baskets, traits, chosen, rng)
    sys.stdout.write("\n".join(_lines(mrr, chosen, compared)) + "\n")
    return 0


def _lines(mrr: Mapping[Learning, float], chosen: Learning, compared: Comparison) -> list[str]:
    lines = ["validation baskets, MRR@10 by the orders that the expectation is worth:"]
    lines += [
        f"  {candidate.expectation_orders:5.0f}  {value:.4f}{'  chosen' if candidate == chosen else ''}"
        for candidate, value in mrr.items()
    ]
    lines.append(f"test baskets, {compared.questions} questions, 95 % intervals:")
    lines.append(f"  {'':24}{'hit rate@10':27}{'MRR@10':27}nDCG@10")
    lines += [
        f"  {name:24}{figures.hit_rate!s:27}{figures.mrr!s:27}{figures.ndcg}"
        for name, figures in compared.reports.items()
    ]
    lines.append(f"  model − {compared.best_rival}, hit rate, same questions: {compared.advantage}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
