// Keys that work on every page: "/" goes to the search, arrows and j/k move through hits, Enter opens one, w asks why.
const typing = (element) => element?.matches?.("input, textarea, select, [contenteditable]");
const hits = () => [...document.querySelectorAll("[data-hit]")];
const openable = (hit) => hit.querySelector("a");

document.querySelector(".keys")?.removeAttribute("hidden");

export function move(step) {
  const all = hits();
  if (!all.length) return false;
  const at = all.findIndex((hit) => hit.contains(document.activeElement));
  const next = at + step;
  if (next < 0) {
    document.querySelector("#q")?.focus();
    return at >= 0;
  }
  if (next >= all.length) return false;
  const link = openable(all[next]);
  link?.focus();
  all[next].scrollIntoView({ block: "nearest" });
  return true;
}

document.addEventListener("focusin", (event) => {
  for (const hit of hits()) hit.classList.toggle("here", hit.contains(event.target));
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const inField = typing(event.target);
  const search = document.querySelector("#q");
  if (event.key === "/" && !inField) {
    event.preventDefault();
    if (search && !search.closest("[hidden]")) {
      search.focus();
      search.select();
    } else location.assign("/");
  } else if (event.key === "Escape" && event.target === search && search) {
    search.blur();
  } else if (event.key === "w" && !inField) {
    const hit = hits().find((each) => each.contains(document.activeElement));
    const why = hit?.querySelector(".why");
    if (why) {
      event.preventDefault();
      why.click();
    }
  } else if (["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) {
    const down = event.key === "ArrowDown" || event.key === "j";
    if (inField && (event.target !== search || event.key.length === 1 || !down)) return;
    if (!inField && !hits().some((hit) => hit.contains(document.activeElement)) && event.key.length > 1) return;
    if (event.target.closest?.(".panel, .facet")) return;
    if (move(down ? 1 : -1)) event.preventDefault();
  }
});
