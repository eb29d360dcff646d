"""How the page looks: on a screen, light or dark, wide or narrow, and on paper."""

from __future__ import annotations

#: The colours of what was trained on, what was held out, and a third; told apart by those who do not see red or green.
SHEET = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dde5; --ground: #ffffff;
  --card: #f6f8fa; --one: #1f5fbf; --two: #c2570c; --three: #2b7a4b; --shade: 31, 95, 191; --wrong: 194, 87, 12; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ef; --soft: #9aa7b8; --line: #333d4b; --ground: #12171f;
  --card: #1a212c; --one: #79aaf2; --two: #f0a05a; --three: #7cc79a; --shade: 90, 150, 240; --wrong: 240, 150, 80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 66rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .4rem 0; max-width: 48rem; overflow-wrap: anywhere; }
.soft, figcaption span, small { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem;
  min-width: 8rem; }
.tile b { display: block; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.25rem 1.5rem;
  margin: 1rem 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: .25rem; overflow-wrap: anywhere; }
figcaption span { font-weight: 400; margin-left: .75rem; white-space: nowrap; }
figcaption i { display: inline-block; width: 1.1em; height: .2em; border-radius: .1em; vertical-align: .25em;
  margin-right: .35em; background: currentColor; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
svg text { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--soft); stroke-width: 1; }
svg path, svg .level { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round;
  stroke-linecap: round; }
svg .faint { stroke-width: 1; opacity: .38; }
svg .level { stroke-dasharray: 4 4; stroke-width: 1.2; }
svg circle { fill: currentColor; }
svg .bar { fill: currentColor; opacity: .75; }
.one { color: var(--one); } .two { color: var(--two); } .three { color: var(--three); } .plain { color: var(--soft); }
.views { display: flex; flex-wrap: wrap; gap: .6rem; margin: .4rem 0 1rem; }
.views div { width: 5.5rem; } .views small { display: block; line-height: 1.25; font-size: .75rem; text-align: center; }
.views img { display: block; width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
.points { max-width: 38rem; border: 1px solid var(--line); margin: .4rem 0 1rem; } .points text { font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; } tbody th, .facts th { font-weight: 400; color: var(--soft); white-space: nowrap; }
td.number, th.number { text-align: right; padding-left: .4rem; white-space: nowrap; }
.confusion th, .confusion td { border: 1px solid var(--ground); padding: .25rem .45rem; text-align: center;
  max-width: 9rem; white-space: normal; }
.confusion tbody th { text-align: right; color: var(--ink); } .confusion td { min-width: 2.4rem; }
.confusion .none { color: var(--soft); opacity: .55; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem;
  margin: .5rem 0; overflow-x: auto; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
summary { cursor: pointer; margin: 1rem 0 .5rem; color: var(--soft); }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --ground: #fff; --card: #fff;
  --one: #1f5fbf; --two: #c2570c; --three: #2b7a4b; --shade: 31, 95, 191; --wrong: 194, 87, 12; }
  body { padding: 0; max-width: none; font-size: 11px; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  figure, tr, .tile { break-inside: avoid; } h2, h3 { break-after: avoid; } .scroll { overflow: visible; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; } .charts { grid-template-columns: 1fr 1fr; } }
"""
