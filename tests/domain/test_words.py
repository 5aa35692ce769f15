"""What texts are found by, in any language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.words import plain
from stores.words import MOST, asked, stored, without


def finds(query: str, text: str) -> bool:
    """Whether a query and a text have a word in common."""
    looked_for, there = asked(query), stored(text)
    return bool(set(looked_for.exact) & set(there.exact) or set(looked_for.loose) & set(there.loose))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cafe", "The Caf\u00e9s were RUNNING late"),
        ("CAFE\u0301S", "the cafe"),
        ("\uff26\uff35\uff2c\uff2c width", "full WIDTH"),
        ("file", "\ufb01les of the of\ufb01ce"),
        ("office", "\ufb01les of the of\ufb01ce"),
        ("\uff8a\uff9f\uff9d", "\u30d1\u30f3\u3092\u8cb7\u3046"),
        ("Strasse", "die lange Stra\u00dfe"),
        ("Stra\u00dfe", "die lange Strasse"),
        ("Zuerich", "in Z\u00fcrich"),
        ("Z\u00fcrich", "ZUERICH HB"),
        ("Zurich", "in Zu\u0308rich"),
        ("Mueller", "Frau M\u00fcller"),
        ("M\u00fcller", "Frau Mueller"),
        ("Aarhus", "\u00c5rhus by night"),
        ("\u00c5rhus", "Aarhus by night"),
        ("Skane", "i Sk\u00e5ne"),
        ("Sk\u00e5ne", "in Skane"),
        ("Koebenhavn", "K\u00f8benhavn"),
        ("ISTANBUL", "\u0130stanbul'da ya\u011fmur"),
        ("\u0131\u015f\u0131k", "I\u015eIK a\u00e7\u0131k"),
        ("\u041c\u0418\u0420", "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440"),
        ("\u0645\u062f\u0631\u0633\u0629", "\u0627\u0644\u0645\u062f\u0631\u0633\u0647 \u0628\u0639\u064a\u062f\u0629"),
        ("\u0623\u062d\u0645\u062f", "\u0632\u0627\u0631\u0646\u0627 \u0627\u062d\u0645\u062f"),
        ("\u0643\u062a\u0627\u0628", "\u0627\u0634\u062a\u0631\u064a\u062a \u0627\u0644\u0643\u062a\u0627\u0628"),
        ("user name", "the field userName"),
        ("userName", "user_name is set"),
        ("username", "userName"),
        ("getUserName", "get_user_name()"),
        ("adr0005", "see ADR-0005"),
        ("ADR-0005", "adr0005 says so"),
        ("adr 0005", "ADR0005"),
        ("wi-fi", "the WiFi is down"),
        ("email", "her e-mail"),
        ("C#", "written in C#."),
        ("c++", "C++ and Rust"),
        ("kitap", "kitaplar\u0131n\u0131 unutma"),
        ("toplant\u0131", "toplant\u0131ya kat\u0131ld\u0131"),
        ("Geschenk", "ein Geburtstagsgeschenk"),
        ("Geburtstagsgeschenk", "ein Geschenk"),
        ("huoneisto", "huoneistossa on kylm\u00e4"),
        ("\uc11c\uc6b8", "\uc11c\uc6b8\uc5d0\uc11c \ud68c\uc758\uac00"),
        ("\uc9d1", "\uc6b0\ub9ac\uc9d1\uc5d0\uc11c"),
        ("\u5f1f", "\u6628\u65e5\u306f\u5f1f\u3068\u5c06\u68cb\u3092\u6307\u3057\u305f"),
        ("kit", "\u4eca\u665adeploy-kit\u91cd\u542f\u7f51\u5173"),
        ("\u7f51\u5173", "\u4eca\u665adeploy-kit\u91cd\u542f\u7f51\u5173"),
        ("\u0e01\u0e32\u0e41\u0e1f", "\u0e1c\u0e21\u0e0a\u0e2d\u0e1a\u0e14\u0e37\u0e48\u0e21\u0e01\u0e32\u0e41\u0e1f"),
        ("kedi", "kedimiz çekmecede"),
        ("talo", "talossa on kylmä"),
        ("ключ", "Ключі від квартири"),
        ("fiók", "a fiókban van"),
        ("უჯრა", "პასპორტი უჯრაშია"),
        ("הדרכון", "דרכון ישן"),
        ("מגירה", "הדרכון במגירה"),
        ("בוטנים", "אלרגית לבוטנים"),
        ("መሳቢያ", "ፓስፖርቱ በመሳቢያ ውስጥ ነው"),
        ("والدة", "والدتي في البيت"),
        ("ກາເຟ", "ຂ້ອຍມັກດື່ມກາເຟຕອນເຊົ້າ"),
        ("កាហ្វេ", "ខ្ញុំចូលចិត្តផឹកកាហ្វេនៅពេលព្រឹក"),
        ("\u0662\u0660\u0662\u0666", "in 2026"),
        ("1", "press 1\ufe0f\u20e3 now"),
    ],
)
def test_a_text_is_found_by(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("C#", "C++ and C"),
        ("C", "C#"),
        ("Duell", "d\u00fcll"),
        ("d\u00fcll", "Duell"),
        ("blue", "bl\u00fc"),
        ("bl\u00fc", "blue"),
        ("guest", "gust"),
        ("poet", "pot"),
        ("c++", "C#"),
        ("1.2", "12"),
        ("zebra", "walrus"),
        ("\u732b", "\u72ac"),
    ],
)
def test_a_text_is_not_found_by(query: str, text: str) -> None:
    assert not finds(query, text)


@pytest.mark.parametrize(
    ("query", "text", "twin"),
    [
        ("1.2.3", "Release 1.2.3", "Release 3.2.1"),
        ("v2.10", "v2.10", "v10.2"),
        ("2026-03-04", "on 2026-03-04", "on 2026-04-03"),
        ("10.0.0.12", "at 10.0.0.12", "at 12.0.0.10"),
        ("+49 40 123 456", "call +49 40 123 456", "call +49 123 40 456"),
        ("(040) 12 34", "(040) 12 34", "(040) 34 12"),
        ("12 Elm Street, apartment 5", "12 Elm Street, apartment 5", "5 Elm Street, apartment 12"),
        ("src/a/b.py", "src/a/b.py", "src/b/a.py"),
        ("bob.smith@example.com", "bob.smith@example.com", "smith.bob@example.com"),
        ("anna.berg@example.org", "anna.berg@example.org", "anna@berg.example.org"),
        ("9 to 17", "open 9 to 17", "open 17 to 9"),
        ("2026年3月4日", "会议定在2026年3月4日", "会议定在2026年4月3日"),
        ("3月4日", "面接は3月4日です", "面接は4月3日です"),
        ("9時から17時", "9時から17時まで", "17時から9時まで"),
        ("2026년 3월 4일", "이사는 2026년 3월 4일", "이사는 2026년 4월 3일"),
        ("3丁目4番5号", "桜町3丁目4番5号", "桜町5丁目4番3号"),
        ("12号34室", "中山路12号34室", "中山路34号12室"),
        ("小红3岁", "小红3岁小明5岁", "小红5岁小明3岁"),
        ("4 มีนาคม 2569", "4 มีนาคม 2569", "3 มีนาคม 2564"),
        ("flight LH 403 to 12", "LH 403 to gate 12", "LH 12 to gate 403"),
    ],
)
def test_a_twin_has_fewer_of_the_words(query: str, text: str, twin: str) -> None:
    looked_for = set(asked(query).exact)
    assert len(looked_for & set(stored(text).exact)) > len(looked_for & set(stored(twin).exact))


def test_stop_words_are_looked_for_only_where_there_is_nothing_else() -> None:
    assert asked("What did the dog do?").exact == ["dog"]
    assert asked("to be or not to be").exact
    assert set(asked("to be or not to be").exact) <= set(stored("To be, or not to be: that is the question").exact)


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("Wovor hat das Haustier Angst?", {"wovor", "haustier", "angst"}),
        ("Où est la clé du garage ?", {"cle", "garag"}),
        ("¿Cuándo llega el tren de Ana?", {"llega", "tren", "ana"}),
        ("Mitä ruokia isän pitää välttää?", {"ruokia", "isan", "isaen", "valttaa"}),
        ("Bana hangi koltuk ve masa lazım?", {"koltuk", "masa", "lazim"}),
        ("Где лежит мой паспорт?", {"леж", "паспорт"}),
        ("متى موعد العيادة؟", {"موعد", "عياد"}),
        ("什么时候开始供暖?", {"时候", "候开", "开始", "始供", "供暖"}),
        ("我爱读谁的书?", {"爱读"}),
        ("プリンターの紙はどこですか", {"プリ", "リン", "ンタ", "ター", "の紙"}),
        ("동물을 길러도 돼?", {"동물", "길러"}),
        ("แมวชื่ออะไร", {"แม", "มว", "วชื่", "ชื่อ"}),
        ("die hard", {"die", "hard"}),
        ("a war in the north", {"war", "north"}),
        ("去目的地", {"去目", "目的", "的地"}),
        ("那是什么", {"那是", "是什", "什么"}),
        ("Was ist das?", {"wa", "ist", "da"}),
    ],
)
def test_a_question_looks_for_no_function_words_of_its_language(query: str, exact: set[str]) -> None:
    assert set(asked(query).exact) == exact
    assert exact <= set(stored(query).exact)


def test_a_page_is_looked_for_by_all_its_words() -> None:
    page = " ".join(f"filler{number}" for number in range(3_000)) + " needle"
    assert "needl" in asked(page).exact
    assert len(asked(page).exact) <= MOST
    assert "needl" in asked(page, 100).exact[:100] or len(asked(page, 100).exact) == 100


def test_words_are_taken_out_of_a_query() -> None:
    assert without("What did Caroline research?", {"carolin"}) == "What did  research?"
    assert without("Caroline", {"carolin"}) == "Caroline", "something is left"


@given(st.text(max_size=60))
def test_any_text_has_words_that_an_index_takes(text: str) -> None:
    for word in (*stored(text).exact, *stored(text).loose, *asked(text).exact, *asked(text).loose):
        assert word
        assert not any(letter.isspace() or letter in "\"'()*:^+-!{}[]~?\\/&|" for letter in word), word
        assert not word.isascii() or word == word.lower()


@given(st.text(max_size=60))
def test_a_text_is_found_by_itself(text: str) -> None:
    assert set(asked(text).exact) <= set(stored(text).exact)
    assert all(plain(text)) or not plain(text)
