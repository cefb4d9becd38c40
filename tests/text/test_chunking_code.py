"""Chunking of source code: cuts at the start of functions and classes, in any language."""

from __future__ import annotations

import re

from hybridstore.text.chunking import chunk


def shown(text, chunks):
    return [text[one.start : one.end] for one in chunks]


PYTHON = '''"""A module."""

import os


@decorated
def first(a,
          b):
    """class that does it"""
    return a + b + sum(range(a)) + sum(range(b))


class Thing(Base):
    """A thing."""

    def method(self):
        def inner():
            return self.a + self.b + self.c + self.d
        return inner() + inner() + inner() + inner()

    async def other(self):
        return await self.a.b.c.d.e.f.g.h.i.j.k.l
'''
BRACES = """#include <stdio.h>

/* Says hello. */
static int hello(const char *name,
                 int count)
{
    if (count) {
        printf("hello %s, %d times over and over", name, count);
    }
}

class Foo : public Bar {
public:
    void run(int a) {
        go(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6);
    }
};

export const later = async (a) => {
  return [a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6];
};

impl Display for Foo {
    pub fn fmt(&self) -> Result {
        write(self.a, self.b, self.c, self.d, self.e, self.f)
    }
}
"""


def test_code_is_cut_by_functions_under_the_names_that_enclose_them():
    chunks = chunk(PYTHON, format="code", max_tokens=50)
    by_heading = {one.heading: PYTHON[one.start : one.end] for one in chunks}
    assert by_heading["first"].startswith("@decorated\ndef first(a,")
    assert by_heading["Thing > other"].startswith("    async def other(self):")  # with its indentation
    assert by_heading["Thing > method"].endswith("inner()")
    assert not any("inner" in heading or "that" in heading for heading in by_heading)


def test_code_with_braces_is_cut_by_functions_too():
    chunks = chunk(BRACES, format="code", max_tokens=70)
    by_heading = {one.heading: BRACES[one.start : one.end] for one in chunks}
    assert set(by_heading) >= {"hello", "Foo > run", "later", "Foo > fmt"}
    assert by_heading["hello"].startswith("/* Says hello. */")
    assert by_heading["Foo > fmt"].startswith("impl Display for Foo {")  # few lines go with what they enclose
    assert "if" not in by_heading


def test_a_long_function_is_cut_between_its_blocks():
    text = "def f():\n" + "\n".join(f"    a{n} = {n}\n    b{n} = a{n}\n" for n in range(40))
    chunks = chunk(text, format="code", max_tokens=40)
    assert {one.heading for one in chunks} == {"f"}
    assert all(re.match(r"(def f\(\):|    a\d+ = )", part) for part in shown(text, chunks))


def test_small_functions_are_joined():
    text = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(100))
    assert len(chunk(text, format="code", max_tokens=200)) < 25
