"""The look of the page (inline CSS) and the few lines of script that sort its tables."""

from __future__ import annotations

import base64
import hashlib

from paribus.report._values import escape

CSS = """
:root { --ink: #1d2329; --quiet: #5b6670; --line: #dfe3e6; --paper: #ffffff; --wash: #f5f7f8; --blue: #0072b2;
  --warn: #8a4b00; --warn-wash: #fff4e2; --bad: #9b1c1c; --bad-wash: #fdecec; --link: #00629b; --edge: #7d8790;
  --hover: #f3f8fb; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --quiet: #a9b3bc; --line: #3a434b; --paper: #171b1f;
  --wash: #21272d; --blue: #6cb8e6; --warn: #f0c48a; --warn-wash: #35280f; --bad: #f2a3a3; --bad-wash: #3a1a1a;
  --link: #7cc4f0; --edge: #8a949d; --hover: #232b32; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--wash); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 32px 60px; background: var(--paper); min-height: 100vh; }
h1 { font-size: 27px; line-height: 1.2; margin: 4px 0 6px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 38px 0 10px; padding-bottom: 5px; border-bottom: 1px solid var(--line); }
h3 { font-size: 15.5px; margin: 24px 0 4px; overflow-wrap: anywhere; }
p { margin: 6px 0; }
.quiet { color: var(--quiet); font-size: 13.5px; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 22px; color: var(--quiet); font-size: 13.5px; margin: 8px 0 0; }
.facts b { color: var(--ink); font-weight: 600; overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 1px 10px; border-radius: 10px; font-size: 12.5px; font-weight: 600;
  color: #fff; background: var(--quiet); vertical-align: 2px; }
.badge.interventional { background: #00775a; } .badge.observational { background: #a34700; }
.badge.weights { background: #8a3f6f; }
.badge.training { background: #4b5563; } .badge.comparison { background: #005a8d; }
.claim { border-left: 4px solid var(--line); padding: 4px 0 4px 14px; margin: 16px 0; }
.box { border-radius: 6px; padding: 10px 16px; margin: 14px 0; }
.box.warn { background: var(--warn-wash); border: 1px solid #f1d3a1; color: var(--warn); }
.box.bad { background: var(--bad-wash); border: 1px solid #f2bcbc; color: var(--bad); }
.box ul { margin: 4px 0; padding-left: 20px; }
.box pre { background: none; border: 0; padding: 0; white-space: pre-wrap; }
.found { margin: 8px 0; padding-left: 20px; }
.found li { margin: 3px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(176px, 1fr)); gap: 10px; margin: 12px 0; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; min-width: 0; }
.card .name { color: var(--quiet); font-size: 12.5px; overflow-wrap: anywhere; line-height: 1.3; }
.card .value { font-size: 19px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card .interval { color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; }
figure { margin: 20px 0 30px; }
figure img { max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; display: block;
  background: #fff; }
figcaption { font-size: 13.5px; color: var(--quiet); margin-top: 7px; max-width: 860px; }
figcaption b { color: var(--ink); }
.scroll { overflow-x: auto; max-height: 520px; overflow-y: auto; border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { padding: 4px 10px; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.wide { white-space: normal; overflow-wrap: anywhere; min-width: 220px; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th { position: sticky; top: 0; background: var(--wash); font-weight: 600; z-index: 1; }
thead th button { all: unset; cursor: pointer; } thead th button:focus-visible { outline: 2px solid var(--blue); }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: 9px; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: 9px; }
tbody tr:hover { background: var(--hover); }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--link); font-size: 13.5px; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: 4px; padding: 10px 14px; overflow-x: auto;
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: 8px 0; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
dl { margin: 8px 0; font-size: 13px; } dt { font-weight: 600; } dd { margin: 0 0 4px 18px; color: var(--quiet); }
nav { font-size: 13.5px; margin: 14px 0 0; } nav a { color: var(--link); text-decoration: none; margin-right: 16px; }
a { color: var(--link); } ul.related { padding-left: 20px; font-size: 14px; }
ul.related li { margin: 2px 0; overflow-wrap: anywhere; }
.scroll:focus-visible { outline: 3px solid var(--link); }
@media (max-width: 640px) { main { padding: 18px 14px 40px; } }
@media print { body { background: none; } main { max-width: none; padding: 0; }
  .scroll { max-height: none; overflow: visible; }
  figure, .card { break-inside: avoid; } }
"""

SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  var heads = table.tHead.rows[0].cells;
  Array.prototype.forEach.call(heads, function (head, column) {
    head.querySelector("button").addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      Array.prototype.forEach.call(heads, function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
      var number = head.classList.contains("number");
      rows.sort(function (a, b) {
        var x = a.cells[column].getAttribute("data-value"), y = b.cells[column].getAttribute("data-value");
        if (x === "" || y === "") { return x === y ? 0 : (x === "" ? 1 : -1); }
        var order = number ? Number(x) - Number(y) : x.localeCompare(y);
        return up ? order : -order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""


def document(title: str, css: str, body: str, *, script: str, further: str = "") -> str:
    """Return a page under a policy by which nothing is loaded from anywhere and no script but one runs.

    Args:
        title: Its title.
        css: Its style rules.
        body: Finished HTML.
        script: The script that may run.
        further: What else the policy says.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; {further}img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head>\n<body>{body}</body></html>\n"
    )
