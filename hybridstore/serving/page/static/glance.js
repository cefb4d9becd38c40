// The map is drawn after the page is there, since it takes a second; a passage on it opens its document.
const map = document.querySelector("#map");

async function draw(q) {
  map.setAttribute("aria-busy", "true");
  const answer = await fetch(`/map?${new URLSearchParams({ q, part: "true" })}`);
  const inside = document.createElement("template");
  inside.innerHTML = await answer.text();
  if (answer.ok) map.replaceChildren(inside.content);
  else map.querySelector(".hs-said, p")?.replaceChildren(inside.content.querySelector(".notice")?.textContent ?? "");
  map.removeAttribute("aria-busy");
}

if (map && !map.querySelector("hs-map")) draw(map.dataset.q ?? "");
map?.addEventListener("submit", (event) => {
  event.preventDefault();
  draw(new FormData(event.target).get("q"));
});
map?.addEventListener("hs-open", (event) => {
  location.assign(`/document?${new URLSearchParams({ id: event.detail.document })}`);
});
