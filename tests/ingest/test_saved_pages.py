"""Web pages as browsers save them: their text without frames, and the address that they are from."""

import plistlib

import pytest

from hybridstore.ingest import Unreadable, read

PAGE = "<html><head><title>Valves</title></head><body><p>The valve leaks.</p></body></html>"
HERE = "https://example.org/valves?hall=3&x"


def document(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [found] = read(path)
    return found


@pytest.mark.parametrize(
    ("head", "address"),
    [
        (f"<!-- saved from url=(0035){HERE} -->", HERE),
        (f"<!--\n Page saved with SingleFile \n url: {HERE} \n saved date: Mon Mar 02 2026\n-->", HERE),
        (f'<link rel="canonical" href="{HERE.replace("&", "&amp;")}">', HERE),
        (f'<meta property="og:url" content="{HERE}">', HERE),
        (f'<link rel=canonical href="https://other.example/"><!-- saved from url=(0035){HERE} -->', HERE),
        ('<link rel="canonical" href="javascript:alert(1)"><meta property="og:url" content="/valves">', None),
        (f'<link rel="canonical" href="{HERE}{"x" * 3000}">', None),
        ("<!-- saved from url=(0014)about:internet -->", None),
    ],
)
def test_a_page_keeps_the_address_that_it_names(tmp_path, head, address):
    found = document(tmp_path, "page.html", f"<!DOCTYPE html>{head}{PAGE}")
    path = (tmp_path / "page.html").as_posix()
    assert (found.id, found.uri) == (path, address or path)
    assert (found.title, found.text) == ("Valves", "The valve leaks.")


MHTML = """From: <Saved by Blink>
{snapshot}Subject: A subject
MIME-Version: 1.0
Content-Type: multipart/related; type="text/html"; boundary="--x"

----x
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Location: {own}

{page}
----x
Content-Type: text/html
Content-Location: https://ads.example/

<p>An advertisement.</p>
----x
Content-Type: image/png
Content-Location: https://example.org/p.png

x
----x--
"""


@pytest.mark.parametrize("snapshot", [f"Snapshot-Content-Location: {HERE}\n", ""])
def test_of_mhtml_the_page_is_read_and_not_its_frames(tmp_path, snapshot):
    own = "https://example.org/redirected" if snapshot else HERE
    found = document(tmp_path, "page.mhtml", MHTML.format(snapshot=snapshot, own=own, page=PAGE.replace("=", "=3D")))
    assert (found.uri, found.title, found.text) == (HERE, "Valves", "The valve leaks.")
    found = document(tmp_path, "page.mht", MHTML.format(snapshot=snapshot, own=own, page="<p>Gr=C3=BC=C3=9Fe</p>"))
    assert (found.title, found.text) == ("A subject", "Grüße")


def archive(**main):
    return plistlib.dumps({"WebMainResource": main, "WebSubresources": []}, fmt=plistlib.FMT_BINARY)


def test_of_a_web_archive_the_page_is_read(tmp_path):
    page = PAGE.replace("leaks", "läuft").encode("latin-1")
    whole = archive(WebResourceData=page, WebResourceURL=HERE, WebResourceTextEncodingName="iso-8859-1")
    found = document(tmp_path, "page.webarchive", whole)
    assert (found.uri, found.title, found.text) == (HERE, "Valves", "The valve läuft.")


@pytest.mark.parametrize(
    "content",
    [
        b"bplist00 broken",
        b"not a list at all",
        plistlib.dumps({"other": 1}),
        plistlib.dumps(["WebMainResource"]),
        archive(WebResourceData="text, not bytes"),
        archive(WebResourceData=b"<p>a", WebResourceTextEncodingName="no such encoding"),
        archive(WebResourceData=b"\xff", WebResourceTextEncodingName="utf-8"),
        archive(WebResourceData=b"<title>without a text</title>"),
        b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "b">]><plist><dict/></plist>',
    ],
)
def test_what_is_not_a_web_archive_is_refused_in_a_sentence(tmp_path, content):
    with pytest.raises(Unreadable, match=r"web archive|text"):
        document(tmp_path, "page.webarchive", content)
