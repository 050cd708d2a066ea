"""The look of the gallery's overview, and the few lines of script that filter it."""

from __future__ import annotations

CSS = """
main { max-width: 1240px; }
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 12px; top: 8px; background: var(--paper); padding: 6px; }
a { color: var(--link); }
a:focus-visible, select:focus-visible, input:focus-visible, button:focus-visible, summary:focus-visible,
[tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
form.filters { display: flex; flex-wrap: wrap; gap: 10px 14px; align-items: end; margin: 16px 0 6px; }
form.filters label { display: grid; gap: 2px; font-size: 12.5px; color: var(--quiet); }
form.filters select, form.filters input, form.filters button { font: inherit; font-size: 14px; padding: 5px 8px;
  color: var(--ink); background: var(--paper); border: 1px solid var(--edge); border-radius: 5px; max-width: 240px; }
.runs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(270px, 100%), 1fr)); gap: 16px; padding: 0;
  list-style: none; margin: 12px 0; }
.run { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; display: flex; flex-direction: column;
  background: var(--paper); min-width: 0; }
.run[hidden] { display: none; }
.run .picture { background: #fff; height: 170px; display: flex; align-items: center; justify-content: center;
  border-bottom: 1px solid var(--line); overflow: hidden; }
.run .picture img { max-width: 100%; max-height: 170px; display: block; }
.run .picture span { color: #5b6670; font-size: 13px; }
.run .text { padding: 10px 13px 13px; display: grid; gap: 5px; min-width: 0; }
.run h3 { margin: 0; font-size: 14.5px; overflow-wrap: anywhere; }
.run .number { font-size: 13px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.run .number b { font-size: 15px; }
.run p { font-size: 13px; margin: 0; color: var(--quiet); overflow-wrap: anywhere; }
.status { font-weight: 600; color: var(--bad); }
.verdict { font-weight: 600; }
ul.related { padding-left: 20px; font-size: 14px; } ul.related li { margin: 2px 0; overflow-wrap: anywhere; }
@media (max-width: 640px) { main { padding: 18px 14px 40px; } form.filters label, form.filters select,
  form.filters input { width: 100%; max-width: none; } }
"""

SCRIPT = """
(function () {
  var form = document.querySelector("form.filters"), said = document.getElementById("said");
  if (!form) { return; }
  var runs = Array.prototype.slice.call(document.querySelectorAll(".run"));
  function apply() {
    var words = form.elements.words.value.toLowerCase().split(/\\s+/).filter(Boolean), shown = 0, chosen = [];
    Array.prototype.forEach.call(form.querySelectorAll("select"), function (select) {
      if (select.value !== "") { chosen.push([select.name, select.value]); }
    });
    runs.forEach(function (run) {
      var tags = JSON.parse(run.getAttribute("data-tags")), text = run.getAttribute("data-text");
      var fits = chosen.every(function (pair) { return tags[pair[0]] === pair[1]; }) &&
        words.every(function (word) { return text.indexOf(word) >= 0; });
      run.hidden = !fits;
      if (fits) { shown += 1; }
    });
    said.textContent = shown + " of " + runs.length + " runs shown";
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { setTimeout(apply, 0); });
  apply();
})();
"""
