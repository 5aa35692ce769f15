"""The demo's people, agents and sessions: a small tea shop, Nordlicht Tea, over the last ten days.

A session is written as a screenplay. `who: text` is a message; between the name and the colon may stand a #label,
the ^label it replies to, an @thread and the [memory score] it draws on. An indented line goes on with the message.
`-> tool {arguments}` adds a tool call to the message, `<- result` and `<! result` are the tool's answer and error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.routing import AgentRouteInput


class Scene(NamedTuple):
    """One session: it began `days` ago and goes on line by line."""

    key: str
    kind: str
    days: float
    title: str
    script: str
    ended: bool = True
    context: dict[str, Any] | None = None


USERS: dict[str, tuple[str, dict[str, Any]]] = {
    "mara": ("Mara Lindqvist", {"city": "Hamburg", "language": "en", "customerSince": 2021, "newsletter": True}),
    "jonas": ("Jonas Weber", {"city": "Kiel", "language": "de", "customerSince": 2023, "newsletter": False}),
    "aiko": ("Aiko Tanaka", {"company": "Kanso Café", "city": "Bremen", "language": "en", "wholesale": True}),
    "tomas": ("Tomás Ferreira", {"city": "Lübeck", "language": "pt", "customerSince": 2024}),
    "nadia": ("Nadia Haddad", {"role": "Head of support", "team": "Nordlicht Tea"}),
    "ben": ("Ben Okafor", {"role": "Buyer", "team": "Nordlicht Tea"}),
}

AGENTS: dict[str, tuple[str, str, list[str], dict[str, Any]]] = {
    "iris": ("Iris", "Answers customers of Nordlicht Tea: orders, parcels, refunds, and which tea to choose.",
             ["support", "orders", "refunds"], {"model": "small-chat-2", "temperature": 0.3}),
    "rune": ("Rune", "Researches harvests, prices and carriers, and says where a number comes from.",
             ["research", "web"], {"model": "large-reason-1", "temperature": 0.1}),
    "pax": ("Pax", "Plans the week, keeps the workflows moving and writes down what was decided.",
            ["planning", "workflow"], {"model": "large-reason-1", "temperature": 0.2}),
}  # fmt: skip

EARLIER: dict[str, tuple[list[str], dict[str, Any]]] = {
    "iris": (["support", "orders"], {"model": "small-chat-2", "temperature": 0.7}),
}
"""What agents were able to do, and how they were set up, while the story went on."""

ROUTES: dict[str, list[AgentRouteInput]] = {
    "iris": [
        AgentRouteInput(name="parcels", keywords=["parcel", "order", "refund"], pattern=r"\b4[67]\d\d\b"),
        AgentRouteInput(
            name="advice", examples=["Which tea would you drink in the morning?", "How long should it steep?"]
        ),
        AgentRouteInput(name="everything else", is_fallback=True),
    ],
    "rune": [AgentRouteInput(name="numbers", keywords=["price", "harvest"], examples=["What do other shops charge?"])],
    "pax": [AgentRouteInput(name="planning", keywords=["plan", "task"], capabilities=["minutes"], priority=1)],
}
"""What leads to the agents."""

_BREAKFAST = """
mara #ask: Good morning! I am looking for a new breakfast tea. The one I had from you is sold out.
iris: Good morning, Mara. Let me see what you had, then I can suggest something close.
  -> orders.history {"customer": "mara", "limit": 3}
<- {"orders": [{"id": "4640", "items": ["Assam Harmutty 250 g"]}, {"id": "4502", "items": ["Assam Harmutty 250 g"]}]}
iris: You had Assam Harmutty twice. How do you drink it?
mara #black: I drink black tea every morning, strong and without milk. Two cups before work.
mara #bergamot: Nothing with bergamot please, Earl Grey gives me a headache.
iris: Noted, no bergamot. I check what is in stock among the strong black teas.
  -> stock.search {"kind": "black", "strength": "strong", "without": ["bergamot"]}
<- {"items": [{"name": "Assam Mangalam", "grams": 9200}, {"name": "Ceylon Uva", "grams": 1400}]}
iris #suggest: Assam Mangalam is the closest: malty and strong, and it holds up well without milk.
mara: How long should it steep? The last one turned bitter when I forgot it.
iris #steep: Three minutes with water just off the boil, four at the most. Longer and any Assam turns bitter.
mara #order: Sounds good. I take 250 g, sent to my home in Lindenstraße 12.
iris: Done.
  -> orders.create {"customer": "mara", "items": [{"tea": "Assam Mangalam", "grams": 250}]}
<- {"id": "4705", "total": 18.4, "currency": "EUR"}
iris: Order 4705 is on its way tomorrow. Enjoy your mornings!
mara #thanks: Thank you, that was quick. I always read your mails, by the way. No need to phone.
"""

_PARCEL = """
jonas #late: Where is my parcel? Order 4711 should have been here two days ago.
iris: I am sorry about that, Jonas. I look it up.
  -> parcels.track {"order": "4711"}
<! {"error": "timeout", "message": "The carrier did not answer within 5 s."}
iris: The carrier's service did not answer. I try once more.
  -> parcels.track {"order": "4711"}
<- {"order": "4711", "status": "held", "depot": "Neumünster", "since": "2 days", "reason": "sorting backlog"}
iris #depot: Your parcel is held at the Neumünster depot since two days: they have a sorting backlog.
jonas: And when does it come? It is a birthday present for my father.
iris #birthday: With this backlog it takes one or two more days. When is the birthday?
jonas #need: In three days. If it is later than that I do not need it any more.
iris: I ask the depot to put it on the next van.
  -> parcels.expedite {"order": "4711", "reason": "birthday"}
<- {"accepted": true, "eta": "tomorrow before 18:00"}
iris #promise: They accepted: tomorrow before 18:00. If it does not come, you get a refund without sending it back.
jonas #phone: Fine. Please call me when something changes, I hardly read mails.
iris: I have noted that you prefer a call.
jonas: Thanks. It came just now, a day early even. All good!
"""

_TEAPOT = """
system: Workflow "return" started for order 4698. State: requested.
tomas #crack: Hello, the glass teapot from order 4698 arrived with a crack along the spout.
iris: I am sorry, Tomás. Could you send a photo? Meanwhile I open a return.
  -> returns.open {"order": "4698", "item": "Glass teapot 1.2 l", "reason": "damaged"}
<- {"return": "R-208", "state": "requested"}
tomas #photo: Here is the photo. The box itself was fine, but there was only one layer of paper in it.
iris #packing: Thank you. One layer is too little for glass, I pass that on to the packing table.
system: State: requested -> inspected.
pax: Damage confirmed by the photo. No need to send broken glass back. Next: refund or replacement?
iris ^crack: Would you like a new teapot or your money back?
tomas #replace: A new one, please. But packed better this time.
iris: Of course.
  -> orders.replace {"return": "R-208", "note": "glass: two layers of paper, double box"}
<- {"id": "4719", "total": 0}
system: State: inspected -> replaced.
pax @packing #rule: For the packing table: glass goes into a double box with two layers of paper from now on.
ben @packing: Agreed. I order the bigger boxes, they are 0.40 EUR more each.
iris: Order 4719 has left the house, Tomás. It will not crack this time.
tomas #happy: It arrived in one piece. Thank you!
system: State: replaced -> closed.
"""

_WHOLESALE = """
aiko #cafe: Hello, I run the Kanso Café in Bremen. We look for a green tea as house tea, about 4 kg a month.
iris: Welcome, Aiko! Is it for pots or for single cups?
aiko #pots: Pots for two. It must forgive if a guest lets it steep for too long.
iris: Then a sencha that is not too sharp. I look at the wholesale prices.
  -> prices.wholesale {"tea": "Sencha Kirishima", "kgPerMonth": 4}
<- {"tea": "Sencha Kirishima", "eurPerKg": 46.0, "discount": 0.12, "minimumMonths": 3}
iris #sencha: Sencha Kirishima at 46 EUR a kilo, 12 % off from 4 kg a month. At 70 °C it stays mild for three minutes.
aiko #choose: Good, we make the sencha our house tea. Please invoice monthly, to the café.
iris: I set up a standing order.
  -> orders.standing {"customer": "aiko", "tea": "Sencha Kirishima", "kg": 4, "every": "month", "pay": "invoice"}
<- {"standing": "S-31", "next": "in 3 days"}
iris: Standing order S-31 is set up; the first 4 kg leave in three days.
aiko #deliver: Please deliver before ten in the morning, afterwards the café is full.
iris: Noted for the driver: before ten.
"""

_REFUND = """
nadia #open: We had 19 questions about refunds last month. Is our refund policy of 14 days still right?
iris #count: Of those 19, eleven came after day 14, and nine of them were about unopened tea.
rune: I compare what other shops do.
  -> web.search {"query": "tea shop refund policy unopened days", "top": 12}
<- {"shops": 12, "days": {"14": 3, "30": 8, "60": 1}}
rune #compare: Eight of twelve tea shops give 30 days for unopened tea, three 14 and one 60.
pax ^open: What would 30 days cost us?
rune #cost: With last year's returns: about 70 EUR a month more, as unopened tea goes back to the shelf.
ben #opened: I am against refunds for opened tea. We cannot sell it, and it is a question of hygiene.
iris ^opened: Customers accept that. They only dislike finding out afterwards.
nadia #decide: Then we decide: 30 days for unopened tea, no refund for opened tea unless it is our fault.
pax #date: Written down. The new refund policy holds from today; the page and Iris's texts change with it.
nadia @wording: How do we say it in one sentence?
iris @wording #sentence: "Unopened tea comes back within 30 days, no questions asked."
nadia @wording: I like it. Use exactly that.
pax: Closed. I remind you in four weeks to look at the numbers again.
"""

_TONE = """
nadia #goal: Let us try three tones for delay mails: formal, warm and short. Which gets the fewest questions back?
pax: I set up the experiment with 40 old parcel cases for each tone.
  -> experiments.create {"name": "delay-tone", "variants": ["formal", "warm", "short"], "cases": 120}
<- {"experiment": "E-12", "cases": 120}
iris: All 120 drafts are written. Rune rates them blind.
rune #rates: Questions back: formal 31 %, warm 22 %, short 27 %. Warm is best, and it names the next step.
nadia: Is it the tone, or that it names the next step?
rune: I split it: warm without a next step.
  -> experiments.run {"experiment": "E-12", "variant": "warm-no-step", "cases": 40}
<- {"variant": "warm-no-step", "questionsBack": 0.29}
rune #step: 29 %. So it is mostly the next step: what happens now, and by when.
iris #short: In my own chats short answers get the better ratings, though. People on phones do not scroll.
nadia #rule: Both then: say the next step first, and keep it under 60 words.
pax: Saved as the default for delay mails.
"""

_ADDRESS = """
mara #move: Hello Iris, I have moved! Please send everything to Hafenweg 3 from now on, not to Lindenstraße 12.
iris [mara-address .71]: Congratulations on the new home! I change it everywhere.
  -> customers.update {"customer": "mara", "address": "Hafenweg 3, 20457 Hamburg"}
<- {"ok": true, "openOrders": []}
iris #changed: Done: Hafenweg 3, 20457 Hamburg. There is no open order that still goes to the old address.
mara #doorbell: The doorbell does not work yet. Parcels can go to the neighbour, Ms. Petersen.
iris: I leave a note for the carrier: neighbour Petersen, until the doorbell works.
mara #assam: The Assam Mangalam is lovely, by the way. Even better than the one before.
iris [mara-black-tea .64]: I am glad! Shall it come by itself, say every six weeks?
mara #subscribe: Yes please, 250 g every six weeks.
iris: Set up.
  -> orders.standing {"customer": "mara", "tea": "Assam Mangalam", "grams": 250, "every": "6 weeks"}
<- {"standing": "S-34", "next": "in 5 weeks"}
"""

_HARVEST = """
system: Workflow "report" started. State: collecting.
ben #brief: Rune, I need the first flush: how was the harvest in Darjeeling and Assam, and what happens to prices?
rune: I collect the auction data first.
  -> auctions.prices {"region": "Darjeeling", "season": "first flush", "years": 2}
<- {"region": "Darjeeling", "eurPerKg": [31.5, 37.8], "change": 0.2}
rune #dry: Darjeeling: a dry spring, a fifth less leaf than last year, and prices up by 20 %.
rune: Now Assam.
  -> auctions.prices {"region": "Assam", "season": "first flush", "years": 2}
<- {"region": "Assam", "eurPerKg": [9.1, 9.3], "change": 0.02}
rune #steady: Assam is steady: plus 2 %, and the quality is good.
system: State: collecting -> writing.
ben: And Japan? We sell more sencha and hojicha than ever.
rune: The exporter's list is not public, I ask for it.
  -> mail.send {"to": "exports@kirishima.example", "subject": "Price list"}
<! {"error": "rejected", "message": "Mailbox is full."}
rune #mailbox: Their mailbox is full. I go through the agent in Hamburg instead.
rune #japan: The agent says: sencha plus 8 % from next month, hojicha unchanged.
pax: Summary for the buyer?
rune #summary: Buy Darjeeling early and less of it, keep Assam, and expect sencha to be dearer from next month.
ben #buy: Clear. I reserve 30 kg of Darjeeling now, before it goes up again.
system: State: writing -> done.
"""

_DELAYS = """
nadia #why: Parcel delays again: 14 in one week, twice as many as usual. What is going on?
iris #cluster: Eleven of the fourteen went through the Neumünster depot. Jonas's order 4711 was one of them.
rune: I ask the carrier's status service.
  -> carrier.status {"depot": "Neumünster", "days": 14}
<- {"depot": "Neumünster", "sorter": "one of two lines down", "until": "about 3 weeks", "delayDays": 2.1}
rune #sorter: One of two sorting lines in Neumünster is down, for about three more weeks. The mean delay is 2.1 days.
pax: Options: send parcels to the north by the other carrier, or tell customers beforehand.
ben #price: The other carrier costs 1.10 EUR more a parcel. With 60 parcels a week that is 66 EUR.
nadia ^price: And a delay costs us a voucher of 5 EUR in about half of the cases.
pax #sum: 11 delays a week at 2.50 EUR on average are 27 EUR. So rerouting everything does not pay.
iris #tell: Telling people beforehand helps more: those who knew did not ask.
nadia #rule: Decided: express orders to the north go by the other carrier, all others get a delay notice at once.
rune @depot: I watch the depot's status every morning and say when the second line is back.
pax @depot #watch: Good. Written into the daily routine until it is over.
nadia #voucher: And whoever waits longer than three days gets a 5 EUR voucher without asking.
"""

_PARCEL_AGAIN = """
jonas #again: It is me again. Order 4760 is late too. Is that the new normal?
iris [jonas-late-first .78] [neumunster-sorter .66]: I am sorry, Jonas, the second time in two weeks. I check.
  -> parcels.track {"order": "4760"}
<- {"order": "4760", "status": "held", "depot": "Neumünster", "since": "3 days"}
iris #same [neumunster-sorter .74] [delay-voucher .69]: It is the same depot: half of its sorting is down. You
  have waited three days, so I put a 5 EUR voucher on your account.
  -> vouchers.create {"customer": "jonas", "eur": 5, "reason": "parcel delay"}
<- {"code": "WARTEN-5", "eur": 5}
jonas: Thanks. Can you send the next one some other way?
iris #other: Yes: I have set the other carrier for your orders until the depot works again.
jonas #mail: And you can write to me from now on. I am in meetings all day, a mail is better than a call.
iris #noted [jonas-phone .58]: Noted: mail instead of a call.
jonas: The parcel is here. Oolong as it should be.
jonas #oolong: If you get that Dong Ding oolong again, tell me first. It is the best I ever had.
iris: You are first on the list.
"""

_RECALL = """
pax #goal: Today we try how many memories Iris should read before she answers: 3, 8 or 20.
rune: I take 50 old questions with known good answers.
  -> experiments.create {"name": "recall-size", "variants": ["3", "8", "20"], "cases": 150}
<- {"experiment": "E-14", "cases": 150}
rune #results: Right answers: 3 memories 81 %, 8 memories 93 %, 20 memories 92 %, but with twice the tokens.
pax #eight: Then eight it is. More only costs.
iris #miss: What I missed with three were old facts, such as an allergy mentioned once long ago.
rune #weight: That is a matter of importance: facts about health should weigh at least 0.9.
nadia ^weight: Yes. Whatever concerns health must never fade.
pax: One more run with these weights.
  -> experiments.run {"experiment": "E-14", "variant": "8-weighted", "cases": 50}
<- {"variant": "8-weighted", "right": 0.96}
pax #done: 96 % with eight memories and health facts at 0.9. Saved as the default.
"""

_HOJICHA = """
aiko #sleep: Hello Iris, our evening guests say that the sencha keeps them awake. Is there something milder?
iris [aiko-sencha .7]: Hojicha would suit: it is roasted, mild, and has a third of the caffeine of sencha.
aiko: Does it forgive long steeping too?
iris #forgive: Even better than sencha: boiling water, five minutes, and it does not turn bitter.
aiko #switch: Then we switch our house tea to hojicha. But keep one kilo of sencha for the regulars.
iris [aiko-standing .66]: I change the standing order S-31.
  -> orders.standing.update {"standing": "S-31", "items": [{"tea": "Hojicha", "kg": 3}, {"tea": "Sencha", "kg": 1}]}
<- {"standing": "S-31", "eurPerMonth": 171.6}
iris [sencha-price .52]: Done. It even gets cheaper: sencha goes up by 8 % next month and hojicha does not.
aiko #menu: Wonderful. Could I have a short text about hojicha for the menu?
iris #text: "Hojicha: green tea, roasted over charcoal. Nutty, mild, and gentle in the evening."
aiko: Perfect, that goes to print today.
"""

_RESTOCK = """
system: Workflow "restock" started. State: planning.
pax #plan: Restock of first flush Darjeeling: 30 kg are reserved. I check the stock and the forecast.
  -> stock.forecast {"tea": "Darjeeling first flush", "weeks": 8}
<- {"inStockKg": 11.5, "needKg": 38.0, "weeks": 8}
pax #gap: We have 11.5 kg and need 38 in eight weeks. With the 30 reserved that just fits.
ben #lots: Two lots were offered: Margaret's Hope at 39 EUR and Puttabong at 36 EUR a kilo.
rune #taste: The tasting notes prefer Margaret's Hope; Puttabong is lighter and sells well as a gift.
ben #split: I take 20 kg of Margaret's Hope and 10 kg of Puttabong.
system: State: planning -> ordered.
pax: I place both orders.
  -> purchase.create {"lots": [{"garden": "Margaret's Hope", "kg": 20}, {"garden": "Puttabong", "kg": 10}]}
<- {"purchase": "P-77", "eur": 1140.0, "arrives": "in 9 days"}
pax #arrives: Purchase P-77: 1,140 EUR, arrives in nine days. Until then sell no more than 1 kg to one customer.
iris: I tell customers who ask for more when the rest comes.
system: State: ordered -> in transit.
"""

_GIFT = """
tomas #gift: Hi, can you wrap tea as a gift? And what is the refund policy if my mother does not like it?
iris [refund-30 .81]: Yes, wrapping is 2.50 EUR. Unopened tea comes back within 30 days, no questions asked.
tomas: And if she opened it?
iris #opened [refund-opened .77]: Then we cannot take it back, unless something is wrong with it. A sample first?
tomas #sample: Good idea: three samples. She likes things with jasmine and nothing smoky.
iris: I put a sampler together.
  -> orders.create {"customer": "tomas", "items": [{"sampler": ["Jasmine Pearls", "White Peony", "Silver Needle"]}]}
<- {"id": "4783", "total": 12.5, "wrapped": true}
iris #sampler: Order 4783: Jasmine Pearls, White Peony and Silver Needle, wrapped, with a card.
tomas #words: Could you write "Parabéns, mãe!" on the card?
iris #card: It is written.
tomas #second: Thank you. The teapot you replaced is still in one piece, by the way.
"""

_WEEK = """
pax #agenda: The plan for the week: the depot, the Darjeeling, and the autumn catalogue. Nadia, how are the delays?
nadia #less: Down to six. The delay notices work: only one customer asked.
rune #line: The second sorting line in Neumünster is being tested. The carrier says it runs in a week.
pax ^line: Then we keep the reroute for express orders until Rune says that it is over.
ben #catalogue: The catalogue needs texts for 24 teas. Can Iris write them in the tone we tried?
iris #drafts: I have drafts for ten of them, each under 60 words. The black teas come first.
nadia #oolong: Jonas asked for the Dong Ding oolong. Is there any hope?
ben #dongding: Yes, 6 kg come with the next shipment from Taiwan.
pax: I write down the tasks.
  -> tasks.create {"tasks": ["catalogue: 14 texts", "watch the depot", "tell Jonas about Dong Ding"]}
<- {"created": 3}
pax #tasks: Iris: 14 more texts. Rune: the depot. Ben: tell me when the oolong is in, and Iris writes to Jonas.
rune @catalogue: I check the facts in the texts: gardens, altitudes and harvest dates.
ben @catalogue #prices: Please leave prices out of the catalogue, they change too often.
"""

_PRESENT = """
mara #sister: Hi Iris! I need a present for my sister. She is new to tea. Which black tea would you start with?
iris #start: For a beginner I would take a Darjeeling first flush: light and flowery, and easier than your Assam.
mara: Is it like the black tea I drink, only lighter?
iris [darjeeling-light .66]: Much lighter, almost like a green tea. Two minutes at 90 °C are enough.
mara #milk: She takes milk in everything, I am afraid.
iris #ceylon [milk-ceylon .7]: Then rather a Ceylon Uva, which keeps its taste with milk. I check the stock.
  -> stock.search {"kind": "black", "name": "Ceylon Uva"}
<- {"items": [{"name": "Ceylon Uva", "grams": 1150}]}
mara #refund: And if she does not like it, can she return it?
iris [refund-30 .79]: Unopened tea comes back within 30 days, no questions asked.
mara #wrap: Perfect. 100 g of the Ceylon, gift wrapped, to my address please.
iris [mara-hafenweg .72]: That is Hafenweg 3, and to Ms. Petersen if nobody is at home.
  -> orders.create {"customer": "mara", "items": [{"tea": "Ceylon Uva", "grams": 100, "wrapped": true}]}
<- {"id": "4791", "total": 13.4, "currency": "EUR"}
mara: Oh, and the doorbell works again!
"""

SCENES = [
    Scene("breakfast", "CHAT", 9.6, "A black tea for the morning", _BREAKFAST),
    Scene("parcel-4711", "CHAT", 9.1, "Parcel delay: where is order 4711?", _PARCEL),
    Scene("teapot", "WORKFLOW", 8.4, "Return of a cracked teapot", _TEAPOT, context={"state": "requested"}),
    Scene("wholesale", "CHAT", 7.9, "House tea for the Kanso Café", _WHOLESALE),
    Scene("refund-policy", "PANEL", 7.2, "Should the refund policy change?", _REFUND),
    Scene("delay-tone", "PLAYGROUND", 6.5, "Which tone for delay mails?", _TONE, context={"experiment": "E-12"}),
    Scene("new-address", "CHAT", 5.9, "Mara has moved", _ADDRESS),
    Scene("harvest", "WORKFLOW", 5.3, "First flush: harvest and prices", _HARVEST, context={"state": "done"}),
    Scene("parcel-delays", "PANEL", 4.6, "Why are parcels late?", _DELAYS),
    Scene("parcel-4760", "CHAT", 3.9, "Parcel delay again: order 4760", _PARCEL_AGAIN),
    Scene("recall-size", "PLAYGROUND", 3.2, "How much should Iris remember?", _RECALL, context={"experiment": "E-14"}),
    Scene("hojicha", "CHAT", 2.6, "Hojicha instead of sencha", _HOJICHA),
    Scene("restock", "WORKFLOW", 1.9, "Restock of Darjeeling", _RESTOCK, False, {"state": "in transit"}),
    Scene("gift", "CHAT", 1.2, "A gift for Tomás's mother", _GIFT),
    Scene("week", "PANEL", 0.5, "Plan for the week", _WEEK, False),
    Scene("present", "CHAT", 0.06, "A present for Mara's sister", _PRESENT, False),
]

CONTEXTS: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("teapot", {"state": "inspected", "crack": "along the spout"}, [], "The photo shows the crack."),
    ("teapot", {"state": "closed"}, ["crack"], "The new teapot has arrived."),
]
"""How the contexts of sessions change: what is set and removed, and why."""

EDITED = {
    "wholesale/deliver": "Please deliver before noon, afterwards the café is full.",
}
"""What messages said until their senders put them right."""

REDACTED = ["gift/words"]
"""Messages that nobody is to read any more."""

LINKED = [
    ("parcel-4760", "CONTINUES", "parcel-4711"),
    ("parcel-delays", "REFERS_TO", "parcel-4711"),
    ("parcel-delays", "REFERS_TO", "parcel-4760"),
    ("refund-policy", "REFERS_TO", "teapot"),
    ("hojicha", "RELATED", "gift"),
]
"""How sessions are linked."""

RECALLS = [
    ("present/sister", "iris", "a black tea for a beginner"),
    ("present/milk", "iris", "black tea with milk"),
    ("present/refund", "iris", "refund policy for unopened tea"),
    ("present/wrap", "iris", "Mara's address for the parcel"),
    ("week/less", "pax", "parcel delay at the Neumünster depot"),
    ("week/oolong", "iris", "who asked for Dong Ding oolong"),
    ("week/catalogue", "iris", "tone and length of our texts"),
    ("gift/sample", "iris", "jasmine tea samples as a gift"),
]
"""Messages for which an agent searches its memories, and with which words."""

STATES: dict[str, dict[str, Any]] = {
    "iris": {
        "defaults": {"recall": 8, "maxWords": 60, "tone": "warm"},
        "open-questions": [{"customer": "jonas", "about": "Dong Ding oolong"}],
        "shift": {"since": "08:00", "answered": 23, "handedOver": 1},
    },
    "workflow:restock": {
        "state": {"now": "in transit", "before": ["planning", "ordered"]},
        "purchase": {"id": "P-77", "eur": 1140.0, "kg": 30},
    },
    "shop": {
        "carriers": {"north": "other", "else": "usual", "reason": "Neumünster"},
        "refund-days": 30,
    },
}

JUDGED: list[tuple[str, str, str, float | None, str | None, str | None, str]] = [
    ("session", "demo-teapot", "resolution", 0.9, "solved", "A new teapot the next day; no refund needed.", "nadia"),
    ("session", "demo-parcel-4711", "resolution", 0.6, "solved", None, "nadia"),
    ("session", "demo-parcel-4711", "tone", 0.8, "friendly", None, "pax"),
    ("memory", "tomas-crack", "accuracy", 1.0, "correct", None, "iris"),
    ("memory", "mara-black-tea", "usefulness", 0.95, None, "Named in nearly every order since.", "iris"),
    ("memory", "carriers", "accuracy", 0.4, "outdated", "The depot has moved.", "ben"),
]
"""What is said of sessions and memories: of what, under which name, value, label and comment, and who says so."""
