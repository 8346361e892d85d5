//! How the page looks. Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart, made darker
//! on white and lighter at night; every kind has a shape or a dash of its own besides.

/// The style sheet.
pub const CSS: &str = "
:root{--page:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;--panel:#f6f8fa;
--a:#0064a4;--b:#c24e00;--c:#00795a;--d:#9c3d78;--e:#6e7781}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9da7b1;--line:#30363d;--panel:#161b22;
--a:#58b6f0;--b:#f0a04b;--c:#3fcf9f;--d:#e08bc0;--e:#9da7b1}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:1160px;margin:0 auto;padding:16px}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.15rem;margin:0 0 4px}h3{font-size:1rem;margin:12px 0 4px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:16px;align-items:start;margin-bottom:16px}
figure,section,details{margin:0 0 16px;padding:12px;background:var(--panel);border:1px solid var(--line);border-radius:8px}
.charts figure{margin:0}.charts figure.tall{grid-row:span 2}
figcaption,.note{color:var(--soft);font-size:.875rem}
summary{font-weight:600;cursor:pointer}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--text);font:12px system-ui,sans-serif}svg text.soft{fill:var(--soft)}
svg .axis{stroke:var(--soft);stroke-width:1;fill:none}svg .grid{stroke:var(--line);stroke-width:1}
.a{fill:var(--a);stroke:var(--a)}.b{fill:var(--b);stroke:var(--b)}.c{fill:var(--c);stroke:var(--c)}
.d{fill:var(--d);stroke:var(--d)}.e{fill:var(--e);stroke:var(--e)}
svg .bar{stroke:none}svg .dot{stroke:var(--panel);stroke-width:.6}svg .faint{opacity:.55}
svg path.order{fill:none;stroke-width:1.8}svg .dash{stroke-dasharray:5 3}svg .dots{stroke-dasharray:1.5 3;stroke-linecap:round}
svg .band{stroke:none;opacity:.2}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.875rem;margin:2px 0 4px}
.legend svg{display:inline-block;width:24px;height:12px;vertical-align:-1px;margin-right:4px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
th{white-space:normal;vertical-align:bottom;color:var(--soft);font-weight:600}
th.name,td.name{text-align:left;white-space:normal;min-width:14em}
code{font:.8125rem ui-monospace,monospace}.provenance td{white-space:normal;text-align:left}.provenance code{overflow-wrap:anywhere}
";
