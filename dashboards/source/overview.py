"""Are we meeting the objective?"""

from board import dashboard, open_dashboard
from panels import GREEN, RED, RULES, YELLOW, good_above, good_below, row, series, stat, states, table

OUTCOMES = {"ok": GREEN, "overloaded": YELLOW, "unavailable": RED, "expired": "purple", "failed": "dark-red"}
QUANTILE = (
    'histogram_quantile({}, sum by (le) (rate(weir_request_duration_seconds_bucket{{outcome="ok"}}[$__rate_interval])))'
)
NO_PLAN = "No plan yet: see `weir status`."

ROWS = [
    row("The objective"),
    [
        stat(
            "Answered",
            """
                Share of all requests in this time range that were answered `ok`. What was refused because too many were
                in, ran out of time, or failed counts against it.
            """,
            "percentunit",
            """
                sum(increase(weir_requests_total{outcome="ok"}[$__range])) /
                (sum(increase(weir_requests_total[$__range])) > 0)
            """,
            thresholds=good_above(0.99, 0.999),
            decimals=2,
            opens=open_dashboard("gateway", "Why requests fail"),
        ),
        stat(
            "Error budget left",
            """
                Of the failures that the objective allows in this time range, the share not yet used. Below zero the
                objective is missed. The objective is `weir:objective:answered_ratio` in recording.yaml.
            """,
            "percentunit",
            """
                1 - (1 - sum(increase(weir_requests_total{outcome="ok"}[$__range])) /
                (sum(increase(weir_requests_total[$__range])) > 0)) / (1 - scalar(weir:objective:answered_ratio))
            """,
            thresholds=good_above(0, 0.25),
            decimals=0,
            none=RULES,
        ),
        stat(
            "Latency, p99",
            "99 of 100 answers of the last five minutes came within this time, as the alert sees it.",
            "s",
            "max(job:weir_request_duration_seconds:p99_5m)",
            none=RULES,
            decimals=2,
            opens=open_dashboard("pipeline", "Where the time goes"),
        ),
        stat(
            "p99 against the objective",
            """
                100 % means that the 99th percentile is just at the objective (`weir:objective:latency_seconds` in
                recording.yaml); above that it is missed.
            """,
            "percentunit",
            "max(job:weir_request_duration_seconds:p99_5m) / scalar(weir:objective:latency_seconds)",
            thresholds=good_below(0.8, 1),
            none=RULES,
            decimals=0,
        ),
        stat(
            "Accuracy expected",
            """
                What the accuracy profile states for the connections and encodings of the committed plan; less while a
                lost worker is bypassed.
            """,
            "percentunit",
            "min(weir_expected_accuracy_ratio > 0)",
            none="Unknown without --profile.",
            decimals=1,
            opens=open_dashboard("planning", "What was chosen"),
        ),
        stat(
            "Energy for one answer",
            "Joules that all workers together used, for each answer. Where a source is `model`, it is an estimate.",
            "joule",
            """
                sum(rate(weir_worker_used_joules_total[$__rate_interval])) /
                (sum(rate(weir_requests_total{outcome="ok"}[$__rate_interval])) > 0)
            """,
            decimals=2,
            opens=open_dashboard("energy", "Who pays"),
        ),
    ],
    row("What clients get"),
    [
        series(
            "Latency of answers",
            "From admission to the reply, for requests answered `ok`; the objective is dashed.",
            "s",
            {
                "p50": QUANTILE.format(0.5),
                "p90": QUANTILE.format(0.9),
                "p99": QUANTILE.format(0.99),
                "objective": "weir:objective:latency_seconds",
            },
            colors={"objective": RED},
        ),
        series(
            "Requests by outcome",
            """
                Requests that ended, each second. `overloaded` was refused at once, `unavailable` had no plan, `expired`
                ran out of time, `failed` ran out of attempts.
            """,
            "reqps",
            {"{{outcome}}": "sum by (outcome) (rate(weir_requests_total[$__rate_interval]))"},
            stack=True,
            colors=OUTCOMES,
            opens=open_dashboard("gateway", "Why requests fail"),
        ),
    ],
    row("The cluster"),
    [
        stat(
            "Workers",
            "Workers with a live session.",
            "short",
            "sum(weir_workers_connected)",
            thresholds=good_above(1, 1),
            none="The orchestrator is not scraped.",
        ),
        stat(
            "Stages",
            "Stages of the committed plan; 1 means that one worker computes all.",
            "short",
            "sum(weir_plan_stages)",
            none=NO_PLAN,
            opens=open_dashboard("pipeline", "The stages"),
        ),
        stat(
            "Plan committed",
            "When the plan that now answers was committed.",
            "dateTimeFromNow",
            "1000 * max(weir_plan_last_committed_timestamp_seconds > 0)",
            none=NO_PLAN,
            opens=open_dashboard("planning", "Why"),
        ),
        stat(
            "Links that work",
            "Share of all links between peers, in use or not, that work by their last use or probe.",
            "percentunit",
            "avg(weir_link_believed_up)",
            thresholds=good_above(0.5, 1),
            decimals=0,
            none="No link was measured yet.",
            opens=open_dashboard("links", "The links"),
        ),
        stat(
            "Answered degraded",
            "Share of answers given while a lost worker's blocks were bypassed: faster back, but less accurate.",
            "percentunit",
            """
                sum(rate(weir_degraded_responses_total[$__rate_interval])) /
                (sum(rate(weir_requests_total{outcome="ok"}[$__rate_interval])) > 0)
            """,
            thresholds=good_below(0.001, 0.1),
            decimals=1,
        ),
        stat(
            "Alerts firing",
            "Alerts of dashboards/prometheus/alerts.yaml that fire now; the table below names them.",
            "short",
            'count(ALERTS{alertname=~"Weir.+", alertstate="firing"}) or vector(0)',
            thresholds=good_below(1, 1),
            none="Prometheus cannot be reached.",
        ),
    ],
    states(
        "Workers whose readings are trusted",
        "Green while the planner may use what a worker reports. A gap means that the worker was not there.",
        {"{{worker}}": "max by (worker) (weir_worker_trusted)"},
        {1: ("trusted", GREEN), 0: ("not trusted", RED)},
        none="No worker has a session: `weir workers` says why.",
    ),
    table(
        "Alerts",
        """
            Alerts that wait or fire, and since when. docs/runbook.md has a section for each: what it means, what to
            look at, what to do.
        """,
        "dateTimeFromNow",
        {"since": 'max by (alertname, severity, worker, src, dst) (1000 * ALERTS_FOR_STATE{alertname=~"Weir.+"})'},
        key=["alertname", "severity", "worker", "src", "dst"],
        none="No alert waits or fires.",
    ),
]

DASHBOARD = dashboard("overview", "Overview", "Are we meeting the objective?", ROWS)
