// <hs-map>: zooms and moves a map of passages, colours it by a field, and names the passage under the pointer. A click
// or Enter on a passage sends the event "hs-open" with its document's id.

const SIDE = 400;
const MARGIN = 14;
const COLOURS = 5;
const STEP = 1.5;
const REST = 5;

function at([x, y]) {
  return [MARGIN + x * (SIDE - 2 * MARGIN), SIDE - MARGIN - y * (SIDE - 2 * MARGIN)];
}

function make(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class PassageMap extends HTMLElement {
  connectedCallback() {
    if (this.data) return;
    this.data = JSON.parse(this.querySelector("script").textContent);
    this.places = this.data.points.map(at);
    this.drawing = this.querySelector("svg");
    this.said = make("p", "Move over a point to read what it is.", { class: "hs-soft hs-said", "aria-live": "polite" });
    const tools = make("div", "", { class: "hs-tools" });
    const names = Object.keys(this.data.fields);
    if (names.length) {
      const select = make("select", "");
      for (const name of names) select.append(make("option", name, { value: name }));
      select.addEventListener("change", () => this.colour(select.value));
      const label = make("label", "Colour by ");
      label.append(select);
      tools.append(label);
    }
    const zooms = [["+", "Zoom in", STEP], ["−", "Zoom out", 1 / STEP], ["Whole map", "Show the whole map", 0]];
    for (const [sign, title, factor] of zooms) {
      const button = make("button", sign, { type: "button", title });
      if (sign.length === 1) button.setAttribute("aria-label", title);
      button.addEventListener("click", () => this.zoom(factor));
      tools.append(button);
    }
    this.side = this.querySelector("div");
    this.side.prepend(tools, this.said);
    this.drawing.setAttribute("tabindex", "0");
    this.drawing.setAttribute("aria-description", "Plus and minus zoom, arrow keys move, Enter opens the passage in the middle.");
    this.listen();
    this.zoom(0);
  }

  listen() {
    const { drawing } = this;
    drawing.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && this.size === SIDE && event.deltaY > 0) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, this.point(event));
    }, { passive: false });
    drawing.addEventListener("pointermove", (event) => {
      if (this.dragged && event.buttons) {
        const [x, y] = this.point(event);
        this.move(this.dragged[0] - x, this.dragged[1] - y);
        this.hasMoved = true;
      } else this.name(this.nearest(this.point(event)));
    });
    drawing.addEventListener("pointerdown", (event) => {
      this.dragged = this.point(event);
      this.hasMoved = false;
    });
    drawing.addEventListener("click", (event) => {
      if (!this.hasMoved) this.open(this.nearest(this.point(event)));
    });
    drawing.addEventListener("keydown", (event) => {
      const by = this.size / 8;
      const moves = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
      if (event.key in moves) this.move(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoom(STEP);
      else if (event.key === "-") this.zoom(1 / STEP);
      else if (event.key === "Enter") this.open(this.nearest(this.middle(), Infinity));
      else return;
      event.preventDefault();
      if (event.key !== "Enter") this.name(this.nearest(this.middle(), Infinity));
    });
  }

  middle() {
    return [this.left + this.size / 2, this.top + this.size / 2];
  }

  point(event) {
    const box = this.drawing.getBoundingClientRect();
    const scale = this.size / box.width;
    return [this.left + (event.clientX - box.left) * scale, this.top + (event.clientY - box.top) * scale];
  }

  zoom(factor, around) {
    const [x, y] = factor && around ? around : factor ? this.middle() : [SIDE / 2, SIDE / 2];
    const size = factor ? Math.min(Math.max(this.size / factor, SIDE / 40), SIDE) : SIDE;
    const share = factor ? size / this.size : 0;
    this.left = factor ? x - (x - this.left) * share : 0;
    this.top = factor ? y - (y - this.top) * share : 0;
    this.size = size;
    this.move(0, 0);
    // What is drawn keeps its size on the screen.
    this.drawing.style.setProperty("--zoom", size / SIDE);
  }

  move(x, y) {
    const most = SIDE - this.size;
    this.left = Math.min(Math.max(this.left + x, 0), most);
    this.top = Math.min(Math.max(this.top + y, 0), most);
    this.drawing.setAttribute("viewBox", `${this.left} ${this.top} ${this.size} ${this.size}`);
  }

  nearest([x, y], farthest = this.size / 25) {
    let best = -1;
    let least = farthest ** 2;
    this.places.forEach(([a, b], n) => {
      const distance = (a - x) ** 2 + (b - y) ** 2;
      if (distance < least) [best, least] = [n, distance];
    });
    return best;
  }

  name(n) {
    if (n < 0) return;
    const facts = Object.entries(this.data.fields).filter(([, values]) => values[n]);
    this.said.textContent = [this.data.names[n], ...facts.map(([name, values]) => `${name}: ${values[n]}`)].join(" · ");
    if (!this.mark) {
      this.mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      this.mark.setAttribute("class", "hs-mark");
      this.drawing.append(this.mark);
    }
    this.mark.setAttribute("cx", this.places[n][0]);
    this.mark.setAttribute("cy", this.places[n][1]);
  }

  open(n) {
    if (n < 0) return;
    this.name(n);
    const detail = { document: this.data.documents[n] };
    this.dispatchEvent(new CustomEvent("hs-open", { bubbles: true, detail }));
  }

  colour(field) {
    const values = this.data.fields[field];
    const counts = new Map();
    for (const value of values) if (value) counts.set(value, (counts.get(value) || 0) + 1);
    const named = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, COLOURS).map(([name]) => name);
    const paths = Array.from({ length: REST + 1 }, () => "");
    this.places.forEach(([x, y], n) => {
      const place = named.indexOf(values[n]);
      paths[place < 0 ? REST : place] += `M${x.toFixed(1)},${y.toFixed(1)}h0`;
    });
    const group = this.drawing.querySelector("g");
    for (const old of group.querySelectorAll(".hs-dots")) old.remove();
    paths.forEach((path, n) => {
      const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
      drawn.setAttribute("class", `hs-dots s${n}`);
      drawn.setAttribute("d", path);
      if (path) group.prepend(drawn);
    });
    const legend = this.querySelector(".legend") || this.said.insertAdjacentElement("afterend", make("ul", "", { class: "legend" }));
    const entries = [...named, ...(paths[REST] ? ["others"] : [])].map((name, n) => {
      const item = make("li", "", { class: `s${name === "others" && n >= named.length ? REST : n}` });
      item.append(make("span", ""), name);
      return item;
    });
    legend.replaceChildren(...entries);
  }
}

if (globalThis.customElements && !customElements.get("hs-map")) customElements.define("hs-map", PassageMap);
