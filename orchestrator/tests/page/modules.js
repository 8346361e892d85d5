// Cases of the modules that only compute, run in the browser that will run them: what was found, and what was wanted.
async () => {
    const { read, write, editable } = await import("/assets/toml.js");
    const { parser } = await import("/assets/stream.js");
    const { seconds, rate, percent, digits } = await import("/assets/format.js");
    const { rounded } = await import("/assets/layout.js");
    const { ticks } = await import("/assets/pareto.js");

    const events = [];
    const take = parser((event) => events.push(event));
    const pieces = [": hello\n\nevent: log\r", "\nid: 7-1\nda", "ta: {}\n", "data: x\n\n", "data: rest"];
    pieces.forEach(take);

    const text = 'minimise = "energy" # why\n\n[bounds]\nlatency_seconds = 0.2\n\n[replan]\nburst = 4\n';
    const changed = write(text, "bounds", "latency_seconds", "0.3");
    const cases = {
        events: [JSON.stringify(events), JSON.stringify([{ name: "log", data: "{}\nx", id: "7-1" }])],
        top: [read(text, "", "minimise"), "energy"],
        in_table: [read(text, "bounds", "latency_seconds"), "0.2"],
        elsewhere: [read(text, "bounds", "burst"), null],
        changed: [changed, text.replace("0.2", "0.3")],
        added: [write("", "bounds", "throughput", "4.0"), "[bounds]\nthroughput = 4.0\n"],
        removed_with_its_table: [write(text, "bounds", "latency_seconds", null).includes("bounds"), false],
        nothing_to_remove: [write(text, "weights", "energy", null), text],
        aim_removed: [write(text, "", "minimise", null).startsWith("\n[bounds]"), true],
        inline: [editable("bounds = { latency_seconds = 1.0 }", ["bounds"]), false],
        dotted: [editable("bounds.latency_seconds = 1.0", ["bounds"]), false],
        plain: [editable(text, ["bounds", "weights"]), true],
        milliseconds: [seconds(0.08351), "83.5\u00a0ms"],
        missing: [seconds(null), "–"],
        rate: [rate(1_234_567), "1.23\u00a0MB/s"],
        next_unit: [rate(999_999), "1.00\u00a0MB/s"],
        percent: [percent(0.0024), "0.2\u00a0%"],
        zero: [percent(0), "0\u00a0%"],
        next_to_nothing: [percent(1e-7), "0\u00a0%"],
        small: [digits(0.00123), "0.001"],
        corners: [rounded([[0, 0], [20, 0], [20, 20]]), "M0.0 0.0L10.0 0.0Q20.0 0.0 20.0 10.0L20.0 20.0"],
        ticks: [ticks(0.9).join(), "0,0.25,0.5,0.75"],
    };
    return Object.entries(cases).filter(([, [found, wanted]]) => found !== wanted);
}
