"""Views: plain values in, a fragment of HTML out; one set for the web page, notebooks and reports.

A view is a function of the plain values that a `to_dict` gives. What it returns is Markup (a `str` that templates do
not escape again), every text in it escaped, with drawings as inline SVG. Two files belong to all of them:
`static/views.css`, and for each module in a view's MODULES a custom element in `static/` that makes the fragment move;
without JavaScript the fragment says the same standing still. `html_page.page` puts fragments into a page in one file,
`html_page.frame` puts such a page into a notebook. `hybridstore.serving.overview` gathers a store's values. A click on
a passage of the map sends the event `hs-open`, with the document's id as `detail.document`.

| view | takes | shows |
|---|---|---|
| `why.why` | `Explanation.to_dict()`, `Trace.to_dict()` | why a search ranked as it did |
| `why.why_page`, `why.why_frame` | the same | that as a page in one file, and in a notebook |
| `glance.contents` | `overview.contents` | what a store holds by kind, folder and year; vectors, power, check |
| `glance.passage_map` | `overview.passage_map` | passages in two dimensions, a query and its hits among them |
| `past.timeline` | `overview.memory` | facts with what they replaced, and what held on a day |
| `past.learning` | `overview.learning` | model versions with the gate's verdicts, the queries asked |
| `store_page.store_page` | all four | those as a page in one file |
| `svg_plots` | plain numbers | intervals, differences, histograms, shares, reliability, latencies |
"""
