"""Forked shops against plain ones: `python3 check_shop.py [SEQUENCES]`, 1,000 unless told.

A random sequence of calls is made twice. Plainly: one after the other in one session. Forked: as a search does it, before each
call the process forks, children make other calls that are thrown away, and another child makes the call and goes on. Both must
show the same and leave the same state. Every tool is called, with right, wrong and repeated arguments.
"""
import collections
import json
import os
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402

SHOP = json.loads((HERE / "data/shop.json").read_text(encoding="utf-8"))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    faults, counts = [], collections.Counter()
    session = harness.Session(HERE, {})
    untouched = json.dumps(session.module._shop, sort_keys=True)
    for seed in range(count):
        rng = random.Random(seed)
        calls = [call(rng) for _ in range(rng.randint(3, 10))]
        others = [[call(rng) for _ in range(rng.randint(0, 2))] for _ in calls]
        session.module.setup({})
        plain = [session.call(*one)["text"] for one in calls]
        left = [plain, session.state()]
        session.module.setup({})
        forked = in_forks(session, calls, others)
        if json.dumps(forked, sort_keys=True) != json.dumps(left, sort_keys=True):
            faults.append(f"sequence {seed}: forks leave {json.dumps(forked)[:300]} instead of {json.dumps(left)[:300]}")
        counts["sequences"] += 1
        counts["calls"] += len(calls)
        counts["calls in branches thrown away"] += sum(map(len, others))
        counts["refused"] += sum(text.startswith("ShopError") for text in plain)
        counts["sequences that changed the shop"] += left[1] != {"orders": {}, "users": {}, "transferred": False}
    if json.dumps(session.module._shop, sort_keys=True) != untouched:
        faults.append("the shop's own data were changed")
    harness.report("forks of the shop", faults, counts)


def in_forks(session, calls, others):
    """What the last of a line of forked processes has seen, and the state in it."""
    reader, writer = os.pipe()
    if not (line := os.fork()):
        os.close(reader)
        seen = []
        for one, wasted in zip(calls, others):
            for other in wasted:
                if not (branch := os.fork()):
                    session.call(*other)
                    os._exit(0)
                os.waitpid(branch, 0)
            if child := os.fork():
                os.waitpid(child, 0)
                os._exit(0)
            seen.append(session.call(*one)["text"])
        with os.fdopen(writer, "w") as pipe:
            json.dump([seen, session.state()], pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        result = json.load(pipe)
    os.waitpid(line, 0)
    return result


def call(rng):
    """A tool and its arguments, mostly fitting."""
    order = rng.choice(list(SHOP["orders"].values()))
    user = SHOP["users"][order["user_id"]]
    if rng.random() < 0.1:
        order = {**order, "order_id": "#W0000000"}
    method = rng.choice([*user["payment_methods"], order["payment_history"][0]["payment_method_id"], "paypal_0"])
    items = rng.sample(order["items"], rng.randint(1, len(order["items"])))
    old = [item["item_id"] for item in items]
    new = [rng.choice(list(SHOP["products"][item["product_id"]]["variants"])) for item in items]
    if rng.random() < 0.1:
        new = new[:-1]
    address = dict(address1=f"{rng.randint(1, 99)} Elm Street", address2="", city="Austin", state="TX", country="USA", zip="78784")
    of_order = {"order_id": order["order_id"]}
    names = user["name"]
    return rng.choice(
        [
            ("find_user_id_by_email", {"email": rng.choice([user["email"], "nobody@example.com"])}),
            ("find_user_id_by_name_zip", {**names, "zip": rng.choice([user["address"]["zip"], "00000"])}),
            ("get_user_details", {"user_id": order["user_id"]}),
            ("get_order_details", of_order),
            ("get_product_details", {"product_id": items[0]["product_id"]}),
            ("list_all_product_types", {}),
            ("calculate", {"expression": rng.choice(["1 + 2", "(3.5 - 1) * 2", "1 / 0", "2 ** 9"])}),
            ("think", {"thought": "hm"}),
            ("transfer_to_human_agents", {"summary": "x"}),
            *[("cancel_pending_order", {**of_order, "reason": rng.choice(["no longer needed", "ordered by mistake"])})] * 2,
            ("modify_pending_order_address", {**of_order, **address}),
            *[("modify_pending_order_items", {**of_order, "item_ids": old, "new_item_ids": new, "payment_method_id": method})] * 3,
            *[("modify_pending_order_payment", {**of_order, "payment_method_id": method})] * 2,
            ("modify_user_address", {"user_id": order["user_id"], **address}),
            *[("return_delivered_order_items", {**of_order, "item_ids": old, "payment_method_id": method})] * 2,
            *[("exchange_delivered_order_items", {**of_order, "item_ids": old, "new_item_ids": new, "payment_method_id": method})] * 3,
        ]
    )


if __name__ == "__main__":
    main()
