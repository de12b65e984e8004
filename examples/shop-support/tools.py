"""The tools of an online shop's support desk, over the shop's data in `data/shop.json`.

Each function without a leading underscore is a tool, but `setup`, `state` and `grade`. Results are JSON texts, so a
program that prints one and an agent that calls a tool see the same. The shop's data are never changed: what a tool
changes is kept beside them in `_changed`, which is all the state there is.
"""
import ast
import copy
import json
import operator
import pathlib
from typing import Literal


class ShopError(Exception):
    """What the shop refuses; the text is for the agent."""


_shop = json.loads((pathlib.Path(__file__).parent / "data/shop.json").read_text(encoding="utf-8"))
_changed: dict = {}


# Hooks


def setup(task: dict) -> None:
    """Opens the shop as it was before anybody wrote to it."""
    _changed.clear()
    _changed.update(orders={}, users={}, transferred=False)


def state() -> dict:
    """What is different from the shop as it was: of each changed order and user the members that changed."""
    left = {kind: {} for kind in ("orders", "users")}
    for kind, found in left.items():
        for key in sorted(_changed[kind]):
            before, after = _shop[kind][key], _changed[kind][key]
            members = {name: after[name] for name in sorted(after) if after[name] != before.get(name)}
            if members:
                found[key] = members
    return {**left, "transferred": _changed["transferred"]}


def grade(task: dict, answer, state) -> tuple[bool, str]:
    """Whether the shop is left as the gold actions leave it, and the answer says what had to be said."""
    setup(task)
    for action in task["actions"]:
        globals()[action["name"]](**action["kwargs"])
    wanted = globals()["state"]()
    if json.dumps(state, sort_keys=True) != json.dumps(wanted, sort_keys=True):
        return False, f"the shop is left otherwise: {_difference(wanted, state)}"
    said = str(answer or "").lower().replace(",", "")
    for output in task.get("outputs", []):
        if not _says(said, str(output).lower().replace(",", "")):
            return False, f"the answer does not say {output}"
    return True, "the shop is left as it should be"


def _says(text: str, wanted: str) -> bool:
    """Whether a text holds what is wanted, not as a part of a longer word or number."""
    start = text.find(wanted)
    while start >= 0:
        before, after = text[:start], text[start + len(wanted) :]
        inside = before[-1:].isalnum() or after[:1].isalnum() or (before[-1:] in ".-" and wanted[0].isdigit() and before[-2:-1].isdigit())
        decimals = wanted[-1].isdigit() and after[:1] == "." and after[1:2].isdigit()
        if not inside and not decimals:
            return True
        start = text.find(wanted, start + 1)
    return False


def _difference(wanted: dict, left) -> str:
    if not isinstance(left, dict):
        return "no state is known"
    places = []
    for kind in ("orders", "users"):
        there = left.get(kind) or {}
        for key in sorted(set(wanted[kind]) | set(there)):
            if wanted[kind].get(key) != there.get(key):
                places.append(f"{kind[:-1]} {key}")
    if wanted["transferred"] != left.get("transferred"):
        places.append("the transfer to a human agent")
    return ", ".join(places) or "other members"


# Reading


def find_user_id_by_email(email: str) -> str:
    """Finds a user's id by email.

    Args:
        email: The email of the user, such as 'something@example.com'.
    """
    for key, user in _shop["users"].items():
        if user["email"].lower() == email.strip().lower():
            return key
    raise ShopError(f"no user has the email {email}; ask by name and zip code, or by another email")


def find_user_id_by_name_zip(first_name: str, last_name: str, zip: str) -> str:
    """Finds a user's id by first name, last name and zip code, where the email is not known.

    Args:
        first_name: The first name of the customer, such as 'John'.
        last_name: The last name of the customer, such as 'Doe'.
        zip: The zip code of the customer, such as '12345'.
    """
    wanted = (first_name.strip().lower(), last_name.strip().lower())
    for key in _shop["users"]:
        user = _user(key)
        if (user["name"]["first_name"].lower(), user["name"]["last_name"].lower()) == wanted and user["address"]["zip"] == zip.strip():
            return key
    raise ShopError(f"no user is named {first_name} {last_name} with the zip code {zip}")


def get_user_details(user_id: str) -> str:
    """Gets a user's name, address, email, payment methods and order ids.

    Args:
        user_id: The user id, such as 'sara_doe_496'.
    """
    return _text(_user(user_id))


def get_order_details(order_id: str) -> str:
    """Gets the status and details of an order.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
    """
    return _shown(_order(order_id))


def get_product_details(product_id: str) -> str:
    """Gets all items of a product: their options, price and whether they are available.

    Args:
        product_id: The product id, such as '6086499569'. It is another number than an item id.
    """
    product = _shop["products"].get(product_id)
    if product is None:
        hint = "; this is an item id, an order names the product id beside it" if product_id in _items else ""
        raise ShopError(f"there is no product {product_id}{hint}")
    options = list(next(iter(product["variants"].values()))["options"])
    rows = [
        [item["item_id"], *(item["options"][option] for option in options), item["price"], item["available"]]
        for item in product["variants"].values()
    ]
    return _text({"name": product["name"], "product_id": product_id, "columns": ["item_id", *options, "price", "available"], "items": rows})


def list_all_product_types() -> str:
    """Lists the name and the product id of every product type in the shop."""
    return _text({product["name"]: key for key, product in sorted(_shop["products"].items(), key=lambda one: one[1]["name"])})


def calculate(expression: str) -> str:
    """Calculates an arithmetic expression, to two decimals.

    Args:
        expression: Numbers, + - * / and parentheses, such as '2 + 2'.
    """
    try:
        return f"{_value(ast.parse(expression.strip(), mode='eval').body):.2f}"
    except ZeroDivisionError:
        raise ShopError("the expression divides by zero") from None
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        raise ShopError(f"'{expression}' is no arithmetic of numbers, + - * / and parentheses") from None


def think(thought: str) -> str:
    """Notes a thought; nothing is looked up or changed.

    Args:
        thought: A thought to think about.
    """
    return "Noted."


def transfer_to_human_agents(summary: str) -> str:
    """Hands the user over to a human agent, when the request cannot be fulfilled with the tools.

    Args:
        summary: A summary of the user's issue.
    """
    _changed["transferred"] = True
    return "The user was handed over to a human agent."


# Writing


def cancel_pending_order(order_id: str, reason: Literal["no longer needed", "ordered by mistake"]) -> str:
    """Cancels a pending order and refunds it to its payment method.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        reason: Why the customer cancels.
    """
    order = _in_status(order_id, "pending", "cancelled")
    if reason not in ("no longer needed", "ordered by mistake"):
        raise ShopError("the reason must be 'no longer needed' or 'ordered by mistake'")
    order = _writable("orders", order_id)
    for payment in list(order["payment_history"]):
        _note_payment(order, "refund", payment["amount"], payment["payment_method_id"])
    order["status"] = "cancelled"
    order["cancel_reason"] = reason
    return _shown(order)


def modify_pending_order_address(
    order_id: str, address1: str, address2: str, city: str, state: str, country: str, zip: str
) -> str:
    """Changes the shipping address of a pending order.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        address1: The first line of the address, such as '123 Main St'.
        address2: The second line of the address, such as 'Apt 1' or ''.
        city: The city, such as 'San Francisco'.
        state: The state, such as 'CA'.
        country: The country, such as 'USA'.
        zip: The zip code, such as '12345'.
    """
    _in_status(order_id, "pending", "modified")
    order = _writable("orders", order_id)
    order["address"] = _address(address1, address2, city, state, country, zip)
    return _shown(order)


def modify_pending_order_items(order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str) -> str:
    """Changes items of a pending order to other items of the same products. It can be done once for an order.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        item_ids: The ids of the items to change.
        new_item_ids: The ids of the new items, each in the place of the one that it replaces.
        payment_method_id: Pays the difference of prices, or receives it, such as 'credit_card_0000000'.
    """
    _in_status(order_id, "pending", "modified")
    chosen = _exchange(order_id, item_ids, new_item_ids, payment_method_id)
    order = _writable("orders", order_id)
    difference = round(sum(new["price"] - old["price"] for old, new in chosen), 2)
    _note_payment(order, "payment" if difference > 0 else "refund", abs(difference), payment_method_id)
    places = []
    for old, new in chosen:
        # Of two equal items each is replaced once.
        place = next(index for index, item in enumerate(order["items"]) if item["item_id"] == old["item_id"] and index not in places)
        places.append(place)
        order["items"][place] = {**order["items"][place], "item_id": new["item_id"], "price": new["price"], "options": dict(new["options"])}
    order["status"] = "pending (items modified)"
    return _shown(order)


def modify_pending_order_payment(order_id: str, payment_method_id: str) -> str:
    """Changes the payment method of a pending order; the former one is refunded.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        payment_method_id: The new payment method, such as 'gift_card_0000000' or 'credit_card_0000000'.
    """
    order = _in_status(order_id, "pending", "modified")
    method = _method(order, payment_method_id)
    history = order["payment_history"]
    if len(history) != 1 or history[0]["transaction_type"] != "payment":
        raise ShopError(f"the payment of order {order_id} was changed before, which can be done once")
    if history[0]["payment_method_id"] == payment_method_id:
        raise ShopError(f"order {order_id} is paid by {payment_method_id} already; choose another payment method")
    amount = history[0]["amount"]
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise ShopError(f"the gift card holds ${method['balance']:.2f}, and the order costs ${amount:.2f}")
    order = _writable("orders", order_id)
    _note_payment(order, "payment", amount, payment_method_id)
    _note_payment(order, "refund", amount, history[0]["payment_method_id"])
    return _shown(order)


def modify_user_address(
    user_id: str, address1: str, address2: str, city: str, state: str, country: str, zip: str
) -> str:
    """Changes the default address of a user.

    Args:
        user_id: The user id, such as 'sara_doe_496'.
        address1: The first line of the address, such as '123 Main St'.
        address2: The second line of the address, such as 'Apt 1' or ''.
        city: The city, such as 'San Francisco'.
        state: The state, such as 'CA'.
        country: The country, such as 'USA'.
        zip: The zip code, such as '12345'.
    """
    _user(user_id)
    user = _writable("users", user_id)
    user["address"] = _address(address1, address2, city, state, country, zip)
    return _text(user)


def return_delivered_order_items(order_id: str, item_ids: list[str], payment_method_id: str) -> str:
    """Asks for the return of items of a delivered order. It can be done once for an order.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        item_ids: The ids of the items to return.
        payment_method_id: Receives the refund: the order's own payment method or a gift card.
    """
    order = _in_status(order_id, "delivered", "returned")
    method = _method(order, payment_method_id)
    if method["source"] != "gift_card" and payment_method_id != order["payment_history"][0]["payment_method_id"]:
        raise ShopError("a refund goes to the payment method of the order or to a gift card")
    _contains(order, item_ids)
    order = _writable("orders", order_id)
    order["status"] = "return requested"
    order["return_items"] = sorted(item_ids)
    order["return_payment_method_id"] = payment_method_id
    return _shown(order)


def exchange_delivered_order_items(order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str) -> str:
    """Exchanges items of a delivered order for other items of the same products. It can be done once for an order.

    Args:
        order_id: The order id, such as '#W0000000'. It begins with a '#'.
        item_ids: The ids of the items to exchange.
        new_item_ids: The ids of the new items, each in the place of the one that it replaces.
        payment_method_id: Pays the difference of prices, or receives it, such as 'credit_card_0000000'.
    """
    _in_status(order_id, "delivered", "exchanged")
    chosen = _exchange(order_id, item_ids, new_item_ids, payment_method_id)
    order = _writable("orders", order_id)
    order["status"] = "exchange requested"
    order["exchange_items"] = sorted(item_ids)
    order["exchange_new_items"] = sorted(new_item_ids)
    order["exchange_payment_method_id"] = payment_method_id
    order["exchange_price_difference"] = round(sum(new["price"] - old["price"] for old, new in chosen), 2)
    return _shown(order)


# Inside

_items = {item: product["product_id"] for product in _shop["products"].values() for item in product["variants"]}
_operators = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def _text(value) -> str:
    return json.dumps(value, separators=(",", ":"))


def _shown(order: dict) -> str:
    """An order, what matters most first: an agent may be shown the beginning only."""
    first = ["order_id", "user_id", "status", "items", "payment_history"]
    later = [name for name in order if name not in first and name not in ("address", "fulfillments")]
    return _text({name: order[name] for name in [*first, *later, "address", "fulfillments"]})


def _value(node) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _operators:
        return _operators[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _operators:
        return _operators[type(node.op)](_value(node.operand))
    raise ValueError


def _order(order_id: str) -> dict:
    order = _changed["orders"].get(order_id) or _shop["orders"].get(order_id)
    if order is None:
        hint = f"; did you mean #{order_id}?" if f"#{order_id}" in _shop["orders"] else ""
        raise ShopError(f"there is no order {order_id}{hint}")
    return order


def _user(user_id: str) -> dict:
    user = _changed["users"].get(user_id) or _shop["users"].get(user_id)
    if user is None:
        raise ShopError(f"there is no user {user_id}; find the id by email, or by name and zip code")
    return user


def _writable(kind: str, key: str) -> dict:
    """The record to change: a copy, made when it is first written to."""
    if key not in _changed[kind]:
        _changed[kind][key] = copy.deepcopy(_shop[kind][key])
    return _changed[kind][key]


def _in_status(order_id: str, status: str, done: str) -> dict:
    order = _order(order_id)
    if order["status"] != status:
        raise ShopError(f"order {order_id} is {order['status']}; only {status} orders can be {done}")
    return order


def _method(order: dict, payment_method_id: str) -> dict:
    methods = _user(order["user_id"])["payment_methods"]
    if payment_method_id not in methods:
        raise ShopError(f"the customer has no payment method {payment_method_id}; there are {', '.join(methods)}")
    return methods[payment_method_id]


def _note_payment(order: dict, kind: str, amount: float, payment_method_id: str) -> None:
    """Adds a transaction; a gift card's balance changes at once, others take days."""
    order["payment_history"].append({"transaction_type": kind, "amount": amount, "payment_method_id": payment_method_id})
    if _method(order, payment_method_id)["source"] == "gift_card":
        card = _writable("users", order["user_id"])["payment_methods"][payment_method_id]
        card["balance"] = round(card["balance"] + (amount if kind == "refund" else -amount), 2)


def _contains(order: dict, item_ids: list[str]) -> None:
    if not item_ids:
        raise ShopError("no items are named")
    there = [item["item_id"] for item in order["items"]]
    for item in item_ids:
        if item_ids.count(item) > there.count(item):
            raise ShopError(f"order {order['order_id']} holds the item {item} {there.count(item)} times; its items are {', '.join(there)}")


def _exchange(order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str) -> list[tuple[dict, dict]]:
    """The items and what replaces them, all rules of an exchange kept."""
    order = _order(order_id)
    _contains(order, item_ids)
    if len(item_ids) != len(new_item_ids):
        raise ShopError(f"{len(item_ids)} items and {len(new_item_ids)} new items are named; each needs its new one")
    chosen = []
    for old_id, new_id in zip(item_ids, new_item_ids):
        old = next(item for item in order["items"] if item["item_id"] == old_id)
        new = _shop["products"].get(old["product_id"], {"variants": {}})["variants"].get(new_id)
        if new is None:
            raise ShopError(f"there is no item {new_id} of the product {old['product_id']} ({old['name']})")
        if new_id == old_id:
            raise ShopError(f"the new item {new_id} is the same as the old one")
        if not new["available"]:
            raise ShopError(f"the item {new_id} is not available")
        chosen.append((old, new))
    method = _method(order, payment_method_id)
    difference = round(sum(new["price"] - old["price"] for old, new in chosen), 2)
    if method["source"] == "gift_card" and method["balance"] < difference:
        raise ShopError(f"the gift card holds ${method['balance']:.2f}, and the difference is ${difference:.2f}")
    return chosen


def _address(address1: str, address2: str, city: str, state: str, country: str, zip: str) -> dict:
    return {"address1": address1, "address2": address2, "city": city, "country": country, "state": state, "zip": zip}
