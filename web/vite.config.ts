import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';
import * as documents from './src/documents.ts';

/** What the server reads: each file compressed, and the documents that the console sends, by their hashes. */
function forTheServer(): Plugin {
  return {
    name: 'for-the-server',
    async writeBundle({ dir = '' }, bundle) {
      const texts = Object.values(documents).map(({ text }) => text);
      const sent = texts.map((text) => [createHash('sha256').update(text).digest('hex'), text]);
      await writeFile(join(dir, 'documents.json'), JSON.stringify(Object.fromEntries(sent)));
      for (const name of [...Object.keys(bundle), 'documents.json']) {
        const file = join(dir, name);
        await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
        await rm(file);
      }
    },
  };
}

// base "./": each address in the output is relative to the file it stands in, so a path prefix needs no setting.
export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [forTheServer()],
  build: {
    target: 'es2022',
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800, // kB, of the query editor, which only its page loads
    assetsInlineLimit: 0, // no data: addresses, for the content security policy
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
});
