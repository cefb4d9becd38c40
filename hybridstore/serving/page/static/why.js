// Why: a click on a hit's question opens its evidence over the results; the address alone shows the same as a page.
let dialog;

async function show(address) {
  const url = new URL(address, location);
  url.searchParams.set("part", "true");
  const answer = await fetch(url);
  const type = answer.headers.get("content-type") ?? "";
  if (!answer.ok || !type.startsWith("text/html")) {
    location.assign(address);
    return;
  }
  const inside = document.createElement("template");
  inside.innerHTML = await answer.text();
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet close";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.className = "panel";
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
  }
  dialog.replaceChildren(close, inside.content);
  dialog.setAttribute("aria-label", dialog.querySelector("h1")?.textContent ?? "Why");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTo(0, 0);
  (dialog.querySelector("#expected") ?? dialog.querySelector(".hs-expected"))?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest?.("a.why, dialog.panel a[href^='/why']");
  if (!link) return;
  event.preventDefault();
  show(link.href);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("dialog.panel form.expect")) return;
  event.preventDefault();
  show(`/why?${new URLSearchParams(new FormData(form))}`);
});
