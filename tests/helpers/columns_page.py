"""The columns of docs/tables.md, as the code describes them: `python tests/helpers/columns_page.py` writes them."""

from pathlib import Path

import pyarrow as pa

from layersweep.records.columns.descriptions import description
from layersweep.records.tables import READABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
START, END = "<!-- columns, made by tests/helpers/columns_page.py -->", "<!-- end of columns -->"


def columns() -> str:
    """A table of the columns of each table, in Markdown."""
    parts = []
    for table in READABLE.values():
        rows = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
        for field in table.schema:
            what = description(table.name, field.name)
            assert what is not None, (table.name, field.name)
            rows.append(f"| `{field.name}` | {_type(field.type)} | {what.unit} | {what.text} |")
        parts.append("\n".join([f"### {table.name}", "", *rows]))
    return "\n\n".join(parts)


def page(text: str) -> str:
    """A page with the columns in their place."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{columns()}\n\n{END}{after}"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return "text"
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    return "time" if pa.types.is_timestamp(kind) else str(kind)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
