"""Every sentence of the page has its translation, and a question is answered in its language."""

import ast
import asyncio
import inspect
import json
import re

import pytest

from app.languages import (
    LANGUAGES,
    LOCALES,
    in_its_language,
    marked,
    page_texts,
    speaking,
    template_sentences,
    tr,
    tr_parts,
    tr_reason,
    tr_template,
)
from app.render import plural
from app.settings import ROOT

# What an app says that has its sentence from hllm, which knows nothing of languages.
OF_HLLM = {
    "weighted mean of the history": "hllm/baselines/text_recommender.py",
    "mean of the history": "hllm/baselines/text_recommender.py",
    "last item of the history": "hllm/baselines/text_recommender.py",
    "Item-to-item neighbours: what the same users took": "hllm/baselines/scored_recommender.py",
    "Number of training interactions, the same list for everybody": (
        "hllm/baselines/scored_recommender.py"
    ),
    "items by number": "hllm/baselines/scored_recommender.py",
    "{0} layers of {1}": "hllm/baselines/scored_recommender.py",
    "The stored map cannot be used (the log of the app says why): this is a PCA.": (
        "hllm/serving/projection.py"
    ),
    "exact cosine": "hllm/serving/index.py",
    "FAISS, then exact cosine": "hllm/serving/approximate_index.py",
    "LanceDB, then exact cosine": "hllm/serving/lance_index.py",
    "Too many texts are being encoded: try again in a minute.": "hllm/serving/new_items.py",
    "Too many visitors at once: try again in a minute.": "hllm/serving/request_batching.py",
}
# How it is written there, if not as a string of its own.
WRITTEN = {
    "items by number": ', items by number"',
    "{0} layers of {1}": '"{config.num_layers} layers of {config.hidden_size}"',
}
# Whose sentences the page may show; not those of the commands.
APP = [*(ROOT / "app").glob("*.py"), *(ROOT / "app" / "catalog").rglob("*.py")]
PLACEHOLDER = re.compile(r"\{\w+\}|\$\w+")
IN_SCRIPT = re.compile(r'\b(?:tr|marked)\(\s*("(?:[^"\\\n]|\\.)*")')
NOUN_IN_SCRIPT = re.compile(r'\bplural\([^"()]*, "(\w+)"\)')


def texts(language):
    return json.loads((LOCALES / f"{language}.json").read_text("utf-8"))


def marked_in_script(source):
    """The sentences of a script: every mark stands directly before a string in quotation marks."""
    sentences = {json.loads(found) for found in IN_SCRIPT.findall(source)}
    return sentences | {f"{{count}} {noun}s" for noun in NOUN_IN_SCRIPT.findall(source)}


def marked_in_python(source):
    found = set()
    for node in ast.walk(ast.parse(source)):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if name in ("tr", "marked"):
            found |= {part.value for part in constants(node.args[0])}
        elif name == "plural":
            noun, *several = [part.value for part in node.args[1:]]
            found.add(f"{{count}} {several[0] if several else noun + 's'}")
    return found


def constants(node):
    """The texts that an argument can be: itself, or both sides of a condition."""
    sides = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    assert not any(isinstance(side, ast.JoinedStr) for side in sides), ast.unparse(node)
    return [side for side in sides if isinstance(side, ast.Constant)]


def marked_in_sources():
    scripts = [path.read_text("utf-8") for path in (ROOT / "assets" / "page").glob("*.js")]
    modules = [path.read_text("utf-8") for path in APP]
    frame = (ROOT / "assets" / "page.html").read_text("utf-8")
    return {
        "page": set().union(*map(marked_in_script, scripts)),
        "server": set(template_sentences(frame)).union(OF_HLLM, *map(marked_in_python, modules)),
    }


@pytest.mark.parametrize("share", ["page", "server"])
@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_sentence_has_its_translation_and_none_is_left_over(language, share):
    wanted, there = marked_in_sources()[share], texts(language)[share].keys()
    assert sorted(wanted - there) == [], f"translate these in assets/locale/{language}.json"
    assert sorted(there - wanted) == [], f"nothing says these: assets/locale/{language}.json"


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_translations_have_the_placeholders_of_the_sentence_and_no_markup(language):
    for share in texts(language).values():
        for sentence, translation in share.items():
            places = [sorted(PLACEHOLDER.findall(text)) for text in (sentence, translation)]
            assert places[0] == places[1], sentence
            assert translation.strip() == translation != "", sentence
            # They are put into HTML, into attributes, too.
            assert not re.search(r'[<>&"]', translation), sentence


def test_what_the_scripts_mark_stands_where_it_can_be_read():
    for path in (ROOT / "assets" / "page").glob("*.js"):
        assert not re.search(r"\b(?:tr|marked)\(\s*[`']", path.read_text("utf-8")), path.name


def test_what_hllm_says_is_still_said_there():
    for sentence, module in OF_HLLM.items():
        assert WRITTEN.get(sentence, f'"{sentence}"') in (ROOT / module).read_text("utf-8"), module


def test_marks_are_found():
    script = (
        'tr("One {a}\\u2026", { a }); marked(\n  "Two",\n); plural(all.picks, "pick"); other("No")'
    )
    assert marked_in_script(script) == {"One {a}…", "Two", "{count} picks"}
    module = (
        'tr("One", a=1); marked("Two" "Three"); plural(n, "item"); plural(n, "entry", "entries")'
    )
    assert marked_in_python(module) == {"One", "TwoThree", "{count} items", "{count} entries"}
    assert marked_in_python('tr("One" if yes else "Two"); tr(name)') == {"One", "Two"}
    with pytest.raises(AssertionError):
        marked_in_python('tr(f"One {a}")')
    html = (
        '<p title="Tip">Up to <b>$max_x</b> &hellip; $n items<i>&times;</i><a aria-label="L"></a>'
    )
    assert template_sentences(html) == ["Tip", "Up to", "… $n items", "L"]


def test_a_sentence_is_said_in_the_language_of_the_question():
    assert tr("Details of {title}", title="{x} & Dune") == "Details of {x} & Dune"
    with speaking("zh"):
        assert tr("Details of {title}", title="{title}") == "{title} 的详情"
        assert plural(1, "item") == "1 个物品"
        assert tr(marked("No translation of {this}"), this="x") == "No translation of x"
        assert page_texts()["Encode"] == "编码"
    assert (plural(1, "item"), plural(2, "item")) == ("1 item", "2 items")
    assert page_texts() == {}


def test_facts_in_a_row_are_translated_one_by_one():
    numbers = "recall@10 0.340, ndcg@10 0.273 (test, leave-one-out, 5,000 simulated readers)"
    assert tr_parts(numbers) == numbers
    with speaking("zh"):
        said = "recall@10 0.340，ndcg@10 0.273（测试集，留一法，5,000 名模拟读者）"
        assert tr_parts(numbers) == said
        assert tr_parts("not evaluated") == "未评估"
        assert tr_parts("all-MiniLM-L6-v2, mean of the history").startswith("all-MiniLM-L6-v2，")
        assert tr_parts("SASRec, 2 layers of 64, items by number").startswith("SASRec，2 层")


@pytest.mark.parametrize("language", ["de", "../zh", "", None, 7, ["zh"], {"zh": 1}])
def test_any_other_language_is_english(language):
    with speaking(language):
        assert tr("Details") == "Details"


def test_reasons_that_nobody_has_translated_are_said_to_be_those_of_the_server():
    error = ValueError("There is no runs/x: check --model.")
    assert tr_reason(error) == str(error)
    with speaking("zh"):
        assert tr_reason(error) == f"服务器的说明（英文）：{error}"
        assert tr_reason("It needs a title.") == "请填写标题。"


def test_a_template_is_translated_where_it_is_seen():
    html = '<b class="Close" title="Close (Escape)" aria-label="Close">Keep it</b> $n\n Browse <i>'
    with speaking("zh"):
        assert tr_template(html) == (
            '<b class="Close" title="关闭（Esc）" aria-label="关闭">保留</b> $n\n Browse <i>'
        )
    assert tr_template(html) == html


def test_functions_answer_in_the_language_of_the_question():
    def details(raw, request=None):
        return tr("Details"), request

    async def details_later(raw, request):
        return await asyncio.to_thread(details, raw, request)

    now, later = in_its_language(details), in_its_language(details_later)
    assert now.__name__ == "details" and inspect.signature(now) == inspect.signature(details)
    assert now({"lang": "zh"}, 1) == ("详情", 1)
    for raw in ({}, {"lang": "fr"}, {"lang": 3}, None, ["zh"]):
        assert now(raw) == ("Details", None)

    async def both():
        return await asyncio.gather(later({"lang": "zh"}, 1), later({"lang": "en"}, 2))

    assert asyncio.run(both()) == [("详情", 1), ("Details", 2)]
    assert tr("Details") == "Details"
