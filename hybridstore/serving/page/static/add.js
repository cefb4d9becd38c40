// Adding: files and folders that are dropped or chosen, sent in parts; the server says how far it has come.
const drop = document.querySelector("#drop");
const part = (id) => document.querySelector(`#${id}`);
const LARGEST = 48 << 20; // bytes of a request, so that progress is seen within large folders too
const MOST = 400; // files of a request
let waiting = [];
let running = false;
let total;

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

async function* within(entry, path = "") {
  if (entry.isFile) yield [await new Promise((done, failed) => entry.file(done, failed)), path + entry.name];
  if (!entry.isDirectory) return;
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const each of some) yield* within(each, `${path}${entry.name}/`);
  }
}

function* requests(files) {
  let form = new FormData();
  let [count, size] = [0, 0];
  for (const [file, name] of files) {
    if (count && (count >= MOST || size + file.size > LARGEST)) {
      yield [form, count];
      form = new FormData();
      [count, size] = [0, 0];
    }
    form.append("files", file, name);
    count += 1;
    size += file.size;
  }
  if (count) yield [form, count];
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.search(/\r?\n\r?\n/)) >= 0) {
      const lines = text.slice(0, end).split(/\r?\n/);
      text = text.slice(end).replace(/^\r?\n\r?\n/, "");
      const of = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
      const data = of("data").join("\n");
      if (data) yield [of("event")[0], JSON.parse(data)];
    }
  }
}

function unread(name, reason) {
  const item = document.createElement("li");
  const shown = document.createElement("bdi");
  shown.textContent = name;
  item.append(shown, `: ${reason}`);
  part("unread").hidden = false;
  part("unread").querySelector("ul").append(item);
}

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

// A table's or a long text's characters are about as many as its bytes; other files are read before they yield any.
function show(reading) {
  const { files, of, added, replaced, unchanged, failed } = total;
  part("bar").max = Math.max(of, 1);
  part("bar").value = files + (reading ? Math.min(reading.characters / Math.max(reading.bytes, 1), 0.99) : 0);
  part("doing").textContent = reading ? `Reading ${reading.file} (${mebibytes(reading.bytes)})…` : "Reading…";
  part("within").hidden = !reading?.documents;
  part("within").textContent = reading ? `${counted(reading.documents, "document")} of it so far` : "";
  const read = [[added, "added"], [replaced, "replaced"], [unchanged, "unchanged"]].filter(([number]) => number);
  const documents = read.map(([number, what]) => `${counted(number, "document")} ${what}`).join(", ");
  part("counts").textContent = `${files.toLocaleString("en")} of ${counted(of, "file")}${documents && `: ${documents}`}${failed ? `, ${failed} not read` : ""}`;
}

async function send(form, count) {
  const before = { ...total };
  const answer = await fetch("/api/ingest/stream", { method: "POST", body: form });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
  let named = 0;
  for await (const [kind, data] of events(answer.body)) {
    if (kind === "error") throw new Error(data.detail);
    for (const each of data.failed.slice(named)) unread(each.file, each.reason);
    named = data.failed.length;
    total.files = before.files + data.files;
    total.failed = before.failed + named;
    for (const name of ["added", "replaced", "unchanged"]) total[name] = before[name] + data[name];
    show(data.reading);
  }
  total.files = before.files + count;
}

async function vectors() {
  for (;;) {
    const stats = await fetch("/api/stats").then((answer) => answer.json());
    const left = stats.without_vectors;
    part("vectors").textContent = left
      ? `Words find them already; ${counted(left, "passage")} still ${left === 1 ? "gets its vector" : "get their vectors"}.`
      : "All can be found by words and by meaning.";
    if (!stats.file.embedding) part("vectors").textContent = "All can be found by words.";
    if (!left || running) return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}

async function add(files) {
  if (!files.length) return;
  waiting.push(...files);
  part("progress").hidden = false;
  if (running) {
    total.of += files.length;
    return;
  }
  running = true;
  total = { files: 0, of: files.length, added: 0, replaced: 0, unchanged: 0, failed: 0 };
  part("unread").hidden = part("after").hidden = true;
  part("unread").querySelector("ul").replaceChildren();
  part("vectors").textContent = "";
  let ended = "Done.";
  show();
  try {
    while (waiting.length) {
      const batch = waiting.splice(0);
      for (const [form, count] of requests(batch)) await send(form, count);
    }
  } catch (error) {
    ended = `It stopped: ${error.message}`;
  }
  waiting = [];
  running = false;
  show();
  part("doing").textContent = ended;
  part("after").hidden = !(total.added + total.replaced + total.unchanged);
  vectors();
}

if (drop) {
  for (const each of drop.querySelectorAll(".needs-script")) each.hidden = false;
  drop.querySelector(".without-script").hidden = true;
  drop.querySelector("input[name=files]").addEventListener("change", (event) => {
    add([...event.target.files].map((file) => [file, file.name]));
    event.target.value = "";
  });
  part("folder").addEventListener("change", (event) => {
    add([...event.target.files].map((file) => [file, file.webkitRelativePath || file.name]));
    event.target.value = "";
  });
  const over = (event, is) => {
    event.preventDefault();
    drop.classList.toggle("over", is);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && over(event, false));
  document.addEventListener("drop", async (event) => {
    over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [];
    try {
      for (const entry of entries) for await (const each of within(entry)) files.push(each);
    } catch (error) {
      unread(entries.map((entry) => entry.name).join(", "), error.message);
    }
    add(files.length || entries.length ? files : [...event.dataTransfer.files].map((file) => [file, file.name]));
  });
}
