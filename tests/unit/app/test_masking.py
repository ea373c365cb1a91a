"""No form of a secret is seen in what was masked, however the text arrives."""

import base64
import json
import re
import string
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stepline.app.masking import MASK, Masker, StreamMasker, check_secret, secret_forms
from stepline.errors import SettingsError

VALUE = "p\"ass/w+ör\\d's: {key}=<&>"


def json_with(characters, number="{:04x}", *, ascii_only=True):
    """A writer of JSON that escapes more than it must."""

    def printed(text):
        plain = json.dumps(text, ensure_ascii=ascii_only)
        for character in characters:
            plain = plain.replace(character, "\\u" + number.format(ord(character)))
        return plain

    return printed


def json_of_dotnet(text):
    lines = [json.dumps(text)[1:-1].replace('\\"', '"')]
    for character in "<>&'\"+`":
        lines.append(lines[-1].replace(character, f"\\u{ord(character):04X}"))
    return lines[-1].replace("\\u00f6", "\\u00F6")


# Written here without our own code: how programs print a text.
PRINTED = {
    "raw": str,
    "json": lambda text: json.dumps({"key": text}),
    "json, not ascii": lambda text: json.dumps({"key": text}, ensure_ascii=False),
    "json, slash escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "json of Go": json_with("<>&", ascii_only=False),
    "json of Gson": json_with("<>&='", ascii_only=False),
    "json of a web page": json_with("<>&'"),
    "json of .NET": json_of_dotnet,
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "url path": urllib.parse.quote,
    "url of a browser": lambda text: urllib.parse.quote(text, safe="!'()*"),
    "form": lambda text: urllib.parse.urlencode({"key": text}),
    "url in small letters": lambda text: re.sub(
        "%..", lambda match: match[0].lower(), urllib.parse.quote(text, safe="")
    ),
}

# The mask's own character is left out: where it stands beside a mask, the two together
# can look like a secret that holds it.
CHARACTERS = string.ascii_letters + string.digits + "\"'\\/+=-_ \n\tö%ß€🗝"
SECRETS = st.text(CHARACTERS, min_size=6, max_size=40)


def is_accepted(value):
    try:
        check_secret("key", value)
    except SettingsError:
        return False
    return True


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
def test_masker_printed_secret_is_not_seen(printed):
    masked = Masker([VALUE]).text(f"before {printed(VALUE)} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert MASK in masked
    assert not any(form in masked for form in secret_forms(VALUE))


@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_masker_base64_at_any_alignment_is_not_seen(pad, encode):
    whole = encode(b"u:"[:pad] + VALUE.encode() + b" and more").decode()
    masked = Masker([VALUE]).text(whole)
    assert masked.count(MASK) == 1
    assert len(masked) <= len(MASK) + len(whole) - len(VALUE)


def test_masker_lines_of_a_value_are_masked_one_by_one():
    masker = Masker(["first line\n  second line\r\nend"])
    assert masker.text("a first line b\nsecond line\nthe end") == "a *** b\n***\nthe end"


@given(SECRETS, st.sampled_from(list(PRINTED.values())), st.integers(0, 2), st.data())
@example("abcabcab", str, 0, None)
def test_stream_masker_any_split_shows_no_form(value, printed, pad, data):
    assume(is_accepted(value))
    encoded = base64.b64encode(b"\xff" * pad + value.encode() + b"\xff").decode()
    text = f"{value[:3]}{printed(value)}{value[-3:]}{encoded}{value}"
    pieces = split(text, data.draw(st.lists(st.integers(0, len(text)))) if data else [])
    masker = Masker([value])
    shown = in_pieces(masker, pieces)
    assert shown == masker.text(text)
    assert not any(form in shown for form in secret_forms(value))


def split(text, places):
    borders = [0, *sorted(places), len(text)]
    return [text[a:b] for a, b in pairwise(borders)]


def in_pieces(masker, pieces):
    stream = StreamMasker(masker)
    return "".join([stream.feed(piece) for piece in pieces] + [stream.end()])


@pytest.mark.parametrize("text", [f"a {VALUE} b {VALUE}", VALUE, f"{VALUE[:5]}{VALUE}{VALUE[5:]}"])
def test_stream_masker_every_split_gives_the_same(text):
    masker = Masker([VALUE])
    for place in range(len(text) + 1):
        assert in_pieces(masker, [text[:place], text[place:]]) == masker.text(text)
    assert in_pieces(masker, list(text)) == masker.text(text)


def test_stream_masker_longer_secret_wins_over_its_own_beginning():
    """The short one is complete before the long one is: to mask it at once would show the rest."""
    masker = Masker(["abcdef", "abcdef-and-the-rest"])
    assert in_pieces(masker, ["x abcdef", "-and-the-", "rest y"]) == "x *** y"
    assert in_pieces(masker, ["x abcdef", "-and y"]) == "x ***-and y"


def test_stream_masker_shows_at_once_what_begins_no_secret():
    stream = StreamMasker(Masker(["secret-value"]))
    assert stream.feed("all of that") == "all of that"
    assert stream.feed(" and a sec") == " and a "
    assert stream.feed("ond thing") == "second thing"


def test_stream_masker_secret_that_is_learnt_on_the_way_is_masked_from_then_on():
    masker = Masker()
    stream = StreamMasker(masker)
    assert stream.feed("secret-value ") == "secret-value "
    masker.add(["secret-value"])
    assert stream.feed("secret-") + stream.feed("value") + stream.end() == MASK


def test_masker_value_masks_strings_and_keys_of_json():
    value = {"a": [f"x {VALUE}", 1, None, True], VALUE: {"b": 2.5}}
    assert Masker([VALUE]).value(value) == {"a": [f"x {MASK}", 1, None, True], MASK: {"b": 2.5}}


@pytest.mark.parametrize(
    ("secret", "number"),
    [
        ("1234567", 1234567),
        ("1234567", -1234567),
        ("1234567", 1234567.5),
        ("1234567", 912345678),
        ("0001234567", 1234567),
        ("12345678901234567890", 12345678901234567890.0),
        ("a\n123456\n", 123456),
    ],
)
def test_masker_value_number_that_holds_a_secret_becomes_the_mask(secret, number):
    assert Masker([secret]).value({"a": [number, 7]}) == {"a": [MASK, 7]}


def test_masker_value_other_numbers_stay():
    value = [0, 123456, 0.5, True, False, None]
    assert repr(Masker(["1234567"]).value(value)) == repr(value)


EXOTIC = "".join(f"\\u{ord(character):04x}" for character in "secret-value")


@pytest.mark.parametrize("pieces", [1, 2, 30], ids=["whole", "halves", "bits"])
def test_stream_masker_line_of_json_hides_no_value_in_its_escapes(pieces):
    line = f'{{"message": "a {EXOTIC} b", "other": ["{EXOTIC}", 1.50]}}'
    size = -(-len(line) // pieces)
    shown = in_pieces(
        Masker(["secret-value"]), [line[at : at + size] for at in range(0, len(line), size)]
    )
    if pieces == 1:
        assert json.loads(shown) == {"message": "a *** b", "other": ["***", 1.5]}
    else:  # no piece is JSON that anybody would decode
        assert shown == line


@pytest.mark.parametrize(
    "line",
    [
        '{"message": "a \\u00f6", "n":1.50}',
        '{"message": "\\n',
        '{"a": ' + '{"a": ' * 100_000 + "\\",
        f'{{"a": 1{"0" * 5000}, "b": "\\n"}}',
    ],
    ids=["no secret", "cut", "deep", "long number"],
)
def test_stream_masker_other_json_stays_as_it_is(line):
    assert StreamMasker(Masker(["secret-value"])).end(line) == line


def test_masker_without_secrets_changes_nothing():
    assert Masker().text("text") == "text"
    assert Masker().split("text") == ("text", "")
    assert Masker().value({"a": ["text"]}) == {"a": ["text"]}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("", "the secret 'key' has 0 characters; under 6"),
        ("abcde", "the secret 'key' has 5 characters; under 6"),
        ("  abc   ", "the secret 'key' has 3 characters; under 6"),
        ("abcde\nfghij\n", "the longest line of the secret 'key' has 5 characters; under 6"),
        ("abcdef\udcff", "the secret 'key' is not UTF-8 text"),
    ],
    ids=["empty", "short", "mostly space", "short lines", "not Unicode"],
)
def test_check_secret_value_that_cannot_be_masked_is_refused(value, what):
    with pytest.raises(SettingsError) as caught:
        check_secret("key", value)
    assert what in caught.value.what
    assert "use a" in caught.value.hint
    assert not value or value not in str(caught.value)


def test_check_secret_refusal_has_no_cause_that_holds_the_value():
    with pytest.raises(SettingsError) as caught:
        check_secret("key", "abcdef\udcff")
    assert caught.value.__suppress_context__


@given(SECRETS)
def test_secret_forms_accepted_value_has_forms_of_six_characters_and_more(value):
    assume(is_accepted(value))
    assert value in secret_forms(value)
    assert min(map(len, secret_forms(value))) >= 6
