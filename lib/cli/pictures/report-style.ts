import { markup } from './markup.js'

/** How many colours volumes have; then they begin again. */
export const hues = 8

/** Of the page that `inspect --report` writes: it loads nothing, so that fonts are those of the reader's machine. */
export const reportStyle = markup`
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --band: #f6f8fa; --free: #e6eaef;
  --good: #1a7f37; --warn: #9a6700; --bad: #d1242f;
  --h0: #0969da; --h1: #8250df; --h2: #1a7f37; --h3: #bc4c00; --h4: #bf3989; --h5: #0e7490; --h6: #7d4e00; --h7: #57606a }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --band: #151b23; --free: #262c36;
  --good: #3fb950; --warn: #d29922; --bad: #f85149;
  --h0: #1f6feb; --h1: #8957e5; --h2: #238636; --h3: #bd561d; --h4: #bf4b8a; --h5: #1b7c83; --h6: #845306; --h7: #656c76 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2.25rem 0 .6rem }
.facts, footer, figcaption { color: var(--soft) } footer { margin-top: 3rem; font-size: .85rem }
code, .mono { font: .87em ui-monospace, monospace; overflow-wrap: anywhere }
svg { display: block; width: 100%; min-width: 44rem; height: auto } svg text { font: 12px ui-monospace, monospace; fill: var(--soft) } svg text.name { fill: #fff }
.tick { stroke: var(--soft) } .free { fill: var(--free) } .orphan { fill: var(--warn) }
.h0 { fill: var(--h0); --dot: var(--h0) } .h1 { fill: var(--h1); --dot: var(--h1) } .h2 { fill: var(--h2); --dot: var(--h2) } .h3 { fill: var(--h3); --dot: var(--h3) }
.h4 { fill: var(--h4); --dot: var(--h4) } .h5 { fill: var(--h5); --dot: var(--h5) } .h6 { fill: var(--h6); --dot: var(--h6) } .h7 { fill: var(--h7); --dot: var(--h7) }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .5em; background: var(--dot) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; white-space: nowrap }
th { color: var(--soft); font-weight: 500 }
dl { display: grid; align-items: baseline; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .5rem 0 } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.state { display: inline-block; padding: .1rem .6rem; border: 1px solid; border-radius: 1rem; font-size: .85rem }
.good { color: var(--good) } .warn { color: var(--warn) } .problem { border-left: 3px solid var(--bad); padding: .2rem .8rem; margin: .5rem 0; background: var(--band) }
details summary { cursor: pointer; color: var(--soft) } @media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .6rem } }
@media print { body { max-width: none } }
`
