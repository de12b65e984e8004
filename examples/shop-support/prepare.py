"""Makes the shop, the tasks and the teacher's trajectories from τ-bench's retail data.

    python3 prepare.py DATA            writes the full-size domain into `full/`
    python3 prepare.py DATA --small    writes the committed cut into this folder

DATA holds `tau-retail/` with orders.json, users.json, products.json, tasks_train.jsonl and tasks_dev.jsonl. The same data
and seed always give the same bytes. Standard library only.
"""
import argparse
import ast
import collections
import json
import pathlib
import random
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402

PAYMENT = r"((?:credit_card|paypal|gift_card)_\d+)"
CLAUSES = {
    "cancel": re.compile(r"Cancel order (#W\d+) because (no longer needed|ordered by mistake)\. ?"),
    "return": re.compile(rf"Return (#W\d+) via {PAYMENT}: ((?:[^;#]+; ?)+)"),
    "items": re.compile(rf"For (#W\d+), (exchange|modify) ((?:[^;#]+ \{{[^}}]*\}} to \{{[^}}]*\}}; ?)+)via {PAYMENT}\. ?"),
    "payment": re.compile(rf"For (#W\d+), change payment to {PAYMENT}\. ?"),
    "address": re.compile(r"For (#W\d+), change address to (\{[^}]*\}) \(same as (#W\d+)\)\. ?"),
}
PERSON = re.compile(r"Your name is (\S+) (\S+) and your (?:zip code is (\d+)|email is (\S+@\S+?))\. You are [a-z ,-]+\. ")
CHANGE = re.compile(r"([^;{]+) (\{[^}]*\}) to (\{[^}]*\}); ?")


class Unfit(Exception):
    """Why a record is left out."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="the committed cut, in place")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "full")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    source = options.data / "tau-retail"
    shop = {kind: json.loads((source / f"{kind}.json").read_text(encoding="utf-8")) for kind in ("orders", "users", "products")}
    out = HERE if options.small else options.out
    if not options.small:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("domain.yaml", "tools.py"):
            shutil.copyfile(HERE / name, out / name)

    rng = random.Random(options.seed)
    left_out = collections.Counter()
    plans = []
    for record in harness.read(source / "tasks_train.jsonl"):
        try:
            plans.append(plan(record, shop, rng))
        except Unfit as reason:
            left_out[str(reason)] += 1
    write_shop(out / "data/shop.json", shop)
    sound = []
    for one in plans:
        try:
            one["trajectory"] = teach(out, one)
            sound.append(one)
        except Unfit as reason:
            left_out[str(reason)] += 1
    # A customer's tasks are all in one split.
    customers = sorted({one["record"]["user_id"] for one in sound})
    rng.shuffle(customers)
    tested = set(customers[: len(customers) // 5])
    train = [one for one in sound if one["record"]["user_id"] not in tested]
    test = [one for one in sound if one["record"]["user_id"] in tested]
    questions = json.loads((HERE / "out_questions.json").read_text(encoding="utf-8"))
    other = [task_of(record, **questions[record["id"]]) for record in harness.read(source / "tasks_dev.jsonl")]
    if options.small:
        train, test, other = few(train, 24), few(test, 12), other[:12]
        # What a tool shows is the same in the cut: an order, a user or a product is in it whole.
        write_shop(out / "data/shop.json", cut(shop, {one["record"]["user_id"] for one in train + test} | {one["user_id"] for one in other}))

    harness.write(out / "tasks/train.jsonl", [one["task"] for one in train])
    harness.write(out / "tasks/test.jsonl", [one["task"] for one in test])
    harness.write(out / "tasks/other.jsonl", other)
    harness.write(out / "trajectories.jsonl", [one["trajectory"] for one in train])
    steps = sum(len(one["trajectory"]["steps"]) for one in train)
    print(f"{len(train)} tasks to train, {len(test)} and {len(other)} to test, {len(train)} trajectories of {steps} steps; left out: {dict(left_out)}")


def few(plans, count):
    """Some of each kind of wish, the short ones first."""
    by_kind = collections.defaultdict(list)
    for one in sorted(plans, key=lambda one: (len(one["wishes"]), one["record"]["id"])):
        by_kind["+".join(sorted(wish["kind"] for wish in one["wishes"]))].append(one)
    chosen, column = [], 0
    while len(chosen) < count and any(len(rest) > column for rest in by_kind.values()):
        for kind in sorted(by_kind, key=lambda kind: (kind.count("+"), kind)):
            if kind.count("+") < 2 and len(by_kind[kind]) > column and len(chosen) < count:
                chosen.append(by_kind[kind][column])
        column += 1
    return sorted(chosen, key=lambda one: one["record"]["id"])


def cut(shop, users):
    """The shop with these users, all their orders and the products in them."""
    orders = {key: order for key, order in shop["orders"].items() if order["user_id"] in users}
    products = {item["product_id"] for order in orders.values() for item in order["items"]}
    return {
        "orders": orders,
        "users": {key: user for key, user in shop["users"].items() if key in users},
        "products": {key: product for key, product in shop["products"].items() if key in products},
    }


def write_shop(path, shop):
    """One record a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = []
    for kind in ("users", "orders", "products"):
        lines = ",\n".join(f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in shop[kind].items())
        parts.append(f'"{kind}":{{\n{lines}\n}}')
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


# Tasks


def task_of(record, question, outputs=()):
    return {
        "id": record["id"],
        "question": question,
        "user_id": record["user_id"],
        "actions": record["actions"],
        "outputs": list(record["outputs"]) + list(outputs),
    }


def plan(record, shop, rng):
    """The task with its question for an agent that cannot ask back, and the wishes in it.

    Raises:
        Unfit: where the instruction is of another form, or the gold actions do not follow from it.
    """
    person = PERSON.match(record["instruction"])
    if not person:
        raise Unfit("the instruction begins otherwise")
    first, last, zip_code, email = person.groups()
    wishes = read_wishes(record["instruction"][person.end() :], shop)
    if len(wishes) != len(record["actions"]):
        raise Unfit("wishes and gold actions are not as many")
    for wish, action in zip(wishes, record["actions"]):
        check(wish, action)
    who = f"the zip code {zip_code}" if zip_code else f"the email {email}"
    greetings = {
        True: [f"My name is {first} {last} and my zip code is {zip_code}.", f"This is {first} {last}, zip code {zip_code}.", f"I am {first} {last} from {zip_code}."],
        False: [f"My name is {first} {last} and my email is {email}.", f"This is {first} {last}, {email}.", f"I am {first} {last} ({email})."],
    }
    said = [rng.choice(greetings[bool(zip_code)])] + [rng.choice(wish["words"]) for wish in wishes]
    outputs = []
    asks = len(wishes) == 1 and wishes[0].get("asks") and rng.random() < 0.5
    if asks:
        said.append(wishes[0]["asks"])
        outputs = [f"{abs(wishes[0]['amount']):.2f}"]
    said.append(rng.choice(["I confirm all of this.", "That is all, please go ahead.", "Please do it, I have no other wishes."]))
    return {
        "record": record,
        "task": task_of(record, " ".join(said), outputs),
        "wishes": wishes,
        "person": {"first_name": first, "last_name": last, "zip": zip_code, "email": email, "who": who},
    }


def read_wishes(text, shop):
    wishes = []
    text = text.strip() + " "
    while text.strip():
        text = text.lstrip()
        for kind, pattern in CLAUSES.items():
            found = pattern.match(text)
            if found:
                wishes.append(globals()[f"wish_to_{kind}"](found, shop))
                text = text[found.end() :]
                break
        else:
            raise Unfit("a wish of another form")
    return wishes


def wish_to_cancel(found, shop):
    order, reason = found.groups()
    words = {
        "no longer needed": [f"Please cancel order {order}; I no longer need it.", f"I no longer need what I ordered in {order}, so cancel it."],
        "ordered by mistake": [f"I placed order {order} by mistake. Please cancel it.", f"Please cancel order {order}, it was ordered by mistake."],
    }[reason]
    amount = shop["orders"][order]["payment_history"][0]["amount"]
    method = shop["orders"][order]["payment_history"][0]["payment_method_id"]
    return {
        "kind": "cancel", "order": order, "words": words, "asks": "How much do I get back?", "amount": amount,
        "action": {"name": "cancel_pending_order", "kwargs": {"order_id": order, "reason": reason}},
        "why": f"The order is pending, and the reason is '{reason}', so I cancel it.",
        "done": f"Order {order} is cancelled, and ${amount:.2f} goes back to {method}.",
    }


def wish_to_return(found, shop):
    order, method, names = found.groups()
    names = [name.strip() for name in names.split(";") if name.strip()]
    left = list(shop["orders"][order]["items"])
    items, told = [], []
    for name in names:
        same = [item for item in left if item["name"] == name]
        if not same:
            raise Unfit("an item that the order does not hold")
        if len(same) != names[len(items) :].count(name):
            raise Unfit("which of several items is not said")
        items.append(same[0])
        left.remove(same[0])
        told.append(f"the {name}")
    amount = round(sum(item["price"] for item in items), 2)
    named = listed([f"the {item['name']} is item {item['item_id']}" for item in items])
    return {
        "kind": "return", "order": order, "items": items, "asks": "What is the refund in total?", "amount": amount,
        "words": [f"I want to return {listed(told)} of order {order}; refund it to {method}.", f"From order {order} I return {listed(told)}. The money shall go to {method}."],
        "action": {"name": "return_delivered_order_items", "kwargs": {"order_id": order, "item_ids": [item["item_id"] for item in items], "payment_method_id": method}},
        "why": f"The order is delivered, and {named}, so I request the return.",
        "sum": " + ".join(f"{item['price']}" for item in items),
        "done": f"The return of {listed(told)} of order {order} is requested, with the refund of ${amount:.2f} to {method}.",
    }


def wish_to_items(found, shop):
    order, verb, changes, method = found.groups()
    old, new, told, looked = [], [], [], []
    left = list(shop["orders"][order]["items"])
    for name, before, wanted in CHANGE.findall(changes):
        before, wanted = ast.literal_eval(before), ast.literal_eval(wanted)
        same = [item for item in left if item["name"] == name.strip() and item["options"] == before]
        if not same:
            raise Unfit("an item that the order does not hold")
        left.remove(same[0])
        options = {**before, **wanted}
        fitting = [item for item in shop["products"][same[0]["product_id"]]["variants"].values() if item["options"] == options and item["available"]]
        if options == before:
            raise Unfit("an item that is exchanged for itself")
        if len(fitting) != 1:
            raise Unfit("not exactly one new item fits")
        old.append(same[0])
        new.append(fitting[0])
        told.append(f"the {same[0]['name']} ({spoken(before)}) to {spoken(wanted)}" if verb == "modify" else f"the {same[0]['name']} ({spoken(before)}) for one with {spoken(wanted)}")
        looked.append({"name": same[0]["name"], "product": same[0]["product_id"], "options": spoken(options)})
    amount = round(sum(b["price"] - a["price"] for a, b in zip(old, new)), 2)
    tool = "modify_pending_order_items" if verb == "modify" else "exchange_delivered_order_items"
    change = "change" if verb == "modify" else "exchange"
    if amount > 0:
        difference = f"you pay ${amount:.2f} more by {method}"
    elif amount < 0:
        difference = f"${-amount:.2f} goes back to {method}"
    else:
        difference = "the price stays the same"
    pairs = listed([f"item {a['item_id']} becomes {b['item_id']}" for a, b in zip(old, new)])
    return {
        "kind": tool.split("_")[0], "order": order, "looked": looked, "asks": "What is the difference in price?", "amount": amount,
        "words": [f"In order {order}, please {change} {listed(told)}. Use {method} for the difference.", f"I would like to {change} {listed(told)} in order {order}, with {method} for the difference."],
        "action": {"name": tool, "kwargs": {"order_id": order, "item_ids": [item["item_id"] for item in old], "new_item_ids": [item["item_id"] for item in new], "payment_method_id": method}},
        "why": f"The order is {'pending' if verb == 'modify' else 'delivered'}, and {pairs}.",
        "done": f"{'The items of order ' + order + ' are changed' if verb == 'modify' else 'The exchange for order ' + order + ' is requested'}, and {difference}.",
    }


def wish_to_payment(found, shop):
    order, method = found.groups()
    return {
        "kind": "payment", "order": order,
        "words": [f"Please change the payment of order {order} to {method}.", f"I want to pay order {order} with {method} instead."],
        "action": {"name": "modify_pending_order_payment", "kwargs": {"order_id": order, "payment_method_id": method}},
        "why": f"The order is pending and paid by another method, so I change the payment to {method}.",
        "done": f"Order {order} is now paid by {method}.",
    }


def wish_to_address(found, shop):
    order, address, other = found.groups()
    address = {key: value for key, value in ast.literal_eval(address).items() if key != "order_id"}
    if {key: shop["orders"][other]["address"][key] for key in address} != address:
        raise Unfit("the other order has another address")
    return {
        "kind": "address", "order": order, "other": other,
        "words": [f"Please send order {order} to the address of my order {other}.", f"The shipping address of order {order} should be the same as that of order {other}."],
        "action": {"name": "modify_pending_order_address", "kwargs": {"order_id": order, **address}},
        "why": f"The order is pending, and the address of {other} is {address['address1']}, {address['address2']}, {address['city']}.",
        "done": f"Order {order} is sent to {address['address1']}, {address['address2']}, {address['city']}, {address['state']} {address['zip']}.",
    }


def check(wish, action):
    """The gold action must be what the wish says."""

    def sets(kwargs):
        pairs = sorted(zip(kwargs.get("item_ids", []), kwargs.get("new_item_ids", kwargs.get("item_ids", []))))
        return {**{key: value for key, value in kwargs.items() if not key.endswith("item_ids")}, "pairs": pairs}

    if action["name"] != wish["action"]["name"] or sets(action["kwargs"]) != sets(wish["action"]["kwargs"]):
        raise Unfit("the gold action is another than the wish")


def listed(parts):
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def article(name):
    return "an" if name[0] in "AEIOU" else "a"


def spoken(options):
    return ", ".join(f"{name} {value}" for name, value in options.items())


# The teacher


def teach(folder, one):
    """A trajectory: the customer is looked up, orders and products are read, the gold actions are made, the answer is given.

    Raises:
        Unfit: where the tools refuse a gold action, or the state that is left is not the gold one.
    """
    session = harness.Session(folder, one["task"])
    steps, known = [], set()

    def take(thought, name, **arguments):
        seen = session.call(name, arguments)
        if "success" not in seen["outcome"]:
            raise Unfit("a gift card does not hold what the gold action takes" if "gift card" in seen["text"] else f"a tool refuses: {seen['text']}")
        steps.append(harness.step(thought, harness.tool_call(name, **arguments), seen))

    def read_order(order, thought):
        if order not in known:
            known.add(order)
            take(thought, "get_order_details", order_id=order)

    person = one["person"]
    if person["email"]:
        take(f"The customer gives {person['who']}, so I look the user up by it.", "find_user_id_by_email", email=person["email"])
    else:
        take(f"The customer gives a name and {person['who']}, so I look the user up by them.", "find_user_id_by_name_zip", first_name=person["first_name"], last_name=person["last_name"], zip=person["zip"])
    for wish in one["wishes"]:
        read_order(wish["order"], f"I check the status and the items of order {wish['order']}.")
        if "other" in wish:
            read_order(wish["other"], f"I need the address of order {wish['other']}.")
        for item in wish.get("looked", []):
            if item["product"] not in known:
                known.add(item["product"])
                take(f"I look for {article(item['name'])} {item['name']} with {item['options']} that is available.", "get_product_details", product_id=item["product"])
        take(wish["why"], wish["action"]["name"], **wish["action"]["kwargs"])
        if len(wish.get("items", [])) > 1:
            take("I add up the prices for the refund.", "calculate", expression=wish["sum"])
    told = " ".join(wish["done"] for wish in one["wishes"])
    action = harness.answer(told)
    steps.append(harness.step("Everything is done, so I tell the customer.", action, session.perform(action)))
    left = session.state()
    right, reason = harness.Session(folder).module.grade(one["task"], told, left)
    if not right:
        raise Unfit(reason)
    return harness.trajectory(one["task"], steps, "tau-bench gold actions", "tool-agent", state=left)


if __name__ == "__main__":
    main()
