"""The page in a browser: typing, keys, a phone, both colour schemes, without scripts, nothing from elsewhere."""

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.memory import Memory
from hybridstore.serving.http import Context, create_app, ingest_routes
from hybridstore.serving.http_access import Names, listening
from hybridstore.serving.http_limits import limited

pytestmark = pytest.mark.browser

playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install 'hybridstore[browser]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs pip install 'hybridstore[browser]'")

CHROMIUM = [Path("/usr/bin/chromium"), Path("/usr/bin/chromium-browser"), Path("/usr/bin/google-chrome")]
PICTURES = os.environ.get("SCREENSHOTS", "")  # the folder for a picture of each page
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="session")
def chromium():
    found = next((path for path in CHROMIUM if path.exists()), None)
    if found is None:
        pytest.skip("there is no Chromium here; install it: apt install chromium")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=str(found), args=arguments)
        yield browser
        browser.close()


@contextmanager
def running(store, **options):
    """Serve a store's page; give its address."""
    with listening("127.0.0.1", 0) as socket:
        port = socket.getsockname()[1]
        context = Context(Memory(store, ("user", "42")), **options)
        server = uvicorn.Server(limited(create_app(context, Names.of("127.0.0.1", port))))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            context.stopping.set()
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def address(filled):
    with running(filled) as address:
        yield address


@pytest.fixture
def open_page(chromium):
    """Open pages in contexts of their own, which fail on errors and on requests to anywhere else."""
    contexts, trouble = [], []

    def opened(address, *, size="desktop", scheme="light", **options):
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda request: trouble.append(request.url) if not request.url.startswith(address) else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def violations(page):
    results = axe.Axe().run(page)
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in results.response["violations"]]


def titles(page):
    return page.locator(".hit h2").all_inner_texts()


def test_results_come_while_typing_with_words_to_go_on_with(address, open_page):
    page = open_page(address)
    page.goto(address)
    page.keyboard.type("val")
    playwright.expect(page.locator(".hit h2").first).to_have_text("Valve log")
    playwright.expect(page.locator("#completions button").first).to_have_text("valve")
    assert "q=val" in page.url
    playwright.expect(page.locator('[data-facet="team"]')).to_be_visible()  # when the typist rests
    page.locator("#completions button").first.click()
    playwright.expect(page.locator("#q")).to_have_value("valve ")
    playwright.expect(page.locator("#status")).to_contain_text("passage")
    page.locator("#q").fill("")
    playwright.expect(page.locator("#recent")).to_be_visible()


def test_the_keyboard_reaches_everything(address, open_page):
    page = open_page(address)
    page.goto(f"{address}/?q=valve")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == titles(page)[0]
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == titles(page)[1]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/document?**")
    assert page.locator("#passage").is_visible()
    page.keyboard.press("/")
    page.wait_for_url(f"{address}/")


def test_facets_filter_at_once_and_stay_open(address, open_page):
    page = open_page(address)
    page.goto(f"{address}/?q=valve")
    page.locator('[data-facet="team"] summary').click()
    page.get_by_label("operations").check()
    playwright.expect(page.locator(".hit")).to_have_count(1)
    assert page.get_by_label("maintenance").is_visible()
    assert "f.team=operations" in page.url
    page.reload()
    assert titles(page) == ["Valve log"]
    page.get_by_text("Clear filters").click()
    playwright.expect(page.locator(".hit")).not_to_have_count(1)


@pytest.mark.parametrize("size", SIZES)
def test_without_scripts_search_and_documents_work(address, open_page, size):
    page = open_page(address, size=size, java_script_enabled=False)
    page.goto(address)
    page.locator("#q").fill("valve leaks")
    page.get_by_role("button", name="Search").click()
    assert titles(page)[0] == "Valve log"
    page.locator('[data-facet="team"] summary').click()
    page.get_by_label("operations").check()
    page.locator('[data-facet="team"] .apply').click()
    assert titles(page) == ["Valve log"]
    page.locator(".hit h2 a").first.click()
    assert page.locator("#passage").is_visible()
    page.get_by_text("Results for").click()
    assert titles(page)[0] == "Valve log"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_are_accessible_and_fit(address, open_page, size, scheme):
    page = open_page(address, size=size, scheme=scheme)
    for path in (
        "/",
        "/?q=valve",
        "/?q=zzz",
        "/document?id=/notes/plant/valve.md&q=valve",
        "/?q=valve&f.team=operations",
        "/why?q=valve&expect=web",
        "/add",
        "/glance",
        "/memory",
        "/learning",
    ):
        page.goto(address + path)
        if PICTURES:
            name = "".join(sign if sign.isalnum() else "-" for sign in path).strip("-") or "start"
            page.screenshot(path=Path(PICTURES) / f"{name}-{size}-{scheme}.png")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_an_empty_store_is_accessible_too(open_page):
    with hs.open(":memory:", embedder=HashingEmbedder()) as store, running(store) as address:
        page = open_page(address)
        page.goto(address)
        assert violations(page) == []
        assert page.get_by_role("heading", name="Add something to search").is_visible()


def test_hostile_text_runs_nothing(address, open_page):
    page = open_page(address)
    for path in ("/?q=valve", "/", "/document?id=" + "hostile \"><img src=x onerror=alert(1)>'"):
        page.goto(address + path)
        assert not page.locator("img").count()
    page.goto(address)
    page.keyboard.type("script alert")
    playwright.expect(page.locator(".hit h2").first).to_contain_text("<script>")


def test_why_opens_over_the_results_weights_move_and_a_document_can_be_expected(address, open_page):
    page = open_page(address)
    page.goto(f"{address}/?q=valve hall")
    page.locator(".hit a.why").first.click()
    dialog = page.locator("dialog.panel")
    playwright.expect(dialog).to_be_visible()
    assert violations(page) == []
    slider = dialog.get_by_role("slider")
    before = dialog.locator("hs-weights ol").inner_html()
    slider.focus()
    page.keyboard.press("End")
    playwright.expect(dialog.locator("hs-weights p[aria-live]")).to_contain_text("meaning 100 %")
    assert dialog.locator("hs-weights ol").inner_html() != before
    dialog.get_by_label("Did you expect another document?").fill("pump.md")
    dialog.get_by_role("button", name="Where was it lost?").click()
    playwright.expect(dialog.locator(".hs-expected")).to_contain_text("Pump P-101")
    page.keyboard.press("Escape")
    playwright.expect(dialog).not_to_be_visible()
    page.locator(".hit h2 a").nth(1).focus()
    page.keyboard.press("w")
    playwright.expect(dialog).to_be_visible()


@pytest.fixture
def folder(tmp_path):
    """Give a folder with two readable files, one of them further down, and one that cannot be read."""
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "valve.md").write_text("# Valve\n\nThe valve leaks.")
    (notes / "deep" / "<img src=x onerror=alert(1)>.md").write_text("A hostile name about pumps.")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return notes


def dropped(page, path):
    """Drop a file or folder of the disk on the page, as a person does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 500, "y": 300, "data": data})


def test_a_folder_is_dropped_read_and_found(folder, open_page):
    with hs.open(":memory:", embedder=HashingEmbedder()) as store, running(store) as address:
        page = open_page(address)
        page.goto(address)
        dropped(page, folder)
        playwright.expect(page.locator("#doing")).to_have_text("Done.")
        playwright.expect(page.locator("#counts")).to_have_text("3 of 3 files: 2 documents added, 1 not read")
        assert page.locator("#unread li").all_inner_texts()[0].startswith("notes/broken.pdf: ")
        assert violations(page) == []
        page.get_by_role("link", name="Search them").click()
        page.locator("#q").fill("hostile pumps")
        playwright.expect(page.locator(".hit .where").first).to_contain_text(
            "notes/deep/<img src=x onerror=alert(1)>.md:1"
        )
        dropped(page, folder)  # nothing happens on other pages
        page.goto(f"{address}/add")
        dropped(page, folder / "valve.md")
        playwright.expect(page.locator("#counts")).to_have_text("1 of 1 file: 1 document added")
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Choose files").click()
        chooser.value.set_files(folder / "valve.md")
        playwright.expect(page.locator("#counts")).to_have_text("1 of 1 file: 1 document unchanged")


def test_a_saved_page_and_a_large_table_are_dropped(tmp_path, open_page, monkeypatch):
    plain = ingest_routes.read

    def slowly(path):
        for document in plain(path):
            time.sleep(0.01)
            yield document

    monkeypatch.setattr(ingest_routes, "read", slowly)
    saved, table = tmp_path / "saved.html", tmp_path / "rows.csv"
    saved.write_text("<!-- saved from url=(0028)https://example.org/glaciers --><title>Ice</title><p>About glaciers.")
    table.write_text("\n".join(["name", *(f"valve {n}" for n in range(200))]))
    with hs.open(":memory:", embedder=HashingEmbedder()) as store, running(store) as address:
        page = open_page(address)
        page.goto(f"{address}/add")
        dropped(page, table)
        playwright.expect(page.locator("#doing")).to_contain_text("Reading rows.csv")
        playwright.expect(page.locator("#within")).to_contain_text("documents of it so far")
        playwright.expect(page.locator("#counts")).to_have_text("1 of 1 file: 200 documents added")
        dropped(page, saved)
        playwright.expect(page.locator("#counts")).to_have_text("1 of 1 file: 1 document added")
        page.goto(f"{address}/document?id=saved.html")
        assert page.locator("dd a").first.get_attribute("href") == "https://example.org/glaciers"


def test_a_text_is_pasted_without_scripts(address, open_page):
    page = open_page(address, java_script_enabled=False, size="phone")
    page.goto(f"{address}/add")
    assert page.get_by_text("Choose a folder").is_hidden()
    page.get_by_label("Text", exact=True).fill("Completely new words about glaciers.")
    page.get_by_role("button", name="Add the text").click()
    assert "1 document added" in page.get_by_role("status").inner_text()
    page.goto(f"{address}/?q=glaciers")
    assert page.locator(".hit").count() == 1


def test_the_map_is_drawn_shows_a_question_and_opens_documents(address, open_page):
    page = open_page(address)
    page.goto(f"{address}/glance")
    playwright.expect(page.locator("hs-map svg")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Show where a question lies").fill("valve")
    page.get_by_role("button", name="Show", exact=True).click()
    playwright.expect(page.locator(".hs-map")).to_contain_text("The cross is “valve”")
    page.locator("hs-map svg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    if "/document" not in page.url:  # nothing lies in the middle
        page.locator("hs-map svg").evaluate(
            "e => e.dispatchEvent(new CustomEvent('hs-open', {bubbles: true, detail: {document: 'web'}}))"
        )
    page.wait_for_url("**/document?**")


def test_a_fact_is_remembered_and_the_slider_goes_back_before_it(filled, open_page):
    with running(filled) as address:
        page = open_page(address)
        page.goto(f"{address}/memory")
        for text, day in (("Anna lives in Paris", "2026-01-10"), ("Anna lives in Rome", "2026-03-01")):
            page.get_by_label("One fact").fill(text)
            page.get_by_label("Since").fill(day)
            replaced = page.get_by_label("Replaces")
            replaced.select_option(index=1 if replaced.locator("option").count() > 1 else 0)
            page.get_by_role("button", name="Remember").click()
            playwright.expect(page.get_by_role("status").first).to_have_text("Remembered.")
        assert violations(page) == []
        slider = page.get_by_role("slider")
        playwright.expect(page.locator(".hs-holds")).to_contain_text("Rome")
        slider.focus()
        page.keyboard.press("Home")
        playwright.expect(page.locator(".hs-holds")).to_contain_text("Paris")
        page.get_by_role("checkbox", name="Anna lives in Rome").check()
        page.get_by_role("button", name="Show what would be forgotten").click()
        assert "This would forget 2 notes" in page.get_by_role("alert").inner_text()
        assert violations(page) == []
        page.get_by_role("button", name="Forget for good").click()
        playwright.expect(page.get_by_role("status").first).to_contain_text("2 notes forgotten")


def test_a_version_is_rolled_back(filled, version, open_page):
    filled.learning.propose(version)
    with running(filled) as address:
        page = open_page(address, size="phone", scheme="dark")
        page.goto(f"{address}/learning")
        assert violations(page) == []
        page.get_by_role("combobox").select_option(index=0)
        page.get_by_role("button", name="Make it active").click()
        playwright.expect(page.get_by_role("status").first).to_have_text("Version 1 is active now.")
        page.get_by_role("button", name="Roll back version 1").click()
        playwright.expect(page.get_by_role("status").first).to_have_text("The plain embedder is active now.")


def test_what_others_add_appears_in_an_open_page(filled, open_page):
    with running(filled) as address:
        page = open_page(address)
        page.goto(f"{address}/?q=glaciers")
        assert "Ice" not in titles(page)
        page.wait_for_timeout(800)  # until the page follows changes
        filled.add(hs.Document(id="ice", title="Ice", text="All about glaciers."))
        playwright.expect(page.locator(".hit h2").first).to_have_text("Ice")
