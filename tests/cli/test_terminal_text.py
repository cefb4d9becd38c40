"""Text from files cannot control the terminal, or show itself in another order, in any form of output."""

import json

import pytest

from hybridstore.cli import terminal

CONTROLS = [
    *range(0x20),
    *range(0x7F, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]


@pytest.mark.parametrize("code", CONTROLS)
def test_controls_are_shown_and_escaped(code, capsys):
    text = f"a{chr(code)}b"
    if chr(code) not in "\t\n":
        assert chr(code) not in terminal.printable(text)
    assert len(terminal.printable(text)) == len(text)
    terminal.print_json({text: [text]})
    printed = capsys.readouterr().out
    assert chr(code) not in printed.replace("\n", "")
    assert json.loads(printed) == {text: [text]}
    terminal.print_json_list([text])
    assert chr(code) not in capsys.readouterr().out.replace("\n", "")


def test_other_text_stays_as_it_is():
    assert terminal.printable("é 汉 😀 שלום") == "é 汉 😀 שלום"
