"""HTML as a browser shows it: code lines, neighbouring links, tables of paragraphs, and nothing that is hidden."""

from __future__ import annotations

import pytest

from hybridstore.ingest.readers.html import markdown_of

DOCUSAURUS = (
    '<pre class="prism-code"><code><span class="token-line" style="color:#000"><span>npm</span> i<br></span>'
    '<span class="token-line"><span class="token">npm</span> start<br></span></code></pre>'
)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (DOCUSAURUS, "```\nnpm i\nnpm start\n```"),
        ("<pre>a<br>b<br/>c</pre>", "```\na\nb\nc\n```"),
        ("<pre><div>a</div><div>  b</div></pre>", "```\na\n  b\n```"),
        ('<pre><div class="token-line">a<br></div><div class="token-line">b</div></pre>', "```\na\nb\n```"),
        ('<pre><span class="line">a</span>\n<span class="line">b</span></pre>', "```\na\nb\n```"),
        ('<pre><span class="line">a</span><span class="line">b</span></pre>', "```\na\nb\n```"),
        ("<pre><ol><li>a</li><li>b</li></ol></pre>", "```\na\nb\n```"),
        ("<pre>a <b>b</b><i>c</i></pre>", "```\na bc\n```"),
    ],
)
def test_the_lines_of_code_stay_apart(page, text):
    assert markdown_of(page)[0] == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p><a>One</a><a>Two</a></p>", "One Two"),
        ("<button>Save</button><button>Cancel</button>", "Save Cancel"),
        ("<label>Name</label><button>Go</button>", "Name Go"),
        ("<select><option>red<option>blue</select>", "red\nblue"),
        ("<p>a<b>b</b><i>c</i></p>", "abc"),
        ("<p>see <a>this</a>, <a>that</a>.</p>", "see this, that."),
        ("<table><tr><th>x</th><th>y</th></tr><tr><td><a>1</a><a>2</a></td><td>b<b>c</b></td></tr></table>",
         "| x | y |\n| 1 2 | bc |"),
        ("<h1>A<br>b</h1>", "# A b"),
        ("<h1><div>A</div><div>b</div></h1>", "# A b"),
    ],
)  # fmt: skip
def test_what_a_browser_draws_apart_is_not_glued(page, text):
    assert markdown_of(page)[0] == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<table><tr><td><p>a</p></td><td><p>b</p><p>c</p></td></tr><tr><td>d<td><ul><li>e<li>f</ul></td></tr></table>",
         "| a | b c |\n| d | e f |"),
        ("<table><caption>All</caption><tr><th>a<th>b<tr><td>1<td>2</table>", "All\n| a | b |\n| 1 | 2 |"),
        ("<table><tr><td><p>one</p><p>two</p></td></tr></table>", "one\n\ntwo"),
        ("<table><tr><td><h2>Menu</h2></td><td><p>text</p></td></tr></table>", "## Menu\n\ntext"),
        ("<table><tr><td>1\n2</td><td><pre>a\nb</pre></td></tr></table>", "1 2\n\n```\na\nb\n```"),
        ("<table><tr><td>x</td><td><p>" + "long " * 500 + "</p></td></tr></table>", "x\n\n" + "long " * 499 + "long"),
    ],
)  # fmt: skip
def test_a_table_keeps_its_rows_unless_it_is_layout(page, text):
    assert markdown_of(page)[0] == text


@pytest.mark.parametrize(
    "hidden",
    [
        '<p style="color:red; display: none">no</p>',
        "<p style='visibility:hidden'>no</p>",
        "<p hidden>no</p>",
        '<div aria-hidden="true"><b>no</b></div>',
        "<dialog>no</dialog>",
        "<template>no</template>",
        "<nav><ul><li>no</ul></nav>",
        '<div role="navigation">no</div>',
        '<div class="navbar navbar-dark"><a>no</a></div>',
        '<ul class="breadcrumbs"><li>no</ul>',
        '<div id="onetrust-banner-sdk">no</div>',
        '<div class="cookie-banner">no <button>no</button></div>',
        '<section id="gdpr-consent-modal">no</section>',
        '<div class="cc-window cc-floating">no</div>',
        '<a class="skip-link">no</a>',
    ],
)
def test_what_is_hidden_or_around_the_page_is_left_out(hidden):
    assert markdown_of(f"{hidden}<p>The text.</p>{hidden}")[0] == "The text."


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<nav><p>All there is.</p></nav>", "All there is."),
        ('<body aria-hidden="true"><p>Behind a dialog.</p></body>', "Behind a dialog."),
        ('<section id="cookies"><p>Cookies keep state.</p></section>', "Cookies keep state."),
        ('<p class="cookie-notice-example">An example.</p>', "An example."),
        ('<div hidden="until-found">Found by search.</div>', "Found by search."),
        ("<details><summary>More</summary>inside</details>", "More\n\ninside"),
        ("<dialog open>Shown.</dialog>", "Shown."),
        ('<main><div class="sidebar">A note beside.</div></main>', "A note beside."),
        ('<div class="sidebar-layout">Text.</div>', "Text."),
    ],
)
def test_what_only_looks_like_a_menu_stays(page, text):
    assert markdown_of(page)[0] == text
