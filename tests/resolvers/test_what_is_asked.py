"""What users of memory servers ask for, and such servers do not find: words of languages of any kind, one of two that
are made of the same numbers, an identifier that matters little, and a question somewhere in a page. By the default embedder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from domain.caller import LOCAL
from domain.memory import CreateMemoriesInput, MemoryFilter, MemoryInput
from domain.search import MemoryQuery, SearchMode
from domain.values import Ref
from resolvers import memories
from resolvers.context import Context
from resolvers.search import search
from stores.embedder import Batching, open_embedder
from tests.support.families import FAMILIES
from tests.support.graphql_client import Clock

pytestmark = pytest.mark.both_families

BY_WORDS = (SearchMode.TEXT, SearchMode.HYBRID)

WORDS = [
    ("她的猫叫豆腐,今年七岁", ["猫", "豆腐", "七岁"]),
    ("用Kubernetes部署了支付服务v2", ["kubernetes", "支付", "v2"]),
    ("我們公司的倉庫搬到了高雄", ["倉庫", "高雄"]),
    ("ｻｰﾊﾞｰﾙｰﾑの鍵は総務にある", ["サーバールーム", "鍵", "総務"]),
    ("りんごアレルギーがある", ["りんご", "アレルギー"]),
    ("배포스크립트deploy.sh를 다시 실행했다", ["배포스크립트", "deploy.sh", "배포"]),
    ("강아지는 땅콩을 못 먹어요", ["땅콩", "강아지"]),
    ("หนังสือเดินทางอยู่ในลิ้นชักชั้นบน", ["หนังสือเดินทาง", "ลิ้นชัก"]),
    ("ຂ້ອຍມັກດື່ມກາເຟຕອນເຊົ້າ", ["ກາເຟ"]),
    ("ខ្ញុំចូលចិត្តផឹកកាហ្វេនៅពេលព្រឹក", ["កាហ្វេ"]),
    ("ကျွန်တော်မနက်တိုင်းကော်ဖီသောက်တယ်", ["ကော်ဖီ"]),
    ("والدتي تعاني من حساسية الفول السوداني", ["حساسية", "فول", "والدة"]),
    ("הדרכון נמצא במגירה העליונה", ["מגירה", "דרכון"]),
    ("ፓስፖርቱ በመሳቢያ ውስጥ ነው", ["መሳቢያ"]),
    ("मेरी माँ को मूंगफली से एलर्जी है", ["मूंगफली", "एलर्जी"]),
    ("Die Waschmaschinenreparatur kostet 180 Euro", ["Waschmaschine", "Reparatur"]),
    ("Kedimiz İstanbul'daki evde kaldı", ["kedi", "istanbul", "İSTANBUL"]),
    ("Passi on työhuoneen pöytälaatikossa", ["passi", "työhuone", "laatikko"]),
    ("Az útlevelem a fiókban van", ["fiók", "útlevél"]),
    ("Ключі від квартири у сусідки", ["ключ", "квартира"]),
    ("პასპორტი უჯრაშია", ["უჯრა"]),
    ("Hộ chiếu ở trong ngăn kéo", ["ho chieu", "ngăn kéo"]),
    ("Set userNameField before HTTPServer starts", ["user name", "username", "http server"]),
    ("We read ADR-0005 about retries", ["adr0005", "ADR 0005"]),
    ("The ﬁrst ofﬁce is on ﬂoor two", ["first", "office", "floor"]),
]
"""A memory, and words of it."""

TWINS = [
    ("3.10", ["Use Python 3.10", "Use Python 3.1", "Use Python 10.3"]),
    ("1.2.3-beta.1", ["Build 1.2.3-beta.1 is out", "Build 1.2.1-beta.3 is out"]),
    ("March 4, 2026", ["Wedding on March 4, 2026", "Wedding on April 3, 2026", "Wedding on March 26, 2004"]),
    ("04.03.2026", ["Termin am 04.03.2026", "Termin am 03.04.2026"]),
    ("2026年3月4日", ["会议定在2026年3月4日", "会议定在2026年4月3日"]),
    ("5月6日", ["面接は5月6日です", "面接は6月5日です"]),
    ("2026년 7월 8일", ["이사는 2026년 7월 8일", "이사는 2026년 8월 7일"]),
    ("٤/٣/٢٠٢٧", ["الموعد ٤/٣/٢٠٢٧", "الموعد ٣/٤/٢٠٢٧"]),
    ("14:30", ["Train leaves at 14:30", "Train leaves at 13:40"]),
    ("192.168.1.20", ["Router 192.168.1.20", "Router 192.168.20.1", "Router 192.168.1.200"]),
    ("2001:db8::1:2", ["Host 2001:db8::1:2", "Host 2001:db8::2:1"]),
    ("(555) 123-4567", ["Dial (555) 123-4567", "Dial (555) 456-7123"]),
    ("138 0013 8000", ["手机号138 0013 8000", "手机号138 8000 0013"]),
    ("Hauptstraße 12, 10115 Berlin", ["Wohnt Hauptstraße 12, 10115 Berlin", "Wohnt Hauptstraße 10, 12115 Berlin"]),
    ("3丁目4番5号", ["住所は桜町3丁目4番5号", "住所は桜町5丁目4番3号"]),
    ("中山路12号34室", ["地址中山路12号34室", "地址中山路34号12室"]),
    (
        "anna.berg@example.org",
        ["Mail anna.berg@example.org", "Mail anna@berg.example.org", "Mail berg.anna@example.org"],
    ),
    ("DE89 3704 0044 0532", ["IBAN DE89 3704 0044 0532", "IBAN DE89 0044 3704 0532"]),
    ("8080:80", ["Ports 8080:80", "Ports 80:8080"]),
    ("PROJ-12-34", ["Ticket PROJ-12-34", "Ticket PROJ-34-12"]),
    ("src/api/v1/users.py", ["File src/api/v1/users.py", "File src/v1/api/users.py"]),
    ("node 3 rack 7", ["Fan of node 3 rack 7 died", "Fan of node 7 rack 3 died"]),
    ("9 to 17", ["Open 9 to 17", "Open 17 to 9"]),
    ("What happened on 2026-05-06?", ["On 2026-05-06 the disk filled up", "On 2026-06-05 the disk filled up"]),
]
"""What is asked, the memory that has it, and its twins."""

IDENTIFIERS = {
    "9f8b7c6d": "Commit 9f8b7c6d reverts the cache",
    "SN-7741-KX": "The inverter has serial SN-7741-KX",
    "CVE-2024-3094": "We patched CVE-2024-3094",
    "user_7731": "user_7731 asked for a refund",
    "订单号A1002": "订单号A1002已经取消",
    "why was ORD-555-12 late": "ORD-555-12 waited in the warehouse",
    "4f1c2d3e-aaaa-4bbb-8ccc-1234567890ab": "Request 4f1c2d3e-aaaa-4bbb-8ccc-1234567890ab timed out",
}
"""What is asked, and a memory of low importance."""

IMPORTANT = [
    text.format(number)
    for text in (
        "Important note {} about the garden and the weather",
        "Server {} was restarted at night",
        "用户{}喜欢红茶",
        "会議{}は来週に延期",
        "Der Kunde {} bestellt Kaffee",
        "Клиент {} просит скидку",
        "العميل {} يريد خصما",
    )
    for number in range(5)
]

NONSENSE = [
    "zzqqxxyy",
    "asdfghjkl",
    "qwertyuiop",
    "vbnmzx",
    "пррщщзз",
    "ぬぷぽぺぬ",
    "嚻嚾囎",
    "ضصثقفغ",
    "뷁쀍쒧",
    "9988776655",
    "🦖🦖",
]

PAGE = (
    "The committee met on Tuesday to review the quarterly logistics plan. Trucks leave the depot before dawn and return "
    "after dusk. Fuel prices rose, so the routes were shortened. A new forklift was ordered from the vendor. "
) * 60
QUESTIONS = {
    "What is the door code of the bicycle shed?": "The bicycle shed opens with door code 4711",
    "小芳对什么过敏?": "小芳对花生过敏",
    "Wer repariert die Espressomaschine?": "Die Espressomaschine repariert Marconi",
}


class Shelf:
    """Memories by owner."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def keep(self, owner: str, texts: Iterable[str], importance: float = 0.5) -> None:
        kept = [MemoryInput(owner=Ref(external_id=owner), text=text, importance=importance) for text in texts]
        await memories.create_many(self.context, CreateMemoriesInput(memories=kept))

    async def find(self, owner: str, text: str, mode: SearchMode = SearchMode.HYBRID) -> dict[str, float]:
        """The score of each text, best first."""
        among = MemoryFilter(owner=Ref(external_id=owner))
        found = await search(self.context, MemoryQuery(text=text), among, mode, first=20)
        return {hit.memory.text: hit.score for hit in found.hits}


@pytest.fixture
async def shelf(folder: Path, clock: Clock, family: str) -> AsyncIterator[Shelf]:
    embedder = Batching(open_embedder())
    engine = FAMILIES[family](folder, embedder.name, embedder.dimension, clock)
    yield Shelf(Context(engine, embedder, LOCAL, clock=clock))
    await embedder.close()
    await engine.close()


async def test_a_word_that_stands_in_a_memory_is_found_in_any_language(shelf: Shelf) -> None:
    await shelf.keep("ana", [*IMPORTANT, *(text for text, _ in WORDS)])
    for mode in BY_WORDS:
        for text, some in WORDS:
            for word in some:
                found = list(await shelf.find("ana", word, mode))
                assert text in found[: 3 if mode is SearchMode.HYBRID else 20], (mode, word, found)


async def test_what_is_made_of_the_same_numbers_comes_after(shelf: Shelf) -> None:
    await shelf.keep("ana", [text for _, texts in TWINS for text in reversed(texts)])
    for mode in BY_WORDS:
        for asked, (text, *twins) in TWINS:
            found = await shelf.find("ana", asked, mode)
            assert all(found[text] > found.get(twin, 0.0) + 1e-6 for twin in twins), (mode, asked, found)


async def test_an_identifier_comes_first_and_nonsense_finds_nothing(shelf: Shelf) -> None:
    await shelf.keep("ana", IMPORTANT, 0.95)
    for text in NONSENSE:
        assert await shelf.find("ana", text) == {}, text
    await shelf.keep("ana", IDENTIFIERS.values(), 0.05)
    for asked, text in IDENTIFIERS.items():
        assert next(iter(await shelf.find("ana", asked)), None) == text, asked


async def test_a_question_is_found_wherever_it_stands_in_a_page(shelf: Shelf) -> None:
    await shelf.keep("ana", [*IMPORTANT, *QUESTIONS.values()])
    for question, text in QUESTIONS.items():
        for at in (0, len(PAGE) // 2, len(PAGE)):
            found = list(await shelf.find("ana", f"{PAGE[:at]}\n{question}\n{PAGE[at:]}"))
            assert text in found[:3], (question, at, found)
