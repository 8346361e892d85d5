"""What does an answer cost in energy, and who pays?"""

from board import WORKER, dashboard
from panels import bars, good_above, good_below, row, series, stat, table

CHOSEN = '{worker=~"$worker"}'
NONE = "No worker, or none is chosen."
NO_BUDGET = "No worker has a power budget."
NO_BATTERY = "No worker has a battery."
JOULES = f"sum by (worker) (rate(weir_worker_used_joules_total{CHOSEN}[$__rate_interval]))"
ANSWERS = '(sum(rate(weir_requests_total{outcome="ok"}[$__rate_interval])) > 0)'
OF_BUDGET = f"""
    sum by (worker) (weir_worker_drawn_watts{CHOSEN}) / on (worker) max by (worker)
    (weir_worker_power_budget_watts{CHOSEN})
"""
BATTERY = f"max by (worker) (weir_worker_battery_ratio{CHOSEN})"

ROWS = [
    row("What an answer costs"),
    [
        stat(
            "Energy for one answer",
            "Joules that the chosen workers together use for each answer, idling included.",
            "joule",
            f"sum({JOULES}) / {ANSWERS}",
            decimals=2,
        ),
        stat(
            "Power drawn",
            "By the chosen workers together.",
            "watt",
            f"sum(weir_worker_drawn_watts{CHOSEN})",
            decimals=1,
            none=NONE,
        ),
        stat(
            "Estimated",
            """
                Share of the chosen workers whose power is not measured but reckoned from --power-model: their joules
                are an estimate.
            """,
            "percentunit",
            f"""
                (count(weir_worker_drawn_watts{{source="model", worker=~"$worker"}}) or vector(0)) /
                count(weir_worker_drawn_watts{CHOSEN})
            """,
            thresholds=good_below(0.01, 1.01),
            decimals=0,
            none=NONE,
        ),
        stat(
            "Nearest to its budget",
            "The worker that draws the largest share of its power budget.",
            "percentunit",
            f"topk(1, {OF_BUDGET})",
            legend="{{worker}}",
            thresholds=good_below(0.8, 1),
            decimals=0,
            none=NO_BUDGET,
        ),
        stat(
            "Lowest battery",
            "Charge of the emptiest battery.",
            "percentunit",
            f"bottomk(1, {BATTERY})",
            legend="{{worker}}",
            thresholds=good_above(0.2, 0.4),
            decimals=0,
            none=NO_BATTERY,
        ),
        stat(
            "Used in this time range",
            "Joules of the chosen workers together.",
            "joule",
            f"sum(increase(weir_worker_used_joules_total{CHOSEN}[$__range]))",
            none=NONE,
        ),
    ],
    [
        series(
            "Energy for one answer, by worker",
            "For each worker, stacked: what a plan saves here, it may spend there.",
            "joule",
            {"{{worker}}": f"{JOULES} / on () group_left () {ANSWERS}"},
            stack=True,
        ),
        series(
            "Power drawn, by worker",
            "By each worker, from the source that plans rest on.",
            "watt",
            {"{{worker}} ({{source}})": f"max by (worker, source) (weir_worker_drawn_watts{CHOSEN})"},
            stack=True,
            none=NONE,
        ),
    ],
    row("Limits"),
    [
        series(
            "Power against budget",
            "Above 100 % a worker draws more than it may, and the plan will change.",
            "percentunit",
            {"{{worker}}": OF_BUDGET},
            line=1,
            none=NO_BUDGET,
        ),
        series(
            "Battery",
            "Charge of each worker's battery.",
            "percentunit",
            {"{{worker}}": BATTERY},
            limits=(0, 1),
            none=NO_BATTERY,
        ),
    ],
    [
        bars(
            "Battery empty in",
            "At the rate of the time range, for batteries that are being drained. The longest bar lasts longest.",
            "s",
            {
                "{{worker}}": f"""
                    {BATTERY} / on (worker) (max by (worker) (-deriv(weir_worker_battery_ratio{CHOSEN}[$__range])) > 0)
                """
            },
            none="No battery is being drained in this time range.",
        ),
        series(
            "Budgets",
            "The most that each worker may draw on average: read from powercap, or stated by --power-budget-watts.",
            "watt",
            {"{{worker}}": f"max by (worker) (weir_worker_power_budget_watts{CHOSEN})"},
            steps=True,
            none=NO_BUDGET,
        ),
    ],
    row("What plans reckon with"),
    [
        bars(
            "Idle",
            "Drawn while nothing is computed. A plan cannot save it.",
            "watt",
            {"{{worker}}": f"max by (worker) (weir_worker_idle_watts{CHOSEN})"},
            width=8,
            none=NONE,
        ),
        bars(
            "Computing",
            "Drawn beyond that while computing: what a plan moves from worker to worker.",
            "watt",
            {"{{worker}}": f"max by (worker) (weir_worker_active_watts{CHOSEN})"},
            width=8,
            none=NONE,
        ),
        bars(
            "Joules for a billion operations",
            "The frugal worker has the short bar.",
            "joule",
            {
                "{{worker}}": f"""
                    1e9 * max by (worker) (weir_worker_active_watts{CHOSEN}) / max by (worker)
                    (weir_worker_macs_per_second{CHOSEN} > 0)
                """
            },
            width=8,
            none=NONE,
        ),
    ],
    row("Sources"),
    [
        series(
            "Power by source and zone",
            """
                All that workers can read. `model` is an estimate, all others are measurements; zones within zones are
                counted in both.
            """,
            "watt",
            {"{{worker}} {{source}} {{zone}}": f"max by (worker, source, zone) (weir_worker_power_watts{CHOSEN})"},
            none=NONE,
        ),
        table(
            "Energy since the start of each worker",
            "One row for each source and zone.",
            "joule",
            {"joules": f"max by (worker, source, zone) (weir_worker_energy_joules_total{CHOSEN})"},
            key=["worker", "source", "zone"],
            width=12,
            none=NONE,
        ),
    ],
]

DASHBOARD = dashboard("energy", "Energy", "What does an answer cost in energy, and who pays?", ROWS, [WORKER])
