"""What do clients get, and what does the gateway do for it?"""

from board import dashboard, open_dashboard
from panels import GREEN, RED, YELLOW, bars, good_above, good_below, heatmap, row, series, stat
from queries import of_worker

OUTCOMES = {"ok": GREEN, "overloaded": YELLOW, "unavailable": RED, "expired": "purple", "failed": "dark-red"}
ALL = "(sum(rate(weir_requests_total[$__rate_interval])) > 0)"
NOT_SCRAPED = "The orchestrator is not scraped."


def quantile(q, outcome="ok"):
    return f"""
        histogram_quantile({q}, sum by (le)
        (rate(weir_request_duration_seconds_bucket{{outcome="{outcome}"}}[$__rate_interval])))
    """


ROWS = [
    row("Now"),
    [
        stat(
            "Requests",
            "That ended, each second, whatever came of them.",
            "reqps",
            "sum(rate(weir_requests_total[$__rate_interval]))",
            decimals=1,
            none=NOT_SCRAPED,
        ),
        stat(
            "Answered",
            "Share of them that were answered `ok`.",
            "percentunit",
            f'sum(rate(weir_requests_total{{outcome="ok"}}[$__rate_interval])) / {ALL}',
            thresholds=good_above(0.99, 0.999),
            decimals=2,
        ),
        stat(
            "In flight",
            """
                Requests admitted and not yet answered. The most is --max-in-flight, 64 unless changed; then requests
                are refused.
            """,
            "short",
            "sum(weir_requests_in_flight)",
            thresholds=good_below(48, 64),
            none=NOT_SCRAPED,
        ),
        stat(
            "Retries",
            "Attempts beyond the first for each request. The gateway spends at most a fifth.",
            "percentunit",
            f"sum(rate(weir_request_retries_total[$__rate_interval])) / {ALL}",
            thresholds=good_below(0.02, 0.1),
            decimals=1,
        ),
        stat(
            "Degraded",
            "Share of answers given while a lost worker's blocks were bypassed.",
            "percentunit",
            f"sum(rate(weir_degraded_responses_total[$__rate_interval])) / {ALL}",
            thresholds=good_below(0.001, 0.1),
            decimals=1,
        ),
        stat("Latency, p99", "99 of 100 answers come within this time.", "s", quantile(0.99), decimals=2),
    ],
    row("What clients ask for"),
    [
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
            none=NOT_SCRAPED,
        ),
        series(
            "Not answered",
            "The same without `ok`, as a share of all: 0 is good.",
            "percentunit",
            {
                "{{outcome}}": f"""
                    sum by (outcome) (rate(weir_requests_total{{outcome!="ok"}}[$__rate_interval])) / on () group_left
                    () {ALL}
                """
            },
            stack=True,
            colors=OUTCOMES,
        ),
    ],
    [
        heatmap(
            "Latency of answers, spread",
            """
                Answers by the time from admission to the reply. Two bands mean two kinds of requests, or a plan that
                changed.
            """,
            "s",
            'sum by (le) (increase(weir_request_duration_seconds_bucket{outcome="ok"}[$__rate_interval]))',
        ),
        series(
            "Latency of answers",
            "From admission to the reply.",
            "s",
            {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99)},
            opens=open_dashboard("pipeline", "Where the time goes"),
        ),
    ],
    [
        series(
            "In flight over time",
            "Requests admitted and not yet answered.",
            "short",
            {"in flight": "sum(weir_requests_in_flight)"},
            line=64,
            none=NOT_SCRAPED,
            width=8,
        ),
        series(
            "Retries and replies that nobody waited for",
            """
                Attempts beyond the first, and replies that came after a request was answered or given up. Both stay
                near 0 unless links or workers fail.
            """,
            "ops",
            {
                "retries": "sum(rate(weir_request_retries_total[$__rate_interval]))",
                "unexpected replies": "sum(rate(weir_unexpected_replies_total[$__rate_interval]))",
                "degraded answers": "sum(rate(weir_degraded_responses_total[$__rate_interval]))",
            },
            none=NOT_SCRAPED,
            width=8,
        ),
        series(
            "Canaries",
            """
                Requests of the gateway's own, while somebody asks /readyz. `passed` and `busy` (users are answered, the
                canary waits behind them) are well; with anything else the gateway is not ready.
            """,
            "ops",
            {"{{outcome}}": "sum by (outcome) (rate(weir_canaries_total[$__rate_interval]))"},
            none=NOT_SCRAPED,
            width=8,
        ),
    ],
    row("The gateway's links"),
    [
        series(
            "Bytes to the first stage",
            "Images that the gateway sends on, each second.",
            "Bps",
            {
                "{{src}} → {{dst}}": """
                    rate(weir_link_sent_bytes_total[$__rate_interval]) and on (job, instance) weir_plan_epoch
                """
            },
            none=NOT_SCRAPED,
            opens=open_dashboard("links", "This link", "src", "dst"),
        ),
        series(
            "Round trip to workers",
            "Smoothed, from the gateway.",
            "s",
            {"{{src}} → {{dst}}": "weir_link_rtt_seconds and on (job, instance) weir_plan_epoch"},
            none=NOT_SCRAPED,
            opens=open_dashboard("links", "This link", "src", "dst"),
        ),
    ],
    row("Who is let in"),
    [
        bars(
            "Refused by the orchestrator",
            """
                Connections and activations refused in this time range: `handshake` had no valid certificate, `session`
                came to none, `not_in_plan` is not the plan's last stage, `malformed` could not be read, `probe` was no
                worker's.
            """,
            "short",
            {
                "{{reason}}": """
                    sum by (reason) (increase(weir_refused_total[$__range]) and on (job, instance) weir_plan_epoch)
                """
            },
            thresholds=good_below(1, 20),
            decimals=0,
            none=NOT_SCRAPED,
            width=8,
        ),
        series(
            "Refused by workers",
            "By reason; a few `not_in_plan` and `probe` are normal while plans change.",
            "short",
            {"{{worker}} {{reason}}": of_worker("increase(weir_refused_total[$__rate_interval])")},
            none="No worker is scraped.",
            width=8,
        ),
        bars(
            "Reports of workers that could not be true",
            "In this time range, by what was wrong. Plans leave them out.",
            "short",
            {"{{reason}}": "sum by (reason) (increase(weir_telemetry_rejected_total[$__range]))"},
            thresholds=good_below(1, 20),
            decimals=0,
            none=NOT_SCRAPED,
            width=8,
        ),
    ],
    [
        series(
            "Workers with a session",
            "A step down is a worker that left or was lost.",
            "short",
            {"workers": "sum(weir_workers_connected)"},
            steps=True,
            none=NOT_SCRAPED,
        ),
        series(
            "Last heard",
            "Time since each worker's last report; they come four times a second.",
            "s",
            {"{{worker}}": "max by (worker) (weir_worker_report_age_seconds)"},
            line=2,
            none="No worker has a session: `weir workers` says why.",
        ),
    ],
]

DASHBOARD = dashboard("gateway", "Gateway", "What do clients get, and what does the gateway do for it?", ROWS)
