"""The text indexes: what they keep of memories and messages, and how they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from domain.document import DocumentChunk
from domain.message import Content, searched
from domain.words import Words
from stores import words
from stores.policies import LOOSE

CREATE = """
-- The words of memories, as of stores.words: this tokenizer only parts them at blanks. The scope is a token of the
-- index, so that a common word costs what its owner has.
CREATE VIRTUAL TABLE memory_text USING fts5(
  scope, content, loose, content='', contentless_delete=1, tokenize="ascii tokenchars '.'")
"""

MESSAGES = """
-- The words of messages. Each begins with its workspace, so that a word costs what its own workspace has.
CREATE VIRTUAL TABLE message_text USING fts5(
  content, loose, content='', contentless_delete=1, tokenize="ascii tokenchars '.'");

-- Messages whose words are not in the index yet: a commit that writes to it costs five pages more.
CREATE TABLE message_waiting (key INTEGER PRIMARY KEY) STRICT
"""

DOCUMENTS = """
-- The words of chunks of documents, each of which begins with its workspace, too.
CREATE VIRTUAL TABLE document_chunk_text USING fts5(
  content, loose, content='', contentless_delete=1, tokenize="ascii tokenchars '.'")
"""

TABLES = ("memory_text", "message_text", "document_chunk_text")

TOGETHER = 64
"""So many messages are put into the index at once, or those that wait before a search."""

WAIT = "INSERT OR IGNORE INTO message_waiting SELECT key FROM message WHERE id = ?"

INSERT = "INSERT INTO memory_text (rowid, scope, content, loose) VALUES (?, ?, ?, ?)"

INSERT_MESSAGE = "INSERT INTO message_text (rowid, content, loose) VALUES (?, ?, ?)"

INSERT_CHUNK = "INSERT INTO document_chunk_text (rowid, content, loose) VALUES (?, ?, ?)"

RANK = f"-bm25(memory_text, 0.0, 1.0, {LOOSE})"


def rank_of(of: str) -> str:
    """The rank of what an index of messages or of chunks has."""
    return f"-bm25({of}_text, 1.0, {LOOSE})"


def row(workspace: int, key: int, scope: int, text: str) -> tuple[int, str, str, str]:
    """What INSERT takes."""
    exact, loose = words.stored(text)
    return key, f"w{workspace} {scope_token(scope)}", " ".join(exact), " ".join(loose)


def within(workspace: int, text: str) -> tuple[str, str]:
    """The words of a message or a chunk, as the index has them."""
    before = f" {workspace}."
    exact, loose = (before + before.join(words) if words else "" for words in words.stored(text))
    return exact, loose


def index_waiting(db: apsw.Connection) -> None:
    """Puts messages into the index, within the caller's transaction."""
    found: Iterable[Any] = db.execute(
        "SELECT m.key, m.workspace, m.content FROM message_waiting w CROSS JOIN message m ON m.key = w.key"
    )
    db.executemany(INSERT_MESSAGE, [(key, *within(workspace, said_in(content))) for key, workspace, content in found])
    db.execute("DELETE FROM message_waiting")


def index_chunks(db: apsw.Connection, workspace: int, chunks: Iterable[DocumentChunk]) -> None:
    """Puts those chunks of documents into the index that are not there."""
    db.executemany(
        "INSERT INTO document_chunk_text (rowid, content, loose) SELECT key, ?2, ?3 FROM document_chunk t "
        "WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM document_chunk_text WHERE rowid = t.key)",
        [(one.id, *within(workspace, one.text)) for one in chunks],
    )


def said_in(content: str) -> str:
    """What a message is found by, from its row."""
    return searched(_contents.decode(content))


_contents = msgspec.json.Decoder(list[Content])


def says(*values: Any) -> bool:
    """Whether a message's row has all of these words, each in some way, as SQL asks."""
    content, wanted = values
    return words.says(said_in(content), msgspec.json.decode(wanted))


def scope_token(scope: int) -> str:
    """The scope as one token of the text index."""
    return f"s{scope}" if scope >= 0 else f"g{-scope}"


def anyone(workspace: int) -> str:
    """The expression that all memories of a workspace match."""
    return f"w{workspace}"


def among(scopes: Sequence[int]) -> str:
    """The expression that the memories of these scopes match."""
    return f"({' OR '.join(map(scope_token, scopes))})"


def has(*ways: str) -> str:
    """The expression that memories match with an exact word, in one of the ways that it is written."""
    return f'content : "{ways[0]}"' if len(ways) == 1 else f"({' OR '.join(map(has, ways))})"


def asked(looked_for: Words) -> list[str]:
    """The expressions that memories with each of these words match."""
    return [*map(has, looked_for.exact), *(f'loose : "{word}"' for word in looked_for.loose)]


def said(workspace: int, looked_for: Words) -> list[str]:
    """The expressions that messages or chunks of a workspace with each of these words match."""
    exact, loose = ([f"{workspace}.{word}" for word in some] for some in looked_for)
    return asked(Words(exact, loose))


_DELETED = "deleted words"
"""A name in the table meta: that the pages of the indexes may still have words of what was deleted."""


def deleted(db: apsw.Connection) -> None:
    """Notes that words were taken out of an index."""
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (_DELETED,))


def purge(db: apsw.Connection) -> None:
    """Takes the words of what was deleted out of the pages, where FTS5 leaves them until it merges these. 0.5 s for
    100,000 messages."""
    if db.execute("SELECT 1 FROM meta WHERE name = ?", (_DELETED,)).fetchone() is not None:
        with db:
            for table in TABLES:
                db.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
            db.execute("DELETE FROM meta WHERE name = ?", (_DELETED,))
