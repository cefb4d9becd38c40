// <hs-timeline>: a slider over the time of the facts in it; what did not hold at that moment is dimmed.

class Timeline extends HTMLElement {
  connectedCallback() {
    if (this.slider) return;
    const { start, end, now } = JSON.parse(this.querySelector("script").textContent);
    Object.assign(this, { start, end, now });
    this.slider = document.createElement("input");
    for (const [key, value] of Object.entries({ type: "range", min: 0, max: 1000, value: 1000, "aria-label": "as of" })) {
      this.slider.setAttribute(key, value);
    }
    this.said = document.createElement("p");
    this.said.setAttribute("aria-live", "polite");
    this.slider.addEventListener("input", () => this.show());
    this.prepend(this.slider, this.said);
    this.show();
  }

  show() {
    const share = this.slider.value / 1000;
    const when = share === 1 ? this.now : this.start + share * (this.end - this.start);
    const day = new Date(1000 * when).toISOString().slice(0, 10);
    let held = 0;
    for (const version of this.querySelectorAll("[data-from]")) {
      const { from, to } = version.dataset;
      const holds = Number(from) <= when && (to === undefined || when < Number(to));
      held += holds;
      version.classList.toggle("hs-old", !holds);
      version.classList.toggle("hs-holds", holds);
    }
    const place = ((when - this.start) / Math.max(this.end - this.start, 1)) * 400;
    for (const line of this.querySelectorAll(".hs-when")) {
      line.setAttribute("x1", place);
      line.setAttribute("x2", place);
    }
    const text = `${share === 1 ? "Now" : `On ${day}`}: ${held} fact${held === 1 ? "" : "s"} held.`;
    this.slider.setAttribute("aria-valuetext", day);
    this.said.textContent = share === 1 ? text.replace("held", held === 1 ? "holds" : "hold") : text;
  }
}

if (globalThis.customElements && !customElements.get("hs-timeline")) customElements.define("hs-timeline", Timeline);
