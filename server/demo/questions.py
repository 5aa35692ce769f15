"""What customers ask the demo's live agent, and what comes of it."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One question from beginning to end; words after a $ are chosen anew each time.

    memory: what is worth keeping of it, if anything.
    """

    customer: str
    question: str
    tool: str
    arguments: str
    result: str
    answer: str
    memory: str = ""


WORDS: dict[str, list[str]] = {
    "tea": ["Assam Mangalam", "Ceylon Uva", "Darjeeling first flush", "Keemun", "Yunnan Gold", "Lapsang Souchong"],
    "green": ["Sencha Kirishima", "Hojicha", "Genmaicha", "Jasmine Pearls", "Gunpowder"],
    "thing": ["glass teapot", "tea tin", "cast-iron kettle", "porcelain cup", "bamboo whisk"],
    "city": ["Hamburg", "Kiel", "Bremen", "Lübeck", "Flensburg", "Rostock"],
    "depot": ["Neumünster", "Hamburg-Süd", "Bremen-Ost", "Rostock"],
    "day": ["tomorrow", "in two days", "in three days", "at the end of the week"],
    "grams": ["50", "100", "250", "500"],
    "eur": ["6.90", "9.20", "12.50", "18.40", "24.00"],
    "count": ["two", "three", "four", "five"],
    "degrees": ["70", "80", "90", "95"],
}

CASES = [
    Case("jonas", "Is my order $order on its way already?",
         "parcels.track", '{"order": "$order"}', '{"order": "$order", "status": "in transit", "depot": "$depot"}',
         "Yes, order $order has left $city and is with the $depot depot now. It arrives $day.",
         "Jonas's order $order went through the $depot depot."),
    Case("jonas", "My parcel $order is late again. What is going on in $depot?",
         "carrier.status", '{"depot": "$depot"}', '{"depot": "$depot", "delayDays": $small, "sorter": "slow"}',
         "The $depot depot is slow at the moment: a parcel delay of $small days. Yours comes $day.",
         "Order $order had a parcel delay of $small days at the $depot depot."),
    Case("mara", "Which black tea would you give somebody who finds $tea too strong?",
         "stock.search", '{"kind": "black", "strength": "light"}', '{"items": [{"name": "Darjeeling", "g": $many}]}',
         "A Darjeeling: it is the lightest black tea we have. Two minutes at 90 °C are enough."),
    Case("mara", "I would like to try $tea. Do you have $grams g of it?",
         "stock.search", '{"name": "$tea"}', '{"items": [{"name": "$tea", "grams": $many}]}',
         "We do: $many g of $tea are here. Shall I send you $grams g for $eur EUR?",
         "Mara wants to try $tea."),
    Case("tomas", "What is your refund policy if my mother does not like the $green?",
         "policies.get", '{"topic": "refund"}', '{"unopenedDays": 30, "opened": false}',
         "Unopened tea comes back within 30 days, no questions asked. Opened tea we cannot take back."),
    Case("tomas", "The $thing from order $order has a dent. Can I get another one?",
         "returns.open", '{"order": "$order", "item": "$thing", "reason": "damaged"}', '{"return": "R-$small$many"}',
         "I am sorry! A new $thing leaves us $day. You need not send the old one back.",
         "Tomás's $thing from order $order arrived with a dent and was replaced."),
    Case("aiko", "We need $count more kilos of $green for the café, how soon can they come?",
         "stock.search", '{"name": "$green"}', '{"items": [{"name": "$green", "grams": ${many}0}]}',
         "They can be with you $day, before ten in the morning as always.",
         "The Kanso Café ordered $count extra kilos of $green."),
    Case("aiko", "How hot should the water be for $green?",
         "teas.get", '{"name": "$green"}', '{"name": "$green", "degrees": $degrees, "minutes": $small}',
         "$degrees °C, and $small minutes. In your pots for two it forgives a little longer."),
    Case("jonas", "Is the Dong Ding oolong back?",
         "stock.search", '{"name": "Dong Ding"}', '{"items": []}',
         "Not yet, the shipment from Taiwan arrives $day. You are first on the list."),
    Case("mara", "Can you send my standing order a week later this time?",
         "orders.standing.update", '{"standing": "S-34", "shiftWeeks": 1}', '{"standing": "S-34", "next": "$day"}',
         "Done, S-34 moves by a week. Everything else stays as it is.",
         "Mara moved her standing order S-34 by a week."),
    Case("mara", "Does $green have bergamot in it?",
         "teas.get", '{"name": "$green", "fields": ["contents"]}', '{"name": "$green", "contents": ["green tea"]}',
         "No bergamot in it, only green tea: it is safe for you."),
    Case("tomas", "How much is the wrapping for $count tins?",
         "prices.get", '{"item": "gift wrapping"}', '{"eur": 2.5}',
         "Wrapping is 2.50 EUR a parcel, however many tins are in it. The card is free."),
    Case("aiko", "Could we have the invoice for $city by mail?",
         "invoices.send", '{"customer": "aiko", "order": "$order"}', '{"sent": true, "eur": $eur}',
         "It is on its way to you: invoice for order $order, $eur EUR.",
         "Aiko wants the invoices for $city by mail."),
    Case("jonas", "I waited four days for order $order. Do I get something for it?",
         "vouchers.create", '{"customer": "jonas", "eur": 5, "reason": "parcel delay"}', '{"code": "WARTEN-$order"}',
         "Of course: a 5 EUR voucher, WARTEN-$order, is on your account.",
         "Jonas got a 5 EUR voucher because of the parcel delay of order $order."),
    Case("tomas", "Which tea goes well with $count-layer almond cake?",
         "teas.match", '{"food": "almond cake"}', '{"matches": ["$tea", "$green"]}',
         "$tea, I would say. If you like it lighter, take $green.",
         "Tomás looked for a tea that goes with almond cake."),
    Case("mara", "My last $tea was bitter. What do I do wrong?",
         "teas.get", '{"name": "$tea"}', '{"name": "$tea", "degrees": 95, "minutes": 3}',
         "Three minutes are enough for $tea, four at the most. After that it turns bitter."),
    Case("aiko", "A guest asks which of our teas keeps you awake the least.",
         "teas.compare", '{"by": "caffeine", "teas": ["Hojicha", "Sencha", "$tea"]}', '{"least": "Hojicha"}',
         "Hojicha: it has about a third of the caffeine of sencha.",
         "Guests of the Kanso Café ask for tea with little caffeine."),
    Case("jonas", "Please send order $order to my office in $city.",
         "orders.update", '{"order": "$order", "city": "$city"}', '{"ok": true}',
         "Changed: order $order goes to your office in $city.",
         "Jonas has an office in $city."),
    Case("tomas", "Can I return $grams g of $tea that I have not opened?",
         "returns.open", '{"tea": "$tea", "grams": $grams, "opened": false}', '{"return": "R-$many", "eur": $eur}',
         "Yes, within 30 days. Return R-$many is open, you get $eur EUR back.",
         "Tomás returned $grams g of $tea unopened."),
    Case("mara", "Is the doorbell note still on my address?",
         "customers.get", '{"customer": "mara", "fields": ["address", "note"]}', '{"city": "Hamburg", "note": null}',
         "No, it is gone: parcels come to Hafenweg 3, right to your door."),
    Case("aiko", "What would $count kilos of $tea cost us?",
         "prices.wholesale", '{"tea": "$tea", "kgPerMonth": $small}', '{"tea": "$tea", "eurPerKg": $eur}',
         "$eur EUR a kilo for $tea. From 4 kg a month it is 12 % less."),
]  # fmt: skip

FAILURES = [
    ("timeout", "The service did not answer within 5 s."),
    ("unavailable", "The warehouse system is being restarted."),
    ("rate_limited", "Too many requests, try again in a second."),
]
"""What a tool may say before it works."""
