import { useState } from 'preact/hooks';
import { Viewer } from '../documents.ts';
import { ask, signIn } from '../server.ts';
import { asProblem } from '../parts/load.ts';

/** Where the server asks for a key or token: it is kept for this tab, until it is closed. */
export function SignIn() {
  const [key, setKey] = useState('');
  const [wrong, setWrong] = useState('');
  const submit = async (event: Event) => {
    event.preventDefault();
    await signIn(key, () => ask(Viewer, {})).catch((error: unknown) => setWrong(asProblem(error).message));
  };
  return (
    <main class="signin" id="page">
      <form onSubmit={submit}>
        <h1>Recollect</h1>
        <p>This server asks for a key or token. It is kept in this tab only, until you close it.</p>
        <label>Key or token<input type="password" autocomplete="off" autofocus required value={key} onInput={(event) => setKey(event.currentTarget.value)} /></label>
        {wrong && <p class="bad" role="alert">{wrong}</p>}
        <button type="submit" class="main">Sign in</button>
        <p class="soft">No key yet? On the server: <code>recollect keys create --name me --role read</code></p>
      </form>
    </main>
  );
}
