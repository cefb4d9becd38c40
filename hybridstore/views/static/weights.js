// <hs-weights>: ranks the candidates of a search anew while its weights are moved, by the sum that its JSON describes:
// score = sum of weight * value / scale, ties to the smaller chunk id, as OtherWeights in hybridstore/search/explain.py.

const SVG = "http://www.w3.org/2000/svg";

export function ranking(data, weights) {
  const scored = data.candidates.map((candidate) => {
    const parts = candidate.values.map((value, n) => (weights[n] * value) / data.scales[n]);
    return { ...candidate, parts, score: parts.reduce((sum, part) => sum + part, 0) };
  });
  scored.sort((a, b) => b.score - a.score || a.chunk - b.chunk);
  return scored.slice(0, data.limit);
}

export function shared(data, words) {
  const total = data.weights.reduce((sum, weight) => sum + weight, 0);
  const vectors = data.weights.slice(1).reduce((sum, weight) => sum + weight, 0);
  return data.weights.map((weight, n) => (n ? ((1 - words) * total * weight) / vectors : words * total));
}

function make(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bar(parts, whole) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 100 8");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  let left = 0;
  [...parts, null].forEach((part, n) => {
    const width = part === null ? 100 - left : Math.min(Math.max((part / whole) * 100 || 0, 0), 100 - left);
    const box = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ x: left, y: 0, width, height: 8 })) box.setAttribute(key, value);
    box.setAttribute("class", part === null ? "hs-track" : `fill s${n}`);
    drawing.append(box);
    left += width;
  });
  return drawing;
}

class Weights extends HTMLElement {
  connectedCallback() {
    if (this.slider) return;
    this.data = JSON.parse(this.querySelector("script").textContent);
    const own = this.data.weights;
    this.own = own[0] / own.reduce((sum, weight) => sum + weight, 0);
    this.before = new Map(ranking(this.data, own).map(({ chunk }, place) => [chunk, place]));
    this.slider = make("input", "", { type: "range", min: 0, max: 100, step: 1, "aria-label": "weight of the meaning" });
    this.reset = make("button", "Back to the search’s own weights", { type: "button" });
    this.said = make("p", "", { "aria-live": "polite" });
    this.list = make("ol");
    const ends = make("div", "", { class: "hs-ends" });
    ends.append(make("span", "words only"), make("span", "meaning only"));
    this.slider.addEventListener("input", () => this.show());
    this.reset.addEventListener("click", () => this.back());
    this.append(ends, this.slider, this.said, this.list, this.reset);
    if (this.data.before) this.append(make("p", "Before copies were folded or a second stage read them.", { class: "hs-soft" }));
    this.back();
  }

  back() {
    this.slider.value = Math.round(100 * (1 - this.own));
    this.show();
  }

  show() {
    const moved = Number(this.slider.value) !== Math.round(100 * (1 - this.own));
    const words = moved ? 1 - this.slider.value / 100 : this.own;
    const found = ranking(this.data, moved ? shared(this.data, words) : this.data.weights);
    const percent = `Words ${Math.round(100 * words)} %, meaning ${Math.round(100 * (1 - words))} %`;
    const fresh = found.filter(({ chunk }) => !this.before.has(chunk)).length;
    const others = found.filter(({ chunk }, place) => this.before.get(chunk) !== place).length;
    this.slider.setAttribute("aria-valuetext", percent);
    this.reset.disabled = !moved;
    const change = others ? `${others} of ${found.length} places change, ${fresh} new.` : "the same order.";
    this.said.textContent = moved ? `${percent}: ${change}` : `${percent}: as in this search.`;
    const whole = Math.max(...found.map(({ parts }) => parts.reduce((sum, part) => sum + Math.max(part, 0), 0)), 1e-9);
    this.list.replaceChildren(...found.map((each, place) => this.row(each, place, whole)));
  }

  row(each, place, whole) {
    const row = make("li", "", { class: "hs-row", "data-chunk": each.chunk });
    const before = this.before.get(each.chunk);
    const by = before === undefined ? NaN : before - place;
    const move = Number.isNaN(by) ? "new" : by > 0 ? `▲ ${by}` : by < 0 ? `▼ ${-by}` : "";
    const name = make("span", each.expected ? `${each.name} (expected)` : each.name, { class: "hs-name", title: each.text });
    const side = by < 0 ? "hs-down" : "hs-up";
    row.append(make("b", place + 1), name, bar(each.parts, whole), make("span", move, { class: `hs-move ${side}` }));
    return row;
  }
}

if (globalThis.customElements && !customElements.get("hs-weights")) customElements.define("hs-weights", Weights);
