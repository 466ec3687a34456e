"""Style sheet of the HTML report: light and dark, and sober on paper."""

CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --faint: #5b6470; --line: #d9dee4;
  --soft: #f4f6f8; --accent: #1f6feb; --bar: #cfe1fb; --warn: #8a5a00; --warn-soft: #fff6e0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e7eaee; --faint: #9aa4b1; --line: #30363d; --soft: #1c2127;
    --accent: #6cb0ff; --bar: #1e3a5f; --warn: #f2c063; --warn-soft: #2e2510; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 1280px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 32px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 20px; margin: 40px 0 10px; }
h3 { font-size: 15px; margin: 0 0 6px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
p { max-width: 80ch; margin: 8px 0; }
h1, h2, td, th, dd, li { overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 10px 24px;
  margin: 18px 0; padding: 14px 18px; background: var(--soft); border-radius: 8px; }
.facts dt { color: var(--faint); font-size: 12.5px; }
.facts dd { margin: 0; font-weight: 600; }
.facts .long { grid-column: span 2; }
.facts .long dd { font-weight: 400; }
.notice { border-left: 4px solid var(--warn); background: var(--warn-soft); color: var(--ink);
  padding: 8px 14px; border-radius: 0 6px 6px 0; margin: 14px 0; max-width: none; }
.notice ul { margin: 4px 0; padding-left: 20px; }
.note { color: var(--faint); font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
.summary { width: 100%; }
caption { text-align: left; font-weight: 600; padding: 4px 0; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--faint); font-size: 12.5px; vertical-align: bottom; }
th[scope=row], tr:first-child > th:first-child, table.text td, table.text th { text-align: left; }
th[scope=row] { white-space: normal; min-width: 10em; }
table.text td { overflow-wrap: normal; }
th[scope=colgroup] { text-align: center; }
tfoot th, tfoot td { color: var(--faint); }
tfoot tr:first-child > * { border-top: 2px solid var(--line); }
tr.own td { background: var(--bar); }
tr.first-region th, tr.first-region td { border-top: 2px solid var(--line); }
td.dice { position: relative; min-width: 84px; z-index: 0; }
td.dice i { position: absolute; z-index: -1; left: 3px; top: 3px; bottom: 3px; border-radius: 3px;
  background: var(--bar); max-width: calc(100% - 6px); }
.tables { display: flex; flex-wrap: wrap; gap: 14px 48px; align-items: flex-start; margin: 18px 0; }
.tables > div { max-width: 100%; overflow-x: auto; }
.swatch { display: inline-block; width: 11px; height: 11px; margin-right: 8px; border-radius: 2px; }
figure { margin: 14px 0; background: #000; border-radius: 8px; padding: 10px; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: #a9b0ba; font-size: 13px; padding: 8px 2px 0; }
article { border-top: 1px solid var(--line); margin-top: 36px; }
article h2 { margin-top: 24px; }
footer { color: var(--faint); font-size: 13px; margin-top: 48px; padding-bottom: 40px; }
@media (max-width: 640px) { main, header, footer { padding-left: 14px; padding-right: 14px; }
  .facts .long { grid-column: auto; } }
@media print {
  :root { --paper: #fff; --ink: #000; --faint: #444; --line: #bbb; --soft: #f3f3f3; --accent: #000;
    --bar: #dbe6f5; --warn: #8a5a00; --warn-soft: #fff6e0; color-scheme: light; }
  @page { margin: 14mm; size: A4 portrait; }
  body { font-size: 10.5pt; }
  main, header, footer { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  article { break-before: page; border: 0; margin: 0; }
  figure, tr, article table, .facts, .notice, h2 { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  table { font-size: 8pt; } th, td { padding: 2px 5px; } td.dice { min-width: 0; }
  thead th, .note, figcaption { font-size: 7.5pt; }
  .tables { flex-wrap: nowrap; gap: 8mm; margin: 8px 0; } .summary th[scope=row] { min-width: 7em; }
  article th[scope=row] { white-space: nowrap; min-width: 0; } article h2 { margin: 0 0 6px; }
  figure { margin: 8px 0; padding: 4px; } figure img { max-height: 72mm; }
}
"""
