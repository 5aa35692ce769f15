/** All that the console asks of the server; a server of trusted documents runs these beside its own. */
export * from './documents/sessions.ts';
export * from './documents/traces.ts';
export * from './documents/memories.ts';
export * from './documents/operate.ts';
export * from './documents/annotations.ts';
