"""The functions that protocols call; config.json lists them."""

import json

from ts_sdk.task import Context


def greet(input: dict, context: Context) -> dict:
    """Greet whom the file names, and write the greeting to a file."""
    visitor = json.loads(context.read_file(input["input_file_pointer"])["body"])
    if not visitor.get("name"):
        raise ValueError("the file names nobody")
    text = f"{input['greeting']}, {visitor['name']}!"
    print(text)
    file = context.write_file(
        content=text + "\n", file_name="greeting.txt", file_category="PROCESSED"
    )
    return {"text": text, "file": file}
