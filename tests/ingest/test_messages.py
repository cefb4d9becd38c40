"""Mail, mailboxes, notebooks and exports of conversations, exactly."""

from __future__ import annotations

import json

import pytest

from hybridstore.ingest import Unreadable, read


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fields(document):
    return {name: value for name, value in document.metadata.items() if name not in {"path", "type"}}


MAIL = b"""From: =?utf-8?Q?J=C3=BCrgen?= <j@x.org>
To: a@x.org,
 b@x.org
Subject: =?iso-8859-1?Q?Gr=F6=DFe_?= =?utf-8?B?w7xiZXI=?=
Date: Mon, 2 Mar 2026 10:00:00 +0100
Message-ID: <1@x>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=no-such-charset
Content-Transfer-Encoding: 8bit

plain gr\xf6\xdfe
--c
Content-Type: text/html

<p>the same as HTML</p>
--c--
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQ=
--b
Content-Type: message/rfc822

From: c@x.org
Subject: inner

inner text
--b--
"""


def test_mail_is_decoded_with_its_people_date_and_plain_text(tmp_path):
    (document,) = read(write(tmp_path, "a.eml", MAIL.replace(b"\n", b"\r\n")))
    assert document.title == "Größe über"
    assert document.text == (
        "From: Jürgen <j@x.org>\nTo: a@x.org, b@x.org\nDate: 2026-03-02T09:00:00+00:00\nAttachments: Größe.pdf\n\n"
        "plain größe\n\nForwarded message: c@x.org, inner\n\ninner text"
    )
    assert fields(document) == {
        "from": "Jürgen <j@x.org>",
        "to": "a@x.org, b@x.org",
        "date": "2026-03-02T09:00:00+00:00",
        "message_id": "1@x",
        "attachments": ["Größe.pdf"],
    }


@pytest.mark.parametrize(
    ("source", "title", "text"),
    [
        (b"Subject: =?utf-8?Q?broken=\nFrom: \xfc@x\n\nbody", "=?utf-8?Q?broken=", "From: ü@x\n\nbody"),
        (b"Subject: a\nDate: nonsense\n\nbody", "a", "body"),
        (b"Subject: a\nContent-Type: multipart/mixed\n\nno parts", "a", "no parts"),
        (b"Subject: a\nContent-Type: text/html; charset=latin1\n\n<p>\xfcber</p>", "a", "über"),
        (b"Subject: a\nContent-Transfer-Encoding: base64\n\n&&&", "a", ""),
        (b"Subject: a\nContent-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nYQ==", "a", "a"),
    ],
)
def test_mail_that_breaks_the_rules_is_read_as_far_as_it_goes(tmp_path, source, title, text):
    (document,) = read(write(tmp_path, "a.eml", source))
    assert document.title == title
    assert document.text == text


@pytest.mark.parametrize("source", [b"just words", b"", b"\n\n", b"Subject:\n\n"])
def test_what_is_no_mail_is_refused(tmp_path, source):
    with pytest.raises(Unreadable, match=r"not a mail message|is empty"):
        list(read(write(tmp_path, "a.eml", source)))


def test_a_mailbox_is_a_document_for_each_message(tmp_path):
    source = (
        b"From a Mon\nSubject: one\nMessage-ID: <1@x>\n\nText\n>From here\n\nFrom within\n\n"
        b"From b Mon\nSubject: two\nMessage-ID: <1@x>\n\nSecond\n\nFrom c\n\n"
    )
    source = source.replace(b"\n\nFrom within\n", b"\nFrom within\n")  # not after a blank line: no new message
    path = write(tmp_path, "a.mbox", source)
    notices = []
    documents = list(read(path, notice=notices.append))
    assert [(one.title, one.text, one.id) for one in documents] == [
        ("one", "Text\nFrom here\nFrom within", f"{path}#1@x"),
        ("two", "Second", f"{path}#1@x-2"),
    ]
    assert notices == ["1 of its messages (3) left out: without text, or above 64 MB"]


def test_a_notebook_has_its_cells_and_text_outputs_without_pictures(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Head\n", "Words."]},
        {
            "cell_type": "code",
            "source": "plot()",
            "outputs": [
                {"output_type": "stream", "text": ["\u001b[31mred\u001b[0m\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBOR" * 999, "text/plain": "<Figure>"}},
                {"output_type": "execute_result", "data": {"text/html": "<b>1</b>", "text/plain": ["1"]}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["..."]},
                {"output_type": "stream", "text": "x" * 10_100},
            ],
        },
    ]
    content = {"cells": cells, "metadata": {"kernelspec": {"language": "Python"}}}
    notices = []
    (document,) = read(write(tmp_path, "a.ipynb", json.dumps(content)), notice=notices.append)
    head, code, red, one, error, long = document.text.replace("\f\n", "").split("\n\n")
    assert head == "# Head\nWords."
    assert code.strip() == "```python cell 2\nplot()\n```"
    assert [part.splitlines()[1] for part in (red, one, error)] == ["red", "1", "ValueError: no"]
    assert len(long) < 10_050
    assert notices == ["of an output of cell 2, 100 characters were left out"]
    assert (document.title, fields(document)) == ("Head", {"cells": 2, "language": "python"})


def test_an_old_notebook_is_read(tmp_path):
    cell = {"cell_type": "code", "input": "x = 1", "outputs": [{"output_type": "pyout", "text": "1"}]}
    (document,) = read(write(tmp_path, "a.ipynb", json.dumps({"worksheets": [{"cells": [cell]}]})))
    assert document.text == "```cell 1\nx = 1\n```\n\n```output of cell 1\n1\n```"


@pytest.mark.parametrize("source", ["{", "[]", '{"a": 1}', '{"cells": []}', "[" * 50_000])
def test_what_is_no_notebook_is_refused(tmp_path, source):
    with pytest.raises(Unreadable, match=r"notebook|no text"):
        list(read(write(tmp_path, "a.ipynb", source)))


def node(parent, role, text, **content):
    message = {"author": {"role": role}, "create_time": 1700000000.5, "content": {"parts": [text], **content}}
    return {"parent": parent, "message": message}


def test_chatgpt_is_read_along_the_branch_that_is_shown(tmp_path):
    mapping = {
        "root": {"parent": None, "message": None},
        "s": node("root", "system", "be nice"),
        "a": node("s", "user", "Question"),
        "old": node("a", "assistant", "old answer"),
        "b": node("a", "assistant", {"asset_pointer": "x"}, content_type="multimodal_text"),
        "c": node("b", "assistant", "Answer"),
    }
    talk = {"id": "c1", "title": "Talk", "create_time": 1.0, "mapping": mapping, "current_node": "c"}
    path = write(tmp_path, "conversations.json", json.dumps([talk, {**talk, "mapping": {}, "id": "c2"}]))
    (document,) = read(path)
    assert (document.title, document.text) == ("Talk", "user: Question\n\nassistant: Answer")
    assert document.id == f"{path}#c1"
    assert fields(document) == {
        "date": "2023-11-14T22:13:20+00:00",
        "speakers": ["user", "assistant"],
        "messages": 2,
        "source": "ChatGPT",
    }


def test_slack_is_read_by_threads_with_names_links_and_files(tmp_path):
    write(tmp_path, "users.json", json.dumps([{"id": "U1", "name": "anna", "real_name": "Anna A"}]))
    messages = [
        {"user": "U1", "ts": "1700000000.1", "thread_ts": "1700000000.1", "text": "Hi <@U1> <https://x|link> &amp; x"},
        {
            "user": "U2",
            "ts": "1700000001.1",
            "thread_ts": "1700000000.1",
            "text": "reply",
            "user_profile": {"name": "bob"},
        },
        {"user": "U1", "ts": "1700000002.1", "text": "alone", "files": [{"name": "a.pdf"}]},
        {"user": "U1", "ts": "1700000003.1", "text": "joined", "subtype": "channel_join"},
    ]
    path = write(tmp_path, "general/2023-11-14.json", json.dumps([{"type": "message", **one} for one in messages]))
    thread, rest = read(path)
    assert thread.text == "Anna A: Hi @Anna A link & x\n\nbob: reply"
    assert (thread.id, thread.metadata["channel"]) == (f"{path}#1700000000.1", "general")
    assert (rest.text, rest.title) == ("Anna A: alone\n[a.pdf]", "#general 2023-11-14")


def test_each_line_with_chat_messages_is_a_conversation(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]
    path = write(tmp_path, "a.jsonl", "\n".join(json.dumps({"messages": turns}) for _ in range(2)))
    assert [(one.id, one.text) for one in read(path)] == [
        (f"{path}#line=1", "user: q\n\nassistant: a"),
        (f"{path}#line=2", "user: q\n\nassistant: a"),
    ]


def test_other_objects_stay_rows(tmp_path):
    path = write(tmp_path, "a.json", json.dumps([{"type": "message", "text": "a"}, {"messages": [], "text": "b"}]))
    assert [one.text for one in read(path)] == ["a", "b"]
