"""Derived from the declarations of records, for every engine: columns, keys, references, deletes, indexes."""
