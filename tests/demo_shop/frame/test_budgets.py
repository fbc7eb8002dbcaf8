from demo_shop.frame.budgets import CallBudget, LatencyWindow


def test_a_tenth_of_the_calls_of_late_may_be_made_again() -> None:
    budget = CallBudget(share=0.1, window_s=10.0, least=3)
    for i in range(100):
        budget.note_call(i * 0.05)
    assert [budget.take(5.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_quiet_service_keeps_a_few_retries() -> None:
    budget = CallBudget(share=0.1, least=3)
    budget.note_call(0.0)
    assert [budget.take(0.0) for _ in range(4)] == [True, True, True, False]


def test_the_budget_comes_back_when_its_window_has_passed() -> None:
    budget = CallBudget(share=0.1, window_s=10.0, least=1)
    assert budget.take(0.0) and not budget.take(9.9)
    assert budget.take(10.0)


def test_a_slow_call_is_known_only_from_enough_calls() -> None:
    window = LatencyWindow(size=100, least=20)
    for i in range(19):
        window.note(i / 100)
    assert window.quantile_s(0.95) is None
    window.note(0.19)
    assert window.quantile_s(0.95) == 0.19
    assert window.quantile_s(0.5) == 0.10
