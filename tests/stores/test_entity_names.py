"""What several workspaces call by the same name is each one's own."""

from __future__ import annotations

from pathlib import Path

from domain.entity import Entity, EntityName, digest_of
from stores.contract import making as m
from stores.open import open_engine
from stores.ports import Opening


async def test_a_name_means_what_its_workspace_calls_so(tmp_path: Path) -> None:
    opening = Opening(data=str(tmp_path), embedder="test", dimension=m.DIMENSION, clock=m.Clock())
    engine = open_engine(opening)
    stores = [engine.workspace(name) for name in ("ours", "theirs", "nobody's")]
    towns = []
    for store in stores[:2]:
        [town] = await m.keep(store, m.entity(external_id="oslo"))
        towns.append(town)
        await m.keep(store, m.entity_name(town, "Oslo"))
    for store, town in zip(stores, [*towns, None], strict=True):
        [called] = await store.find(EntityName, [(digest_of("  OSLO"), "place")])
        assert (called and called.entity_id) == (town and town.id)
        assert await store.find(Entity, [("oslo",)]) == [town]
    assert await stores[0].get(Entity, [towns[1].id]) == [None]
    await engine.close()
