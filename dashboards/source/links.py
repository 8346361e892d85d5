"""How good are the links, and what do plans believe of them?"""

from board import DST, SRC, dashboard
from panels import GREEN, RED, bars, good_above, good_below, row, series, stat, states, table

CHOSEN = '{src=~"$src", dst=~"$dst"}'
LINK = "{{src}} → {{dst}}"
NONE = "No link, or none is chosen."
NO_GOODPUT = "No goodput is measured yet."


def believed(name):
    return f"max by (src, dst) (weir_link_believed_{name}{CHOSEN})"


def each_second(name):
    return f"rate(weir_link_{name}{CHOSEN}[$__rate_interval])"


ROWS = [
    row("Now"),
    [
        stat(
            "Links that work",
            "Share of all chosen links that work, in use or by their last probe.",
            "percentunit",
            f"avg(weir_link_believed_up{CHOSEN})",
            thresholds=good_above(0.5, 1),
            decimals=0,
            none=NONE,
        ),
        stat(
            "In use",
            "Links that a plan has open and that are connected.",
            "short",
            f"sum(weir_link_active{CHOSEN})",
            none=NONE,
        ),
        stat(
            "Longest round trip",
            "Of all chosen links, smoothed.",
            "s",
            f"topk(1, {believed('rtt_seconds')})",
            legend=LINK,
            none=NONE,
        ),
        stat(
            "Least goodput",
            "Useful bytes per second of the slowest chosen link, as plans reckon. Idle links are probed now and then.",
            "Bps",
            f"bottomk(1, {believed('goodput_bytes_per_second')})",
            legend=LINK,
            none=NO_GOODPUT,
        ),
        stat(
            "Most loss",
            "Share of packets lost in the last seconds on the worst chosen link.",
            "percentunit",
            f"topk(1, {believed('loss_ratio')})",
            legend=LINK,
            thresholds=good_below(0.01, 0.05),
            decimals=1,
            none=NONE,
        ),
        stat(
            "Oldest reading",
            "Age of the newest reading of the link that was not measured for longest.",
            "s",
            f"topk(1, {believed('age_seconds')})",
            legend=LINK,
            thresholds=good_below(30, 60),
            decimals=0,
            none=NONE,
        ),
    ],
    table(
        "All links",
        "What plans reckon with, one row for each directed link. Click a column to sort by it.",
        "short",
        {
            "works": believed("up"),
            "smallest RTT": believed("min_rtt_seconds"),
            "RTT": believed("rtt_seconds"),
            "goodput": believed("goodput_bytes_per_second"),
            "loss": believed("loss_ratio"),
            "age": believed("age_seconds"),
        },
        key=["src", "dst"],
        none=NONE,
        units={"smallest RTT": "s", "RTT": "s", "goodput": "Bps", "loss": "percentunit", "age": "s"},
    ),
    states(
        "Links up and down",
        "Whether each chosen link works. A link that flaps is left out of plans for a while.",
        {LINK: believed("up")},
        {1: ("up", GREEN), 0: ("down", RED)},
        none=NONE,
    ),
    row("What plans reckon with"),
    [
        series(
            "Round trip, smallest of three seconds",
            "The link without its own queue: what plans reckon with. It changes when the path does.",
            "s",
            {LINK: believed("min_rtt_seconds")},
            none=NONE,
        ),
        series(
            "Goodput",
            "Useful bytes per second that plans reckon with.",
            "Bps",
            {LINK: believed("goodput_bytes_per_second")},
            none=NO_GOODPUT,
        ),
    ],
    [
        series(
            "Loss",
            "Share of packets lost in the last seconds.",
            "percentunit",
            {LINK: believed("loss_ratio")},
            line=0.05,
            none=NONE,
        ),
        series(
            "Age of readings",
            "Old readings are doubted: links that carry nothing are probed sparingly.",
            "s",
            {LINK: believed("age_seconds")},
            line=60,
            none=NONE,
        ),
    ],
    row("What senders measure"),
    [
        series(
            "Round trip, smoothed",
            "Under load it includes the link's own queue, so it may be many times the smallest.",
            "s",
            {LINK: f"weir_link_rtt_seconds{CHOSEN}"},
            none=NONE,
        ),
        series(
            "Round trip, smallest of two seconds",
            "Each sender's own window; the planner's is on the left above.",
            "s",
            {LINK: f"weir_link_min_rtt_seconds{CHOSEN}"},
            none=NONE,
        ),
    ],
    [
        series(
            "Round trip, variation",
            "Mean deviation: how steady the link is.",
            "s",
            {LINK: f"weir_link_rtt_variation_seconds{CHOSEN}"},
            none=NONE,
        ),
        series(
            "Goodput, measured",
            "The largest of the last transfers that were long enough to tell.",
            "Bps",
            {LINK: f"weir_link_goodput_bytes_per_second{CHOSEN}"},
            none=NO_GOODPUT,
        ),
    ],
    row("What they carry"),
    [
        series(
            "Activations",
            "Sent each second. A request sends two over a link where a shortcut crosses it.",
            "ops",
            {LINK: f"{each_second('activations_total')} > 0"},
            width=8,
            none="No chosen link carries activations in this time range.",
        ),
        series(
            "Bytes",
            "Activations sent each second, without headers and acknowledgements.",
            "Bps",
            {LINK: f"{each_second('sent_bytes_total')} > 0"},
            width=8,
            none="No chosen link carries activations in this time range.",
        ),
        series(
            "Bytes of one activation",
            "What the cut, the active connections and the encoding make of it.",
            "bytes",
            {LINK: f"{each_second('sent_bytes_total')} / ({each_second('activations_total')} > 0)"},
            width=8,
            none="No chosen link carries activations in this time range.",
        ),
    ],
    [
        series(
            "Packets lost",
            "Share of QUIC packets that the sender declared lost.",
            "percentunit",
            {LINK: f"{each_second('packets_lost_total')} / ({each_second('packets_sent_total')} > 0)"},
            width=8,
            line=0.05,
            none="No packet was sent on a chosen link in this time range.",
        ),
        series(
            "Congestion",
            "Times that congestion control saw congestion, each second.",
            "ops",
            {LINK: each_second("congestion_events_total")},
            width=8,
            none=NONE,
        ),
        series(
            "Packets",
            "QUIC packets sent each second, probes included.",
            "pps",
            {LINK: each_second("packets_sent_total")},
            width=8,
            none=NONE,
        ),
    ],
    [
        series(
            "Probes",
            "Measurements of links while they carry nothing, each second.",
            "ops",
            {LINK: each_second("probes_total")},
            none=NONE,
        ),
        bars(
            "Probes that failed",
            "Share of the probes in this time range that got no answer.",
            "percentunit",
            {
                LINK: f"""
                    increase(weir_link_probe_failures_total{CHOSEN}[$__range]) /
                    (increase(weir_link_probes_total{CHOSEN}[$__range]) > 0)
                """
            },
            thresholds=good_below(0.1, 0.5),
            limits=(0, 1),
            decimals=0,
            none="No chosen link was probed in this time range.",
        ),
    ],
]

DASHBOARD = dashboard("links", "Links", "How good are the links, and what do plans believe of them?", ROWS, [SRC, DST])
