"""The message at the end of `make up`, the same for both kinds of stack."""

from collections.abc import Mapping


def message(name: str, ports: Mapping[str, int], seconds: float) -> str:
    """The addresses of the services and a first command to try; `ports` by component."""
    option = "" if name == "main" else f" NAME={name}"
    body = '{"name":"Jane Doe","creditLimit":{"amount":5}}'
    order, customer, history = (f"http://127.0.0.1:{ports[part]}" for part in ("order", "customer", "history"))
    return f"""
The stack "{name}" is ready after {seconds:.1f} s.

  orders     {order}
  customers  {customer}
  history    {history}

Try it:

  curl -X POST {customer}/customers -H 'Content-Type: application/json' -d '{body}'

make status{option}, make logs{option}, make down{option}; make reset{option} deletes its data."""
