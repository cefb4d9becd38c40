// Search as you type: the server makes the same results as without a script, and this puts them in their place.
const form = document.querySelector("#search");
const field = form.querySelector("#q");
const status = document.querySelector("#status");
const completions = document.querySelector("#completions");
const COMPLETIONS = 6;
const PAUSE = 40; // milliseconds after a key, so that letters struck at once are one request
const SETTLED = 300; // milliseconds after results, when the typist rests: facets take a third of a search's time
let timer;
let rest;
let current;

form.classList.add("live");

const parameters = () => {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") chosen.append(name, value);
  return chosen;
};

function place(html, ids) {
  const parts = document.createElement("template");
  parts.innerHTML = html;
  const opened = [...document.querySelectorAll(".facet[open]")].map((facet) => facet.dataset.facet);
  const { name, value } = document.activeElement;
  for (const id of ids) {
    const part = parts.content.getElementById(id);
    if (part) document.getElementById(id).replaceChildren(...part.childNodes);
  }
  for (const facet of document.querySelectorAll(".facet")) facet.open = opened.includes(facet.dataset.facet);
  if (name && name !== "q") {
    [...form.elements].find((each) => each.name === name && (each.type !== "checkbox" || each.value === value))?.focus();
  }
  if (!ids.includes("results")) return;
  const found = document.querySelector("#summary");
  status.textContent = found?.dataset.count ?? document.querySelector("#results .notice")?.textContent.trim() ?? "";
}

// `how` is "typed", "settled" (only the facets for what was typed), "again" (which is not logged twice) or "asked".
async function search(how) {
  current?.abort();
  clearTimeout(rest);
  current = new AbortController();
  const { signal } = current;
  const chosen = parameters();
  const results = document.querySelector("#results");
  const started = performance.now();
  history.replaceState(null, "", chosen.size ? `/?${chosen}` : "/");
  const asked = new URLSearchParams(chosen);
  asked.append("part", "true");
  if (how !== "asked") asked.append("typing", "true");
  if (how === "typed") asked.append("facets", "false");
  if (how !== "settled") results.setAttribute("aria-busy", "true");
  try {
    const page = await fetch(`/?${asked}`, { signal });
    place(await page.text(), how === "settled" ? ["facets"] : ["facets", "results"]);
    if (how === "settled") return;
    document.documentElement.dataset.shown = Math.round(performance.now() - started);
    results.removeAttribute("aria-busy");
    if (how === "typed") rest = setTimeout(() => search("settled"), SETTLED);
    // The words to go on with come after the results, which they would delay.
    const typed = new URLSearchParams({ q: field.value, limit: COMPLETIONS });
    const words = how === "typed" && (await fetch(`/api/suggestions?${typed}`, { signal }));
    suggest(words && words.ok ? (await words.json()).queries : []);
  } catch (error) {
    if (error.name !== "AbortError") {
      results.removeAttribute("aria-busy");
      status.textContent = "The server does not answer.";
    }
  }
}

function suggest(queries) {
  completions.replaceChildren(
    ...queries.map((query) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = query;
      button.addEventListener("click", () => {
        field.value = `${query} `;
        field.focus();
        completions.hidden = true;
        search("asked");
      });
      return button;
    }),
  );
  completions.hidden = !queries.length;
}

form.addEventListener("input", (event) => {
  clearTimeout(timer);
  const typing = event.target === field;
  timer = setTimeout(() => search(typing ? "typed" : "again"), typing ? PAUSE : 250);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  completions.hidden = true;
  search("asked");
});
document.addEventListener("click", (event) => {
  for (const facet of document.querySelectorAll(".facet[open]")) if (!facet.contains(event.target)) facet.open = false;
});
document.addEventListener("keydown", (event) => {
  const facet = event.key === "Escape" && event.target.closest?.(".facet[open]");
  if (facet) {
    facet.open = false;
    facet.querySelector("summary").focus();
  }
});

// What others add or change appears while the page is looked at; a hidden page lets go of its connection.
let changes;
function follow() {
  changes?.close();
  changes = undefined;
  if (document.hidden) return;
  let revision;
  changes = new EventSource("/api/events");
  changes.addEventListener("revision", (event) => {
    const before = revision;
    revision = JSON.parse(event.data).revision;
    if (before === undefined || before === revision) return;
    const busy = document.activeElement?.closest("#results, .facet") || document.querySelector("dialog[open], #progress:not([hidden])");
    if (!busy) search("again");
  });
}
document.addEventListener("visibilitychange", follow);
follow();
