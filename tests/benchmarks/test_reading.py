"""The robust rule: what is stated is read, what is not is a failure."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.benchmarks.answers import letters, option_readings, published_ballot, robust, robust_score, verdict
from lookwise.benchmarks.reading import Reading

SENTIMENT = option_readings(("A: very positive", "B: positive", "C: neutral", "D: negative", "E: very negative"))
RELATION = option_readings(
    (
        "A: Users who buy product 1 may also buy product 2.",
        "B: Users who view product 1 may also view product 2.",
        "C: The product 1 is similar with the product 2.",
    )
)
TWENTY = option_readings(tuple(f"{letter}: item {letter.lower()}x pack" for letter in letters(20)))
CLIENT = Reading(("neutral", "change", "sustain"))
THERAPIST = Reading(("question", "therapist_input", "reflection", "other"))
ACTS = Reading(("statement-opinion", "statement-non-opinion", "agreement", "disagreement", "answer"))

STATED = [
    (SENTIMENT, "A", ["A", " A \n", "a", "A.", "(A)", "[A]", "**A**", "`A`", '"A"', "A)", "Option A", "option a."]),
    (
        SENTIMENT,
        "A",
        ["A: very positive", "A) Very Positive.", "(A) very positive", "A very positive", "a: very positive"],
    ),
    (SENTIMENT, "A", ["very positive", "VERY POSITIVE!", "The review is very positive.", "a very positive review"]),
    (
        SENTIMENT,
        "B",
        ["The answer is: B", "the answer is b", "Answer: (B)", "The answer: B", "**Answer:** B", "Answer - B"],
    ),
    (SENTIMENT, "B", ["I choose B.", "I would go with B", "My choice would be (B).", "It is B.", '{"answer": "B"}']),
    (SENTIMENT, "B", ["The answer is B, not A", "The answer is the letter B", "sentiment: positive", "B - positive"]),
    (SENTIMENT, "B", ["B because the user likes it", "<think>A? No.</think>B", "It is not A; the answer is B."]),
    (SENTIMENT, "C", ["I think C", "I think C: neutral", "Ambiguous: C", "C\n\nThe user says little."]),
    (
        RELATION,
        "A",
        ["Users who buy product 1 may also buy product 2", "A: Users who buy product 1 may also buy product 2."],
    ),
    (
        RELATION,
        "C",
        [
            "The answer is C: The product 1 is similar with the product 2.",
            "the product 1 is similar with the product 2",
        ],
    ),
    (
        TWENTY,
        "K",
        [
            "K",
            "K: item kx pack",
            "I would recommend K.",
            "K: Vitamin C, 500 mg",
            "The next product is K.",
            "item kx pack",
        ],
    ),
    (TWENTY, "D", ["A nice hammer would be D: drill", "I think D: item dx pack"]),
    (TWENTY, "I", ["I", "I: item ix pack", "(i)"]),
    (CLIENT, "change", ["change", "Behavior: change.", "The client shows change talk", "积极change", "[change]"]),
    (THERAPIST, "therapist_input", ["therapist_input", "Therapist input.", "THERAPIST_INPUT", "**therapist_input**"]),
    (ACTS, "disagreement", ["disagreement", "dialogue_act: disagreement"]),
    (ACTS, "statement-non-opinion", ["statement-non-opinion", "a statement-non-opinion"]),
]
UNSTATED = [
    (
        SENTIMENT,
        ["", "  ", "maybe", "F", "A or B", "A/B", "A, B", "A B", "Both A and B", "Neither A nor B", "B neutral"],
    ),
    (
        SENTIMENT,
        ["not A but B", "The answer is not A but B", "The answer is A or B", "The answer is A. No, the answer is B."],
    ),
    (SENTIMENT, ["A: negative", "The answer is A: negative", "A: very positive\nB: positive", "positive or negative"]),
    (
        SENTIMENT,
        ["not negative", "It isn't negative", "B is wrong", "A product that works", "The answer is a good one"],
    ),
    (RELATION, ["The answer is A: The product 1 is similar with the product 2.", "product 1 and product 2"]),
    (TWENTY, ["T because A: ", "item cx pack or item dx pack", "I would say something", "Vitamin C helps"]),
    (CLIENT, ["non-neutral", "change neutral", "not change but sustain", "changes"]),
    (ACTS, ["dis-agreement", "opinion"]),
]

STATED += [
    (SENTIMENT, "B", ["The correct answer is option B.", "Final answer: B", "The answer is probably B.", "Answer → B"]),
    (SENTIMENT, "B", ["\\boxed{B}", "The user likes it, so B.", "Answer\nB", "A is too strong, but the answer is B"]),
    (SENTIMENT, "C", ["A: very positive\nB: positive\nC: neutral\nThe answer is C", "C. neutral, since B is too warm"]),
    (SENTIMENT, "A", ["A: very positive (not B)", "(a) very positive"]),
]
UNSTATED += [
    (
        SENTIMENT,
        ["A. The answer is B.", "A; B", "A\nB", "It is either A or B.", "Options: A, B, C", "The answer is F", "1"],
    ),
]


def flat(table):
    return [(reading, *rest, reply) for reading, *rest, replies in table for reply in replies]


@pytest.mark.parametrize(("reading", "answer", "reply"), flat(STATED))
def test_what_is_stated_is_read(reading, answer, reply):
    assert robust(reply, reading) == answer


@pytest.mark.parametrize(("reading", "reply"), flat(UNSTATED))
def test_what_is_not_stated_is_a_failure(reading, reply):
    assert robust(reply, reading) is None


YES = ["yes", "Yes.", "YES!", "**Yes**", "'yes'", "- yes", "Yes, there is no doubt", "yes no doubt", "I think yes"]
YES += ["Yes. It helps.", "Yes the caption helps", "The caption helps: yes", "Output: Yes", "\nyes\n", "yes, no doubt"]
YES += ["Definitely yes!", "Sure, yes", "The answer should be: yes", "Yes. The answer is yes."]
NO = ["no", "No.", "nO", "No, it is not.", "No it does not help", "The answer is no.", "I'd say no.", "no, no, no"]
NEITHER = ["", "none", "Not helpful", "no doubt", "No information is given", "there is no box", "No-one knows", "y"]
NEITHER += ["yes and no", "Yes or no", "yes/no", "Yes/no question", "yes no", "Yes: No", "No. Yes.", "not yes"]
NEITHER += [
    "the answer is not yes",
    "I cannot answer yes or no",
    "Answer: yes\nAnswer: no",
    "The answer is no information",
]


@pytest.mark.parametrize(
    ("vote", "reply"), [("yes", r) for r in YES] + [("no", r) for r in NO] + [(None, r) for r in NEITHER]
)
def test_verdicts(vote, reply):
    assert verdict(reply) == vote


@given(
    st.sampled_from(letters(5)),
    st.sampled_from(["{}", " {} ", "({})", "**{}**", "{}.", "Answer: {}", "The answer is {}."]),
)
def test_decoration_does_not_matter(letter, form):
    assert robust(form.format(letter), SENTIMENT) == letter
    assert robust(form.format(letter.lower()), SENTIMENT) == letter


@given(st.text(alphabet=string.printable + "äß漢…“”", max_size=60))
def test_any_text_is_read_without_fault_and_only_to_an_answer(text):
    for reading in (SENTIMENT, RELATION, TWENTY, CLIENT, THERAPIST):
        assert robust(text, reading) in (None, *reading.answers)
    assert verdict(text) in (None, "yes", "no")


@given(st.permutations(letters(5)), st.sampled_from([" or ", ", ", "/", " and ", " "]))
def test_two_answers_side_by_side_are_none(order, joint):
    assert robust(joint.join(order[:2]), SENTIMENT) is None


def test_an_option_text_that_two_options_share_names_neither():
    twice = option_readings(("A: blue mug", "B: blue mug", "C: red mug"))
    assert robust("blue mug", twice) is None
    assert robust("red mug", twice) == "C"
    assert robust("B: blue mug", twice) == "B"


@pytest.mark.parametrize(
    ("score", "reply"),
    [
        (5, "### Score\n5"),
        (4, "### Feedback\n3 good points\n### Score\n**4**"),
        (4, "### Score\n4/6"),
        (4, "### Score: 4 out of 6"),
        (6, "Score: 6 of 6"),
        (5, "### Score of 6 criteria: 5"),
        (0, "### Score\n0"),
        (4, "### Score\n4."),
        (None, "### Score\n7"),
        (None, "### Score\n-1"),
        (None, "### Score\n4.5"),
        (None, "### Score\n4 or 5"),
        (None, "### Score\n1) Text Quality"),
        (None, "### Score\n/6"),
        (None, "4"),
        (None, ""),
    ],
)
def test_a_score_is_one_whole_number_of_the_scale(score, reply):
    assert robust_score(reply) == score


@pytest.mark.parametrize(
    ("reply", "ballot"),
    [
        ("Yes", "yes"),
        ("No, it", "no"),
        ("No.", "no"),
        ("Not helpful", "not"),
        ("None", "non"),
        ("I think", "i t"),
        ("", ""),
    ],
)
def test_published_ballots_are_cut_to_three_characters(reply, ballot):
    assert published_ballot(reply) == ballot
