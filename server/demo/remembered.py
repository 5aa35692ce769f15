"""What the demo's agents remember of its sessions, and how it hangs together."""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """One memory. owner: a user or an agent, or nobody for one of all. source: scene/label of a message, or a URL.

    touches: how often it has been used. since, until: days ago, between which it held. ttl: seconds it lives on.
    """

    name: str
    type: str
    owner: str
    importance: float
    tags: str
    source: str
    touches: int
    text: str
    since: float | None = None
    until: float | None = None
    ttl: int | None = None


_DAY = 86_400
S, P, E, W = "SEMANTIC", "PROCEDURAL", "EPISODIC", "WORKING"

KEPT = [
    # What stands in the shop's handbook and price list, for everyone.
    Kept("shop", S, "", 0.6, "shop", "https://nordlicht.example/about", 2,
         "Nordlicht Tea is a tea shop in Hamburg that sends to all of Germany, six people and three agents."),
    Kept("assam-malty", S, "", 0.6, "tea black-tea", "https://nordlicht.example/teas/assam", 9,
         "Assam is a strong, malty black tea that holds up without milk."),
    Kept("milk-ceylon", S, "", 0.6, "tea black-tea milk", "https://nordlicht.example/teas/ceylon-uva", 8,
         "Ceylon Uva is a brisk black tea that keeps its taste with milk."),
    Kept("darjeeling-light", S, "", 0.55, "tea black-tea", "https://nordlicht.example/teas/darjeeling", 3,
         "Darjeeling first flush is a light, flowery black tea: two minutes at 90 °C."),
    Kept("earl-grey", S, "", 0.4, "tea black-tea bergamot", "https://nordlicht.example/teas/earl-grey", 1,
         "Earl Grey is black tea with oil of bergamot."),
    Kept("sencha-70", S, "", 0.5, "tea green-tea brewing", "https://nordlicht.example/teas/sencha", 3,
         "Sencha wants water at 70 °C and not more than three minutes, or it turns sharp."),
    Kept("hojicha-mild", S, "", 0.5, "tea green-tea caffeine", "https://nordlicht.example/teas/hojicha", 4,
         "Hojicha is roasted green tea with about a third of the caffeine of sencha."),
    Kept("wrap-price", S, "", 0.4, "prices gift", "https://nordlicht.example/handbook/gifts", 2,
         "Gift wrapping costs 2.50 EUR; a card is free."),
    Kept("carriers", S, "", 0.5, "shipping carrier", "https://nordlicht.example/handbook/shipping", 3,
         "Parcels go by the usual carrier; the other carrier costs 1.10 EUR more for each parcel."),
    Kept("refund-14", S, "", 0.9, "policy refund", "https://nordlicht.example/handbook/refunds", 6,
         "Refund policy: unopened tea can be sent back within 14 days.", since=400, until=7.19),
    # Mara
    Kept("mara-black-tea", S, "mara", 0.9, "taste black-tea", "breakfast/black", 9,
         "Mara drinks black tea every morning, two cups, strong and without milk."),
    Kept("mara-bergamot", S, "mara", 0.95, "health taste", "breakfast/bergamot", 5,
         "Bergamot gives Mara a headache: no Earl Grey for her."),
    Kept("mara-assam", E, "mara", 0.7, "order black-tea", "breakfast/order", 3,
         "Mara ordered 250 g of Assam Mangalam (order 4705) after her old Assam was sold out."),
    Kept("mara-bitter", E, "mara", 0.4, "brewing", "breakfast/steep", 1,
         "Mara's last tea turned bitter because she forgot it in the pot."),
    Kept("mara-mail", S, "mara", 0.5, "contact", "breakfast/thanks", 2,
         "Mara reads every mail and does not want to be phoned."),
    Kept("mara-address", S, "mara", 0.8, "address", "breakfast/order", 2,
         "Mara lives in Lindenstraße 12.", since=900, until=5.89),
    Kept("mara-hafenweg", S, "mara", 0.85, "address", "new-address/move", 5,
         "Mara lives in Hafenweg 3, 20457 Hamburg.", since=5.89),
    Kept("mara-moved", E, "mara", 0.5, "address", "new-address/changed", 1,
         "Mara moved house and told us herself, before any order was open."),
    Kept("mara-neighbour", W, "mara", 0.5, "address shipping", "new-address/doorbell", 2,
         "Until Mara's doorbell works, parcels go to her neighbour, Ms. Petersen.", ttl=3 * _DAY),
    Kept("mara-loves-assam", S, "mara", 0.75, "taste black-tea", "new-address/assam", 4,
         "Mara likes Assam Mangalam even better than the Assam she had before."),
    Kept("mara-standing", S, "mara", 0.7, "order black-tea", "new-address/subscribe", 2,
         "Mara has a standing order, S-34: 250 g of Assam Mangalam every six weeks."),
    Kept("mara-sister", E, "mara", 0.6, "order gift black-tea", "present/wrap", 0,
         "Mara bought 100 g of Ceylon Uva as a present for her sister, gift wrapped."),
    Kept("sister-milk", S, "mara", 0.5, "taste gift milk", "present/milk", 0,
         "Mara's sister is new to tea and takes milk in everything."),
    # Jonas
    Kept("jonas-late-first", E, "jonas", 0.7, "parcel delay", "parcel-4711/late", 4,
         "Jonas's order 4711 was late: a parcel delay of two days at the Neumünster depot."),
    Kept("jonas-birthday", E, "jonas", 0.5, "parcel gift", "parcel-4711/need", 1,
         "Order 4711 was a birthday present for Jonas's father, so the day mattered."),
    Kept("jonas-expedited", E, "jonas", 0.5, "parcel", "parcel-4711/promise", 1,
         "The depot put order 4711 on the next van and it came a day early."),
    Kept("jonas-phone", S, "jonas", 0.6, "contact", "parcel-4711/phone", 3,
         "Jonas prefers a phone call, he hardly reads mails.", since=9.1, until=3.88),
    Kept("jonas-late-second", E, "jonas", 0.75, "parcel delay", "parcel-4760/again", 3,
         "Jonas's order 4760 was late too: a parcel delay of three days at the same depot."),
    Kept("jonas-voucher", E, "jonas", 0.5, "voucher delay", "parcel-4760/same", 1,
         "Jonas got the voucher WARTEN-5 over 5 EUR for waiting three days."),
    Kept("jonas-carrier", S, "jonas", 0.7, "shipping carrier", "parcel-4760/other", 2,
         "Jonas's orders go by the other carrier until the Neumünster depot works again."),
    Kept("jonas-mail", S, "jonas", 0.65, "contact", "parcel-4760/mail", 2,
         "Jonas is in meetings all day: write him a mail instead of calling.", since=3.88),
    Kept("jonas-oolong", S, "jonas", 0.7, "taste oolong", "parcel-4760/oolong", 3,
         "Jonas wants to hear first when Dong Ding oolong is back."),
    Kept("jonas-tell", W, "iris", 0.6, "task oolong", "week/dongding", 1,
         "Write to Jonas as soon as the 6 kg of Dong Ding oolong from Taiwan are in.", ttl=9 * _DAY),
    # Aiko
    Kept("aiko-cafe", S, "aiko", 0.7, "wholesale café", "wholesale/cafe", 4,
         "Aiko runs the Kanso Café in Bremen and needs about 4 kg of house tea a month."),
    Kept("aiko-pots", S, "aiko", 0.6, "café brewing", "wholesale/pots", 2,
         "At the Kanso Café tea is served in pots for two and often steeps for too long."),
    Kept("aiko-sencha", S, "aiko", 0.8, "wholesale green-tea", "wholesale/choose", 3,
         "The house tea of the Kanso Café is Sencha Kirishima, 4 kg a month.", since=7.9, until=2.58),
    Kept("aiko-standing", S, "aiko", 0.7, "wholesale order", "wholesale/choose", 3,
         "Aiko's standing order is S-31, paid monthly by invoice to the café."),
    Kept("aiko-ten", S, "aiko", 0.6, "shipping café", "wholesale/deliver", 2,
         "Deliver to the Kanso Café before ten in the morning."),
    Kept("aiko-awake", E, "aiko", 0.6, "caffeine café", "hojicha/sleep", 1,
         "Aiko's evening guests said that sencha keeps them awake."),
    Kept("aiko-hojicha", S, "aiko", 0.85, "wholesale green-tea", "hojicha/switch", 3,
         "The house tea of the Kanso Café is hojicha, 3 kg a month, and 1 kg of sencha for regulars.", since=2.58),
    Kept("aiko-menu", E, "aiko", 0.4, "café texts", "hojicha/text", 1,
         "Iris wrote two lines about hojicha for the menu of the Kanso Café."),
    # Tomás
    Kept("tomas-crack", E, "tomas", 0.7, "return damage", "teapot/crack", 2,
         "Tomás's glass teapot (order 4698) arrived with a crack along the spout."),
    Kept("tomas-replaced", E, "tomas", 0.6, "return order", "teapot/happy", 2,
         "Tomás took a new teapot instead of a refund (order 4719); it arrived in one piece."),
    Kept("tomas-gift", E, "tomas", 0.5, "gift order", "gift/sampler", 1,
         "Tomás ordered a wrapped sampler of three teas for his mother (order 4783)."),
    Kept("tomas-mother", S, "tomas", 0.6, "taste gift", "gift/sample", 1,
         "Tomás's mother likes jasmine and nothing smoky."),
    Kept("tomas-card", S, "tomas", 0.4, "language gift", "gift/card", 0,
         "Cards for Tomás's family are written in Portuguese."),
    # Iris: what she knows and how she works
    Kept("steep-assam", P, "iris", 0.6, "brewing black-tea", "breakfast/steep", 4,
         "Tell people to steep Assam for three minutes, four at the most: longer and it turns bitter."),
    Kept("suggest-near", P, "iris", 0.6, "advice stock", "breakfast/suggest", 3,
         "When a tea is sold out, look at what the customer had and suggest the closest one in stock."),
    Kept("track-retry", P, "iris", 0.65, "parcel tools", "parcel-4711/depot", 5,
         "When the carrier's tracking times out, say so and try once more before you answer."),
    Kept("expedite", P, "iris", 0.6, "parcel delay", "parcel-4711/need", 2,
         "For a parcel that is needed by a day, ask the depot to expedite it and name the day."),
    Kept("promise-refund", P, "iris", 0.55, "parcel refund", "parcel-4711/promise", 1,
         "If an expedited parcel still comes too late, refund it without a return."),
    Kept("photo-first", P, "iris", 0.6, "return damage", "teapot/packing", 2,
         "For damaged goods ask for a photo and open the return at once."),
    Kept("glass-box", P, "iris", 0.7, "packing damage", "teapot/rule", 3,
         "Glass goes into a double box with two layers of paper."),
    Kept("next-step", P, "iris", 0.85, "texts delay", "delay-tone/rule", 6,
         "Delay mails: say the next step and its time first, warm in tone, under 60 words."),
    Kept("short-answers", S, "iris", 0.5, "texts ratings", "delay-tone/short", 2,
         "Short answers get the better ratings in chats."),
    Kept("depot-since", E, "iris", 0.5, "parcel delay depot", "parcel-4711/depot", 2,
         "The Neumünster depot had a sorting backlog when order 4711 was stuck there."),
    Kept("delay-cluster", E, "iris", 0.7, "parcel delay depot", "parcel-delays/cluster", 3,
         "Eleven of fourteen parcel delays in one week went through the Neumünster depot."),
    Kept("tell-before", S, "iris", 0.75, "delay texts", "parcel-delays/tell", 4,
         "Customers who are told of a delay beforehand hardly ever ask."),
    Kept("beginner-tea", P, "iris", 0.55, "advice black-tea", "present/ceylon", 0,
         "For somebody new to black tea start with a light Darjeeling, or a Ceylon if there is milk in it."),
    Kept("sample-first", P, "iris", 0.5, "advice gift refund", "gift/sample", 1,
         "Where a gift could miss the taste, offer samples first: opened tea cannot come back."),
    Kept("hojicha-forgives", S, "iris", 0.55, "tea green-tea brewing", "hojicha/forgive", 2,
         "Hojicha forgives boiling water and five minutes without turning bitter."),
    Kept("catalogue-ten", W, "iris", 0.6, "task texts", "week/tasks", 1,
         "Ten catalogue texts are drafted, 14 are missing; the black teas come first.", ttl=6 * _DAY),
    Kept("few-memories", E, "iris", 0.5, "memory health", "recall-size/miss", 1,
         "With three memories Iris missed an allergy that was mentioned once, long ago."),
    # What the team decided, for everyone
    Kept("refund-30", S, "", 0.95, "policy refund", "refund-policy/decide", 8,
         "Refund policy: unopened tea comes back within 30 days, no questions asked.", since=7.19),
    Kept("refund-opened", S, "", 0.85, "policy refund hygiene", "refund-policy/decide", 4,
         "Refund policy: opened tea is not taken back, unless the fault is ours.", since=7.19),
    Kept("refund-sentence", P, "", 0.6, "policy refund texts", "refund-policy/sentence", 2,
         'Say the refund policy as: "Unopened tea comes back within 30 days, no questions asked."'),
    Kept("health-weight", P, "", 0.9, "memory health", "recall-size/weight", 3,
         "Facts about a customer's health get an importance of at least 0.9 and must not fade."),
    Kept("eight-memories", P, "", 0.7, "memory", "recall-size/eight", 3,
         "Read eight memories before an answer: 93 % right, and half the tokens of twenty."),
    Kept("neumunster-sorter", S, "", 0.8, "parcel delay depot", "parcel-delays/sorter", 5,
         "One of two sorting lines of the Neumünster depot is down: parcels take two more days.", since=4.6, until=-10),
    Kept("reroute-express", P, "", 0.8, "parcel delay carrier", "parcel-delays/rule", 4,
         "Express orders to the north go by the other carrier; all others get a delay notice at once."),
    Kept("delay-voucher", P, "", 0.75, "parcel delay voucher", "parcel-delays/voucher", 3,
         "Whoever waits for a parcel for more than three days gets a 5 EUR voucher without asking."),
    # Rune
    Kept("refund-compare", E, "rune", 0.6, "refund research", "refund-policy/compare", 2,
         "Eight of twelve tea shops give 30 days for refunds of unopened tea."),
    Kept("refund-cost", S, "rune", 0.6, "refund cost", "refund-policy/cost", 2,
         "A refund policy of 30 days costs about 70 EUR a month more."),
    Kept("tone-rates", E, "rune", 0.65, "texts delay research", "delay-tone/rates", 2,
         "Delay mails in a warm tone got 22 % questions back, formal ones 31 %, short ones 27 %."),
    Kept("step-matters", S, "rune", 0.7, "texts research", "delay-tone/step", 2,
         "It is the next step, not the tone, that keeps people from asking again."),
    Kept("darjeeling-dry", S, "rune", 0.7, "harvest prices black-tea", "harvest/dry", 3,
         "After a dry spring Darjeeling first flush is a fifth less and 20 % dearer."),
    Kept("assam-steady", S, "rune", 0.5, "harvest prices black-tea", "harvest/steady", 1,
         "Assam prices are steady, plus 2 %, and the quality is good."),
    Kept("sencha-price", S, "rune", 0.65, "prices green-tea", "harvest/japan", 3,
         "Sencha costs 8 % more from next month, hojicha stays as it is."),
    Kept("ask-agent", P, "rune", 0.5, "research contact", "harvest/mailbox", 1,
         "If the exporter in Kirishima does not answer, ask the agent in Hamburg."),
    Kept("recall-curve", E, "rune", 0.6, "memory research", "recall-size/results", 2,
         "Right answers by memories read: 3 gave 81 %, 8 gave 93 %, 20 gave 92 %."),
    Kept("line-tested", E, "rune", 0.7, "depot parcel", "week/line", 1,
         "The second sorting line in Neumünster is being tested and should run in a week."),
    # Pax
    Kept("policy-page", E, "pax", 0.5, "refund texts", "refund-policy/date", 1,
         "The refund page and Iris's texts were changed on the day of the decision."),
    Kept("reroute-cost", S, "pax", 0.6, "parcel delay cost", "parcel-delays/sum", 2,
         "Rerouting all parcels to the north costs 66 EUR a week, the delays about 27 EUR."),
    Kept("depot-watch", P, "pax", 0.65, "routine depot", "parcel-delays/watch", 2,
         "Rune looks at the depot's status every morning until the second line runs."),
    Kept("darjeeling-gap", E, "pax", 0.65, "stock black-tea", "restock/gap", 2,
         "11.5 kg of Darjeeling are in stock, 38 kg are needed in eight weeks."),
    Kept("purchase-77", E, "pax", 0.7, "purchase black-tea", "restock/arrives", 2,
         "Purchase P-77: 20 kg of Margaret's Hope and 10 kg of Puttabong for 1,140 EUR, here in nine days."),
    Kept("one-kilo", W, "pax", 0.6, "stock task", "restock/arrives", 1,
         "Until P-77 arrives sell at most 1 kg of Darjeeling to one customer.", ttl=8 * _DAY),
    Kept("delays-six", E, "pax", 0.6, "parcel delay", "week/less", 1,
         "Parcel delays are down from 14 to six a week since the delay notices."),
    Kept("no-prices", P, "pax", 0.5, "texts catalogue", "week/prices", 1,
         "No prices in the catalogue, they change too often."),
]  # fmt: skip

LINKS = """
mara-black-tea SUPPORTS mara-loves-assam .8, mara-standing .7; RELATED assam-malty .8, steep-assam .6
mara-bergamot RELATED earl-grey .9, mara-black-tea .7
mara-bergamot SUPPORTS health-weight .6
mara-assam DERIVED_FROM mara-black-tea .8, suggest-near .6; PRECEDES mara-loves-assam .9
mara-loves-assam PRECEDES mara-standing .9; DERIVED_FROM mara-assam .8; RELATED assam-malty .7
mara-bitter CAUSES steep-assam .7
mara-hafenweg SUPERSEDES mara-address 1
mara-moved CAUSES mara-hafenweg .9; PRECEDES mara-sister .5
mara-neighbour RELATED mara-hafenweg .9
mara-mail RELATED jonas-mail .4
mara-sister RELATED milk-ceylon .8, wrap-price .6, beginner-tea .7; DERIVED_FROM sister-milk .8
sister-milk CAUSES beginner-tea .6; RELATED milk-ceylon .9
beginner-tea DERIVED_FROM darjeeling-light .7, milk-ceylon .7
jonas-late-first PRECEDES jonas-expedited .9, jonas-late-second .8; SUPPORTS delay-cluster .7; CAUSES expedite .7
jonas-birthday CAUSES jonas-expedited .8; RELATED jonas-late-first .8
jonas-expedited SUPPORTS expedite .8; RELATED promise-refund .6
jonas-late-second CAUSES jonas-voucher .9, jonas-carrier .8; RELATED delay-cluster .6
jonas-voucher DERIVED_FROM delay-voucher .9
jonas-carrier RELATED carriers .6, reroute-express .7
jonas-mail CONTRADICTS jonas-phone .9; RELATED jonas-tell .7
jonas-oolong CAUSES jonas-tell .9
depot-since SUPPORTS neumunster-sorter .7; CAUSES jonas-late-first .8; PRECEDES delay-cluster .7
neumunster-sorter CAUSES delay-cluster .9, jonas-late-second .9, jonas-late-first .8, reroute-express .7
delay-cluster SUPPORTS neumunster-sorter .8; CAUSES delay-voucher .6; PRECEDES delays-six .8
line-tested CONTRADICTS neumunster-sorter .5; DERIVED_FROM depot-watch .8
depot-watch DERIVED_FROM neumunster-sorter .7; RELATED reroute-express .6
reroute-express DERIVED_FROM reroute-cost .8, carriers .7
reroute-cost CONTRADICTS jonas-carrier .3; DERIVED_FROM carriers .7, delay-cluster .6
delays-six SUPPORTS tell-before .8; RELATED reroute-express .6
tell-before SUPPORTS next-step .7, reroute-express .7; CAUSES delays-six .7
track-retry RELATED depot-since .5, expedite .4
next-step DERIVED_FROM tone-rates .8, step-matters .9, short-answers .6
step-matters DERIVED_FROM tone-rates .8; CONTRADICTS short-answers .4; SUPPORTS tell-before .6
tone-rates CONTRADICTS short-answers .5; PRECEDES step-matters .9
promise-refund CONTRADICTS refund-opened .2; RELATED delay-voucher .5
refund-30 SUPERSEDES refund-14 1
refund-30 DERIVED_FROM refund-compare .8, refund-cost .7; RELATED refund-opened .9, refund-sentence .9
refund-sentence DERIVED_FROM refund-30 1
refund-compare SUPPORTS refund-30 .9; CONTRADICTS refund-14 .6; PRECEDES refund-cost .7
refund-cost SUPPORTS refund-30 .7
policy-page DERIVED_FROM refund-30 .8, refund-sentence .7
sample-first DERIVED_FROM refund-opened .8; RELATED tomas-gift .7
tomas-crack CAUSES glass-box .9, tomas-replaced .8; SUPPORTS photo-first .7; PRECEDES tomas-replaced 1
tomas-replaced SUPPORTS glass-box .7; PRECEDES tomas-gift .6
tomas-gift DERIVED_FROM tomas-mother .8, sample-first .7; RELATED wrap-price .6, tomas-card .7
photo-first RELATED glass-box .4
aiko-sencha DERIVED_FROM aiko-pots .7, aiko-cafe .8; RELATED sencha-70 .7, aiko-standing .8
aiko-hojicha SUPERSEDES aiko-sencha 1
aiko-hojicha DERIVED_FROM aiko-awake .9, hojicha-forgives .7, aiko-pots .6; RELATED hojicha-mild .8, aiko-standing .9
aiko-awake CAUSES aiko-hojicha .9; RELATED hojicha-mild .6
sencha-price SUPPORTS aiko-hojicha .6
aiko-menu RELATED hojicha-mild .7; DERIVED_FROM aiko-hojicha .6
aiko-ten RELATED aiko-cafe .8; SUPPORTS aiko-standing .3
hojicha-forgives RELATED hojicha-mild .7; CONTRADICTS sencha-70 .2
darjeeling-dry CAUSES purchase-77 .8, darjeeling-gap .5; RELATED darjeeling-light .5, assam-steady .6
darjeeling-gap CAUSES purchase-77 .9, one-kilo .8; PRECEDES purchase-77 .9
assam-steady SUPPORTS mara-standing .3; RELATED assam-malty .5
ask-agent SUPPORTS sencha-price .6
one-kilo RELATED darjeeling-light .4, purchase-77 .8
recall-curve SUPPORTS eight-memories 1; PRECEDES few-memories .5
few-memories CAUSES health-weight .9; SUPPORTS eight-memories .7
catalogue-ten DERIVED_FROM next-step .6; RELATED no-prices .8, shop .3
"""
"""`source KIND target weight, ...; KIND ...`"""

REVISED = {
    "next-step": "Delay mails: be warm, and say what happens next.",
    "eight-memories": "Read eight memories before an answer.",
}
"""Texts that some memories had before."""
