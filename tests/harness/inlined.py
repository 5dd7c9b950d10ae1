"""The function of deploy/aws/set_shards.py inside of deploy/aws/lambda.yml.

`make docs` runs this as a program, which writes it there.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

FOLDER = Path(__file__).parents[2] / "deploy" / "aws"
TEMPLATE, FUNCTION = FOLDER / "lambda.yml", FOLDER / "set_shards.py"
BEGIN = "        ZipFile: |\n"
END = "\nOutputs:\n"


def template(text: str, function: str) -> str:
    """The template with this function."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{indent(function, ' ' * 10)}{END}{tail}"


if __name__ == "__main__":
    TEMPLATE.write_text(template(TEMPLATE.read_text(), FUNCTION.read_text()))
