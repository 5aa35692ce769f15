// How often `follow` of the documentation tries, and how it ends, where each try is refused with a code.
import { follow } from './follow.mjs';

const code = Number(process.argv[2]);
const stop = new AbortController();
const tries = [];
const subscribe = async () => {
  tries.push(performance.now());
  if (tries.length === 3) stop.abort();
  throw { code };
};
const ended = await follow(subscribe, null, () => {}, stop.signal).then(() => 'aborted', (error) => error.code);
console.log(JSON.stringify({ tries: tries.length, ended }));
