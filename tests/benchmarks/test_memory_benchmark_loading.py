"""The memory benchmark: loading its data sets, and counting unusable records."""

import gzip
import json
from datetime import datetime
from pathlib import Path

import pytest

from hybridstore.errors import InputError

MEMORY = Path(__file__).parents[2] / "benchmarks" / "memory"
MONDAY, FRIDAY = datetime(2024, 3, 4, 16, 4), datetime(2024, 3, 8, 9, 30)  # noqa: DTZ001 - nobody's time zone


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(MEMORY))


def sample(**changes):
    """Return a conversation as LoCoMo has them: two sessions, a photo, and questions whose evidence is in order."""
    first = [
        {"speaker": "Ada", "dia_id": "D1:1", "text": "I have bought a kayak."},
        {"speaker": "Ben", "dia_id": "D1:2", "text": "Look!", "blip_caption": "a red tent", "img_url": ["u"]},
    ]
    second = [{"speaker": "Ada", "dia_id": "D2:1", "text": "The kayak leaks."}]
    asked = [
        {"question": "What did Ada buy?", "answer": "a kayak", "evidence": ["D1:1", "D2:1"], "category": 1},
        {"question": "What did Ben sell?", "adversarial_answer": "a tent", "evidence": ["D1:2"], "category": 5},
    ]
    return {
        "sample_id": "talk-1",
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Ben",
            "session_10_date_time": "1:00 pm on 1 May, 2024",
            "session_2_date_time": "9:30 am on 8 March, 2024",
            "session_2": second,
            "session_1_date_time": "4:04 pm on 4 March, 2024",
            "session_1": first,
        },
        "qa": asked,
    } | changes


def loaded(folder, rows, name="data.json", **options):
    import loading

    (folder / name).write_text(json.dumps(rows))
    return loading.load(folder / name, **options)


def beir(folder, documents, queries, **splits):
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    for split, judged in splits.items():
        rows = ["query-id\tcorpus-id\tscore", *(f"{query}\t{turn}\t{grade}" for query, turn, grade in judged)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    return folder


def turns(*rows):
    return [
        {
            "_id": f"talk-1/{name}",
            "text": f"{speaker}: {text}",
            "metadata": {"group": "talk-1", "session": session, "date": date, "speaker": speaker},
        }
        for name, session, date, speaker, text in rows
    ]


# LoCoMo


def test_locomo_sessions_are_ordered_with_times_and_photos(tmp_path):
    from conversations import Conversation, Session, Turn

    dataset = loaded(tmp_path, [sample()])
    assert dataset.conversations == (
        Conversation(
            "talk-1",
            (
                Session(
                    "talk-1/1",
                    MONDAY,
                    (
                        Turn("talk-1/D1:1", "Ada", "I have bought a kayak.", MONDAY),
                        Turn("talk-1/D1:2", "Ben", "Look! [shares a photo: a red tent]", MONDAY),
                    ),
                ),
                Session("talk-1/2", FRIDAY, (Turn("talk-1/D2:1", "Ada", "The kayak leaks.", FRIDAY),)),
            ),
        ),
    )
    assert next(turn.said for turn in dataset.conversations[0].turns()) == "Ada: I have bought a kayak."
    assert (dataset.layout, dataset.name, dataset.unused) == ("LoCoMo", "data", {})


def test_locomo_questions_have_evidence_and_adversarial_ones_have_no_answer(tmp_path):
    bought, sold = loaded(tmp_path, [sample()]).questions
    assert (bought.id, bought.group, bought.category, bought.answerable) == ("talk-1/q0", "talk-1", "multi-hop", True)
    assert bought.evidence_turns == ("talk-1/D1:1", "talk-1/D2:1")
    assert bought.evidence_sessions == ("talk-1/1", "talk-1/2")
    assert (sold.category, sold.answerable, sold.evidence_turns) == ("adversarial", False, ("talk-1/D1:2",))


@pytest.mark.parametrize(
    ("written", "places", "rest"),
    [
        ("D1:3", [(1, 3)], 0),
        ("D8:6; D9:17", [(8, 6), (9, 17)], 0),
        ("D9:1 D4:4 D4:6", [(9, 1), (4, 4), (4, 6)], 0),
        ("D30:05", [(30, 5)], 0),
        ("D:11:26", [(11, 26)], 0),
        ("(D1:2), D1:2", [(1, 2)], 0),
        ("D", [], 1),
        ("D1:1 and D", [(1, 1)], 2),
        ("", [], 0),
    ],
)
def test_irregular_evidence_is_parsed_as_far_as_possible(written, places, rest):
    import locomo

    assert locomo.places_in(written) == (places, rest)


def test_unusable_evidence_is_counted_and_questions_without_evidence_are_skipped(tmp_path):
    import conversations

    messy = [
        {"question": "a", "evidence": ["D1:01; D2:1"], "category": 4},
        {"question": "b", "evidence": ["D1:2", "D", "D7:7"], "category": 4},
        {"question": "c", "evidence": ["D"], "category": 3},
        {"question": "d", "evidence": [], "category": 2},
        {"question": "e", "evidence": [None, ""], "category": 5},
    ]
    dataset = loaded(tmp_path, [sample(qa=messy)])
    assert {question.text: question.evidence_turns for question in dataset.questions} == {
        "a": ("talk-1/D1:1", "talk-1/D2:1"),
        "b": ("talk-1/D1:2",),
        "e": (),
    }
    assert dataset.unused == {
        conversations.UNREADABLE: 4,  # "D" twice, and neither null nor "" is evidence
        conversations.NOWHERE: 1,  # D7:7
        conversations.UNPROVEN: 2,  # c and d
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_id": 7}, "'sample_id' should be a string, not int"),
        (
            {"qa": [{"question": "a", "evidence": ["D1:1"], "category": "4"}]},
            "question 0: 'category' should be a whole",
        ),
        ({"qa": [{"evidence": ["D1:1"], "category": 4}]}, "question 0: 'question' is missing"),
        ({"conversation": {"session_1": [{"speaker": "A", "dia_id": "x", "text": "a"}]}}, "'x' is not a place such as"),
        ({"conversation": {"session_1": [{"speaker": "A", "dia_id": "D1:1", "text": "a"}] * 2}}, "is named twice"),
        ({"conversation": {"session_1": [], "session_1_date_time": "once"}}, "'once' is not a time; times are written"),
    ],
)
def test_an_unexpected_layout_is_an_error_with_its_location(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        loaded(tmp_path, [sample(**change)])


# LongMemEval


def history(name="q1", **changes):
    """Return a question as LongMemEval has them: three sessions, the second and the third hold its answer."""
    return {
        "question_id": name,
        "question_type": "multi-session",
        "question": "Which boats do I have?",
        "answer": "a kayak and a raft",
        "question_date": "2024/03/08 (Fri) 09:30",
        "haystack_session_ids": ["filler", "answer_1", "answer_2"],
        "haystack_dates": ["2024/03/04 (Mon) 16:04"] * 3,
        "haystack_sessions": [
            [{"role": "user", "content": "Good morning."}, {"role": "assistant", "content": "Good morning!"}],
            [
                {"role": "user", "content": "I have a kayak.", "has_answer": True},
                {"role": "assistant", "content": "Nice.", "has_answer": False},
            ],
            [
                {"role": "user", "content": "What did you say of my boat?", "has_answer": False},
                {"role": "assistant", "content": "Your raft is safe.", "has_answer": True},
            ],
        ],
        "answer_session_ids": ["answer_1", "answer_2"],
    } | changes


def test_longmemeval_questions_have_their_own_history(tmp_path):
    dataset = loaded(tmp_path, [history(), history("q2_abs")], "longmemeval_s.json")
    (conversation, _), (question, foreign) = dataset.conversations, dataset.questions
    assert [(turn.id, turn.speaker, turn.time) for turn in conversation.turns()] == [
        ("q1/filler_1", "user", MONDAY),
        ("q1/filler_2", "assistant", MONDAY),
        ("q1/answer_1_1", "user", MONDAY),
        ("q1/answer_1_2", "assistant", MONDAY),
        ("q1/answer_2_1", "user", MONDAY),
        ("q1/answer_2_2", "assistant", MONDAY),
    ]
    assert question.evidence_turns == ("q1/answer_1_1", "q1/answer_2_2")
    assert question.evidence_sessions == ("q1/answer_1", "q1/answer_2")
    assert (question.time, question.category, question.answerable) == (FRIDAY, "multi-session", True)
    assert (foreign.group, foreign.answerable) == ("q2_abs", False)
    assert (dataset.layout, dataset.name, dataset.unused) == ("LongMemEval", "longmemeval_s", {})


def test_the_authors_protocol_uses_only_the_users_turns(tmp_path):
    import conversations

    by_assistant = history("q2")
    by_assistant["haystack_sessions"][1][0]["has_answer"] = False
    dataset = loaded(tmp_path, [history(), by_assistant], user_only=True)
    (conversation,), (question,) = dataset.conversations, dataset.questions
    assert [turn.id for turn in conversation.turns()] == ["q1/filler_1", "q1/answer_1_1", "q1/answer_2_1"]
    assert question.evidence_turns == ("q1/answer_1_1",)
    assert question.evidence_sessions == ("q1/answer_1",)
    assert dataset.unused == {conversations.UNPROVEN: 1}
    assert dataset.name == "data, the user's turns"


def test_a_repeated_session_is_one_session_with_distinct_turns(tmp_path):
    twice = history(haystack_session_ids=["answer_1", "answer_1", "answer_2"])
    (conversation,) = loaded(tmp_path, [twice]).conversations
    assert [session.id for session in conversation.sessions] == ["q1/answer_1", "q1/answer_1", "q1/answer_2"]
    assert len({turn.id for turn in conversation.turns()}) == 6


def test_missing_evidence_sessions_are_counted(tmp_path):
    import conversations

    dataset = loaded(tmp_path, [history(answer_session_ids=["answer_1", "gone"])])
    assert dataset.questions[0].evidence_sessions == ("q1/answer_1",)
    assert dataset.unused == {conversations.NOWHERE: 1}


def test_a_history_whose_lists_do_not_match_is_an_error(tmp_path):
    with pytest.raises(InputError, match="q1: there are 3 haystack_sessions, but 3 ids and 1 dates"):
        loaded(tmp_path, [history(haystack_dates=["2024/03/04 (Mon) 16:04"])])


# BEIR layout


def test_beir_layout_gives_the_same_data_as_the_published_file(tmp_path):
    import loading

    folder = beir(
        tmp_path / "talks",
        turns(
            ("D1:1", 1, "4:04 pm on 4 March, 2024", "Ada", "I have bought a kayak."),
            ("D1:2", 1, "4:04 pm on 4 March, 2024", "Ben", "Look! [shares a photo: a red tent]"),
            ("D2:1", 2, "9:30 am on 8 March, 2024", "Ada", "The kayak leaks."),
        ),
        [
            {"_id": f"talk-1/q{n}", "text": text, "metadata": {"group": "talk-1", "category": category}}
            for n, (text, category) in enumerate([("What did Ada buy?", 1), ("What did Ben sell?", 5)])
        ],
        test=[("talk-1/q0", "talk-1/D1:1", 1), ("talk-1/q0", "talk-1/D2:1", 1), ("talk-1/q0", "talk-1/D1:2", 0)],
        adversarial=[("talk-1/q1", "talk-1/D1:2", 1)],
    )
    ours, published = loading.load(folder), loaded(tmp_path, [sample()])
    assert ours.conversations == published.conversations
    assert ours.questions == published.questions
    assert (ours.layout, ours.name) == ("BEIR", "talks")


def test_judgments_of_other_turns_and_unjudged_questions_are_counted(tmp_path):
    import conversations
    import loading

    elsewhere = {"_id": "talk-2/D1:1", "text": "Hm.", "metadata": {"group": "talk-2", "session": "a"}}
    folder = beir(
        tmp_path / "talks",
        [*turns(("D1:1", 1, None, "Ada", "Ah.")), elsewhere],
        [{"_id": name, "text": name, "metadata": {"group": "talk-1"}} for name in ("a", "b", "c")],
        test=[("a", "talk-1/D1:1", 1), ("a", "talk-2/D1:1", 1), ("b", "talk-1/D9:9", 1)],
    )
    dataset = loading.load(folder)
    assert [(question.id, question.evidence_turns) for question in dataset.questions] == [("a", ("talk-1/D1:1",))]
    assert dataset.unused == {conversations.NOWHERE: 2, conversations.UNPROVEN: 1, conversations.UNJUDGED: 1}
    assert [turn.said for talk in dataset.conversations for turn in talk.turns()] == ["Ada: Ah.", "Hm."]


def test_a_document_without_its_session_is_an_error(tmp_path):
    import loading

    lacking = {"_id": "x", "text": "Hm.", "metadata": {"group": "talk-2"}}
    folder = beir(tmp_path / "talks", [lacking], [], test=[("a", "x", 1)])
    with pytest.raises(InputError, match="document x: metadata has no 'session'"):
        loading.load(folder)


# Which layout it is


def test_a_folder_with_one_json_file_is_accepted(tmp_path):
    import loading

    with gzip.open(tmp_path / "locomo10.json.gz", "wt") as out:
        json.dump([sample()], out)
    assert loading.load(tmp_path).name == "locomo10"
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InputError, match=r"not one JSON file but locomo10\.json\.gz, other\.json; name the file"):
        loading.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "is in no layout that is known"), ('[{"a": 1}]', "is in no layout that is known")],
)
def test_a_file_in_an_unknown_layout_is_an_error(tmp_path, text, message):
    import loading

    (tmp_path / "data.json").write_text(text)
    with pytest.raises(InputError, match=message):
        loading.load(tmp_path / "data.json")
    with pytest.raises(InputError, match="is not there"):
        loading.load(tmp_path / "nothing.json")


def test_only_longmemeval_has_a_protocol_of_the_users_turns(tmp_path):
    with pytest.raises(InputError, match="a protocol of LongMemEval alone"):
        loaded(tmp_path, [sample()], user_only=True)


def test_the_first_questions_come_with_their_conversations_only(tmp_path):
    dataset = loaded(tmp_path, [history("q1"), history("q2"), history("q3")]).first(2)
    assert [question.id for question in dataset.questions] == ["q1", "q2"]
    assert [each.group for each in dataset.conversations] == ["q1", "q2"]


@pytest.mark.parametrize(
    "written", ["4:04 pm on 4 March, 2024", "2024/03/04 (Mon) 16:04", "2024/03/04 16:04", "2024-03-04T16:04"]
)
def test_times_are_parsed_in_the_format_of_every_data_set(written):
    import dates

    assert dates.time_of(written, "here") == MONDAY
    assert dates.time_of(None, "here") is None


def test_meetings_are_read_with_the_parts_that_questions_name(tmp_path):
    from loading import load

    folder = tmp_path / "meetings"
    (folder / "qrels").mkdir(parents=True)
    text = "Ada: Good morning.\nBen: Shall we begin?\nAda: \nBen: The pump leaks.\nAda: Since when?"
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": id_, "title": "", "text": text}) + "\n" for id_ in ("m1", "m2"))
    )
    queries = [
        {"_id": "q1", "text": "What leaks?", "metadata": {"meeting": "m1", "turn_spans": [["2", "3"], ["3", "9"]]}},
        {"_id": "q2", "text": "What else?", "metadata": {"meeting": "m1", "turn_spans": [["8", "9"]]}},
        {"_id": "q3", "text": "Not judged", "metadata": {"meeting": "m2", "turn_spans": [["0", "0"]]}},
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tm1\t1\nq2\tm1\t1\n")
    found = load(folder)
    assert [conversation.group for conversation in found.conversations] == ["m1"]
    assert [(turn.id, turn.speaker, turn.text) for turn in found.conversations[0].turns()] == [
        ("m1/0", "Ada", "Good morning."),
        ("m1/1", "Ben", "Shall we begin?"),
        ("m1/3", "Ben", "The pump leaks."),
        ("m1/4", "Ada", "Since when?"),
    ]
    assert [(each.id, each.evidence_turns) for each in found.questions] == [("q1", ("m1/3", "m1/4"))]
    assert sorted(found.unused.values()) == [1, 1, 8]  # not judged; without evidence; turn 2 and those from 5 on


def test_made_up_conversations_are_the_same_every_time_and_can_be_read(tmp_path):
    import made_up
    from loading import load

    for folder in (tmp_path / "a", tmp_path / "b"):
        for habit in made_up.HABITS:
            made_up.write(folder / habit, habit, seed=7, conversations=1)
    for habit, (_, people) in made_up.HABITS.items():
        dataset, again = (load(tmp_path / name / habit) for name in ("a", "b"))
        assert dataset.conversations == again.conversations
        assert dataset.questions == again.questions
        assert len(dataset.questions) == people * len(made_up.FACTS)
        said = {turn.id: turn for each in dataset.conversations for turn in each.turns()}
        for question in dataset.questions:
            (turn,) = question.evidence_turns
            assert said[turn].speaker in question.text
            assert any(value in said[turn].text for fact in made_up.FACTS for value in fact.values.split())
