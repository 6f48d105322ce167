"""One source of the configuration's keys: schema, words, page, names."""

from binascii import crc32

import pytest

from fleet import schema
from fleet.control import keys, keys_page
from fleet.paths import hw_dir


@pytest.mark.parametrize("role", schema.ROLES)
def test_every_key_has_words_in_both_languages(role: str) -> None:
    said = keys.words()
    known = set(schema.rules(role))
    assert set(said.get(role, {})) <= known, "words for keys that are no longer there"
    for key in keys.keys(role):
        assert key.en, key.name
        assert any("一" <= sign <= "鿿" for sign in key.zh), key.name
        for suffix, unit in (("_s", "s"), ("_uv", "uV"), ("_mv", "mV"), ("_mm", "mm")):
            assert not key.name.endswith(suffix) or key.unit == unit, key.name


def test_the_page_is_what_the_schema_says() -> None:
    page = hw_dir().parent / "docs" / "configuration.md"
    assert page.read_text() == keys_page.page(), "python -m fleet.control.keys_page > " + page.name


def test_a_key_is_named_by_the_nodes_number() -> None:
    assert keys.name_of("gas-meter", crc32(b"awake_s")) == "awake_s"
    assert keys.name_of("gas-meter", 5) == "0x00000005"


def test_names_of_one_role_have_different_numbers() -> None:
    for role in schema.ROLES:
        numbers = [crc32(name.encode()) for name in schema.rules(role)]
        assert len(set(numbers)) == len(numbers)
