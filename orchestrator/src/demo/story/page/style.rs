//! How the page looks: on paper white and at night, on a wide screen and on a phone. Colours are those of Okabe and
//! Ito (2008), which the colour-blind can tell apart, darker on white and lighter at night; every run has a dash of
//! its own besides.

/// The style sheet.
pub const CSS: &str = "
:root{--page:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;--panel:#f6f8fa;
--adaptive:#0064a4;--static:#c24e00;--alone:#00795a;--bad:#b3261e;--good:#00695c}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9da7b1;--line:#30363d;--panel:#161b22;
--adaptive:#58b6f0;--static:#f0a04b;--alone:#3fcf9f;--bad:#ff8a80;--good:#4fd1b5}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:16px}
h1{font-size:1.6rem;line-height:1.2;margin:8px 0}h2{font-size:1.15rem;margin:0 0 4px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,370px),1fr));gap:16px;margin:0 0 16px}
figure,section,details{margin:0 0 16px;padding:12px;background:var(--panel);border:1px solid var(--line);border-radius:8px;min-width:0}
.charts figure{margin:0}
figcaption,.note{color:var(--soft);font-size:.875rem}
summary{font-weight:600;cursor:pointer}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--text);font:12px system-ui,sans-serif}svg text.soft{fill:var(--soft)}
svg .axis{stroke:var(--soft);stroke-width:1;fill:none}svg .grid{stroke:var(--line);stroke-width:1}
svg .event{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
svg circle.event{fill:var(--panel);stroke-dasharray:none}svg text.number{font-size:10px;text-anchor:middle}
.adaptive{stroke:var(--adaptive)}.static{stroke:var(--static)}.alone{stroke:var(--alone)}.offered{stroke:var(--soft)}
svg path.run{fill:none;stroke-width:2;stroke-linejoin:round}
svg .static.run{stroke-dasharray:6 3}svg .alone.run{stroke-dasharray:2 3}svg .offered.run{stroke-width:1.2}
svg .lane{fill:var(--adaptive);stroke:var(--panel);stroke-width:1}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.875rem;margin:2px 0 4px}
.legend svg{display:inline-block;width:26px;height:10px;margin-right:4px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
th{white-space:normal;vertical-align:bottom;color:var(--soft);font-weight:600}
th.name,td.name{text-align:left;white-space:normal}td.name{min-width:11em}td.words{text-align:left;white-space:normal;min-width:16em}
.pass{color:var(--good);font-weight:600}.shortfall{color:var(--bad);font-weight:600}
ol.steps{margin:4px 0 0;padding-left:1.6em;font-size:.875rem}
@media (max-width:560px){main{padding:10px}th,td{padding:4px 6px}td.words{min-width:12em}h1{font-size:1.35rem}}
";
