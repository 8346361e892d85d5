"""What shifted, what was chosen, and what did it gain?"""

from board import dashboard, open_dashboard, spans
from panels import GREEN, RED, bars, good_below, heatmap, row, series, stat

NO_PLAN = "No plan yet: see `weir status`."
NOT_STATED = "No plan was judged by the optimisation model (--planner balanced, or --plan alone)."
BEFORE = "Nothing to compare with."
P50 = """
    histogram_quantile(0.5, sum by (le)
    (rate(weir_request_duration_seconds_bucket{{outcome="ok"}}[$__rate_interval]{})))
"""
JOULES = """
    (sum(rate(weir_worker_used_joules_total[$__rate_interval]{0})) /
    (sum(rate(weir_requests_total{{outcome="ok"}}[$__rate_interval]{0})) > 0))
"""
AGO = " offset $before"


def gained(figure):
    """The share by which a figure is smaller now than it was."""
    return f"1 - {figure.format('')} / ({figure.format(AGO)} > 0)"


GAIN = [(None, "red"), (-0.05, "blue"), (0.05, "green")]

ROWS = [
    row("What runs"),
    [
        stat(
            "Plan committed",
            "When the plan that now answers was committed.",
            "dateTimeFromNow",
            "1000 * max(weir_plan_last_committed_timestamp_seconds > 0)",
            none=NO_PLAN,
        ),
        stat(
            "Epoch",
            "Number of the plan; a plan that failed before its commit keeps its number too.",
            "none",
            "max(weir_plan_epoch)",
            none=NO_PLAN,
        ),
        stat(
            "Stages",
            "Workers that compute a stage each.",
            "none",
            "max(weir_plan_stages)",
            none=NO_PLAN,
            opens=open_dashboard("pipeline", "The stages"),
        ),
        stat(
            "Residual branches",
            "That the plan computes; `weir plan` says which are off.",
            "none",
            'max(weir_active_connections{kind="branch"})',
            none=NO_PLAN,
        ),
        stat(
            "Shortcuts",
            "That the plan computes.",
            "none",
            'max(weir_active_connections{kind="shortcut"})',
            none=NO_PLAN,
        ),
        stat(
            "Accuracy expected",
            "What the profile states for this plan.",
            "percentunit",
            "min(weir_expected_accuracy_ratio > 0)",
            decimals=1,
            none="Unknown without --profile.",
        ),
    ],
    row("What shifted"),
    [
        series(
            "Re-plans by reason",
            """
                Decisions to change the plan, in each interval, by what had shifted. `weir replay` and /api/v1/plans
                say it in full.
            """,
            "short",
            {"{{reason}}": "sum by (reason) (increase(weir_replans_total[$__rate_interval]))"},
            stack=True,
            none="The orchestrator is not scraped.",
        ),
        bars(
            "Re-plans in this time range",
            """
                By reason and by what was done: `switch` moves no weights, `recut` does, `bypass` leaves out a lost
                worker.
            """,
            "short",
            {"{{reason}}: {{kind}}": "sum by (reason, kind) (increase(weir_replans_total[$__range])) > 0"},
            decimals=0,
            none="The plan was not changed in this time range.",
        ),
    ],
    row("What it gained: now against $before ago, as measured"),
    [
        stat(
            "Latency gained",
            "Median latency of answers: the share by which it is lower now. Below zero it has grown.",
            "percentunit",
            gained(P50),
            thresholds=GAIN,
            decimals=0,
            none=BEFORE,
            width=8,
        ),
        stat(
            "Energy gained",
            "Joules for one answer: the share by which it takes fewer now.",
            "percentunit",
            gained(JOULES),
            thresholds=GAIN,
            decimals=0,
            none=BEFORE,
            width=8,
        ),
        stat(
            "Accuracy gained",
            "Points of expected accuracy that the plan has more than the one then.",
            "percentunit",
            "min(weir_expected_accuracy_ratio > 0) - min((weir_expected_accuracy_ratio offset $before) > 0)",
            thresholds=[(None, "red"), (-0.001, "blue"), (0.001, "green")],
            decimals=2,
            none=BEFORE,
            width=8,
        ),
    ],
    [
        series(
            "Latency: promised, measured, and what clients see",
            """
                The optimisation model's promise for the running plan, the same terms as measured, and the median of
                answers, which has waiting in it. Marks are plans and their reasons.
            """,
            "s",
            {
                "promised": "max(weir_plan_predicted_latency_seconds > 0)",
                "measured": "max(weir_plan_measured_latency_seconds > 0)",
                "answers, p50": P50.format(""),
            },
            none=NOT_STATED,
        ),
        series(
            "Energy for one answer",
            "Of all workers; what a plan chosen for energy should lower.",
            "joule",
            {"all workers": JOULES.format("")},
        ),
    ],
    [
        series(
            "Gain of the latest decision",
            """
                Promised: of the objective, by the optimisation model. Measured: of the old plan's latency, on the new
                plan's first answers; below zero where the plan gives latency for something else.
            """,
            "percentunit",
            {
                "promised": "max(weir_plan_predicted_gain_ratio)",
                "measured": "max(weir_plan_measured_gain_ratio)",
            },
            steps=True,
            limits=(None, 1),
            none=NOT_STATED,
        ),
        stat(
            "Latency allowed",
            "The policy's bound; 0 where there is none.",
            "s",
            "max(weir_policy_latency_bound_seconds)",
            none="No policy is in force.",
            width=3,
        ),
        stat(
            "Energy allowed",
            "For one request, by the policy; 0 where there is no bound.",
            "joule",
            "max(weir_policy_energy_bound_joules)",
            none="No policy is in force.",
            width=3,
        ),
        stat(
            "Points of accuracy",
            "That a plan may lose, by the policy; 100 where there is no bound.",
            "none",
            "max(weir_policy_accuracy_loss_bound_points)",
            none="No policy is in force.",
            width=3,
        ),
        stat(
            "Answers demanded",
            "The policy's bound on throughput; 0 where there is none.",
            "reqps",
            "max(weir_policy_throughput_bound_per_second)",
            none="No policy is in force.",
            width=3,
        ),
    ],
    row("What was chosen"),
    [
        series(
            "Active connections over time",
            "Residual branches and shortcuts that are computed. Fewer is faster, and less accurate.",
            "short",
            {"{{kind}}": "max by (kind) (weir_active_connections)"},
            steps=True,
            width=8,
            none=NO_PLAN,
        ),
        series(
            "Accuracy expected over time",
            "What the profile states for the plan.",
            "percentunit",
            {"expected": "min(weir_expected_accuracy_ratio > 0)"},
            steps=True,
            limits=(None, 1),
            width=8,
            none="Unknown without --profile.",
        ),
        series(
            "Stages over time",
            "Into how many stages the network is cut.",
            "short",
            {"stages": "max(weir_plan_stages)"},
            steps=True,
            width=8,
            none=NO_PLAN,
        ),
    ],
    [
        series(
            "Epoch over time",
            "Each step is a committed plan. Many steps in a short time: the plan flaps.",
            "none",
            {"epoch": "max(weir_plan_epoch)"},
            steps=True,
            limits=(None, None),
            none=NO_PLAN,
        ),
        series(
            "Restarts of the orchestrator",
            "Each gives it a new term, which workers obey; the committed plan is taken over.",
            "short",
            {"new terms": "sum(changes(weir_plan_term[$__rate_interval]))"},
            none=NO_PLAN,
        ),
    ],
    row("Can the planner be relied on?"),
    [
        series(
            "Error of predictions",
            "Predicted against measured latency of the running plan, as a share of the measured one.",
            "percentunit",
            {"error": "max(weir_prediction_error_ratio)"},
            line=0.5,
            width=8,
            none=NOT_STATED,
        ),
        series(
            "Rollouts",
            "That ended, in each interval. `aborted` left the old plan untouched; the orchestrator's log says why.",
            "short",
            {"{{outcome}}": "sum by (outcome) (increase(weir_rollouts_total[$__rate_interval]))"},
            colors={"committed": GREEN, "aborted": RED},
            width=8,
            none="The orchestrator is not scraped.",
        ),
        stat(
            "Decision takes",
            "95 of 100 decisions in this time range were made within this time.",
            "s",
            "histogram_quantile(0.95, sum by (le) (rate(weir_decision_seconds_bucket[$__range])))",
            thresholds=good_below(0.3, 1),
            none="The planner was not asked.",
            width=8,
        ),
    ],
    [
        series(
            "Plans written down",
            """
                Plans that were put into the journal before their commit, in each interval. `failed` ones were not committed:
                look at the disk of --journal.
            """,
            "short",
            {"{{outcome}}": "sum by (outcome) (increase(weir_journal_write_seconds_count[$__rate_interval]))"},
            colors={"written": GREEN, "failed": RED},
            width=16,
            none="The orchestrator is not scraped.",
        ),
        stat(
            "Writing takes",
            "95 of 100 plans were on the disk within this time.",
            "s",
            """
                histogram_quantile(0.95, sum by (le)
                (rate(weir_journal_write_seconds_bucket{outcome="written"}[$__range])))
            """,
            thresholds=good_below(0.1, 1),
            none="No plan written, or no --journal.",
            width=8,
        ),
    ],
    heatmap(
        "Time to decide",
        "Decisions on one snapshot, by how long they took.",
        "s",
        "sum by (le) (increase(weir_decision_seconds_bucket[$__rate_interval]))",
        none="The planner was not asked in this time range: nothing shifted.",
        width=24,
    ),
]

BEFORE_CHOICE = spans(
    "before",
    "Compare with",
    ["5m", "1m", "15m", "1h", "6h", "1d"],
    "How long ago to compare with: choose a time before the last mark.",
)
DASHBOARD = dashboard(
    "planning", "Planning", "What shifted, what was chosen, and what did it gain?", ROWS, [BEFORE_CHOICE]
)
