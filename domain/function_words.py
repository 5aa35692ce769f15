"""Words that say nothing of what is asked: articles, pronouns, prepositions, auxiliaries, what a question begins with.

Only questions are without them, so that every text is still found by any of its words. In scripts whose words are set
apart a question is taken to be in the language that most of its words are such words of, English first; in the others
its runs are cut at them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

ENGLISH = """
a about above after again all am an and any are as at be because been before being below between both but by can could
did do does doing down during each few for from further had has have having he her here hers him his how i if in into
is it its itself just me more most my myself no nor not now of off on once only or other our ours out over own same
she should so some such than that the their theirs them then there these they this those through to too under until up
us very was we were what when where which while who whom whose why will with would you your yours s t re ll ve d m don
didn doesn isn wasn
"""

LATIN: tuple[str, ...] = (
    ENGLISH,
    # German
    """
    aber als am an auch auf aus bei beim bin bis bist da damit dann das dass dein deine dem den denn der des dich die
    dir doch du durch ein eine einem einen einer eines er es euch euer für gab gibt hab habe haben hast hat hatte
    hatten ich ihm ihn ihr ihre ihren im in ins ist ja kann kannst können mein meine meinem meinen meiner mich mir mit
    muss musst nach nicht noch nun nur ob oder ohne schon sein seine seinem seinen seiner seit sich sie sind soll
    sollen sollte über um und uns unser unsere unserem unseren unserer vom von vor wann war waren warum was welche
    welchem welchen welcher welches wem wen wenn wer werde werden weshalb wie wieso wieviel viel viele wir wird wo
    woher wohin wurde wurden zu zum zur
    """,
    # French
    """
    à ai as au aux avec avoir c ce ces cet cette combien comment d dans de des du elle elles en est et était eu fait
    il ils j je l la le les leur leurs lui m ma mais me mes moi mon n ne nos notre nous on ont ou où par pas pour
    pourquoi qu quand que quel quelle quelles quels qui quoi s sa se sera ses si son sont sur t ta te tes toi ton tu
    un une va vos votre vous y
    """,
    # Spanish
    """
    a al como cómo con cual cuál cuales cuáles cuando cuándo cuanto cuánto de del desde donde dónde el él ella en era
    es esa ese eso esta está están este esto estos fue ha había han hay he la las le les lo los me mi mis muy no nos
    nuestra nuestro o para pero por porque qué que quien quién quiénes se ser si sin sobre son su sus también te tiene
    tu un una unas unos y ya yo
    """,
    # Italian
    """
    a ad agli ai al alla alle che chi ci come con cosa da dal dalla dei del della delle di dove e è ed era gli ha hai
    hanno ho i il in io l la le lei lo loro lui ma mi mia mie miei mio ne nei nel nella no noi non nostra nostro o per
    perché più qual quale quali quando quanti quanto quella quello questa questo se si sono su sua sul sulla suo ti
    tra tu un una uno
    """,
    # Portuguese
    """
    a ao aos as até com como da das de do dos e é ela ele em era essa esse esta está este eu foi há isso isto já lhe
    mas me meu meus minha minhas na não nas nem no nos nós nosso o onde os ou para pela pelo por porque quais qual
    quando quanto quantos que quem se sem ser seu são sua suas também te tem ter um uma você
    """,
    # Dutch
    """
    aan al als bij dan dat de deze die dit dus een en er had heb hebben heeft hem het hij hoe hun ik in is je jij
    jullie kan mag me met mij mijn moet na naar niet nog of om onder ons ook op over te tot u uit van veel voor waar
    waarom wanneer waren was wat we wel welk welke wie wij word worden wordt zal ze zich zij zijn zo
    """,
    # Swedish
    """
    att av blev bli blir de dem den denna det detta din du där efter ej en ett från för ha hade han har hon hur i inte
    jag kan man med men mig min mina mitt mot ni nu när och om oss på ska som till under upp ut vad var varför vem vi
    vid vilka vilken vilket vår är
    """,
    # Finnish
    """
    ei eikä en että he hän ja jo joka jonka jos joten kanssa kehen keitä keneen kenelle kenen kenet ketkä ketä koska
    kuinka kuka kun kuten kuka mihin mikä miksi millainen milloin millä minkä minne minun minua minulla minulle minut
    minä missä mistä miten mitkä mitä me meidän mutta myös ne niin nyt ole olen oletko oli olla olivat on ovat pitää
    saa saako se sen siihen sinne sinun sinä sitä tai te tämä tässä tätä vai vain voi voiko
    """,
    # Turkish
    """
    acaba ama bana ben beni benim bir biz bize bizim bu buna bunu çok da daha de değil diye en gibi hangi hangisi
    hangisiydi hem her için idi ile ise kaç kadar ki kim kime kimi kimin kiminle mi mı mu mü mıyım miyim miyiz mıyız
    ne neden neler nerede nereden nereye nasıl neydi niçin niye o olan olarak olur olursa ona onu onun sen seni senin
    siz şey şu ve veya var ya yok zaman
    """,
    # Polish
    """
    a aby ale bez bo być by był była było były ci co czego czy czyj dla dlaczego do gdy gdzie go i ich ile im ja jak
    jaka jaki jakie jaką jako jego jej jest jestem już kiedy kim kogo komu kto która które który ma mam mi mnie moja
    moje mój na nas nie niego o od on ona one oni po pod przed przez przy są się skąd ta tak te tego tej ten to tu tym
    u w we z za ze że
    """,
    # Indonesian
    """
    ada adalah akan aku anda apa apakah bagaimana bahwa bisa dalam dan dari dengan di dia dimana ini itu juga kami
    kapan karena ke kenapa kita mana mengapa mereka oleh pada saya siapa sudah tidak untuk yang
    """,
)

APART: Mapping[str, Sequence[str]] = {
    "LATIN": LATIN,
    "CYRILLIC": (
        """
        а без бы был была были было быть в вам вас весь во все всё вы где да для до его ее её если есть еще ещё же за
        и из или им их к как какая какие какой какую когда кого кому который кто куда ли меня мне мной мой моя моё мои
        мы на над надо нам нас наш не него нее неё нет ни них но о об он она они оно от откуда очень по под почему при
        про с сколько со так также там то того тоже той только том ты у уже чего чей чем что чтобы эта эти это этот я
        """,
        """
        а або але без був була були було в ви від вона вони воно все де для до є з за зі й і із їх його її коли кого
        кому куди ким мене мені ми на нас наш не ні о об по при про та так там те ти тільки то у хто це цей ця чи чим
        чому що щоб як яка яке який які я
        """,
    ),
    "GREEK": (
        """
        αν από αυτή αυτό αυτός για δεν είναι εγώ έχει έχω η ήταν θα και κάνει κατά με μας μου να ο οι όταν όχι πόσο
        πότε ποια ποιο ποιος που πού προς πως πώς σας σε στη στην στο στον σου τα τη την της τι τις το τον του τους
        των ως
        """,
    ),
    "ARABIC": (
        """
        ما ماذا متى أين كيف لماذا من مم بمن لمن عمن هل أي أية كم هو هي هم هن أنا أنت أنتم نحن هذا هذه ذلك تلك هناك هنا
        الذي التي الذين اللواتي في على إلى عن مع عند بعد قبل بين حتى منذ خلال حول دون أن إن إذا لو لأن لكن ثم أو أم و
        ف ب ل لا لم لن ليس ليست كان كانت يكون تكون كل بعض غير قد لقد لي لك له لها لنا لهم به بها فيه فيها منه منها
        عليه عليها إليه ولا وما وهو وهي حين عندما يجب
        """,
        """
        آن آنها است از اگر این با باید بر برای بود بودند به تا چرا چطور چگونه چند چه چیست در را شد شده شما کجا کجاست
        کدام که کی کیست ما من می نه نیست و هر هست همه هم یا یک
        """,
    ),
    "HEBREW": (
        """
        אבל או אז אחרי אין איזה איזו איך איפה אל אם אנחנו אני את אתה אתם גם הוא היא היה הייתה הם זאת זה כי כל כמה כן
        לא לי לך למה לפני מה מי מתי מן עד על עם של שלי שלך שלנו שלו שלה יש
        """,
    ),
    "DEVANAGARI": (
        """
        और अब अपना अपनी अपने आप इस उन उस एक ऐसा कब कहाँ कहां का कि कितना कितने किस किसने किसे की के को कौन कौनसा क्या
        क्यों कैसे गया जब जो तक तो था थी थे ने पर भी मुझे में मेरा मेरी मेरे मैं यह या ये लिए वह वे से हम हमारा हमारी
        हमारे ही हूँ है हैं हो
        """,
    ),
    "HANGUL": (
        """
        가 거 건 것 게 그 그때 그럼 나 나는 나를 나한테 내 내가 너 너는 누가 누구 누구를 누구야 누구지 누구한테
        누구에게 더 돼 되나 되지 뭐 뭐가 뭐라고 뭐야 뭐였지 뭐지 뭘 무슨 무엇 무엇을 무엇이 무엇인가요 몇 및 수 알려
        어느 어디 어디가 어디로 어디서 어디야 어디에 어디지 어떤 어떻게 언제 언제까지 언제까지야 언제야 언제지 얼마
        얼마나 얼마야 왜 우리 우리는 이 있나 있나요 있니 있어 있었지 있지 저 저는 저를 제 제가 좀 줄까 줘 하나 하나요
        하니 하지 해 했나 했나요 했니 했어 했지 하는
        """,
    ),
}  # fmt: skip
"""The words of each language, by the script it is written in."""

RUNS: Mapping[str, re.Pattern[str]] = {
    "CJK": re.compile(
        # Chinese
        "什么|什麼|怎么样|怎么|怎麼|怎样|如何|为什么|哪里|哪裡|哪儿|哪些|哪个|哪家|哪座|哪|多少|几时|何时|谁|誰|吗|嗎|呢|吧|们|們|了|是|"
        "我的|你的|他的|她的|我们|你们|他们|(?<!目)的(?![确士])|有没有|可以|能够|应该|需要|我|你|他|她|"
        # Japanese
        "ですか|ますか|でしょうか|ましたか|です|ます|でした|ました|ください|でしょう|どこ|いつ|だれ|なに|なぜ|どうして|どうやって|どうする|"
        "どう|どんな|どの|どれ|いくら|いくつ|という|とは|のは|には|では|から|まで|より|される|された|ている|ていた|"
        "するの|している|する|した|して|いる|ある|こと|もの|何が|何を|何|"
        "(?<=[\u4e00-\u9fff\u3005])[はがをにでとのもへや]"
    ),
    "KATAKANA": re.compile("$^"),
    "THAI": re.compile(
        "หรือเปล่า|หรือไม่|ที่ไหน|ไหน|ไหม|อะไร|เมื่อไหร่|เมื่อไร|ตอนไหน|ใคร|อย่างไร|ยังไง|ทำไม|เท่าไหร่|เท่าไร|แค่ไหน|แบบไหน|แบบใด|"
        "กี่|ไม่ได้|ต้อง|ควร|ได้|ไม่|ให้|ของ|ที่|คือ|เป็น|อยู่|และ|หรือ|กับ|จะ|ฉัน|เรา|ผม|ดิฉัน|คุณ|นี้|นั้น|ถ้า|แล้ว|ครับ|ค่ะ|คะ|ด้วย"
    ),
    "HANGUL": re.compile(
        "(?<=..)(?:에서는|에서|에게서|에게|한테서|한테|까지|부터|으로는|으로|이랑|이나|처럼|보다|마다|께서|께|은|는|이|가|을|를|에|의|도|로|와|과|랑)$"
    ),
}
"""Where a run of a question is cut, by its script; in Hangul that is its particle."""
