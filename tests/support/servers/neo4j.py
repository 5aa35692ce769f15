"""Neo4j, community edition, as its makers publish it for Maven."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import LiteralString

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from tests.support.servers.installing import cache, command, whole
from tests.support.servers.process import HOST, Server, in_memory

VERSION = "5.26.0"
JAVA = 17
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>recollect</groupId>
  <artifactId>neo4j</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{VERSION}</version></dependency>
  </dependencies>
</project>
"""
_KEPT_PLANS = ("dbms.cypher.min_replan_interval=1h", "server.memory.query_cache.per_db_cache_num_entries=5000")
OPENED = ("java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch", "java.base/java.lang")

USER = "neo4j"
DATABASE = "neo4j"
FIRST_PASSWORD = "neo4j"  # of a new Neo4j, which takes no other statement before it is changed


class Neo4j(Server):
    """A Neo4j with one database; with a password (8 characters or more) unless it is None."""

    name = "Neo4j"
    package = f"Neo4j {VERSION} (Maven, 128 MB)"
    seconds_to_start = 180.0

    def __init__(self, password: str | None = None) -> None:
        super().__init__(ports=1)
        self.password = password
        self._password_is_set = password is None

    @classmethod
    def missing(cls) -> str | None:
        version = _java_version()
        if version is None or version < JAVA:
            return f"Neo4j needs Java {JAVA} or newer; " + (f"this is {version}." if version else "there is none.")
        if not cls.fetched() and not shutil.which("mvn"):
            return "Neo4j is fetched with Maven (mvn), which is not installed."
        return None

    @classmethod
    def fetched(cls) -> Path | None:
        jars = cache() / f"neo4j-{VERSION}" / "jars"
        return jars if jars.exists() else None

    @classmethod
    def _fetch(cls) -> None:
        with whole(f"neo4j-{VERSION}") as folder:
            (folder / "pom.xml").write_text(POM)
            command(["mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=jars"], folder)

    @property
    def url(self) -> str:
        who = f"{USER}:{self.password}@" if self.password else ""
        return f"neo4j://{who}{HOST}:{self.ports[0]}/{DATABASE}"

    def _settings(self) -> Sequence[str]:
        return (
            f"server.directories.data={self.folder}/data",
            f"server.directories.logs={self.folder}/logs",
            f"server.bolt.listen_address={HOST}:{self.ports[0]}",
            f"server.bolt.advertised_address={HOST}:{self.ports[0]}",
            "server.http.enabled=false",
            "server.memory.pagecache.size=512m",
            # Tests, whose data is in memory, empty and fill it all the time, and ask more statements than the 1,000 whose
            # plans are kept; to make a plan takes 0.1 s.
            *(_KEPT_PLANS if in_memory() else []),
            "db.tx_log.preallocate=false",  # else a quarter of a gigabyte for each of its two databases
            f"dbms.security.auth_enabled={str(self.password is not None).lower()}",
            "dbms.usage_report.enabled=false",
        )

    def _command(self, fetched: Path) -> Sequence[str | Path]:
        (self.folder / "conf").mkdir(exist_ok=True)
        (self.folder / "conf" / "neo4j.conf").write_text("".join(f"{line}\n" for line in self._settings()))
        return (
            _java() or "java",
            "-Xms256m",
            "-Xmx1g",
            # Tests ask each statement a few times: most of a test's time was planning and compiling (66 -> 34 s of
            # processor time for the contract's records). Who measures gets Java's own defaults.
            *(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if in_memory() else []),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
            "-cp",
            f"{fetched}/*",
            "org.neo4j.server.CommunityEntryPoint",
            f"--home-dir={self.folder}",
            f"--config-dir={self.folder}/conf",
        )

    def _logs(self) -> Sequence[Path]:
        return (self.log, self.folder / "logs" / "neo4j.log")

    def _answers(self) -> bool:
        try:
            if not self._password_is_set:
                self._set_password()
            self._ask("RETURN 1", DATABASE, self.password)
        except (DriverError, Neo4jError) as error:
            raise ConnectionError(str(error)) from error
        return True

    def _set_password(self) -> None:
        change: LiteralString = "ALTER CURRENT USER SET PASSWORD FROM $first TO $password"
        self._ask(change, "system", FIRST_PASSWORD, first=FIRST_PASSWORD, password=self.password)
        self._password_is_set = True

    def _ask(self, statement: LiteralString, database: str, secret: str | None, **parameters: str | None) -> None:
        who = (USER, secret) if secret else None
        with (
            GraphDatabase.driver(f"bolt://{HOST}:{self.ports[0]}", auth=who, connection_timeout=5) as driver,
            driver.session(database=database) as session,  # asks once, where the driver itself would ask again and wait
        ):
            session.run(statement, parameters).consume()


def _java() -> str | None:
    """The java of JAVA_HOME, as Maven takes it, else of PATH."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")


def _java_version() -> int | None:
    if not (java := _java()):
        return None
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else None
