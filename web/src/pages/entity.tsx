/** A named thing: what it is called, what mentions it, and what became a part of it. */
import { EntityDetail } from '../documents.ts';
import { ask } from '../server.ts';
import { to } from '../route.ts';
import { useLoad } from '../parts/load.ts';
import { Json } from '../parts/json.tsx';
import { Time, Trouble } from '../parts/show.tsx';

export function EntityShown({ id }: { id: string }) {
  const { data, error } = useLoad(id, async (signal) => (await ask(EntityDetail, { id, first: 20 }, signal)).entity);
  if (error) return <Trouble error={error} />;
  if (!data) return null;
  const { memories, messages } = data;
  return (
    <>
      <p class="line"><strong dir="auto">{data.name}</strong> <span class="badge">{data.type}</span> <a href={to(['memories'], { view: 'graph', start: id })}>begin here</a></p>
      {data.aliases.length > 0 && <p class="soft">also <bdi>{data.aliases.join(', ')}</bdi></p>}
      {data.merged.map(({ name, mergedAt }) => <p key={mergedAt} class="soft">was <bdi>{name}</bdi> too, until <Time at={mergedAt} /></p>)}
      <h2>Memories that mention it</h2>
      {!memories.nodes.length && <p class="soft">None.</p>}
      <ul class="plain">
        {memories.nodes.map((memory) => <li key={memory.id}><a href={to(['memories', memory.id])}><bdi>{memory.text.slice(0, 160)}</bdi></a></li>)}
        {memories.pageInfo.hasNextPage && <li class="soft">and more</li>}
      </ul>
      {messages.nodes.length > 0 && <h2>Messages that mention it</h2>}
      <ul class="plain">
        {messages.nodes.map((message) => (
          <li key={message.id}><a href={message.session ? to(['sessions', message.session.id], { message: message.id }) : undefined}><bdi>{message.sender.name}: {message.text.slice(0, 160)}</bdi></a> <span class="soft"><Time at={message.createdAt} /></span></li>
        ))}
        {messages.pageInfo.hasNextPage && <li class="soft">and more</li>}
      </ul>
      {Object.keys((data.metadata ?? {}) as object).length > 0 && <Json value={data.metadata} label="metadata" />}
    </>
  );
}
