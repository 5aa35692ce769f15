/** The editors, in a shadow root: there CodeMirror adopts its style sheets in place of <style>, which the policy forbids. */
import { autocompletion, completionKeymap, closeBrackets } from '@codemirror/autocomplete';
import { json } from '@codemirror/lang-json';
import { HighlightStyle, bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { Prec } from '@codemirror/state';
import { tags } from '@lezer/highlight';
import { minimalSetup } from 'codemirror';
import { graphql as language } from 'cm6-graphql';
import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType, isUnionType } from 'graphql';
import sdl from '../../../schema/schema.graphql?raw';

export interface Texts {
  query: string;
  variables: string;
}

export interface Editor {
  value(): Texts;
  put(texts: Texts): void;
  isSubscription(): boolean;
  describe(type: string): { name: string; text: string; parts: { name: string; type: string; of: string }[] } | undefined;
  close(): void;
}

const look = EditorView.theme({
  '&': { height: '100%', color: 'var(--text)', backgroundColor: 'var(--card)', fontSize: '0.86rem' },
  '.cm-scroller': { fontFamily: 'var(--mono)', overflow: 'auto' },
  '.cm-gutters': { backgroundColor: 'var(--card)', color: 'var(--soft)', border: '0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--glow) !important' },
  '&.cm-focused': { outline: 'none' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', color: 'var(--text)', border: '1px solid var(--line)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on)' },
});

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.definitionKeyword], color: 'var(--violet)' },
  { tag: [tags.propertyName, tags.attributeName], color: 'var(--blue)' },
  { tag: [tags.string], color: 'var(--accent)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--orange)' },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
]);

export function open(host: HTMLElement, first: Texts, onRun: () => void, onDocs: (type: string) => void): Editor {
  const schema = buildSchema(sdl); // no introspection: it may be off
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const areas = [0, 1].map(() => {
    const area = document.createElement('div');
    area.style.cssText = 'flex: 1; min-height: 0; overflow: hidden;';
    return area;
  });
  areas[1]!.style.cssText = 'flex: 0 0 7rem; min-height: 0; overflow: hidden; border-top: 1px solid var(--line);';
  root.replaceChildren(...areas);
  const common = (label: string) => [
    Prec.highest(keymap.of([{ key: 'Mod-Enter', run: () => (onRun(), true) }])),
    minimalSetup,
    syntaxHighlighting(colours),
    bracketMatching(),
    closeBrackets(),
    autocompletion(),
    keymap.of(completionKeymap),
    look,
    EditorView.contentAttributes.of({ 'aria-label': label }),
  ];
  const onShowInDocs = (field?: string, type?: string, parent?: string) => onDocs((type ?? parent ?? field ?? 'Query').replace(/[[\]!]/g, ''));
  const query = new EditorView({
    parent: areas[0]!,
    root,
    doc: first.query,
    extensions: [lineNumbers(), ...common('Query'), language(schema, { onShowInDocs })],
  });
  const variables = new EditorView({ parent: areas[1]!, root, doc: first.variables || '{}', extensions: [...common('Variables'), json()] });
  query.focus();
  const set = (view: EditorView, text: string) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  const value = () => ({ query: query.state.doc.toString(), variables: variables.state.doc.toString() });
  return {
    value,
    put(texts) {
      set(query, texts.query);
      set(variables, texts.variables || '{}');
      query.focus();
    },
    isSubscription: () => /^\s*(#[^\n]*\n\s*)*subscription\b/.test(value().query),
    describe(name) {
      const type = schema.getType(name);
      if (!type) return undefined;
      const text = type.description ?? '';
      if (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)) {
        const parts = Object.values(type.getFields()).map((field) => {
          const given = 'args' in field && field.args.length ? `(${(field.args as readonly { name: string; type: unknown }[]).map((one) => `${one.name}: ${String(one.type)}`).join(', ')})` : '';
          return { name: field.name + given, type: String(field.type), of: field.description ?? '' };
        });
        return { name, text, parts };
      }
      if (isEnumType(type)) return { name, text, parts: type.getValues().map((one) => ({ name: one.name, type: '', of: one.description ?? '' })) };
      if (isUnionType(type)) return { name, text, parts: type.getTypes().map((one) => ({ name: '', type: one.name, of: one.description ?? '' })) };
      return { name, text, parts: [] };
    },
    close() {
      query.destroy();
      variables.destroy();
    },
  };
}
