"""How people keep labelled pictures: folders of classes, tables, Parquet files; no picture is decoded here."""
