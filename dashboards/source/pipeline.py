"""Which stage or link is the bottleneck?"""

from board import DST, SRC, WORKER, dashboard, open_dashboard
from panels import bars, good_below, heatmap, row, series, stat
from queries import of_worker


def of_chosen(expr):
    """With the worker's name, of the workers chosen above the dashboard."""
    return of_worker(expr, '{worker=~"$worker"}')


CHOSEN = '{src=~"$src", dst=~"$dst"}'
STAGE_BUSY = of_chosen("rate(weir_stage_compute_duration_seconds_sum[$__rate_interval])")
LINK_BUSY = f"rate(weir_link_sent_bytes_total{CHOSEN}[$__rate_interval]) / weir_link_goodput_bytes_per_second{CHOSEN}"
STAGE_MEAN = of_chosen(
    """
        (rate(weir_stage_compute_duration_seconds_sum[$__rate_interval]) /
        (rate(weir_stage_compute_duration_seconds_count[$__rate_interval]) > 0))
    """
)
LINK_MEAN = f"""
    weir_link_min_rtt_seconds{CHOSEN} / 2 + rate(weir_link_sent_bytes_total{CHOSEN}[$__rate_interval]) /
    (rate(weir_link_activations_total{CHOSEN}[$__rate_interval]) > 0) / weir_link_goodput_bytes_per_second{CHOSEN}
"""
NO_WORKER = "No worker is scraped, or none is chosen."

ROWS = [
    row("The bottleneck: what comes nearest to being busy all the time bounds how many requests can be answered"),
    [
        stat(
            "Busiest stage",
            "The worker that computes the largest share of the time.",
            "percentunit",
            f"topk(1, {STAGE_BUSY})",
            legend="{{worker}}",
            thresholds=good_below(0.7, 0.9),
            decimals=1,
            width=6,
            none=NO_WORKER,
        ),
        stat(
            "Busiest link",
            "The link that sends the largest share of the time: bytes sent against its goodput.",
            "percentunit",
            f"topk(1, {LINK_BUSY})",
            legend="{{src}} → {{dst}}",
            thresholds=good_below(0.7, 0.9),
            decimals=1,
            width=6,
            none="No goodput is measured yet.",
            opens=open_dashboard("links", "This link", "src", "dst"),
        ),
        stat(
            "Room for more",
            "How many times today's load the busiest stage or link would carry. 1 is full.",
            "none",
            f"1 / (max({STAGE_BUSY} or {LINK_BUSY}) > 0)",
            thresholds=[(None, "red"), (1.1, "orange"), (1.5, "green")],
            decimals=1,
            width=6,
        ),
        stat(
            "Answered now",
            "Requests answered `ok`, each second.",
            "reqps",
            'sum(rate(weir_requests_total{outcome="ok"}[$__rate_interval]))',
            decimals=1,
            width=6,
        ),
    ],
    [
        bars(
            "Busy now",
            "Share of the time in which each stage computes and each link sends; the longest bar is the bottleneck.",
            "percentunit",
            {"{{worker}}": STAGE_BUSY, "{{src}} → {{dst}}": f"({LINK_BUSY}) > 0"},
            thresholds=good_below(0.7, 0.9),
            limits=(0, 1),
            decimals=1,
        ),
        series(
            "Busy over time",
            "The same over time. When the plan changes, so may the bottleneck.",
            "percentunit",
            {"{{worker}}": STAGE_BUSY, "{{src}} → {{dst}}": f"({LINK_BUSY}) > 0"},
            line=0.9,
        ),
    ],
    row("Where the time of one request goes"),
    [
        series(
            "Stages and links of one request",
            """
                Mean time to compute each stage and to send over each link (half a round trip, plus bytes by goodput),
                stacked. What `Latency of answers` has above the sum is waiting and coding.
            """,
            "s",
            {"{{worker}}": STAGE_MEAN, "{{src}} → {{dst}}": LINK_MEAN},
            stack=True,
        ),
        series(
            "Latency of answers",
            "From admission to the reply: the mean and the median, for comparison with the sum on the left.",
            "s",
            {
                "mean": """
                    sum(rate(weir_request_duration_seconds_sum{outcome="ok"}[$__rate_interval])) /
                    (sum(rate(weir_request_duration_seconds_count{outcome="ok"}[$__rate_interval])) > 0)
                """,
                "p50": """
                    histogram_quantile(0.5, sum by (le)
                    (rate(weir_request_duration_seconds_bucket{outcome="ok"}[$__rate_interval])))
                """,
            },
        ),
    ],
    [
        heatmap(
            "Time to compute a stage",
            "Executions of all chosen workers' stages by their duration; queueing is not in it.",
            "s",
            "sum by (le) (" + of_chosen("increase(weir_stage_compute_duration_seconds_bucket[$__rate_interval])") + ")",
            none=NO_WORKER,
        ),
        series(
            "Requests that wait for compute",
            """
                Requests whose inputs have all arrived and that wait for the compute thread. A queue that stays belongs
                to the bottleneck.
            """,
            "short",
            {"{{worker}}": of_chosen("weir_stage_queue_length")},
            line=8,
            none=NO_WORKER,
        ),
    ],
    row("The stages"),
    [
        bars(
            "Slowest layers",
            """
                The ten layers that take longest for one sample, by number (`weir plan` names them). They are what a cut
                has to go around.
            """,
            "s",
            {"{{worker}}: layer {{layer}}": f"topk(10, {of_chosen('weir_stage_layer_seconds')})"},
            none="A layer's time is known after seven runs of it.",
        ),
        series(
            "Executions",
            "Stage executions that ended, each second; `error` should not be there.",
            "ops",
            {"{{worker}} {{outcome}}": of_chosen("rate(weir_stage_executions_total[$__rate_interval])")},
            none=NO_WORKER,
        ),
    ],
    [
        series(
            "Requests that workers gave up",
            """
                By kind: `stale_plan` came too late for its plan, `overloaded` met a full queue, `expired` ran out of
                time, `link_down` could not be sent on, `broken` failed while computing. The gateway tries again.
            """,
            "ops",
            {"{{worker}} {{kind}}": of_chosen("rate(weir_stage_failures_total[$__rate_interval])")},
            none=NO_WORKER,
        ),
        series(
            "Activations received",
            "Bytes that come in for each worker's stage, without headers.",
            "Bps",
            {"{{worker}}": of_chosen("rate(weir_stage_received_bytes_total[$__rate_interval])")},
            none=NO_WORKER,
        ),
    ],
    [
        series(
            "Speed that plans reckon with",
            "Multiply-accumulate operations each second, as the orchestrator believes.",
            "ops",
            {"{{worker}}": 'max by (worker) (weir_worker_macs_per_second{worker=~"$worker"})'},
            width=8,
            none="No worker has a session.",
        ),
        series(
            "Busy, as workers report",
            """
                Share of the last report period in which a worker computed, and its queue, as the orchestrator knows
                them: what the planner sees.
            """,
            "percentunit",
            {"{{worker}}": 'max by (worker) (weir_worker_utilisation_ratio{worker=~"$worker"})'},
            line=0.95,
            width=8,
            none="No worker has a session.",
        ),
        series(
            "Queues, as workers report",
            "The same for the requests that wait.",
            "short",
            {"{{worker}}": 'max by (worker) (weir_worker_queue_length{worker=~"$worker"})'},
            line=8,
            width=8,
            none="No worker has a session.",
        ),
    ],
    row("Memory"),
    [
        bars(
            "Memory used",
            "Resident memory of each worker, as a share of the most that it may use.",
            "percentunit",
            {"{{worker}}": of_chosen("(weir_worker_memory_bytes / (weir_worker_memory_limit_bytes > 0))")},
            thresholds=good_below(0.8, 0.9),
            limits=(0, 1),
            decimals=0,
            width=8,
            none="No worker knows its limit.",
        ),
        series(
            "Weights held",
            "Weights of all plans that are alive on a worker; twice as much for a moment while plans change.",
            "bytes",
            {"{{worker}}": of_chosen("weir_stage_weight_bytes")},
            width=8,
            none=NO_WORKER,
        ),
        series(
            "Memory that plans may use",
            "What a worker has for weights and activations, as the planner reckons.",
            "bytes",
            {"{{worker}}": 'max by (worker) (weir_worker_memory_available_bytes{worker=~"$worker"})'},
            width=8,
            none="No worker's limit is known.",
        ),
    ],
    series(
        "Plans alive",
        "Plans that each worker would compute now: one, or two while a plan is being switched.",
        "short",
        {"{{worker}}": of_chosen("weir_live_plans")},
        steps=True,
        width=24,
        none=NO_WORKER,
    ),
]

DASHBOARD = dashboard("pipeline", "Pipeline", "Which stage or link is the bottleneck?", ROWS, [WORKER, SRC, DST])
